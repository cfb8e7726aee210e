//! Writes `docs/metrics.md` from the table of families.

use std::fmt::Write as _;

use super::families::{FAMILIES, Family, Kind};

/// The text of `docs/metrics.md`.
#[must_use]
pub fn metrics_page() -> String {
    let mut page = "# Metrics

Each service answers `GET /metrics` on its own port, in the Prometheus text format, with the families it feeds.
Label values are bounded: never a person, never a case. Values that are known beforehand start at 0.
"
    .to_owned();
    for family in FAMILIES {
        write(&mut page, &family);
    }
    page
}

fn write(page: &mut String, family: &Family) {
    let kind = match family.kind {
        Kind::Counter => "Counter".to_owned(),
        Kind::Gauge => "Gauge".to_owned(),
        Kind::Histogram(buckets) => {
            let bounds: Vec<String> = buckets.iter().map(f64::to_string).collect();
            format!("Histogram, seconds; buckets {}", bounds.join(", "))
        }
    };
    let feeders: Vec<&str> = family.fed_by.iter().map(|process| process.name()).collect();
    let head = format!("\n## `{}`\n\n{}\n\n- {kind}", family.name, family.help);
    // Writing to a String cannot fail.
    writeln!(page, "{head}\n- Fed by {}", feeders.join(", ")).ok();
    for label in family.labels {
        writeln!(page, "- `{}`: {}", label.name, label.values).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == metrics_page(), "docs/metrics.md is old: run `promemoria docs --write`");
    }
}
