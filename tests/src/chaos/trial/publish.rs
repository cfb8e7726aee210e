//! What the integrator says during a trial.

use std::ops::Range;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use shared::domain::event::LARGEST_BODY;

use super::Trial;
use crate::chaos::checker::{CANARIES, COGNOME, NOME};

/// Events that the integrator offers at once: a broker confirms these well within its patience.
const AT_ONCE: usize = 2_000;

impl Trial {
    /// Publishes events of as many cases, each of which leads to one message at once; returns their ids.
    pub(in crate::chaos) async fn publish(&mut self, count: usize) -> anyhow::Result<Vec<String>> {
        self.publish_for(count, "borgochiaro").await
    }

    /// Offers one more event once; returns whether it was confirmed within `limit`.
    pub(in crate::chaos) async fn is_taken(&mut self, limit: Duration) -> anyhow::Result<bool> {
        let event = event(self.published, "borgochiaro");
        self.published += 1;
        let id = event["id"].as_str().context("an id")?.to_owned();
        self.book.attempted.insert(id.clone());
        let key = "borgochiaro.domanda.protocollata";
        let taken = self.integrator.is_taken(key, event.to_string().as_bytes(), limit).await;
        if taken {
            self.book.acknowledged.insert(id);
        }
        Ok(taken)
    }

    /// The same for an ente.
    pub(in crate::chaos) async fn publish_for(
        &mut self,
        count: usize,
        ente: &str,
    ) -> anyhow::Result<Vec<String>> {
        let (mut ids, mut bodies) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let event = event(self.published, ente);
            self.published += 1;
            ids.push(event["id"].as_str().unwrap_or_default().to_owned());
            bodies.push((format!("{ente}.domanda.protocollata"), event.to_string().into_bytes()));
        }
        self.book.attempted.extend(ids.iter().cloned());
        for some in bodies.chunks(AT_ONCE) {
            self.integrator.publish_all(some).await?;
        }
        self.book.acknowledged.extend(ids.iter().cloned());
        Ok(ids)
    }

    /// Publishes confirmed appointments that are so far ahead: one message each, of no use afterwards.
    pub(in crate::chaos) async fn publish_appointments(
        &mut self,
        count: usize,
        ahead: Duration,
    ) -> anyhow::Result<()> {
        let inizio = (shared::clock::Clock::system().now() + ahead).to_rfc3339();
        for _ in 0..count {
            let mut event = event(self.published, "borgochiaro");
            self.published += 1;
            let id = event["id"].as_str().context("an id")?.to_owned();
            event["type"] = "appuntamento.confermato".into();
            event["data"] = json!({
                "codice_fiscale": CANARIES[0], "id_appuntamento": "A1", "motivo": "domanda-alloggio",
                "inizio": inizio, "indirizzo": "Via Verdi 4", "oggetto_appuntamento": "la domanda",
                "numero_prenotazione": id,
            });
            self.book.attempted.insert(id.clone());
            let body = event.to_string().into_bytes();
            self.integrator.publish("borgochiaro.appuntamento.confermato", &body).await?;
            self.book.acknowledged.insert(id);
        }
        Ok(())
    }

    /// Publishes one event with as many of these beside its own fields as the largest body has room for; returns how many.
    pub(in crate::chaos) async fn publish_filled(
        &mut self,
        piece: impl Fn(usize) -> (String, Value),
    ) -> anyhow::Result<usize> {
        let mut event = event(self.published, "borgochiaro");
        self.published += 1;
        let id = event["id"].as_str().context("an id")?.to_owned();
        let mut size = event.to_string().len();
        let data = event["data"].as_object_mut().context("its data")?;
        let mut pieces = 0;
        loop {
            let (key, value) = piece(pieces);
            // `,"key":value`
            size += key.len() + value.to_string().len() + 4;
            if size > LARGEST_BODY {
                break;
            }
            data.insert(key, value);
            pieces += 1;
        }
        self.book.attempted.insert(id.clone());
        self.integrator.publish("borgochiaro.domanda.protocollata", event.to_string().as_bytes()).await?;
        self.book.acknowledged.insert(id);
        Ok(pieces)
    }

    /// Publishes events of the first cases again; with `other`, their content is another one.
    pub(in crate::chaos) async fn publish_again(
        &mut self,
        cases: Range<usize>,
        other: &str,
    ) -> anyhow::Result<()> {
        for number in cases {
            let mut event = event(number, "borgochiaro");
            if !other.is_empty() {
                event["data"]["numero_protocollo"] = other.into();
            }
            let body = event.to_string().into_bytes();
            self.integrator.publish("borgochiaro.domanda.protocollata", &body).await?;
        }
        Ok(())
    }

    /// Publishes an event of the service `permesso-soggiorno` that the book does not follow.
    pub(in crate::chaos) async fn say(
        &mut self,
        tipo: &str,
        pratica: &str,
        data: Value,
    ) -> anyhow::Result<()> {
        let event = json!({
            "specversion": "1.0", "id": format!("{tipo}/{pratica}"), "source": "https://gestionale.example.it",
            "type": tipo, "subject": pratica, "time": "2026-11-20T10:00:00+01:00", "ente": "borgochiaro",
            "servizio": "permesso-soggiorno", "data": data,
        });
        self.integrator.publish(&format!("borgochiaro.{tipo}"), event.to_string().as_bytes()).await
    }
}

/// An application registered: one message at once, whose text names the event.
fn event(number: usize, ente: &str) -> Value {
    let id = format!("caso{number:06}");
    json!({
        "specversion": "1.0", "id": id, "source": "https://gestionale.example.it",
        "type": "domanda.protocollata", "subject": format!("D-{id}"), "time": "2026-11-20T10:00:00+01:00",
        "ente": ente, "servizio": "alloggi-sociali",
        "data": {
            "codice_fiscale": CANARIES[number % 4], "bando": "B27", "numero_protocollo": id,
            "url_domanda": "https://domande.example.it/1", "nome": NOME, "cognome": COGNOME,
        },
    })
}
