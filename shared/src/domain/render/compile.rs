//! Texts compiled once a load: the catalogue's, and those that enti have in their place.

use std::collections::HashMap;

use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};
use sha2::{Digest, Sha256};

use super::error::RenderError;
use super::grammar::{self, Print};
use super::markdown::{CLOSE, OPEN};
use crate::domain::catalogue::{Catalogue, Messaggio, Origine, Pulsante, TipoCampo, Variabile};
use crate::domain::ente::{Ente, MessaggioEnte};

/// Steps of one rendering. A text of [`grammar`] costs a few a tag; this bounds what the engine may do
/// should that check ever let more through.
const FUEL: u64 = 50_000;
/// Depth of the engine's evaluation; texts do not nest.
const RECURSION: usize = 16;

/// A text that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{servizio}/{messaggio}: {campo}: {reason}")]
pub struct TextFault {
    /// The ente whose own text it is; `None` for the catalogue's.
    pub ente: Option<String>,
    /// Service.
    pub servizio: String,
    /// Message type.
    pub messaggio: String,
    /// Part of the text: `titolo`, `corpo`, `pulsante` or `variabili`.
    pub campo: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// Every text of a catalogue and of the enti that use it, ready to render.
///
/// Built whole at each load or reload (about 30 µs a text); rendering only reads it.
pub struct Texts {
    env: Environment<'static>,
    catalogue: ByService,
    own: HashMap<String, ByService>,
}

/// Texts by service and message type.
type ByService = HashMap<String, HashMap<String, Text>>;

/// One message type's text, for one ente or for all that have none of their own.
pub(super) struct Text {
    /// Names of the templates of title and body.
    titolo: String,
    corpo: String,
    /// The button in force.
    pub(super) pulsante: Option<Pulsante>,
    /// Variables, each name once.
    pub(super) variabili: Vec<Variabile>,
    /// First 16 hex digits of SHA-256 over the source of title and body.
    pub(super) hash: String,
}

impl Texts {
    /// Compiles the catalogue's texts and the enti's own.
    ///
    /// # Errors
    /// Every text that has a fault, not only the first.
    pub fn compile<'a>(
        catalogue: &Catalogue,
        enti: impl IntoIterator<Item = &'a Ente>,
    ) -> Result<Self, Vec<TextFault>> {
        let mut compiling = Compiling { env: environment(), faults: Vec::new() };
        let mut texts = ByService::new();
        for (servizio, service) in &catalogue.servizi {
            let by_id = texts.entry(servizio.clone()).or_default();
            for messaggio in service.messaggi.values() {
                by_id.insert(messaggio.id.clone(), compiling.text(None, servizio, messaggio, None));
            }
        }
        let own = enti.into_iter().map(|ente| (ente.id.clone(), compiling.own(catalogue, ente))).collect();
        if compiling.faults.is_empty() {
            Ok(Self { env: compiling.env, catalogue: texts, own })
        } else {
            Err(compiling.faults)
        }
    }

    /// Faults of an ente's own texts: what would make [`Texts::compile`] fail with it.
    #[must_use]
    pub fn faults(catalogue: &Catalogue, ente: &Ente) -> Vec<TextFault> {
        let mut compiling = Compiling { env: environment(), faults: Vec::new() };
        compiling.own(catalogue, ente);
        compiling.faults
    }

    /// The text in force for an ente.
    pub(super) fn text(&self, ente: &str, servizio: &str, messaggio: &str) -> Option<&Text> {
        let of =
            |texts: &'_ ByService| texts.get(servizio).is_some_and(|by_id| by_id.contains_key(messaggio));
        let texts = self.own.get(ente).filter(|own| of(own)).unwrap_or(&self.catalogue);
        texts.get(servizio)?.get(messaggio)
    }

    /// The title of a text with its values between marks.
    pub(super) fn title(&self, text: &Text, values: Value) -> Result<String, RenderError> {
        self.fill(&text.titolo, "titolo", values)
    }

    /// The body of a text with its values between marks.
    pub(super) fn body(&self, text: &Text, values: Value) -> Result<String, RenderError> {
        self.fill(&text.corpo, "corpo", values)
    }

    fn fill(&self, name: &str, part: &str, values: Value) -> Result<String, RenderError> {
        // The engine's words may hold a value: only its kind of fault is told.
        self.env
            .get_template(name)
            .and_then(|template| template.render(values))
            .map_err(|error| RenderError::render(format!("the text's `{part}` fails: {:?}", error.kind())))
    }
}

/// An engine that can print and branch, and nothing else: no filter, no test, no function.
fn environment() -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(RECURSION);
    env.set_debug(false);
    env.set_formatter(print);
    env
}

/// Prints a value by its type: one that is safe by its form (date, time, url, number) as it is, any other
/// between the marks that make [`super::markdown`] escape it.
fn print(out: &mut Output, _: &mut State, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if value.is_safe() => out.write_str(text)?,
        Some(text) => {
            out.write_str(OPEN.encode_utf8(&mut [0; 4]))?;
            out.write_str(text)?;
            out.write_str(CLOSE.encode_utf8(&mut [0; 4]))?;
        }
        None => return Err(Error::new(ErrorKind::InvalidOperation, "only texts are printed")),
    }
    Ok(())
}

/// Faults so far, and the engine that takes the texts.
struct Compiling {
    env: Environment<'static>,
    faults: Vec<TextFault>,
}

impl Compiling {
    /// An ente's own texts: those of message types whose title, body or button it gives.
    fn own(&mut self, catalogue: &Catalogue, ente: &Ente) -> ByService {
        let mut texts = ByService::new();
        for (servizio, choices) in &ente.servizi {
            let Some(service) = catalogue.servizio(servizio) else { continue };
            for (id, own) in &choices.messaggi {
                let Some(messaggio) = service.messaggi.get(id) else { continue };
                if own.titolo.is_some() || own.corpo.is_some() || own.pulsante.is_some() {
                    let text = self.text(Some(&ente.id), servizio, messaggio, Some(own));
                    texts.entry(servizio.clone()).or_default().insert(id.clone(), text);
                }
            }
        }
        texts
    }

    /// One text, with what the ente has in place of the catalogue's.
    fn text(
        &mut self,
        ente: Option<&str>,
        servizio: &str,
        messaggio: &Messaggio,
        own: Option<&MessaggioEnte>,
    ) -> Text {
        let titolo = own.and_then(|own| own.titolo.as_deref()).unwrap_or(&messaggio.titolo);
        let corpo = own.and_then(|own| own.corpo.as_deref()).unwrap_or(&messaggio.corpo);
        let pulsante = button(messaggio.pulsante.as_ref(), own.and_then(|own| own.pulsante.as_ref()));
        let mut reasons = Vec::new();
        reasons.extend(title_faults(titolo, messaggio).map(|reason| ("titolo", reason)));
        reasons.extend(body_faults(corpo, messaggio).map(|reason| ("corpo", reason)));
        reasons.extend(button_fault(pulsante.as_ref(), messaggio).map(|reason| ("pulsante", reason)));
        let name = |part| format!("{}/{servizio}/{}/{part}", ente.unwrap_or_default(), messaggio.id);
        for (part, source) in [("titolo", titolo), ("corpo", corpo)] {
            if let Err(error) = self.env.add_template_owned(name(part), source.to_owned()) {
                reasons.push((part, format!("is no template: {error}")));
            }
        }
        self.faults.extend(reasons.into_iter().map(|(campo, reason)| TextFault {
            ente: ente.map(str::to_owned),
            servizio: servizio.to_owned(),
            messaggio: messaggio.id.clone(),
            campo,
            reason,
        }));
        let variabili = once(&messaggio.variabili);
        Text { titolo: name("titolo"), corpo: name("corpo"), pulsante, variabili, hash: hash(titolo, corpo) }
    }
}

/// The ente's labels, on the catalogue's url where it gives none.
fn button(catalogue: Option<&Pulsante>, own: Option<&Pulsante>) -> Option<Pulsante> {
    let url = catalogue.and_then(|button| button.url.clone());
    match own {
        Some(own) => Some(Pulsante { url: own.url.clone().or(url), ..own.clone() }),
        None => catalogue.cloned(),
    }
}

/// Variables without the repeated ones: the catalogue may list a name once for each placeholder.
fn once(variabili: &[Variabile]) -> Vec<Variabile> {
    let mut seen: Vec<Variabile> = Vec::with_capacity(variabili.len());
    for variabile in variabili {
        if !seen.iter().any(|other| other.nome == variabile.nome) {
            seen.push(variabile.clone());
        }
    }
    seen
}

/// The text version: 16 hex digits.
fn hash(titolo: &str, corpo: &str) -> String {
    let digest = Sha256::digest(format!("{titolo}\0{corpo}"));
    let first = digest.iter().take(8).fold(0_u64, |first, byte| first << 8 | u64::from(*byte));
    format!("{first:016x}")
}

fn title_faults(source: &str, messaggio: &Messaggio) -> impl Iterator<Item = String> {
    let line = source.contains('\n').then(|| "has more than one line".to_owned());
    let uses = uses_faults(source, messaggio, |_, _| None);
    line.into_iter().chain(uses)
}

fn body_faults(source: &str, messaggio: &Messaggio) -> impl Iterator<Item = String> {
    let first = source.trim_start_matches('\u{FEFF}');
    let front =
        first.starts_with("---").then(|| "begins with ---, which the app reads as settings".to_owned());
    let uses = uses_faults(source, messaggio, |print, tipo| match (tipo == TipoCampo::Url, print.in_link) {
        (true, false) => Some("is a url outside a link's destination"),
        (false, true) => Some("is no url, in a link's destination"),
        _ => None,
    });
    front.into_iter().chain(uses)
}

/// Faults of the variables that a text uses; `misplaced` says whether one stands where it may not.
fn uses_faults(
    source: &str,
    messaggio: &Messaggio,
    misplaced: impl Fn(Print<'_>, TipoCampo) -> Option<&'static str>,
) -> Vec<String> {
    let uses = match grammar::uses(source) {
        Ok(uses) => uses,
        Err(reason) => return vec![reason],
    };
    let tipo = |name: &str| messaggio.variabili.iter().find(|v| v.nome == name).map(|v| v.tipo);
    let undeclared = |name: &str| format!("`{name}` is no variable of the message type");
    let mut faults = Vec::new();
    for print in uses.prints {
        match tipo(print.name) {
            None => faults.push(undeclared(print.name)),
            Some(tipo) if !is_printed(tipo) => {
                faults.push(format!("`{}` is of a type that is never printed", print.name));
            }
            Some(tipo) => {
                faults.extend(misplaced(print, tipo).map(|fault| format!("`{}` {fault}", print.name)));
            }
        }
    }
    faults.extend(uses.branches.into_iter().filter(|name| tipo(name).is_none()).map(undeclared));
    faults
}

/// Whether values of the type may stand in a text: not booleans, raw cents, lists, nor fiscal codes.
fn is_printed(tipo: TipoCampo) -> bool {
    !matches!(
        tipo,
        TipoCampo::Bool | TipoCampo::Centesimi | TipoCampo::CodiceFiscale | TipoCampo::CodiciFiscali
    )
}

/// A button's url must be a url variable of the message type.
fn button_fault(pulsante: Option<&Pulsante>, messaggio: &Messaggio) -> Option<String> {
    let url = pulsante?.url.as_deref()?;
    let good = messaggio.variabili.iter().any(|v| v.nome == url && v.tipo == TipoCampo::Url);
    (!good).then(|| format!("`{url}` is no url variable of the message type"))
}

/// Whether a variable is computed here and sought nowhere.
pub(super) fn is_internal(variabile: &Variabile) -> bool {
    variabile.origine == Origine::Interna
}
