use std::path::Path;
use std::sync::Arc;

use chrono::NaiveTime;
use secrecy::ExposeSecret;

use super::super::{Enti, Validator};
use super::{assert_fault, root, write};
use crate::domain::Fault;
use crate::domain::catalogue::InDubbio;
use crate::domain::ente::Ente;

/// The least that an ente file says.
pub(super) const LEAST: &str = r#"
id = "rocca"
denominazione = "Comune di Rocca"
comune = "Rocca"
fuso = "Europe/Rome"
[servizi.permesso-soggiorno]
chiave = "k"
"#;

/// Finds nothing wrong.
pub(super) fn trusting() -> Validator {
    Arc::new(|_| Vec::new())
}

fn read(folder: &Path) -> Enti {
    Enti::read(folder, &trusting())
}

/// The one ente `rocca`, from this text.
fn one(text: &str) -> (tempfile::TempDir, Enti) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rocca.toml", text);
    let enti = read(folder.path());
    (folder, enti)
}

fn ente(text: &str) -> Arc<Ente> {
    let (_folder, enti) = one(text);
    assert_eq!(enti.faults, [], "{:#?}", enti.faults);
    Arc::clone(&enti.taken["rocca"].ente)
}

fn faults(text: &str) -> Vec<Fault> {
    one(text).1.faults
}

#[test]
fn the_least_file_has_the_ordinary_contract() {
    let ente = ente(LEAST);
    assert_eq!((ente.io.account.as_str(), ente.io.calls_per_5s), ("rocca", 150));
    assert!(!ente.premium.promemoria && !ente.premium.allegati);
    assert_eq!(ente.servizi["permesso-soggiorno"].chiave.expose_secret(), "k");
}

const WHOLE: &str = r#"
id = "rocca"
denominazione = "Comune di Rocca"
comune = "Rocca"
fuso = "Europe/Vienna"
festivita_locali = ["08-26", "02-29"]
[io]
account = "unione"
calls_per_5s = 0
[premium]
promemoria = true
allegati = true
promemoria_anche_con_premium = true
[servizi.permesso-soggiorno]
chiave_file = "../secrets/one"
chiave_secondaria = "second"
configurazione_remota = "01HMVM9W74RWH93NT1EYNKKNNR"
canale_sicuro = false
variabili = { ufficio = "Anagrafe" }
variabili_per_permesso = { O = { ufficio = "Questura" } }
[servizi.permesso-soggiorno.messaggi.permesso-in-scadenza]
attivo = true
giorni_prima = [90, 60]
giorni_prima_per_permesso = { J = [30] }
ora = "08:30"
in_dubbio = "resend"
titolo = "Il tuo permesso"
modello = "modelli/testo.md"
pulsante = { it = "Prenota", en = "Book", url = "url_prenotazione" }
[servizi.permesso-soggiorno.timer.attestazione-permanente]
attivo = true
giorni = 90
ora = "10:00"
"#;

#[test]
fn the_example_of_the_contract_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "secrets/one", "first\n");
    write(folder.path(), "enti/modelli/testo.md", "Ciao {{ ufficio }}\n\n");
    write(folder.path(), "enti/rocca.toml", WHOLE);
    write(folder.path(), "enti/.hidden.toml", "not read");
    write(folder.path(), "enti/notes.txt", "not read");
    let read = read(&folder.path().join("enti"));
    assert_eq!(read.faults, []);
    let ente = &read.taken["rocca"].ente;
    assert_eq!(ente.festivita_locali, [(8, 26), (2, 29)]);
    assert_eq!((ente.io.account.as_str(), ente.io.calls_per_5s), ("unione", 0));
    assert!(ente.premium.promemoria && ente.premium.allegati && ente.premium.promemoria_anche_con_premium);
    let servizio = &ente.servizi["permesso-soggiorno"];
    assert_eq!(servizio.chiave.expose_secret(), "first");
    assert_eq!(servizio.chiave_secondaria.as_ref().unwrap().expose_secret(), "second");
    assert_eq!(servizio.configurazione_remota.as_deref(), Some("01HMVM9W74RWH93NT1EYNKKNNR"));
    assert_eq!(servizio.canale_sicuro, Some(false));
    assert_eq!(servizio.variabili["ufficio"], "Anagrafe");
    assert_eq!(servizio.variabili_per_permesso["O"]["ufficio"], "Questura");
    let messaggio = &servizio.messaggi["permesso-in-scadenza"];
    assert_eq!(messaggio.giorni_prima.as_deref(), Some(&[90, 60][..]));
    assert_eq!(messaggio.giorni_prima_per_permesso["J"], [30]);
    assert_eq!(messaggio.ora, NaiveTime::from_hms_opt(8, 30, 0));
    assert_eq!(messaggio.in_dubbio, Some(InDubbio::Resend));
    assert_eq!(messaggio.corpo.as_deref(), Some("Ciao {{ ufficio }}\n"));
    assert_eq!(messaggio.pulsante.as_ref().unwrap().url.as_deref(), Some("url_prenotazione"));
    let timer = &servizio.timer["attestazione-permanente"];
    assert_eq!((timer.attivo, timer.giorni), (Some(true), Some(90)));
}

#[test]
fn every_class_of_fault_names_file_key_and_reason() {
    let service = |text: &str| format!("{LEAST}{text}");
    let message = |text: &str| format!("{LEAST}[servizi.permesso-soggiorno.messaggi.m]\n{text}");
    let cases: &[(String, &str, &str)] = &[
        (LEAST.replace("\"rocca\"", "\"altro\""), "id", "the name of the file"),
        (LEAST.replace("\"rocca\"", "\"Rocca\""), "id", "a-z and 0-9"),
        (LEAST.replace("\"rocca\"", "\"ro--cca\""), "id", "a-z and 0-9"),
        (LEAST.replace("id = \"rocca\"", ""), "id", "required, and missing"),
        (LEAST.replace("comune = \"Rocca\"", ""), "comune", "required, and missing"),
        (LEAST.replace("fuso = \"Europe/Rome\"", ""), "fuso", "required, and missing"),
        (LEAST.replace("Europe/Rome", "Europa/Roma"), "fuso", "IANA zone"),
        (LEAST.replace("[servizi.permesso-soggiorno]\nchiave = \"k\"", ""), "servizi", "at least one"),
        (
            LEAST.replace("chiave = \"k\"", ""),
            "servizi.permesso-soggiorno.chiave",
            "give chiave or chiave_file",
        ),
        (LEAST.replace("\"k\"", "\"k k\""), "servizi.permesso-soggiorno.chiave", "visible ASCII"),
        (
            LEAST.replace("chiave = \"k\"", "chiave_file = \"absent\""),
            "servizi.permesso-soggiorno.chiave_file",
            "cannot be read",
        ),
        (LEAST.replace("fuso", "festivita_locali = [\"13-01\"]\nfuso"), "festivita_locali", "entry 1"),
        (LEAST.replace("fuso", "festivita_locali = [\"1-1\"]\nfuso"), "festivita_locali", "entry 1"),
        (LEAST.replace("fuso", "surprise = 1\nfuso"), "surprise", "unknown key"),
        (service("surprise = 1"), "servizi.permesso-soggiorno.surprise", "unknown key"),
        (
            service("configurazione_remota = \"x\""),
            "servizi.permesso-soggiorno.configurazione_remota",
            "a ULID",
        ),
        (service("variabili = { n = 1 }"), "servizi.permesso-soggiorno.variabili.n", "text in quotes"),
        (service("[io]\naccount = \"a b\""), "io.account", "letters, digits"),
        (service("[io]\ncalls_per_5s = -1"), "io.calls_per_5s", "from 0 to 100000"),
        (service("[premium]\nallegati = 1"), "premium.allegati", "true or false"),
        (message("giorni_prima = []"), "servizi.permesso-soggiorno.messaggi.m.giorni_prima", "empty list"),
        (message("giorni_prima = [30, 30]"), "servizi.permesso-soggiorno.messaggi.m.giorni_prima", "twice"),
        (message("giorni_prima = [-1]"), "servizi.permesso-soggiorno.messaggi.m.giorni_prima", "entry 1"),
        (message("ora = \"25:00\""), "servizi.permesso-soggiorno.messaggi.m.ora", "time of day"),
        (message("in_dubbio = \"forse\""), "servizi.permesso-soggiorno.messaggi.m.in_dubbio", "hold"),
        (
            message("modello = \"absent.md\""),
            "servizi.permesso-soggiorno.messaggi.m.modello",
            "cannot be read",
        ),
        (
            message("pulsante = { it = \"x\" }"),
            "servizi.permesso-soggiorno.messaggi.m.pulsante.en",
            "required",
        ),
        (
            service("[servizi.permesso-soggiorno.timer.t]\ngiorni = 0"),
            "servizi.permesso-soggiorno.timer.t.giorni",
            "from 1",
        ),
        ("id =".to_owned(), "-", "not TOML, line 1"),
    ];
    for (text, key, reason) in cases {
        assert_fault(&faults(text), "rocca.toml", key, reason);
    }
}

#[test]
fn all_faults_of_all_files_come_at_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rocca.toml", &LEAST.replace("Europe/Rome", "x").replace("\"k\"", "1"));
    write(folder.path(), "lago.toml", "id = \"lago\"");
    let enti = read(folder.path());
    assert_eq!(enti.faults.len(), 6, "{:#?}", enti.faults);
    assert_eq!(enti.refused.len(), 2);
}

#[test]
fn enti_that_share_an_account_must_agree_on_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let shared = |id: &str, calls: u32| {
        format!("{}[io]\naccount = \"unione\"\ncalls_per_5s = {calls}\n", LEAST.replace("\"rocca\"", id))
    };
    write(folder.path(), "rocca.toml", &shared("\"rocca\"", 150));
    write(folder.path(), "lago.toml", &shared("\"lago\"", 250));
    let enti = read(folder.path());
    assert_eq!(enti.faults.len(), 2);
    assert_fault(&enti.faults, "rocca.toml", "io.calls_per_5s", "must agree");
    assert_fault(&enti.faults, "lago.toml", "io.calls_per_5s", "must agree");
}

#[test]
fn the_validator_has_its_say() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rocca.toml", LEAST);
    let validator: Validator = Arc::new(|ente| {
        vec![Fault { file: ente.id.clone(), key: "servizi".to_owned(), reason: "no such service".to_owned() }]
    });
    let enti = Enti::read(folder.path(), &validator);
    assert_fault(&enti.faults, "rocca", "servizi", "no such service");
    assert!(enti.refused.contains("rocca"));
}

#[test]
fn no_key_is_printed() {
    let text = LEAST.replace("\"k\"", "\"canary\"");
    assert!(!format!("{:?}", ente(&text)).contains("canary"));
    let faults = faults(&format!("{text}chiave_secondaria = \"canary canary\"\nx = \"canary\""));
    assert_eq!(faults.len(), 2);
    assert!(!format!("{faults:?}").contains("canary"));
}

#[test]
fn the_trial_enti_of_deploy_are_good() {
    let enti = read(&root().join("deploy/config/enti"));
    assert_eq!(enti.faults, []);
    assert!(!enti.taken["borgochiaro"].ente.premium.promemoria);
    assert!(enti.taken["roccamarina"].ente.premium.promemoria);
    assert!(enti.taken["roccamarina"].ente.premium.allegati);
}
