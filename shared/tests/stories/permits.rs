//! Stories 1 to 6, 11 and 12: residence permits.

use serde_json::json;

use crate::world::{self, CF1, CF3, Story, Which, ente, hash, of, story, texts, with_timer_days};

const SERVICE: &str = "permesso-soggiorno";

fn both(run: impl Fn(Which, &mut Story<'_>)) {
    world::both(SERVICE, run);
}

/// The level of an appointment's confirmation.
fn reminder(which: Which) -> &'static str {
    if which == Which::P { "ADVANCED" } else { "STANDARD" }
}

#[test]
fn story_1_expiry_reminders_stop_at_the_renewal_request() {
    both(|_, s| {
        let data = of(CF1, json!({ "tipo_permesso": "O", "data_scadenza": "2027-06-30" }));
        assert_eq!(
            s.at("2027-01-10 10:00", "permesso.registrato", "P1", data),
            [
                "2027-01-10 10:00 armato permesso-in-scadenza 2027-04-01 09:00",
                "2027-01-10 10:00 armato permesso-in-scadenza 2027-05-01 09:00",
                "2027-01-10 10:00 armato permesso-in-scadenza 2027-05-31 09:00",
                "2027-01-10 10:00 armato permesso-scaduto-sei-mesi 2027-12-31 09:00",
            ]
        );
        assert_eq!(
            s.until("2027-04-20 14:59"),
            ["2027-04-01 09:00 permesso-in-scadenza STANDARD 2027-06-30T21:59:59Z"]
        );
        let body = s.last_sent().content.markdown.split_once("\n---\n\n").expect("a button").1;
        assert_eq!(
            body,
            "Il tuo permesso di soggiorno scadrà il 30/06/2027.\n\nPer il rinnovo, dovrai prendere appuntamento \
             presso Ufficio Anagrafe.\n\nPer prenotare il tuo appuntamento, [visita questo \
             sito](https://prenota.example.it)."
        );
        let data = of(CF1, json!({ "data_richiesta": "2027-04-20" }));
        assert_eq!(
            s.at("2027-04-20 15:00", "permesso.rinnovo-richiesto", "P1", data),
            [
                "2027-04-20 15:00 scartato permesso-in-scadenza annullato",
                "2027-04-20 15:00 scartato permesso-in-scadenza annullato",
                "2027-04-20 15:00 scartato permesso-scaduto-sei-mesi annullato",
            ]
        );
        assert!(s.until("2028-12-31 09:00").is_empty());
    });
}

#[test]
fn story_2_an_appointment_moves_across_the_clock_change() {
    both(|which, s| {
        let level = reminder(which);
        let appointment = |inizio: &str| {
            of(
                CF1,
                json!({ "id_appuntamento": "A1", "motivo": "rinnovo-permesso", "inizio": inizio, "indirizzo": "Via Roma 1" }),
            )
        };
        let first = appointment("2027-03-26T10:30:00+01:00");
        assert_eq!(
            s.at("2027-03-10 11:20", "appuntamento.confermato", "P2", first),
            [format!(
                "2027-03-10 11:20 permesso-appuntamento-anagrafe-confermato {level} 2027-03-26T09:30:00Z"
            )]
        );
        assert!(s.last_sent().content.markdown.contains("**Quando:** 26/03/2027 alle 10:30"));
        let moved = appointment("2027-03-30T10:30:00+02:00");
        assert_eq!(
            s.at("2027-03-22 16:05", "appuntamento.spostato", "P2", moved),
            [format!(
                "2027-03-22 16:05 permesso-appuntamento-anagrafe-confermato {level} 2027-03-30T08:30:00Z"
            )]
        );
        assert!(s.last_sent().content.markdown.contains("**Quando:** 30/03/2027 alle 10:30"));
        assert!(s.again("2027-03-22 16:06").is_empty());
        assert!(s.until("2027-03-30 12:00").is_empty());
    });
}

#[test]
fn story_3_renewal_to_abode_declaration_all_in_time() {
    both(|which, s| {
        let taken = of(
            CF1,
            json!({
                "tipo_pratica": "rinnovo", "numero_pratica": "2026/0451",
                "oggetto_pratica": "rinnovo del permesso di soggiorno",
            }),
        );
        assert_eq!(
            s.at("2026-12-07 09:40", "pratica.presa-in-carico", "P3", taken),
            ["2026-12-07 09:40 permesso-pratica-presa-in-carico STANDARD"]
        );
        assert!(s.last_sent().content.markdown.contains("Il 07/12/2026 la pratica 2026/0451 per rinnovo"));
        let renewed = of(
            CF1,
            json!({
                "tipo_permesso": "O", "data_rilascio": "2027-01-15", "data_scadenza": "2029-01-14",
            }),
        );
        let mut lines = s.at("2027-01-18 10:00", "permesso.rinnovato", "P3", renewed);
        lines.sort();
        assert_eq!(
            lines,
            [
                "2027-01-18 10:00 armato dimora-non-dichiarata 2027-03-17 09:00",
                "2027-01-18 10:00 armato permesso-in-scadenza 2028-10-16 09:00",
                "2027-01-18 10:00 armato permesso-in-scadenza 2028-11-15 09:00",
                "2027-01-18 10:00 armato permesso-in-scadenza 2028-12-15 09:00",
                "2027-01-18 10:00 armato permesso-scaduto-sei-mesi 2029-07-15 09:00",
                "2027-01-18 10:00 permesso-pratica-conclusa STANDARD 2027-03-16T22:59:59Z",
            ]
        );
        let content = &s.last_sent().content;
        assert_eq!(content.subject, "Permesso di soggiorno rinnovato");
        assert!(content.markdown.contains("è stato rinnovato il 15/01/2027."));
        assert!(content.markdown.contains("Hai tempo fino al 16/03/2027 per"));
        let appointment = of(
            CF1,
            json!({
                "id_appuntamento": "A3", "motivo": "dichiarazione-dimora", "indirizzo": "Via Roma 1",
                "oggetto_appuntamento": "dichiarazione di dimora abituale", "inizio": "2027-02-10T11:00:00+01:00",
            }),
        );
        assert_eq!(
            s.at("2027-01-20 09:15", "appuntamento.confermato", "P3", appointment),
            [format!(
                "2027-01-20 09:15 permesso-appuntamento-dimora-confermato {} 2027-02-10T10:00:00Z",
                reminder(which)
            )]
        );
        let declared = of(CF1, json!({ "data_dichiarazione": "2027-02-10" }));
        assert_eq!(
            s.at("2027-02-10 11:30", "dimora.dichiarata", "P3", declared),
            ["2027-02-10 11:30 scartato dimora-non-dichiarata annullato"]
        );
        assert!(s.until("2027-03-17 09:00").is_empty());
    });
}

#[test]
fn story_4_abode_not_declared_leads_the_office_step_by_step() {
    both(|_, s| {
        let renewed = of(
            CF1,
            json!({
                "tipo_permesso": "O", "data_rilascio": "2027-02-24", "data_scadenza": "2029-02-23",
            }),
        );
        let lines = s.at("2027-03-01 10:00", "permesso.rinnovato", "P4", renewed);
        assert!(lines.contains(
            &"2027-03-01 10:00 permesso-pratica-conclusa STANDARD 2027-04-25T21:59:59Z".to_owned()
        ));
        assert!(s.last_sent().content.markdown.contains("Hai tempo fino al 25/04/2027"));
        assert_eq!(s.until("2027-05-03 11:59"), ["2027-04-27 09:00 ufficio dimora-non-dichiarata"]);
        let opened =
            of(CF1, json!({ "motivo": "mancata-dichiarazione", "data_limite_invito": "2027-06-02" }));
        let lines = s.at("2027-05-03 12:00", "cancellazione.avviata", "P4", opened);
        assert!(lines.contains(
            &"2027-05-03 12:00 permesso-cancellazione-avviata STANDARD 2027-06-02T21:59:59Z".to_owned()
        ));
        assert!(lines.contains(&"2027-05-03 12:00 armato invito-dimora-scaduto 2027-06-04 09:00".to_owned()));
        assert!(s.last_sent().content.markdown.contains("Hai tempo fino al 02/06/2027"));
        assert_eq!(s.until("2027-09-15 10:59"), ["2027-06-04 09:00 ufficio invito-dimora-scaduto"]);
        let decided = of(CF1, json!({ "data": "2027-09-15", "motivo": "mancata-dichiarazione" }));
        let lines = s.at("2027-09-15 11:00", "cancellazione.disposta", "P4", decided);
        assert_eq!(
            lines.iter().filter(|l| l.contains("permesso-cancellazione-disposta STANDARD")).count(),
            1
        );
        assert!(s.simulation().armed().is_empty());
        assert!(s.until("2029-12-31 09:00").is_empty());
    });
}

#[test]
fn story_5_an_expired_permit_with_and_without_a_pending_renewal() {
    both(|_, s| {
        for (pratica, cf) in [("A", CF1), ("B", CF3)] {
            let data = of(cf, json!({ "tipo_permesso": "O", "data_scadenza": "2026-08-31" }));
            assert_eq!(s.at("2026-05-20 10:00", "permesso.registrato", pratica, data).len(), 4);
        }
        let sent = s.until("2026-10-10 10:59");
        assert_eq!(sent.len(), 6);
        for (line, day) in sent.iter().zip(["06-02", "06-02", "07-02", "07-02", "08-01", "08-01"]) {
            assert_eq!(line, &format!("2026-{day} 09:00 permesso-in-scadenza STANDARD 2026-08-31T21:59:59Z"));
        }
        let asked = of(CF3, json!({ "data_richiesta": "2026-10-10" }));
        assert_eq!(s.at("2026-10-10 11:00", "permesso.rinnovo-richiesto", "B", asked).len(), 1);
        assert_eq!(s.until("2027-03-22 09:59"), ["2027-03-01 09:00 ufficio permesso-scaduto-sei-mesi"]);
        let opened = of(CF1, json!({ "motivo": "mancato-rinnovo", "data_limite_invito": "2027-04-21" }));
        let lines = s.at("2027-03-22 10:00", "cancellazione.avviata", "A", opened);
        let sent = "2027-03-22 10:00 permesso-cancellazione-avviata STANDARD 2027-04-21T21:59:59Z".to_owned();
        assert!(lines.contains(&sent), "{lines:?}");
        let declared = of(CF1, json!({ "data_dichiarazione": "2027-04-15" }));
        assert_eq!(
            s.at("2027-04-15 09:30", "dimora.dichiarata", "A", declared),
            ["2027-04-15 09:30 scartato invito-dimora-scaduto annullato"]
        );
        assert!(s.until("2028-04-22 09:00").is_empty());
    });
}

#[test]
fn story_6_long_term_permits_and_late_arming() {
    both(|_, s| {
        let adult =
            of(CF1, json!({ "tipo_permesso": "O", "lungo_periodo": true, "data_rilascio": "2017-03-15" }));
        s.at("2026-11-20 10:00", "permesso.registrato", "adulto", adult);
        let minor = of(
            CF3,
            json!({
                "tipo_permesso": "O", "lungo_periodo": true, "minorenne_al_rilascio": true, "data_rilascio": "2022-01-10",
            }),
        );
        let lines = s.at("2026-11-20 10:05", "permesso.registrato", "minore", minor);
        let sent: Vec<_> = lines.iter().filter(|l| l.contains("STANDARD")).collect();
        assert_eq!(sent, ["2026-11-20 10:05 permesso-in-scadenza STANDARD 2027-01-10T22:59:59Z"]);
        assert!(lines.contains(&"2026-11-20 10:05 armato permesso-in-scadenza 2026-12-11 09:00".to_owned()));
        let expired = of(
            CF3,
            json!({
                "tipo_permesso": "O", "lungo_periodo": true, "data_rilascio": "2012-05-02", "importazione": true,
            }),
        );
        assert_eq!(
            s.at("2026-11-20 10:10", "permesso.registrato", "scaduto", expired),
            ["2026-11-20 10:10 scartato permesso-in-scadenza scadenza-passata"]
        );
        assert_eq!(
            s.until("2027-03-01 00:00"),
            [
                "2026-12-11 09:00 permesso-in-scadenza STANDARD 2027-01-10T22:59:59Z",
                "2026-12-15 09:00 permesso-in-scadenza STANDARD 2027-03-15T22:59:59Z",
                "2027-01-14 09:00 permesso-in-scadenza STANDARD 2027-03-15T22:59:59Z",
                "2027-02-13 09:00 permesso-in-scadenza STANDARD 2027-03-15T22:59:59Z",
            ]
        );
    });
}

#[test]
fn story_11_an_attestation_has_30_days_or_the_ente_s_own_number() {
    for (days, warning, end) in
        [(30, "2027-01-27 09:00", "2027-02-07 09:00"), (90, "2027-03-28 09:00", "2027-04-08 09:00")]
    {
        let ente = with_timer_days(ente(Which::N), "attestazione-permanente", days);
        let (texts, hash) = (texts(&ente), hash());
        let asked = || of(CF1, json!({ "tipo": "permanente", "data_richiesta": "2027-01-07" }));
        let mut open = story(&ente, SERVICE, &texts, &hash);
        open.at("2027-01-07 10:00", "attestazione.richiesta", "UE1", asked());
        assert_eq!(
            open.until("2027-12-31 09:00"),
            [
                format!("{warning} ufficio attestazione-permanente"),
                format!("{end} ufficio attestazione-permanente"),
            ]
        );
        let mut closed = story(&ente, SERVICE, &texts, &hash);
        closed.at("2027-01-07 10:00", "attestazione.richiesta", "UE1", asked());
        let done = of(CF1, json!({ "tipo": "permanente", "esito": "rilasciata", "data": "2027-01-20" }));
        assert_eq!(closed.at("2027-01-20 10:00", "attestazione.conclusa", "UE1", done).len(), 2);
        assert!(closed.until("2027-12-31 09:00").is_empty());
    }
}

#[test]
fn story_12_an_asylum_seeker_s_permit_lasts_six_months_and_has_the_short_ladder() {
    both(|_, s| {
        let issued = of(
            CF1,
            json!({
                "tipo_permesso": "J", "data_rilascio": "2026-12-01", "dimora_da_dichiarare": false,
            }),
        );
        let lines = s.at("2026-12-01 10:00", "permesso.rilasciato", "J1", issued);
        assert!(!lines.iter().any(|l| l.contains("STANDARD") || l.contains("dimora")), "{lines:?}");
        let asylum = of(CF1, json!({ "data_domanda": "2026-12-01" }));
        assert!(s.at("2026-12-01 10:05", "asilo.domanda-presentata", "J1", asylum).is_empty());
        assert_eq!(
            s.until("2027-06-01 00:00"),
            [
                "2027-04-02 09:00 permesso-in-scadenza STANDARD 2027-06-01T21:59:59Z",
                "2027-05-02 09:00 permesso-in-scadenza STANDARD 2027-06-01T21:59:59Z",
            ]
        );
    });
}
