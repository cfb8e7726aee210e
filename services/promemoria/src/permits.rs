//! `permits`: the permit titles, one or all.

use serde_json::{Value, json};
use shared::domain::catalogue::Catalogue;

use crate::report::{Failure, Report, push};

/// One title, or the list.
pub(crate) fn run(catalogue: &Catalogue, code: Option<&str>) -> Result<Report, Failure> {
    let titles = &catalogue.permessi.titoli;
    let Some(code) = code else {
        let mut text = String::new();
        for title in titles.values() {
            push(&mut text, format_args!("{:<6} {}\n", title.codice, title.nome));
        }
        let list = titles.values().map(|title| json!({ "code": title.codice, "name": title.nome }));
        return Ok(Report::good(text, list.collect()));
    };
    let found =
        titles.get(code).or_else(|| titles.values().find(|title| title.codice.eq_ignore_ascii_case(code)));
    match found {
        Some(title) => {
            Ok(Report::good(sheet(&title.codice, &title.nome, &title.scheda), title.scheda.clone()))
        }
        None => Err(Failure::fault(format!(
            "CODE: is none of the {} permit titles; `promemoria permits` lists them",
            titles.len()
        ))),
    }
}

/// The record for people: what it asks for, act by act. Italian, as the law and the office are.
fn sheet(code: &str, name: &str, record: &Value) -> String {
    let mut sheet = Sheet { text: format!("{code}  {name}\n"), record };
    sheet.line("Riferimento", "legal_reference", text);
    sheet.line("Formato", "format", |value| Some(format(value.as_str()?).to_owned()));
    sheet.line("Validità", "validity", text);
    sheet.apply();
    sheet.fees();
    sheet.acts();
    sheet.notes();
    sheet.text
}

struct Sheet<'a> {
    text: String,
    record: &'a Value,
}

impl Sheet<'_> {
    fn line(&mut self, label: &str, key: &str, read: impl Fn(&Value) -> Option<String>) {
        if let Some(value) = self.record.get(key).and_then(read) {
            self.fact(label, &value);
        }
    }

    fn fact(&mut self, label: &str, value: &str) {
        push(&mut self.text, format_args!("{label:<15} {value}\n"));
    }

    fn apply(&mut self) {
        let Some(apply) = self.record.get("how_to_apply").and_then(Value::as_object) else { return };
        let word = |key: &str| apply.get(key).and_then(Value::as_str).filter(|it| *it != "not_stated");
        for (label, key) in [("Dove", "where"), ("Come", "booking"), ("Orario", "hours")] {
            if let Some(value) = word(key) {
                self.fact(label, value);
            }
        }
        self.line("Altro canale", "alternative_channel", channel);
    }

    fn fees(&mut self) {
        let Some(fees) = self.record.get("fees") else { return };
        let parts = fees_of(fees);
        let listed = if parts.is_empty() { "non indicate".to_owned() } else { parts.join("; ") };
        self.fact("Spese", &listed);
    }

    fn acts(&mut self) {
        let Some(acts) = self.record.get("acts").and_then(Value::as_object) else { return };
        if self.record.get("common_documents") == Some(&Value::Bool(true)) {
            self.fact("Documenti", "quelli comuni a tutti i titoli, e:");
        }
        for (act, needs) in acts {
            push(&mut self.text, format_args!("\n{}\n", capital(act)));
            let before = self.text.len();
            for (key, need) in needs.as_object().into_iter().flatten() {
                self.need(key, need);
            }
            if self.text.len() == before {
                self.text.push_str("  nessun documento indicato\n");
            }
        }
    }

    /// What an act needs, or what is different for it.
    fn need(&mut self, key: &str, need: &Value) {
        match key {
            "documents" => self.documents(need, 2),
            "deposit_documents" => {
                self.text.push_str("  alla consegna:\n");
                self.documents(need, 4);
            }
            "by_applicant" => {
                for (applicant, documents) in need.as_object().into_iter().flatten() {
                    push(&mut self.text, format_args!("  {applicant}:\n"));
                    self.documents(documents, 4);
                }
            }
            "fees_override" => push(&mut self.text, format_args!("  spese: {}\n", fees_of(need).join("; "))),
            "how_to_apply" => {
                let how = need.get("booking").and_then(Value::as_str).unwrap_or("diversa");
                push(&mut self.text, format_args!("  richiesta: {how}\n"));
            }
            _ => self.text.extend(need.as_str().map(|text| format!("  {text}\n"))),
        }
    }

    fn documents(&mut self, list: &Value, indent: usize) {
        let documents = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        self.text.extend(documents.map(|document| format!("{:indent$}- {document}\n", "")));
    }

    fn notes(&mut self) {
        let notes: Vec<&str> = self
            .record
            .get("notes")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if !notes.is_empty() {
            self.text.push_str("\nNote\n");
            self.text.extend(notes.iter().map(|note| format!("  - {note}\n")));
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Another way to apply, and for whom it is.
fn channel(value: &Value) -> Option<String> {
    let mode = match value.get("mode")?.as_str()? {
        "postal_kit" => "kit postale".to_owned(),
        other => other.replace('_', " "),
    };
    let condition = value.get("condition").and_then(Value::as_str);
    Some(condition.map_or_else(|| mode.clone(), |condition| format!("{mode}, {condition}")))
}

/// The parts of the price that are known.
fn fees_of(fees: &Value) -> Vec<String> {
    let labels = [
        ("marca da bollo", "stamp_duty_eur_cents"),
        ("smart card", "smart_card_eur_cents"),
        ("libretto", "travel_document_eur_cents"),
    ];
    let mut parts: Vec<String> = labels
        .iter()
        .filter_map(|(label, key)| Some(format!("{label} {}", euro(fees.get(key)?.as_i64()?))))
        .collect();
    parts.extend(fees.get("contribution").and_then(contribution));
    parts.extend(fees.get("note").and_then(text));
    parts
}

fn format(word: &str) -> &str {
    match word {
        "paper" => "cartaceo",
        "electronic" => "elettronico",
        "none" => "nessuno (attestazione)",
        "not_stated" => "non indicato",
        other => other,
    }
}

/// The contribution: one amount, one for each length, or nothing said of it.
fn contribution(value: &Value) -> Option<String> {
    if let Some(cents) = value.get("eur_cents").and_then(Value::as_i64) {
        return Some(if cents == 0 {
            "nessun contributo".to_owned()
        } else {
            format!("contributo {}", euro(cents))
        });
    }
    let tiers = value.get("tiers")?.as_array()?.iter().filter_map(|tier| {
        Some(format!("{} ({})", euro(tier.get("eur_cents")?.as_i64()?), tier.get("duration")?.as_str()?))
    });
    Some(format!("contributo {}", tiers.collect::<Vec<_>>().join(", ")))
}

/// `€ 30,46`.
fn euro(cents: i64) -> String {
    format!("€ {},{:02}", cents / 100, cents % 100)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::tests::setup;

    #[test]
    fn the_list_has_all_titles() {
        assert_eq!(run(&setup().catalogue, None).unwrap().text.lines().count(), 43);
    }

    #[test]
    fn a_title_prints_what_it_asks_for() {
        let report = run(&setup().catalogue, Some("b")).unwrap();
        for line in [
            "B  Cure mediche",
            "Formato         cartaceo",
            "Spese           marca da bollo € 16,00",
            "Rinnovo",
            "  - documentazione medica che certifichi il perdurare delle necessità terapeutiche",
        ] {
            assert!(report.text.lines().any(|it| it == line), "{line}: {}", report.text);
        }
        assert_eq!(report.json["code"], "B");
    }

    #[test]
    fn every_title_prints_without_a_word_of_the_files_own() {
        let catalogue = setup().catalogue;
        for code in catalogue.permessi.titoli.keys() {
            let text = run(&catalogue, Some(code)).unwrap().text;
            for word in ["not_stated", "eur_cents", "null"] {
                assert!(!text.contains(word), "{code}: {word}: {text}");
            }
        }
    }

    #[test]
    fn an_unknown_title_is_refused() {
        assert!(matches!(run(&setup().catalogue, Some("ZZ")), Err(Failure::Fault(_))));
    }
}
