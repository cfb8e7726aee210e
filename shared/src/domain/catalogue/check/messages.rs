//! Faults of the message types: variables, texts, lengths.

use std::collections::BTreeSet;

use super::{At, rules};
use crate::domain::catalogue::text::{ATTACHMENT, LONGEST_URL, Lengths, Text};
use crate::domain::catalogue::{
    InDubbio, Messaggio, Origine, Premium, Pulsante, Service, TipoCampo, Variabile,
};
use crate::domain::fault::Fault;

/// IO `subject`, UTF-16 units (IO `OpenAPI`, `MessageSubject`).
const SUBJECT: std::ops::RangeInclusive<usize> = 10..=120;
/// IO `markdown`, UTF-16 units, front matter included (IO `OpenAPI`, `MessageBodyMarkdown`).
const BODY: std::ops::RangeInclusive<usize> = 80..=10_000;
/// UTF-16 units of a button's front matter but for labels and urls, rounded up.
const FRONT_MATTER: usize = 200;

pub(super) fn check(service: &Service, message: &Messaggio, faults: &mut Vec<Fault>) {
    let mut at = At::new(service, "messaggi", &message.id, "md", faults);
    let phase = message.fase.join(" › ");
    if !service.scheda.ciclo_di_vita.contains(&phase) {
        at.fault("fase", "is not in `ciclo_di_vita` of the service sheet");
    }
    for (place, variable) in message.variabili.iter().enumerate() {
        declared(&mut at, message, place, variable);
    }
    fields_used(&mut at, message);
    if message.pulsante.as_ref().is_some_and(|p| p.url.is_none()) && !message.pagamento {
        at.fault("pulsante.url", "only a payment's button needs none");
    }
    if let Some(policy) = message.in_dubbio {
        policy_of(&mut at, "in_dubbio", message, policy);
    }
    let mut used = texts(&mut at, message, &message.titolo, &message.corpo);
    if let Some(lengths) = body_lengths(message, &message.corpo)
        && lengths.shortest != usize::try_from(message.corpo_minimo).unwrap_or(0)
    {
        at.fault("corpo_minimo", format!("the text's shortest form has {} characters", lengths.shortest));
    }
    used.extend(message.pulsante.iter().filter_map(|p| p.url.clone()));
    used.extend(message.due_date.clone());
    if message.pagamento {
        used.extend(["importo_centesimi".to_owned(), "codice_avviso".to_owned()]);
    }
    for variable in message.variabili.iter().filter(|v| !used.contains(&v.nome)) {
        at.fault("variabili", format!("`{}` is declared and not used", variable.nome));
    }
}

/// `expire` gives a message up when its use ends: one whose use has no end would wait for ever.
pub(super) fn policy_of(at: &mut At<'_>, key: &str, message: &Messaggio, policy: InDubbio) {
    if policy == InDubbio::Expire && message.regola.momento.utile_fino_a.is_none() {
        at.fault(key, "is `expire`, and the message has no `utile_fino_a`");
    }
}

/// Checks title and text, the type's own or an ente's, and returns the variables they use.
pub(super) fn texts(at: &mut At<'_>, message: &Messaggio, title: &str, body: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (key, source) in [("titolo", title), ("corpo", body)] {
        match Text::parse(source) {
            Ok(text) => {
                variables(at, key, message, &text);
                used.extend(text.variables.iter().cloned());
                match text.lengths(&message.variabili) {
                    Ok(lengths) if key == "titolo" => title_length(at, lengths),
                    Ok(lengths) => body_length(at, lengths, message.pulsante.as_ref()),
                    Err(reason) => at.fault(key, reason),
                }
            }
            Err(reason) => at.fault(key, reason),
        }
    }
    if title.contains(['\n', '\r']) {
        at.fault("titolo", "must be one line");
    }
    if body.starts_with("---") {
        at.fault("corpo", "must not begin with `---`: the IO app would take it for front matter");
    }
    used
}

fn variables(at: &mut At<'_>, key: &str, message: &Messaggio, text: &Text) {
    for nome in &text.variables {
        if !message.variabili.iter().any(|v| v.nome == *nome) {
            at.fault(key, format!("`{nome}` is not declared in `variabili`"));
        }
    }
    for (nome, value) in &text.comparisons {
        let variable = message.variabili.iter().find(|v| v.nome == *nome);
        if variable.is_some_and(|v| !v.valori.contains(value)) {
            at.fault(key, format!("`{nome}` is never `{value}`"));
        }
    }
}

fn title_length(at: &mut At<'_>, lengths: Lengths) {
    if !SUBJECT.contains(&lengths.shortest) || !SUBJECT.contains(&lengths.longest) {
        let Lengths { shortest, longest } = lengths;
        at.fault("titolo", format!("can have {shortest} to {longest} characters, IO takes 10 to 120"));
    }
}

fn body_length(at: &mut At<'_>, lengths: Lengths, button: Option<&Pulsante>) {
    let front = button.filter(|b| b.url.is_some()).map_or(0, |b| {
        FRONT_MATTER + b.it.encode_utf16().count() + b.en.encode_utf16().count() + 2 * LONGEST_URL
    });
    if lengths.shortest < *BODY.start() {
        at.fault("corpo", format!("can be as short as {} characters, IO wants 80", lengths.shortest));
    }
    let longest = lengths.longest + front;
    if longest > *BODY.end() {
        at.fault("corpo", format!("can be as long as {longest} characters with its button, IO takes 10,000"));
    }
}

fn body_lengths(message: &Messaggio, body: &str) -> Option<Lengths> {
    Text::parse(body).ok()?.lengths(&message.variabili).ok()
}

fn declared(at: &mut At<'_>, message: &Messaggio, place: usize, variable: &Variabile) {
    let key = format!("variabili[{place}]");
    let nome = &variable.nome;
    if message.variabili[..place].iter().any(|other| other.nome == *nome) {
        at.fault(&key, format!("`{nome}` is there twice"));
    }
    if (variable.tipo == TipoCampo::Enum) == variable.valori.is_empty() {
        at.fault(&key, "an enum needs values, any other type has none");
    }
    if variable.origine == Origine::Interna && (nome != ATTACHMENT || variable.tipo != TipoCampo::Bool) {
        at.fault(&key, format!("the fleet computes only `{ATTACHMENT}`, a bool"));
    }
    let others = at.service.messaggi.values().flat_map(|m| &m.variabili);
    if others.into_iter().any(|other| other.nome == *nome && other.tipo != variable.tipo) {
        at.fault(&key, format!("`{nome}` has another type in another message of the service"));
    }
    for trigger in &message.regola.innesco {
        if let Some(reason) = origin_fault(at.service, &trigger.evento, variable) {
            at.fault(&key, reason);
        }
    }
}

fn origin_fault(service: &Service, evento: &str, variable: &Variabile) -> Option<String> {
    let nome = &variable.nome;
    match service.field(evento, nome) {
        Some(field) if field.tipo != variable.tipo => {
            Some(format!("`{nome}` has another type in `{evento}`"))
        }
        Some(field) if field.valori.iter().any(|value| !variable.valori.iter().any(|v| v == value)) => {
            Some(format!("`{nome}` of `{evento}` has values that the variable has not"))
        }
        None if variable.origine == Origine::Evento && service.eventi.contains_key(evento) => {
            Some(format!("`{nome}` is no field of `{evento}`"))
        }
        _ => None,
    }
}

/// Checks the fields that the message needs beside its text.
fn fields_used(at: &mut At<'_>, message: &Messaggio) {
    let events: Vec<&str> = message.regola.innesco.iter().map(|i| i.evento.as_str()).collect();
    if let Some(nome) = &message.due_date {
        rules::of_type(at, "due_date", nome, &events, &[TipoCampo::Data, TipoCampo::Istante]);
    }
    let typed =
        |nome: &str, tipo: TipoCampo| message.variabili.iter().any(|v| v.nome == nome && v.tipo == tipo);
    let payment =
        typed("importo_centesimi", TipoCampo::Centesimi) && typed("codice_avviso", TipoCampo::CodiceAvviso);
    if message.pagamento && !payment {
        at.fault("pagamento", "needs the variables `importo_centesimi` and `codice_avviso`");
    }
    let url = message.pulsante.as_ref().and_then(|p| p.url.as_deref());
    if url.is_some_and(|nome| !typed(nome, TipoCampo::Url)) {
        at.fault("pulsante.url", "must be a variable of type `url`");
    }
    let is_reminder =
        matches!(message.premium, Premium::PromemoriaAppuntamento | Premium::PromemoriaPagamento);
    if is_reminder && message.due_date.is_none() {
        at.fault("premium", "needs a `due_date`");
    }
    if message.premium == Premium::PromemoriaPagamento && !message.pagamento {
        at.fault("premium", "needs `pagamento = true`");
    }
    if message.premium == Premium::Allegato {
        rules::of_type(at, "premium", "allegato", &events, &[TipoCampo::Allegato]);
    }
}
