//! Real-looking case events of both services, with dates from today on.

use chrono::{DateTime, Days, NaiveDate, SecondsFormat, Utc};
use serde_json::{Value, json};

/// Fictitious citizens; the last is not on IO.
const CITIZENS: [&str; 4] =
    ["RSSMRA85T10A562S", "BNCLRA80A41F205G", "VRDLGI70B02H501G", sandbox::recipients::NOT_ON_IO];

/// The events of one ente.
pub(super) fn of(ente: &str, now: DateTime<Utc>) -> Vec<Value> {
    let today = now.date_naive();
    let mut events = permits(today);
    events.extend(housing(today));
    let time = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    events
        .into_iter()
        .enumerate()
        .map(|(number, (servizio, tipo, pratica, data))| {
            json!({
                "specversion": "1.0",
                "id": format!("demo-{}-{number}", now.timestamp_millis()),
                "source": "https://gestionale.example.it",
                "type": tipo,
                "subject": pratica,
                "time": time,
                "ente": ente,
                "servizio": servizio,
                "data": data,
            })
        })
        .collect()
}

type Step = (&'static str, &'static str, &'static str, Value);

fn day(today: NaiveDate, days: u64) -> String {
    (today + Days::new(days)).to_string()
}

fn instant(today: NaiveDate, days: u64) -> String {
    format!("{}T10:30:00+01:00", day(today, days))
}

fn permits(today: NaiveDate) -> Vec<Step> {
    const SERVICE: &str = "permesso-soggiorno";
    let [anna, luca, sara, _] = CITIZENS;
    vec![
        (
            SERVICE,
            "permesso.registrato",
            "PS-1",
            json!({
                "codice_fiscale": anna, "tipo_permesso": "O", "data_scadenza": day(today, 75),
            }),
        ),
        (
            SERVICE,
            "pratica.presa-in-carico",
            "PS-2",
            json!({
                "codice_fiscale": luca, "tipo_pratica": "rinnovo", "numero_pratica": "2026/0451",
                "oggetto_pratica": "rinnovo del permesso di soggiorno",
            }),
        ),
        (
            SERVICE,
            "appuntamento.confermato",
            "PS-2",
            json!({
                "codice_fiscale": luca, "id_appuntamento": "A-17", "motivo": "rinnovo-permesso",
                "inizio": instant(today, 20), "indirizzo": "Via Roma 1",
            }),
        ),
        (
            SERVICE,
            "permesso.rilasciato",
            "PS-3",
            json!({
                "codice_fiscale": sara, "tipo_permesso": "O", "data_rilascio": day(today, 0),
                "data_scadenza": day(today, 730),
            }),
        ),
        (
            SERVICE,
            "cancellazione.avviata",
            "PS-4",
            json!({
                "codice_fiscale": anna, "motivo": "mancata-dichiarazione", "data_limite_invito": day(today, 30),
            }),
        ),
        (
            SERVICE,
            "attestazione.richiesta",
            "PS-5",
            json!({
                "codice_fiscale": luca, "tipo": "permanente", "data_richiesta": day(today, 0),
            }),
        ),
    ]
}

fn housing(today: NaiveDate) -> Vec<Step> {
    const SERVICE: &str = "alloggi-sociali";
    let [anna, luca, sara, _] = CITIZENS;
    vec![
        (
            SERVICE,
            "bando.pubblicato",
            "B27",
            json!({
                "destinatari": CITIZENS, "bando": "B27", "data_pubblicazione": day(today, 0),
                "url_bando": "https://bandi.example.it/b27", "allegato": "bando-b27",
            }),
        ),
        (
            SERVICE,
            "domanda.protocollata",
            "AS-1",
            json!({
                "codice_fiscale": anna, "bando": "B27", "numero_protocollo": "2026/1187",
                "url_domanda": "https://domande.example.it/1187",
            }),
        ),
        (
            SERVICE,
            "domanda.integrazione-richiesta",
            "AS-1",
            json!({
                "codice_fiscale": anna, "data_limite_integrazione": day(today, 14),
                "url_domanda": "https://domande.example.it/1187",
            }),
        ),
        (
            SERVICE,
            "pagamento.avviso-emesso",
            "AS-2",
            json!({
                "codice_fiscale": luca, "tipo": "canone", "codice_avviso": "302000000000000042",
                "importo_centesimi": 31_050, "data_scadenza": day(today, 30), "causale": "Canone di dicembre",
                "nome": "Luca", "cognome": "Bianchi",
            }),
        ),
        (
            SERVICE,
            "assegnazione.aperta",
            "B27",
            json!({
                "destinatari": [anna, luca, sara], "bando": "B27", "data_apertura": day(today, 10),
                "data_chiusura": day(today, 40), "url_bando": "https://bandi.example.it/b27",
            }),
        ),
        (
            SERVICE,
            "contratto.pronto",
            "AS-3",
            json!({
                "codice_fiscale": sara, "riferimento_alloggio": "A/12", "indirizzo": "Via Verdi 4",
                "modalita_firma": "in-presenza", "url_contratto": "https://contratti.example.it/12",
                "allegato": "contratto-12", "formato_allegato": "PDF",
            }),
        ),
    ]
}
