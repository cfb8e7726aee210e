//! `lint`: every fault of settings, catalogue, enti and texts.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use shared::domain::Fault;
use shared::domain::catalogue::{Catalogue, check_ente};
use shared::domain::render::{TextFault, Texts};
use shared::service::text_fault;
use shared::settings::{Enti, Settings, Validator, environment};

use crate::report::{Report, counted, push};

/// What was found, and how much was looked at.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) faults: Vec<Fault>,
    /// Message types, event types, enti.
    pub(crate) checked: [usize; 3],
}

/// Looks at everything that the settings name.
pub(crate) fn run(config: Option<&Path>) -> Report {
    report(&match Settings::load(config, environment()) {
        Ok(settings) => look(&settings.catalogue_dir, &settings.enti_dir),
        Err(faults) => Findings { faults, ..Findings::default() },
    })
}

/// Looks at a catalogue and at the enti that use it.
pub(crate) fn look(catalogue_dir: &Path, enti_dir: &Path) -> Findings {
    let mut findings = Findings::default();
    let loaded = Catalogue::load(catalogue_dir).unwrap_or_else(|faults| {
        let within =
            |fault: Fault| Fault { file: catalogue_dir.join(&fault.file).display().to_string(), ..fault };
        findings.faults.extend(faults.into_iter().map(within));
        Catalogue::default()
    });
    let catalogue = Arc::new(loaded);
    // Against a catalogue with faults, each ente would seem to name unknown messages.
    let is_sound = findings.faults.is_empty();
    let checked = Arc::clone(&catalogue);
    let of_enti: Validator =
        Arc::new(move |ente| if is_sound { check_ente(&checked, ente) } else { Vec::new() });
    let enti = Enti::read(enti_dir, &of_enti);
    findings.faults.extend(enti.faults);
    let taken: Vec<_> = enti.taken.values().map(|loaded| loaded.ente.as_ref()).collect();
    if is_sound && let Err(faults) = Texts::compile(&catalogue, taken.iter().copied()) {
        findings.faults.extend(faults.into_iter().map(|fault| of_text(catalogue_dir, enti_dir, fault)));
    }
    findings.checked = [
        catalogue.servizi.values().map(|service| service.messaggi.len()).sum(),
        catalogue.tipi_evento().len(),
        enti.taken.len(),
    ];
    findings
}

/// A text's fault, at the file that holds the text.
fn of_text(catalogue_dir: &Path, enti_dir: &Path, fault: TextFault) -> Fault {
    let folder = if fault.ente.is_some() { enti_dir } else { catalogue_dir };
    let fault = text_fault(fault);
    Fault { file: folder.join(&fault.file).display().to_string(), ..fault }
}

fn report(findings: &Findings) -> Report {
    let faults = &findings.faults;
    let [messages, events, enti] = findings.checked;
    let mut text = String::new();
    for fault in faults {
        push(&mut text, format_args!("{fault}\n"));
    }
    let last = if faults.is_empty() {
        let (messages, events) = (counted(messages, "message type"), counted(events, "event type"));
        let enti = if enti == 1 { "1 ente".to_owned() } else { format!("{enti} enti") };
        format!("no fault: {messages}, {events}, {enti}\n")
    } else {
        format!("{}\n", counted(faults.len(), "fault"))
    };
    text.push_str(&last);
    let listed: Vec<_> = faults
        .iter()
        .map(|fault| json!({ "file": fault.file, "key": fault.key, "reason": fault.reason }))
        .collect();
    let json = json!({ "faults": listed, "messages": messages, "events": events, "enti": enti });
    Report::with_findings(text, json, !faults.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::tests::setup;

    #[test]
    fn the_projects_own_files_have_no_fault() {
        let settings = setup().settings;
        let report = report(&look(&settings.catalogue_dir, &settings.enti_dir));
        assert!(!report.found, "{}", report.text);
        assert_eq!(report.text, "no fault: 22 message types, 29 event types, 2 enti\n");
    }

    #[test]
    fn every_fault_of_catalogue_and_enti_is_listed_with_its_file() {
        let settings = setup().settings;
        let folder = tempfile::tempdir().unwrap();
        let good = std::fs::read_to_string(settings.enti_dir.join("borgochiaro.toml")).unwrap();
        let own = good.replace("giorni_prima = [90, 60, 30]", "titolo = \"Scade {{ domani }} a presto\"");
        std::fs::write(folder.path().join("borgochiaro.toml"), own).unwrap();
        std::fs::write(folder.path().join("altrove.toml"), "id = \"altro\"\ncolour = 1\n").unwrap();
        let report = report(&look(&settings.catalogue_dir, folder.path()));
        assert!(report.found);
        for wanted in ["altrove.toml: colour: ", "altrove.toml: id: ", "borgochiaro.toml: "] {
            assert!(report.text.contains(wanted), "{wanted}: {}", report.text);
        }
        assert_eq!(report.json["faults"].as_array().unwrap().len() + 1, report.text.lines().count());
    }

    #[test]
    fn settings_that_cannot_be_read_are_a_finding() {
        let report = run(Some(Path::new("not-there.toml")));
        assert!(report.found && report.text.contains("not-there.toml"), "{}", report.text);
    }
}
