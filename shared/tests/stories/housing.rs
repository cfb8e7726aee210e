//! Stories 7 to 10: social housing.

use serde_json::{Value, json};

use crate::world::{self, CF1, CF2, CF3, Story, Which, of, with};

const SERVICE: &str = "alloggi-sociali";

fn both(run: impl Fn(Which, &mut Story<'_>)) {
    world::both(SERVICE, run);
}

fn level(which: Which) -> &'static str {
    if which == Which::P { "ADVANCED" } else { "STANDARD" }
}

#[test]
fn story_7_a_call_with_and_without_attachment() {
    both(|which, s| {
        let call = |to: Value| {
            json!({
                "bando": "B27", "data_pubblicazione": "2027-01-12", "url_bando": "https://bandi.example.it/b27",
                "destinatari": to,
            })
        };
        let with_file = with(call(json!([CF1, CF2, CF3, CF1])), json!({ "allegato": "bando.pdf" }));
        let mut lines = s.at("2027-01-12 10:00", "bando.pubblicato", "B27", with_file);
        lines.sort();
        let sent = match which {
            Which::N => "2027-01-12 10:00 alloggi-bando-pubblicato STANDARD",
            Which::P => "2027-01-12 10:00 alloggi-bando-pubblicato ADVANCED allegato",
        };
        let lost = "2027-01-12 10:00 scartato alloggi-bando-pubblicato destinatario-non-raggiungibile";
        assert_eq!(lines, [sent, sent, lost]);
        let paragraph = "Trovi il testo completo del bando in allegato a questo messaggio.";
        assert_eq!(s.last_sent().content.markdown.contains(paragraph), which == Which::P);
        let plain = s.at("2027-01-12 10:05", "bando.pubblicato", "B27", call(json!(["BNCLRA80A41F205G"])));
        assert_eq!(plain, ["2027-01-12 10:05 alloggi-bando-pubblicato STANDARD"]);
        assert!(!s.last_sent().content.markdown.contains(paragraph));
        assert!(!s.last_sent().content.markdown.contains("Solo per messaggi Premium"));
    });
}

fn notice(tipo: &str, codice: &str, cents: i64, due: &str) -> Value {
    json!({
        "tipo": tipo, "codice_avviso": codice, "importo_centesimi": cents, "data_scadenza": due,
        "causale": "Canone aprile 2027", "nome": "Mario", "cognome": "Rossi",
    })
}

#[test]
fn story_8_fees_paid_unpaid_and_paid_before_the_notice() {
    both(|which, s| {
        for (cf, pratica, codice) in [(CF1, "F1", "302000000000000001"), (CF3, "F2", "302000000000000002")] {
            let data = of(cf, notice("spese-segreteria", codice, 2500, "2027-02-28"));
            let lines = s.at("2027-02-01 10:00", "pagamento.avviso-emesso", pratica, data);
            let sent = format!(
                "2027-02-01 10:00 alloggi-avviso-spese-segreteria {} 2027-02-28T22:59:59Z",
                level(which)
            );
            let reminder = match which {
                Which::N => {
                    "2027-02-01 10:00 armato alloggi-avviso-spese-segreteria-in-scadenza 2027-02-21 09:00"
                }
                Which::P => "2027-02-01 10:00 scartato alloggi-avviso-spese-segreteria-in-scadenza premium",
            };
            assert_eq!(lines, [reminder.to_owned(), sent]);
            let content = &s.last_sent().content;
            assert!(content.markdown.contains("**Devi pagare**: 25,00 €"));
            assert!(content.markdown.contains("**Entro il**: 28/02/2027"));
            assert_eq!(content.payment_data.as_ref().map(|p| p.amount), Some(2500));
        }
        let paid = of(CF2, json!({ "codice_avviso": "302000000000000003", "data": "2027-02-01" }));
        assert!(s.at("2027-02-01 10:01", "pagamento.eseguito", "F3", paid).is_empty());
        let late = of(CF2, notice("spese-segreteria", "302000000000000003", 2500, "2027-02-28"));
        assert_eq!(
            s.at("2027-02-01 10:02", "pagamento.avviso-emesso", "F3", late),
            ["2027-02-01 10:02 scartato alloggi-avviso-spese-segreteria gia-pagato"]
        );
        let paid = of(CF1, json!({ "codice_avviso": "302000000000000001", "data": "2027-02-15" }));
        let removed = s.at("2027-02-15 18:12", "pagamento.eseguito", "F1", paid);
        assert_eq!(removed.len(), usize::from(which == Which::N));
        let sent = s.until("2027-03-01 09:00");
        match which {
            Which::N => assert_eq!(
                sent,
                [
                    "2027-02-21 09:00 alloggi-avviso-spese-segreteria-in-scadenza STANDARD 2027-02-28T22:59:59Z"
                ]
            ),
            Which::P => assert!(sent.is_empty()),
        }
    });
}

#[test]
fn story_9_rent_postponed_then_unpaid() {
    both(|which, s| {
        let code = "302000000000000009";
        let issued = of(CF1, notice("canone", code, 31050, "2027-04-10"));
        let lines = s.at("2027-03-25 09:30", "pagamento.avviso-emesso", "C9", issued);
        let sent = |at: &str, due: &str| format!("{at} alloggi-avviso-canone {} {due}", level(which));
        assert!(lines.contains(&sent("2027-03-25 09:30", "2027-04-10T21:59:59Z")));
        assert!(s.last_sent().content.markdown.contains("**Devi pagare:** 310,50 €"));
        assert!(lines.contains(
            &"2027-03-25 09:30 armato alloggi-avviso-canone-mancato-pagamento 2027-04-11 09:00".to_owned()
        ));
        let reminder =
            "2027-03-25 09:30 armato alloggi-avviso-canone-in-scadenza 2027-04-03 09:00".to_owned();
        assert_eq!(lines.contains(&reminder), which == Which::N);
        let postponed = of(CF1, json!({ "codice_avviso": code, "data_scadenza": "2027-04-30" }));
        let lines = s.at("2027-04-01 12:00", "pagamento.aggiornato", "C9", postponed);
        assert!(lines.contains(&sent("2027-04-01 12:00", "2027-04-30T21:59:59Z")));
        assert!(lines.contains(
            &"2027-04-01 12:00 spostato alloggi-avviso-canone-mancato-pagamento 2027-05-01 09:00".to_owned()
        ));
        let moved = "2027-04-01 12:00 spostato alloggi-avviso-canone-in-scadenza 2027-04-23 09:00".to_owned();
        assert_eq!(lines.contains(&moved), which == Which::N);
        let unpaid = "2027-05-01 09:00 alloggi-avviso-canone-mancato-pagamento STANDARD";
        let sent = s.until("2027-05-02 09:00");
        match which {
            Which::N => assert_eq!(
                sent,
                ["2027-04-23 09:00 alloggi-avviso-canone-in-scadenza STANDARD 2027-04-30T21:59:59Z", unpaid]
            ),
            Which::P => assert_eq!(sent, [unpaid]),
        }
        assert!(s.last_sent().content.markdown.contains("è scaduto il 30/04/2027"));
        let paid = of(CF1, json!({ "codice_avviso": code, "data": "2027-05-05" }));
        assert!(s.at("2027-05-05 10:00", "pagamento.eseguito", "C9", paid).is_empty());
        assert!(s.until("2028-01-01 09:00").is_empty());
    });
}

#[test]
fn story_10_from_protocol_to_contract() {
    both(|which, s| {
        let mut told = Vec::new();
        for (at, tipo, data) in steps() {
            told.extend(s.at(at, tipo, "D10", data));
        }
        told.extend(s.until("2027-12-31 09:00"));
        let level = level(which);
        let contract = match which {
            Which::N => "2027-07-05 10:00 alloggi-contratto-pronto-firma STANDARD".to_owned(),
            Which::P => "2027-07-05 10:00 alloggi-contratto-pronto-firma ADVANCED allegato".to_owned(),
        };
        assert_eq!(
            told,
            [
                format!(
                    "2027-03-08 10:00 alloggi-appuntamento-domanda-confermato {level} 2027-03-15T09:00:00Z"
                ),
                "2027-03-15 11:00 alloggi-domanda-presa-in-carico STANDARD".to_owned(),
                "2027-03-16 09:20 armato integrazione-non-ricevuta 2027-03-31 09:00".to_owned(),
                "2027-03-16 09:20 alloggi-integrazione-documentazione STANDARD 2027-03-30T21:59:59Z"
                    .to_owned(),
                "2027-03-26 10:00 scartato integrazione-non-ricevuta annullato".to_owned(),
                "2027-04-01 10:00 armato alloggi-assegnazione-aperta 2027-04-15 09:00".to_owned(),
                "2027-04-15 09:00 alloggi-assegnazione-aperta STANDARD 2027-04-30T21:59:59Z".to_owned(),
                "2027-05-03 10:00 alloggi-graduatoria-provvisoria STANDARD".to_owned(),
                "2027-06-14 10:00 alloggi-graduatoria-definitiva STANDARD".to_owned(),
                "2027-07-01 12:00 alloggi-assegnazione-dettagli STANDARD".to_owned(),
                contract,
                format!(
                    "2027-07-12 09:00 alloggi-appuntamento-firma-confermato {level} 2027-07-20T07:30:00Z"
                ),
                "2027-07-13 10:00 scartato alloggi-contratto-pronto-firma firma-con-io".to_owned(),
            ]
        );
    });
}

#[expect(clippy::too_many_lines, reason = "a table, one row an event")]
fn steps() -> Vec<(&'static str, &'static str, Value)> {
    let one = |data| of(CF1, data);
    let many = |data| with(json!({ "destinatari": [CF1], "bando": "B27" }), data);
    let appointment = |id: &str, motivo: &str, inizio: &str, numero: &str| {
        one(json!({
            "id_appuntamento": id, "motivo": motivo, "inizio": inizio, "indirizzo": "Via Verdi 4",
            "oggetto_appuntamento": "la domanda di alloggio", "numero_prenotazione": numero,
        }))
    };
    let contract = |how: &str| {
        one(json!({
            "riferimento_alloggio": "A/12", "indirizzo": "Via Verdi 4", "modalita_firma": how,
            "url_contratto": "https://contratti.example.it/12", "allegato": "contratto-12", "formato_allegato": "PDF",
        }))
    };
    vec![
        (
            "2027-03-08 10:00",
            "appuntamento.confermato",
            appointment("D1", "domanda-alloggio", "2027-03-15T10:00:00+01:00", "41"),
        ),
        (
            "2027-03-15 11:00",
            "domanda.protocollata",
            one(
                json!({ "bando": "B27", "numero_protocollo": "2027/1187", "url_domanda": "https://domande.example.it/1187" }),
            ),
        ),
        (
            "2027-03-16 09:20",
            "domanda.integrazione-richiesta",
            one(
                json!({ "data_limite_integrazione": "2027-03-30", "url_domanda": "https://domande.example.it/1187" }),
            ),
        ),
        ("2027-03-26 10:00", "domanda.integrazione-ricevuta", one(json!({ "data": "2027-03-26" }))),
        (
            "2027-04-01 10:00",
            "assegnazione.aperta",
            many(
                json!({ "data_apertura": "2027-04-15", "data_chiusura": "2027-04-30", "url_bando": "https://bandi.example.it/b27" }),
            ),
        ),
        (
            "2027-05-03 10:00",
            "graduatoria.pubblicata",
            many(json!({ "tipo": "provvisoria", "url_graduatoria": "https://bandi.example.it/b27/p" })),
        ),
        (
            "2027-06-14 10:00",
            "graduatoria.pubblicata",
            many(json!({ "tipo": "definitiva", "url_graduatoria": "https://bandi.example.it/b27/d" })),
        ),
        (
            "2027-07-01 12:00",
            "alloggio.assegnato",
            one(json!({ "data_assegnazione": "2027-07-05", "indirizzo": "Via Verdi 4" })),
        ),
        ("2027-07-05 10:00", "contratto.pronto", contract("in-presenza")),
        (
            "2027-07-12 09:00",
            "appuntamento.confermato",
            appointment("D2", "firma-contratto", "2027-07-20T09:30:00+02:00", "88"),
        ),
        ("2027-07-13 10:00", "contratto.pronto", contract("firma-con-io")),
    ]
}
