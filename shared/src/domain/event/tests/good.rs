//! Good events: what is read from them and what follows.

use std::collections::BTreeMap;

use serde_json::json;

use super::{A, CATALOGUE, ENTE, P, ente, example, parse, parse_with, permit, rent, with};
use crate::domain::derive::money;
use crate::domain::event::RefusalCode;
use crate::domain::fields::Field;

#[test]
fn the_example_of_every_type_is_taken() {
    for (servizio, service) in &CATALOGUE.servizi {
        for tipo in service.eventi.keys() {
            let event = parse(&example(servizio, tipo)).unwrap_or_else(|refusal| panic!("{tipo}: {refusal}"));
            assert_eq!((&event.tipo, &event.servizio, event.unknown), (tipo, servizio, 0), "{tipo}");
            assert_eq!(event.recipient.is_none(), service.eventi[tipo].lista, "{tipo}");
        }
    }
}

#[test]
fn the_envelope_is_read() {
    let mut event = rent("importazione", json!(true));
    event["sequence"] = json!("18446744073709551615");
    event["dataschema"] = json!("https://promemoria.example.it/schemi/pagamento/v1");
    event["traceparent"] = json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    event["estensione"] = json!({"qualsiasi": [1]});
    let read = parse(&event).unwrap();
    assert_eq!(read.sequence, Some(u64::MAX));
    assert_eq!(read.time.to_rfc3339(), "2027-01-18T09:00:00+00:00");
    assert_eq!((read.pratica.as_str(), read.importazione), ("2026/0451", true));
    assert!(read.traceparent.is_some());
    event["traceparent"] = json!("garbage");
    assert_eq!(parse(&event).unwrap().traceparent, None);
}

#[test]
fn persons_are_read_once_each_and_kept_out_of_the_fields() {
    let twice = json!(["rssmra85t10a562s", "VRDGPP70A01H501S", "RSSMRA85T10A562S"]);
    let list = parse(&with(example(A, "bando.pubblicato"), "destinatari", twice.clone())).unwrap();
    assert_eq!(list.destinatari.len(), 2);
    let abode = parse(&with(example(P, "dimora.dichiarata"), "titolari", twice)).unwrap();
    assert_eq!(abode.titolari.len(), 2);
    assert!(!abode.fields.contains_key("titolari") && !abode.fields.contains_key("codice_fiscale"));
    let minor = parse(&rent("titolare", json!("VRDGPP70A01H501S"))).unwrap();
    assert_eq!(minor.person(), minor.titolare.as_ref());
}

#[test]
fn template_variables_are_taken_and_other_keys_counted() {
    let event = with(rent("comune", json!("Roccamarina")), "ignota", json!({"x": null}));
    let event = with(event, "destinatari", json!("ignored here"));
    let read = parse(&event).unwrap();
    assert_eq!(read.fields["comune"].text(), Some("Roccamarina"));
    assert_eq!(read.unknown, 2);
    let change = with(example(A, "pagamento.aggiornato"), "causale", json!("Canone"));
    assert_eq!(parse(&change).unwrap().fields["causale"].text(), Some("Canone"));
    let forged = parse(&rent("importo", json!("0,01"))).unwrap();
    assert!(!forged.fields.contains_key("importo"), "what is computed is never taken");
}

#[test]
fn the_hash_is_of_what_the_event_says_and_not_of_how_it_is_written() {
    let event = rent("importo_centesimi", json!(31050));
    let hash = parse(&event).unwrap().body_hash;
    let mut same = event.clone();
    same["traceparent"] = json!("x");
    let entries: Vec<_> = same["data"].as_object().unwrap().clone().into_iter().rev().collect();
    same["data"] = entries.into_iter().collect::<serde_json::Map<_, _>>().into();
    assert_eq!(parse(&same).unwrap().body_hash, hash);
    assert_ne!(parse(&rent("importo_centesimi", json!(31051))).unwrap().body_hash, hash);
    let mut later = event;
    later["sequence"] = json!(1);
    assert_ne!(parse(&later).unwrap().body_hash, hash);
}

/// Derived fields of an event, as text.
fn derived(event: &serde_json::Value) -> BTreeMap<String, String> {
    let read = parse(event).unwrap_or_else(|refusal| panic!("{refusal}"));
    let tipo = &CATALOGUE.servizi[&read.servizio].eventi[&read.tipo];
    let all = read.derived(tipo, &ENTE, &CATALOGUE);
    all.iter().filter_map(|(name, field)| Some((name.clone(), field.text()?.to_owned()))).collect()
}

/// Type, title, day of issue, one more field, derived field, its value.
const PERMITS: [[&str; 6]; 8] = [
    ["permesso.registrato", "O", "2017-03-15", "lungo_periodo", "data_scadenza", "2027-03-15"],
    ["permesso.registrato", "LP", "2022-01-10", "minorenne_al_rilascio", "data_scadenza", "2027-01-10"],
    ["permesso.rilasciato", "J", "2026-12-01", "", "data_scadenza", "2027-06-01"],
    ["permesso.rilasciato", "M.1", "2024-02-29", "", "data_scadenza", "2026-02-28"],
    ["permesso.rilasciato", "J", "2026-08-31", "", "data_scadenza", "2027-02-28"],
    ["permesso.rinnovato", "J", "2027-01-15", "", "data_limite_dimora", "2027-03-16"],
    ["permesso.rinnovato", "J", "2027-01-15", "", "tipo_pratica", "rinnovo"],
    ["permesso.rilasciato", "J", "2027-01-15", "", "tipo_pratica", "rilascio"],
];

#[test]
fn a_permits_length_and_the_term_for_the_abode_are_computed() {
    for [tipo, title, issued, more, name, expected] in PERMITS {
        let event = permit(tipo, json!({"tipo_permesso": title, "data_rilascio": issued, more: true}));
        assert_eq!(derived(&event)[name], expected, "{tipo} {title} {name}");
    }
    let given = json!({"tipo_permesso": "J", "data_rilascio": "2027-01-15", "data_scadenza": "2029-01-14"});
    assert_eq!(
        derived(&permit("permesso.rinnovato", given))["data_scadenza"],
        "2029-01-14",
        "what is given wins"
    );
}

#[test]
fn local_dates_times_and_money_are_computed() {
    let moved = with(example(P, "appuntamento.confermato"), "inizio", json!("2027-03-30T22:30:00Z"));
    let file = with(example(P, "pratica.presa-in-carico"), "data_presa_in_carico", json!(null));
    for (event, name, expected) in [
        (&moved, "data_appuntamento", "2027-03-31"),
        (&moved, "ora_appuntamento", "00:30"),
        (&file, "data_presa_in_carico", "2027-01-18"),
        (&rent("importo_centesimi", json!(123_456)), "importo", "1.234,56"),
    ] {
        assert_eq!(derived(event)[name], expected, "{name}");
    }
}

#[test]
fn money_is_printed_to_the_cent() {
    let printed = [1, 99, 100, 2500, 99_999, 100_000, 123_456, 9_999_999_999].map(money);
    let expected = ["0,01", "0,99", "1,00", "25,00", "999,99", "1.000,00", "1.234,56", "99.999.999,99"];
    assert_eq!(printed, expected);
}

#[test]
fn a_variable_that_nobody_gives_is_refused_and_the_event_or_the_ente_may_give_it() {
    let bare =
        with(with(example(P, "appuntamento.confermato"), "ufficio", json!(null)), "url_info", json!(null));
    assert!(parse(&bare).is_ok(), "the ente gives both");
    let mut poor = ente();
    let choices = poor.servizi.get_mut(P).unwrap();
    choices.variabili.remove("ufficio");
    let refusal = parse_with(&bare, &poor).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Variable);
    assert!(
        refusal.reason.starts_with("data.ufficio: needed by permesso-appuntamento-anagrafe"),
        "{refusal}"
    );
    assert!(parse_with(&with(bare.clone(), "ufficio", json!("URP")), &poor).is_ok(), "the event gives it");
    let abode = with(bare.clone(), "motivo", json!("dichiarazione-dimora"));
    assert!(parse_with(&abode, &poor).is_ok(), "that message does not name the office");
    let off =
        poor.servizi.get_mut(P).unwrap().messaggi.entry("permesso-appuntamento-anagrafe-confermato".into());
    off.or_default().attivo = Some(false);
    assert!(parse_with(&bare, &poor).is_ok(), "the message is switched off");
}

#[test]
fn a_variable_may_come_by_permit_title_by_fallback_or_not_be_needed() {
    let mut by_permit = ente();
    let choices = by_permit.servizi.get_mut(P).unwrap();
    let office = choices.variabili.remove("ufficio").unwrap();
    choices.variabili_per_permesso.insert("J".into(), [("ufficio".to_owned(), office)].into());
    let j = permit("permesso.registrato", json!({"tipo_permesso": "J", "data_rilascio": "2027-01-15"}));
    assert!(parse_with(&j, &by_permit).is_ok());
    let m1 = permit("permesso.registrato", json!({"tipo_permesso": "M.1", "data_rilascio": "2027-01-15"}));
    assert_eq!(parse_with(&m1, &by_permit).unwrap_err().code, RefusalCode::Variable);

    let contract = with(example(A, "contratto.pronto"), "url_prenotazione_firma", json!(null));
    assert!(parse(&contract).is_ok(), "falls back to url_prenotazione");
    let mut poor = ente();
    poor.servizi.get_mut(A).unwrap().variabili.remove("url_prenotazione");
    assert_eq!(parse_with(&contract, &poor).unwrap_err().code, RefusalCode::Variable);
    let with_io = with(contract.clone(), "modalita_firma", json!("firma-con-io"));
    assert!(parse_with(&with_io, &poor).is_ok(), "that contract gets no message");

    let no_format = with(contract, "formato_allegato", json!(null));
    assert!(parse(&no_format).is_ok(), "no Premium contract, no attachment paragraph");
    let mut premium = ente();
    premium.premium.allegati = true;
    assert_eq!(parse_with(&no_format, &premium).unwrap_err().code, RefusalCode::Variable);
    assert!(parse_with(&with(no_format, "allegato", json!(null)), &premium).is_ok());
}

#[test]
fn a_url_pattern_needs_the_fields_that_it_names() {
    let mut other = ente();
    let choices = other.servizi.get_mut(P).unwrap();
    choices.variabili.insert("url_pratica".into(), "https://x.example.it/{numero_ricevuta}".into());
    let file = with(example(P, "pratica.presa-in-carico"), "url_pratica", json!(null));
    assert!(parse(&file).is_ok());
    assert_eq!(parse_with(&file, &other).unwrap_err().code, RefusalCode::Variable);
}

#[test]
fn checked_fields_keep_the_form_they_came_in() {
    let read = parse(&rent("data_scadenza", json!("2027-04-10"))).unwrap();
    assert_eq!(read.fields["data_scadenza"], Field::Text("2027-04-10".into()));
    assert_eq!(read.fields["importo_centesimi"], Field::Int(31050));
    let read = parse(&example(P, "permesso.rinnovato")).unwrap();
    assert_eq!(read.fields["dimora_da_dichiarare"], Field::Bool(true));
}
