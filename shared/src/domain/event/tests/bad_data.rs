//! Fields of `data`: fiscal codes, dates, numbers, texts, urls, what one field says of another.

use serde_json::{Value, json};

use super::{A, P, example, parse, permit, rent, with};
use crate::domain::event::RefusalCode::{self, FiscalCode, Schema, Time, Url};

/// Refused with that code, for that field, without the value.
fn refused(event: &Value, field: &str, code: RefusalCode) {
    let value = &event["data"][field];
    let refusal = parse(event).expect_err(field);
    assert_eq!(refusal.code, code, "{field} = {value}: {refusal}");
    assert!(refusal.reason.contains(field), "{field}: {refusal}");
    let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    assert!(said.chars().count() < 4 || !refusal.reason.contains(&said), "{field}: {refusal}");
    for personal in ["RSSMRA85T10A562S", "Mario", "Rossi", "Via Roma"] {
        assert!(!refusal.reason.contains(personal), "{field}: {refusal}");
    }
}

#[test]
fn every_required_field_is_required_and_of_its_type() {
    for (servizio, service) in &super::CATALOGUE.servizi {
        for (tipo, record) in &service.eventi {
            let event = example(servizio, tipo);
            for campo in &record.campi {
                let person = campo.nome == "titolari";
                refused(&with(event.clone(), &campo.nome, json!({"x": 1})), &campo.nome, Schema);
                let mut null = event.clone();
                null["data"][&campo.nome] = Value::Null;
                assert!(parse(&null).is_err(), "{tipo}.{} null", campo.nome);
                if campo.obbligatorio && !person {
                    refused(&with(event.clone(), &campo.nome, json!(null)), &campo.nome, Schema);
                }
            }
            let person = if record.lista { "destinatari" } else { "codice_fiscale" };
            refused(&with(event, person, json!(null)), person, Schema);
        }
    }
}

#[test]
fn fiscal_codes_are_mended_in_case_only() {
    assert!(parse(&rent("codice_fiscale", json!("rssmra85t10a562s"))).is_ok());
    assert!(parse(&rent("codice_fiscale", json!("AAAAAA00A00A000A"))).is_ok(), "the documented test citizen");
    for code in [
        " RSSMRA85T10A562S",
        "RSSMRA85T10A562A",
        "12345678901",
        "RSSMRА85T10A562S",
        "RSSMRA85T10A562S\u{200b}",
        "RSSMRA85T10A56\u{200b}S",
        "",
    ] {
        refused(&rent("codice_fiscale", json!(code)), "codice_fiscale", FiscalCode);
        refused(&rent("titolare", json!(code)), "titolare", FiscalCode);
        refused(
            &with(example(A, "bando.pubblicato"), "destinatari", json!([code])),
            "destinatari",
            FiscalCode,
        );
        refused(&with(example(P, "dimora.dichiarata"), "titolari", json!([code])), "titolari", FiscalCode);
    }
    refused(&rent("codice_fiscale", json!(7)), "codice_fiscale", FiscalCode);
    refused(&with(example(A, "bando.pubblicato"), "destinatari", json!([])), "destinatari", Schema);
    refused(
        &with(example(A, "bando.pubblicato"), "destinatari", json!("RSSMRA85T10A562S")),
        "destinatari",
        Schema,
    );
}

#[test]
fn an_attestation_is_asked_by_an_adult() {
    let minor = json!("RSSMRA15T10A562Z");
    let event = example(P, "attestazione.richiesta");
    let checked = crate::domain::FiscalCode::parse("RSSMRA15T10A562Z");
    assert!(checked.is_ok(), "{checked:?}");
    refused(&with(event.clone(), "codice_fiscale", minor.clone()), "codice_fiscale", FiscalCode);
    refused(&with(event.clone(), "titolare", minor.clone()), "titolare", FiscalCode);
    assert!(
        parse(&with(event, "codice_fiscale", json!("AAAAAA00A00A000A"))).is_ok(),
        "no birth date to tell"
    );
    assert!(parse(&with(example(P, "asilo.domanda-presentata"), "codice_fiscale", minor)).is_ok());
}

#[test]
fn dates_and_instants_exist_and_lie_in_range() {
    for date in [
        "2027-02-29",
        "2027-13-01",
        "10/04/2027",
        "2027-4-10",
        "2027-04-10T00:00:00Z",
        "1899-12-31",
        "2201-01-01",
        "0000-01-01",
        "+2027-04-1",
        "",
    ] {
        refused(&rent("data_scadenza", json!(date)), "data_scadenza", Time);
    }
    assert!(parse(&rent("data_scadenza", json!("2028-02-29"))).is_ok());
    refused(&rent("data_scadenza", json!(20_270_410)), "data_scadenza", Schema);
    let appointment = |inizio: &str| with(example(A, "appuntamento.confermato"), "inizio", json!(inizio));
    for instant in [
        "2027-03-26T10:30:00",
        "2027-03-26 10:30:00+01:00",
        "2027-03-26T25:00:00Z",
        "1999-12-31T10:00:00Z",
        "2101-01-01T10:00:00Z",
        "10000-01-01T00:00:00Z",
        "domani",
    ] {
        refused(&appointment(instant), "inizio", Time);
    }
    for instant in ["2027-03-28T02:30:00+01:00", "2027-10-31T02:30:00+02:00", "2027-03-26T10:30:00.5Z"] {
        assert!(parse(&appointment(instant)).is_ok(), "{instant}");
    }
}

#[test]
fn money_and_notice_numbers_are_exact() {
    for cents in [
        json!(10.10),
        json!(1.0),
        json!("2500"),
        json!(-1),
        json!(0),
        json!(10_000_000_000_i64),
        json!(9_007_199_254_740_993_u64),
        json!(u64::MAX),
        json!(true),
        json!([2500]),
    ] {
        refused(&rent("importo_centesimi", cents), "importo_centesimi", Schema);
    }
    assert!(parse(&rent("importo_centesimi", json!(9_999_999_999_i64))).is_ok());
    for notice in [
        "30200123456789012",
        "3020012345678901234",
        "402001234567890123",
        "3020012345678 0123",
        "30200123456789012٣",
    ] {
        refused(&rent("codice_avviso", json!(notice)), "codice_avviso", Schema);
    }
    refused(&rent("codice_avviso", json!(302_001_234_567_890_123_u64)), "codice_avviso", Schema);
}

#[test]
fn texts_say_something_and_end() {
    for text in ["", "  ", "\n\t", &"x".repeat(1001)] {
        refused(&rent("causale", json!(text)), "causale", Schema);
    }
    for text in ["x", &"è".repeat(1000), "[Rimborso](https://evil.example)", "{{ 7*7 }}", "a\nb", "---\nit:"]
    {
        assert!(parse(&rent("causale", json!(text))).is_ok(), "it is text, and stays text");
    }
    refused(&with(example(A, "bando.pubblicato"), "allegato", json!("x".repeat(129))), "allegato", Schema);
    refused(&rent("tipo", json!("multa")), "tipo", Schema);
    refused(&rent("tipo", json!("Canone")), "tipo", Schema);
}

#[test]
fn urls_are_absolute_https_without_credentials() {
    let too_long = format!("https://a.it/{}", "x".repeat(2048));
    for url in [
        "http://a.it",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "data:text/html,x",
        "javascript:alert(1)",
        "//a.it",
        "a.it",
        "https:a.it",
        "https:///a.it",
        "https://",
        "https://mario:segreto@a.it",
        "https://mario@a.it",
        "https://a.it\\@evil.it",
        "https://a .it",
        " https://a.it",
        "https://a.it\n",
        "ht\ntps://a.it",
        "https://xn--pple-43d.example/",
        "https://аpple.example/",
        "https://città.example/",
        "https://169.254.169.254/latest",
        "https://0x7f.1/",
        "https://[::1]/",
        too_long.as_str(),
    ] {
        refused(&with(example(A, "bando.pubblicato"), "url_bando", json!(url)), "url_bando", Url);
    }
    for url in ["https://a.it", "HTTPS://a.it/città?x=(1)"] {
        assert!(parse(&with(example(A, "bando.pubblicato"), "url_bando", json!(url))).is_ok(), "{url}");
    }
}

#[test]
fn fields_fit_one_another() {
    refused(&permit("permesso.registrato", json!({"tipo_permesso": "O"})), "data_rilascio", Schema);
    refused(
        &permit("permesso.registrato", json!({"tipo_permesso": "O", "data_rilascio": "2027-01-15"})),
        "data_scadenza",
        Schema,
    );
    refused(
        &permit("permesso.registrato", json!({"tipo_permesso": "ZZ", "data_scadenza": "2027-01-15"})),
        "tipo_permesso",
        Schema,
    );
    refused(
        &with(example(A, "assegnazione.aperta"), "data_chiusura", json!("2027-04-14")),
        "data_chiusura",
        Schema,
    );
    assert!(parse(&with(example(A, "assegnazione.aperta"), "data_chiusura", json!("2027-04-15"))).is_ok());
    let update = with(example(A, "pagamento.aggiornato"), "data_scadenza", json!(null));
    assert!(parse(&update).is_ok());
    refused(&with(update, "importo_centesimi", json!(null)), "importo_centesimi", Schema);
    let abode = with(example(P, "appuntamento.confermato"), "motivo", json!("dichiarazione-dimora"));
    refused(&with(abode, "oggetto_appuntamento", json!(null)), "oggetto_appuntamento", Schema);
    let issue = example(P, "appuntamento.confermato");
    assert!(parse(&with(issue, "oggetto_appuntamento", json!(null))).is_ok());
    refused(
        &with(example(A, "appuntamento.spostato"), "numero_prenotazione", json!(null)),
        "numero_prenotazione",
        Schema,
    );
    refused(
        &with(example(P, "appuntamento.confermato"), "motivo", json!("firma-contratto")),
        "motivo",
        Schema,
    );
    refused(&rent("importazione", json!("certo")), "importazione", Schema);
    refused(&rent("comune", json!(7)), "comune", Schema);
}
