//! The transitions as a table, and as a picture.

use std::fmt::Write as _;

/// Every transition that changes the state: from, to, by what. A test walks all states and events and
/// compares.
pub const TRANSITIONS: [(&str, &str, &str); 23] = [
    ("Armed", "Armed", "moved"),
    ("Armed", "Emitted", "claimed"),
    ("Armed", "Over", "cancelled"),
    ("Armed", "Over", "sent after all"),
    ("Emitted", "Armed", "moved"),
    ("Emitted", "Armed", "again"),
    ("Emitted", "Emitted", "claimed"),
    ("Emitted", "Leaving", "fenced"),
    ("Emitted", "Doubt", "unknown"),
    ("Emitted", "Over", "cancelled"),
    ("Emitted", "Over", "ended"),
    ("Emitted", "Over", "sent after all"),
    ("Leaving", "Leaving", "fenced"),
    ("Leaving", "Armed", "again"),
    ("Leaving", "Doubt", "unknown"),
    ("Leaving", "Doubt", "lease ended"),
    ("Leaving", "Over", "ended"),
    ("Doubt", "Doubt", "unknown"),
    ("Doubt", "Emitted", "claimed"),
    ("Doubt", "Armed", "again"),
    ("Doubt", "Armed", "resent"),
    ("Doubt", "Over", "ended"),
    ("Over", "Over", "sent after all"),
];

/// The picture for docs/ARCHITECTURE.md.
#[must_use]
pub fn mermaid() -> String {
    let mut picture = String::from("stateDiagram-v2\n    [*] --> Armed: planned\n");
    let mut drawn: Vec<(&str, &str)> = Vec::new();
    for (from, to, _) in TRANSITIONS {
        if drawn.contains(&(from, to)) {
            continue;
        }
        drawn.push((from, to));
        let same = TRANSITIONS.iter().filter(|(a, b, _)| (*a, *b) == (from, to));
        let labels: Vec<&str> = same.map(|(_, _, label)| *label).collect();
        // Writing to a `String` cannot fail.
        writeln!(picture, "    {from} --> {to}: {}", labels.join(", ")).ok();
    }
    picture
}
