//! Rules that no story tells: persons and their cases, attachments, switches, late notices, choices.

use serde_json::json;

use crate::world::{CF1, CF3, Which, ente, hash, story, texts};

#[test]
fn a_death_closes_every_case_of_the_person_also_those_that_come_to_be_known_later() {
    let ente = ente(Which::N);
    let (texts, hash) = (texts(&ente), hash());
    let mut s = story(&ente, "permesso-soggiorno", &texts, &hash);
    let permit = json!({ "codice_fiscale": CF1, "tipo_permesso": "O", "data_scadenza": "2030-06-30" });
    s.at("2029-01-01 10:00", "permesso.registrato", "uno", permit.clone());
    s.at("2029-01-01 11:00", "permesso.registrato", "due", permit.clone());
    assert_eq!(s.simulation().armed().len(), 8);
    let death = json!({ "codice_fiscale": CF1, "motivo": "decesso" });
    let told = s.at("2029-02-01 10:00", "posizione.chiusa", "uno", death);
    assert_eq!(told.iter().filter(|line| line.contains("annullato")).count(), 8);
    assert!(s.simulation().armed().is_empty());
}

#[test]
fn a_declaration_for_several_holders_closes_the_timers_of_each() {
    let ente = ente(Which::N);
    let (texts, hash) = (texts(&ente), hash());
    let mut s = story(&ente, "permesso-soggiorno", &texts, &hash);
    for (pratica, cf) in [("madre", CF1), ("figlio", CF3)] {
        let data = json!({
            "codice_fiscale": cf, "tipo_permesso": "O", "data_rilascio": "2029-01-10", "data_scadenza": "2031-01-09",
        });
        s.at("2029-01-15 10:00", "permesso.rinnovato", pratica, data);
    }
    let declared =
        json!({ "codice_fiscale": CF1, "data_dichiarazione": "2029-02-01", "titolari": [CF1, CF3] });
    let told = s.at("2029-02-01 10:00", "dimora.dichiarata", "madre", declared);
    assert_eq!(told.iter().filter(|line| line.contains("scartato dimora-non-dichiarata")).count(), 2);
}

#[test]
fn a_notice_past_its_date_is_discarded_and_arms_nothing() {
    let ente = ente(Which::N);
    let (texts, hash) = (texts(&ente), hash());
    let mut s = story(&ente, "alloggi-sociali", &texts, &hash);
    let data = json!({
        "codice_fiscale": CF1, "tipo": "canone", "codice_avviso": "302000000000000005", "importo_centesimi": 100,
        "data_scadenza": "2029-01-31", "causale": "Canone", "nome": "M", "cognome": "R",
    });
    assert_eq!(
        s.at("2029-03-01 10:00", "pagamento.avviso-emesso", "C", data),
        ["2029-03-01 10:00 scartato alloggi-avviso-canone scadenza-passata"]
    );
    assert!(s.until("2030-01-01 10:00").is_empty());
}

#[test]
fn reminders_are_skipped_while_a_renewal_appointment_is_ahead_and_come_back_when_it_is_cancelled() {
    let ente = ente(Which::N);
    let (texts, hash) = (texts(&ente), hash());
    let mut s = story(&ente, "permesso-soggiorno", &texts, &hash);
    let permit = json!({ "codice_fiscale": CF1, "tipo_permesso": "O", "data_scadenza": "2029-12-31" });
    s.at("2029-01-01 10:00", "permesso.registrato", "P", permit);
    let appointment = json!({
        "codice_fiscale": CF1, "id_appuntamento": "A", "motivo": "rinnovo-permesso",
        "inizio": "2029-12-20T10:00:00+01:00", "indirizzo": "Via Roma 1",
    });
    s.at("2029-09-20 10:00", "appuntamento.confermato", "P", appointment);
    assert_eq!(s.until("2029-10-10 10:00"), ["2029-10-02 09:00 scartato permesso-in-scadenza annullato"]);
    let cancelled = json!({ "codice_fiscale": CF1, "id_appuntamento": "A" });
    s.at("2029-10-20 10:00", "appuntamento.disdetto", "P", cancelled);
    assert_eq!(
        s.until("2029-11-10 10:00"),
        ["2029-11-01 09:00 permesso-in-scadenza STANDARD 2029-12-31T22:59:59Z"]
    );
}

#[test]
fn a_type_switched_off_is_told_and_not_sent() {
    let mut ente = ente(Which::N);
    let off = shared::domain::ente::MessaggioEnte { attivo: Some(false), ..Default::default() };
    let service = ente.servizi.get_mut("alloggi-sociali").expect("the service");
    service.messaggi.insert("alloggi-domanda-presa-in-carico".to_owned(), off);
    let (texts, hash) = (texts(&ente), hash());
    let mut s = story(&ente, "alloggi-sociali", &texts, &hash);
    let data = json!({
        "codice_fiscale": CF1, "bando": "B", "numero_protocollo": "1", "url_domanda": "https://d.example.it",
    });
    assert_eq!(
        s.at("2029-03-01 10:00", "domanda.protocollata", "D", data),
        ["2029-03-01 10:00 scartato alloggi-domanda-presa-in-carico tipo-disattivato"]
    );
}
