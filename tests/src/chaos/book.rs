//! What the integrator knows: which events were published, which were confirmed, what was told of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The integrator's book.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Events published, confirmed or not.
    pub(super) attempted: BTreeSet<String>,
    /// Events that the broker confirmed.
    pub(super) acknowledged: BTreeSet<String>,
    /// Every outcome, first tellings only.
    pub(super) outcomes: Vec<Value>,
    /// What each event came to so far: a row of many events asks after each outcome.
    ends: BTreeMap<String, &'static str>,
}

impl Book {
    /// Enters an outcome that was not told before.
    pub(super) fn tell(&mut self, outcome: Value) {
        let end = outcome["type"].as_str().and_then(|tipo| ENDS.into_iter().find(|end| *end == tipo));
        if let (Some(event), Some(end)) = (outcome["data"]["evento"].as_str(), end) {
            let known = self.ends.get(event).copied();
            if known.is_none() || known == Some("messaggio.in-dubbio") {
                self.ends.insert(event.to_owned(), end);
            }
        }
        self.outcomes.push(outcome);
    }

    /// What each event came to, as told: event to type. A doubt gives way to what closes it.
    pub(super) fn ends(&self) -> &BTreeMap<String, &'static str> {
        &self.ends
    }

    /// Whether all of these events were told as sent.
    pub(super) fn are_sent(&self, events: &[String]) -> bool {
        events.iter().all(|event| self.ends.get(event).copied() == Some("messaggio.inviato"))
    }

    /// Confirmed events of which nothing final was told.
    pub(super) fn open(&self) -> Vec<&str> {
        self.acknowledged.iter().map(String::as_str).filter(|event| !self.ends.contains_key(*event)).collect()
    }

    /// Whether something final was told of every confirmed event.
    pub(super) fn is_over(&self) -> bool {
        // As many ends first: a look at each event after each outcome takes hours where there are many.
        self.ends.len() >= self.acknowledged.len() && self.open().is_empty()
    }

    /// The events whose messages' keys are in a text.
    pub(super) fn events_in(&self, text: &str) -> BTreeSet<&str> {
        let is_in =
            |outcome: &&Value| outcome["data"]["chiave"].as_str().is_some_and(|key| text.contains(key));
        self.outcomes.iter().filter(is_in).filter_map(|it| it["data"]["evento"].as_str()).collect()
    }

    /// How many outcomes of a type were told.
    pub(super) fn count(&self, tipo: &str) -> usize {
        self.outcomes.iter().filter(|outcome| outcome["type"] == tipo).count()
    }

    /// How many events came to this end.
    pub(super) fn ended(&self, tipo: &str) -> usize {
        self.ends.values().filter(|end| **end == tipo).count()
    }
}

/// The outcomes after which nothing more comes by itself.
const ENDS: [&str; 5] = [
    "messaggio.inviato",
    "messaggio.scartato",
    "messaggio.fallito",
    "messaggio.in-dubbio",
    "evento.rifiutato",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_doubt_gives_way_to_what_closes_it_and_to_nothing_before() {
        let told = |tipo: &str| json!({ "type": tipo, "data": { "evento": "e" } });
        let mut book = Book::default();
        book.acknowledged.insert("e".to_owned());
        assert!(book.open() == ["e"] && !book.is_over());
        for tipo in ["messaggio.programmato", "messaggio.in-dubbio", "messaggio.inviato"] {
            book.tell(told(tipo));
        }
        assert_eq!(book.ends()["e"], "messaggio.inviato");
        book.tell(told("messaggio.in-dubbio"));
        assert_eq!(book.ends()["e"], "messaggio.inviato", "write-once");
        assert!(book.open().is_empty() && book.is_over());
    }
}
