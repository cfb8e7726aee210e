//! What the second hop gives the third.

use serde::{Deserialize, Serialize};

use crate::bench::events::Event;

/// A message for IO, with the text of #12 as the fleet sends it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) case: String,
    pub(super) ente: String,
    pub(super) codice_fiscale: String,
    pub(super) content: Content,
}

/// IO `content`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Content {
    subject: String,
    markdown: String,
    require_secure_channels: bool,
}

impl Job {
    /// From a claimed event: its two values in a fixed text, no template.
    pub(super) fn of(event: Event) -> Self {
        let number = event.data.numero_protocollo.unwrap_or_default();
        let url = event.data.url_domanda.unwrap_or_default();
        let markdown = format!(
            "La tua domanda è stata presa in carico.\n\nIl numero di protocollo è: {number}\n\nRiceverai un \
             messaggio in app che ti avverte dell’apertura del periodo di assegnazione degli alloggi. Entro la \
             data che ti verrà indicata, dovrai presentare la tua domanda.\n\nPer vedere la tua domanda, \
             [visita questo sito]({url})."
        );
        let subject = "La tua domanda è stata presa in carico".to_owned();
        let content = Content { subject, markdown, require_secure_channels: true };
        Self { case: event.subject, ente: event.ente, codice_fiscale: event.data.codice_fiscale, content }
    }
}
