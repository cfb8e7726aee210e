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
}

impl Book {
    /// What each event came to, as told: event to type. A doubt gives way to what closes it.
    pub(super) fn ends(&self) -> BTreeMap<&str, &str> {
        let mut ends = BTreeMap::new();
        for outcome in &self.outcomes {
            let (Some(event), Some(tipo)) = (outcome["data"]["evento"].as_str(), outcome["type"].as_str())
            else {
                continue;
            };
            let known = ends.get(event).copied();
            if is_end(tipo) && (known.is_none() || known == Some("messaggio.in-dubbio")) {
                ends.insert(event, tipo);
            }
        }
        ends
    }

    /// Confirmed events of which nothing final was told.
    pub(super) fn open(&self) -> Vec<&str> {
        let ends = self.ends();
        self.acknowledged.iter().map(String::as_str).filter(|event| !ends.contains_key(event)).collect()
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
        self.ends().values().filter(|end| **end == tipo).count()
    }
}

/// The outcomes after which nothing more comes by itself.
fn is_end(tipo: &str) -> bool {
    matches!(
        tipo,
        "messaggio.inviato"
            | "messaggio.scartato"
            | "messaggio.fallito"
            | "messaggio.in-dubbio"
            | "evento.rifiutato"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_doubt_gives_way_to_what_closes_it_and_to_nothing_before() {
        let told = |tipo: &str| json!({ "type": tipo, "data": { "evento": "e" } });
        let mut book = Book::default();
        book.acknowledged.insert("e".to_owned());
        assert_eq!(book.open(), ["e"]);
        for tipo in ["messaggio.programmato", "messaggio.in-dubbio", "messaggio.inviato"] {
            book.outcomes.push(told(tipo));
        }
        assert_eq!(book.ends()["e"], "messaggio.inviato");
        book.outcomes.push(told("messaggio.in-dubbio"));
        assert_eq!(book.ends()["e"], "messaggio.inviato", "write-once");
        assert!(book.open().is_empty());
    }
}
