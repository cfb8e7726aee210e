//! The example files of the documentation, run for an ente without Premium and one with.

use super::*;
use crate::setup::tests::setup;
use std::path::{Path, PathBuf};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples").join(name)
}

fn arguments(name: &str, ente: &str) -> Simulate {
    Simulate {
        events: example(name),
        ente: ente.to_owned(),
        from: None,
        until: None,
        html: None,
        not_on_io: Vec::new(),
        premium_refused: false,
    }
}

fn run_example(name: &str, ente: &str) -> Report {
    run(&setup(), &arguments(name, ente)).unwrap()
}

/// The lines with an instant: what happened, without the texts.
fn happened(report: &Report) -> Vec<&str> {
    report.text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect()
}

#[test]
fn story_1_is_told_as_the_rules_tell_it() {
    let golden = include_str!("tests/permesso-in-scadenza.txt");
    assert_eq!(run_example("permesso-in-scadenza.jsonl", "borgochiaro").text, golden);
    let armed: Vec<String> = run_example("permesso-in-scadenza.jsonl", "roccamarina").json["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["what"] == "armed")
        .map(|entry| entry["scadenza"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        armed,
        [
            "2027-04-01T09:00:00+02:00",
            "2027-05-01T09:00:00+02:00",
            "2027-05-31T09:00:00+02:00",
            "2027-12-31T09:00:00+01:00"
        ]
    );
}

#[test]
fn story_9_differs_by_the_contract() {
    let n = run_example("canone-rinviato.jsonl", "borgochiaro");
    assert_eq!(
        happened(&n),
        [
            "25/03/2027 09:30  event     pagamento.avviso-emesso (avviso-1)",
            "25/03/2027 09:30  armed     alloggi-avviso-canone-in-scadenza for 03/04/2027 09:00 [person 1]",
            "25/03/2027 09:30  armed     alloggi-avviso-canone-mancato-pagamento for 11/04/2027 09:00 [person 1]",
            "25/03/2027 09:30  message   alloggi-avviso-canone STANDARD [person 1]",
            "01/04/2027 12:00  event     pagamento.aggiornato (avviso-2)",
            "01/04/2027 12:00  moved     alloggi-avviso-canone-in-scadenza for 23/04/2027 09:00 [person 1]",
            "01/04/2027 12:00  moved     alloggi-avviso-canone-mancato-pagamento for 01/05/2027 09:00 [person 1]",
            "01/04/2027 12:00  message   alloggi-avviso-canone STANDARD [person 1]",
            "23/04/2027 09:00  message   alloggi-avviso-canone-in-scadenza STANDARD [person 1]",
            "01/05/2027 09:00  message   alloggi-avviso-canone-mancato-pagamento STANDARD [person 1]",
            "05/05/2027 10:00  event     pagamento.eseguito (pagato-1)",
        ]
    );
    let p = run_example("canone-rinviato.jsonl", "roccamarina");
    let sent: Vec<String> = p.json["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["what"] == "sent")
        .map(|entry| {
            let message = &entry["message"];
            format!("{} {} {}", entry["at"], message["livello"], message["due_date"])
        })
        .collect();
    assert_eq!(
        sent,
        [
            r#""2027-03-25T09:30:00+01:00" "ADVANCED" "2027-04-10T21:59:59Z""#,
            r#""2027-04-01T12:00:00+02:00" "ADVANCED" "2027-04-30T21:59:59Z""#,
            r#""2027-05-01T09:00:00+02:00" "STANDARD" null"#,
        ]
    );
}

#[test]
fn every_example_passes_the_check() {
    let folder = example("");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if !name.contains(".json") {
            continue; // a client example, or the list of them
        }
        for ente in ["borgochiaro", "roccamarina"] {
            let report = run_example(&name, ente);
            assert!(!report.found, "{name}: {}", report.text);
            assert!(
                report.json["timeline"].as_array().unwrap().iter().any(|entry| entry["what"] == "sent"),
                "{name}"
            );
        }
        seen += 1;
    }
    assert!(seen >= 5, "{seen} examples");
}

#[test]
fn no_fiscal_code_is_shown() {
    for name in ["canone-rinviato.jsonl", "bando-pubblicato.json"] {
        let report = run_example(name, "borgochiaro");
        let shown = format!("{}{}", report.text, report.json);
        assert!(!shown.contains("RSSMRA") && !shown.contains("VRDGPP"), "{name}");
    }
}

#[test]
fn the_clock_stops_where_it_is_told_and_says_what_stays_armed() {
    let mut arguments = arguments("permesso-in-scadenza.jsonl", "borgochiaro");
    arguments.until = Some("2027-04-02".to_owned());
    let report = run(&setup(), &arguments).unwrap();
    let armed: Vec<&str> = report.text.split("stays armed:\n").nth(1).unwrap().lines().collect();
    assert_eq!(
        armed,
        [
            "01/05/2027 09:00  permesso-in-scadenza (2026/0451)",
            "31/05/2027 09:00  permesso-in-scadenza (2026/0451)",
            "31/12/2027 09:00  permesso-scaduto-sei-mesi (2026/0451)",
        ]
    );
    arguments.until = Some("2026-01-01".to_owned());
    assert!(matches!(run(&setup(), &arguments), Err(Failure::Usage(_))));
}

#[test]
fn who_is_not_on_io_gets_nothing() {
    let mut arguments = arguments("bando-pubblicato.json", "borgochiaro");
    arguments.not_on_io = vec!["VRDGPP70A01H501S".to_owned()];
    let report = run(&setup(), &arguments).unwrap();
    let lost =
        happened(&report).into_iter().filter(|line| line.contains("destinatario-non-raggiungibile")).count();
    assert_eq!(lost, 1, "{}", report.text);
    arguments.not_on_io = vec!["VRDGPP70A01H501A".to_owned()];
    let Err(Failure::Usage(line)) = run(&setup(), &arguments) else { panic!("must be refused") };
    assert!(line.starts_with("--not-on-io: ") && !line.contains("VRDGPP"), "{line}");
}

#[test]
fn the_page_stands_alone_and_holds_the_texts() {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = arguments("canone-rinviato.jsonl", "roccamarina");
    arguments.html = Some(folder.path().join("canone.html"));
    run(&setup(), &arguments).unwrap();
    let page = std::fs::read_to_string(folder.path().join("canone.html")).unwrap();
    for wanted in [
        "<html lang=\"it\">",
        "giovedì 1º aprile 2027",
        "Hai un nuovo avviso di pagamento",
        "<strong>Devi pagare:</strong> 310,50 €",
        "Premium",
        "dopo 7 giorni",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    for foreign in ["<script", "<link", "<img", "src=", "@import", "url(", "RSSMRA"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}
