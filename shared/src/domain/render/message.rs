//! One message: its text, level, dates, payment and attachment.

use std::sync::Arc;

use chrono::SecondsFormat;

use super::compile::{Text, Texts};
use super::error::RenderError;
use super::front_matter::front_matter;
use super::markdown;
use super::values::{Sources, Values};
use crate::domain::Field;
use crate::domain::catalogue::{Catalogue, InDubbio, Messaggio, Premium, Service};
use crate::domain::ente::{Ente, ServizioEnte};
use crate::formats;
use crate::wire::{Content, DispatchRequest, Level, PaymentData, RenderRequest, ThirdPartyData};

/// UTF-16 units of IO's `subject` (io-api.md section 2).
const SUBJECT: std::ops::RangeInclusive<usize> = 10..=120;
/// UTF-16 units of IO's `markdown`, front matter included.
const MARKDOWN: std::ops::RangeInclusive<usize> = 80..=10_000;
/// Cents that IO takes.
const AMOUNT: std::ops::RangeInclusive<i64> = 1..=9_999_999_999;

/// Renders a message that is due.
///
/// `texts` are compiled from the same `catalogue` and `ente`; `in_doubt` is the fleet's policy, where
/// neither ente nor message type has its own.
///
/// # Errors
/// When the message would not be what it must be: a value missing or of the wrong form, a length that IO
/// refuses. The reason names variable or field and never holds a value.
pub fn render(
    texts: &Texts,
    catalogue: &Catalogue,
    ente: &Ente,
    request: &RenderRequest,
    in_doubt: InDubbio,
) -> Result<DispatchRequest, RenderError> {
    let job = Job::find(texts, catalogue, ente, request)?;
    let level = job.level();
    Ok(DispatchRequest {
        v: formats::DISPATCH.written(),
        message: request.message.clone(),
        codice_fiscale: request.codice_fiscale.clone(),
        content: job.content(texts, catalogue, level)?,
        livello: level.livello,
        ripiego: level.ripiego,
        in_dubbio: job.in_doubt().unwrap_or(in_doubt),
        testo: job.text.hash.clone(),
        dovuto_ms: request.dovuto_ms,
        utile_fino_ms: request.utile_fino_ms,
        accolto_ms: request.accolto_ms,
    })
}

/// Everything that one rendering reads.
struct Job<'a> {
    ente: &'a Ente,
    service: &'a Service,
    servizio: &'a ServizioEnte,
    messaggio: &'a Messaggio,
    text: &'a Text,
    request: &'a RenderRequest,
}

/// What the ente's contract and the attachment make of a message.
#[derive(Clone, Copy)]
struct Levels {
    livello: Level,
    ripiego: bool,
    with_attachment: bool,
}

impl<'a> Job<'a> {
    fn find(
        texts: &'a Texts,
        catalogue: &'a Catalogue,
        ente: &'a Ente,
        request: &'a RenderRequest,
    ) -> Result<Self, RenderError> {
        let named = &request.message;
        let service = catalogue
            .servizio(&named.servizio)
            .ok_or_else(|| RenderError::render("`servizio` is not in the catalogue"))?;
        let messaggio = service
            .messaggi
            .get(&named.messaggio)
            .ok_or_else(|| RenderError::render("`messaggio` is not in the catalogue"))?;
        let servizio = ente
            .servizi
            .get(&named.servizio)
            .ok_or_else(|| RenderError::render("`servizio` is none of the ente's"))?;
        let text = texts
            .text(&ente.id, &named.servizio, &named.messaggio)
            .ok_or_else(|| RenderError::render("the message type has no compiled text"))?;
        Ok(Self { ente, service, servizio, messaggio, text, request })
    }

    /// The attachment's id, where the event has one.
    fn attachment(&self) -> Option<&'a str> {
        self.request.campi.get("allegato").and_then(Field::text).filter(|id| !id.is_empty())
    }

    fn level(&self) -> Levels {
        let attachment = self.ente.premium.allegati && self.attachment().is_some();
        let wanted = match self.messaggio.premium {
            Premium::Nessuno => false,
            Premium::PromemoriaAppuntamento | Premium::PromemoriaPagamento => self.ente.premium.promemoria,
            Premium::Allegato => attachment,
        };
        let advanced = wanted && !self.request.solo_standard;
        Levels {
            livello: if advanced { Level::Advanced } else { Level::Standard },
            ripiego: wanted && !advanced,
            with_attachment: attachment && !self.request.solo_standard,
        }
    }

    fn in_doubt(&self) -> Option<InDubbio> {
        let own = self.servizio.messaggi.get(&self.messaggio.id).and_then(|own| own.in_dubbio);
        own.or(self.messaggio.in_dubbio)
    }

    fn content(&self, texts: &Texts, catalogue: &Catalogue, level: Levels) -> Result<Content, RenderError> {
        let (subject, markdown) = self.texts(texts, level.with_attachment)?;
        Ok(Content {
            subject,
            markdown,
            require_secure_channels: self.servizio.canale_sicuro.unwrap_or(self.service.scheda.canale_sicuro),
            due_date: self.due_date(catalogue)?,
            payment_data: self.payment()?,
            third_party_data: self.third_party(level.livello)?,
        })
    }

    /// Title and text, within IO's lengths.
    fn texts(&self, texts: &Texts, with_attachment: bool) -> Result<(String, String), RenderError> {
        let sources = Sources::new(&self.request.campi, self.ente, self.servizio);
        let values = Arc::new(Values::collect(&self.text.variabili, &sources, with_attachment)?);
        let title = texts.title(self.text, Arc::clone(&values).into_value())?;
        let subject = markdown::unmark(&title);
        let body = markdown::escape(&texts.body(self.text, Arc::clone(&values).into_value())?);
        if body.trim_start_matches('\u{FEFF}').starts_with("---") {
            return Err(RenderError::render("the text begins with ---, which the app reads as settings"));
        }
        let markdown = match self.text.pulsante.as_ref() {
            Some(button) => match button.url.as_deref() {
                Some(name) => {
                    let url = values.text(name).ok_or_else(|| RenderError::url(name, "is missing"))?;
                    front_matter(&button.it, &button.en, url) + &body
                }
                None => body,
            },
            None => body,
        };
        check_length("subject", &subject, &SUBJECT)?;
        check_length("markdown", &markdown, &MARKDOWN)?;
        Ok((subject, markdown))
    }

    /// The end of a local day, or an instant, in UTC.
    fn due_date(&self, catalogue: &Catalogue) -> Result<Option<String>, RenderError> {
        let Some(name) = self.messaggio.due_date.as_deref() else { return Ok(None) };
        let field = self.request.campi.get(name);
        let field = field.ok_or_else(|| RenderError::variable(name, "is missing: `due_date` needs it"))?;
        let end = |day| self.ente.calendario(&catalogue.festivita).end_of_day(day);
        let at = field.date().map(end).or_else(|| field.instant());
        let at = at.ok_or_else(|| RenderError::variable(name, "is neither a date nor an instant"))?;
        Ok(Some(at.to_rfc3339_opts(SecondsFormat::Secs, true)))
    }

    fn payment(&self) -> Result<Option<PaymentData>, RenderError> {
        if !self.messaggio.pagamento {
            return Ok(None);
        }
        let field = |name| self.request.campi.get(name);
        let amount = field("importo_centesimi").and_then(Field::int).filter(|cents| AMOUNT.contains(cents));
        let notice = field("codice_avviso").and_then(Field::text).filter(|notice| is_notice(notice));
        Ok(Some(PaymentData {
            amount: amount.ok_or_else(|| {
                RenderError::variable("importo_centesimi", "is no amount from 1 to 9999999999 cents")
            })?,
            notice_number: notice
                .ok_or_else(|| RenderError::variable("codice_avviso", "is no notice number"))?
                .to_owned(),
        }))
    }

    fn third_party(&self, livello: Level) -> Result<Option<ThirdPartyData>, RenderError> {
        let kind = self.messaggio.premium == Premium::Allegato && livello == Level::Advanced;
        let Some(id) = self.attachment().filter(|_| kind) else { return Ok(None) };
        let missing = || RenderError::variable("configurazione_remota", "is missing in the ente's service");
        Ok(Some(ThirdPartyData {
            id: id.to_owned(),
            configuration_id: self.servizio.configurazione_remota.clone().ok_or_else(missing)?,
            has_attachments: true,
        }))
    }
}

/// `^[0123][0-9]{17}$` (io-api.md section 2).
fn is_notice(text: &str) -> bool {
    text.len() == 18 && text.starts_with(['0', '1', '2', '3']) && text.bytes().all(|b| b.is_ascii_digit())
}

fn check_length(field: &str, text: &str, range: &std::ops::RangeInclusive<usize>) -> Result<(), RenderError> {
    let (least, most) = (range.start(), range.end());
    // A UTF-16 unit takes one to three bytes of UTF-8: most texts need no counting.
    if text.len() <= *most && text.len() >= least * 3 {
        return Ok(());
    }
    let length = text.encode_utf16().count();
    if range.contains(&length) {
        return Ok(());
    }
    Err(RenderError::render(format!(
        "`{field}` has {length} UTF-16 units once rendered, IO takes {least} to {most}"
    )))
}
