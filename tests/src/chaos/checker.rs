//! The invariants, held after every run: what was published against what the sandbox was sent, what was told
//! and what the store says.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde_json::Value;

use super::book::Book;
use super::result::Report;
use super::stored::Stored;

/// What may be found nowhere but in bodies: the fictitious citizens of every trial, the keys of the trial
/// enti, and a sentence of the text that is sent.
pub(super) const CANARIES: [&str; 6] = [
    "RSSMRA85T10A562S",
    "BNCLRA80A41F205G",
    "VRDLGI70B02H501G",
    "SPNDNL80R13C555T",
    "trial-borgochiaro",
    "Il numero di protocollo",
];

/// What a panic leaves in a log: the runtime's own words, and the fleet's log line.
const PANICS: [&str; 2] = ["panicked at", "\"panic\""];

/// What a row allows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    /// Most events that end in doubt.
    pub(super) doubts: usize,
    /// Most copies of one message beyond the first.
    pub(super) extra_copies: usize,
    /// Messages that may end discarded or failed, because the row is about that.
    pub(super) unsent: usize,
    /// Panics in the logs, which the row asks for.
    pub(super) panics: usize,
}

/// Everything that a run left.
pub(super) struct Evidence<'a> {
    pub(super) book: &'a Book,
    /// What the sandbox keeps: IO's truth.
    pub(super) messages: &'a [Value],
    pub(super) stored: &'a Stored,
    /// Texts in which no canary may be, each with its name.
    pub(super) written: &'a [(&'static str, String)],
}

/// Holds the invariants; says which one is broken.
pub(super) fn check(evidence: &Evidence<'_>, bounds: Bounds) -> anyhow::Result<Report> {
    let copies = copies(evidence.messages);
    let report = report(evidence.book, &copies);
    ensure!(report.lost.is_empty(), "I1: lost {:?}", report.lost);
    ensure!(report.unexpected.is_empty(), "I1: sent and not to be sent {:?}", report.unexpected);
    let most = copies.values().copied().max().unwrap_or(0);
    ensure!(most <= 1 + bounds.extra_copies, "I2: {most} copies of one message");
    ensure!(report.in_doubt <= bounds.doubts, "I3: {} in doubt", report.in_doubt);
    let blank = evidence.stored.doubts.iter().filter(|why| why.is_empty()).count();
    ensure!(blank == 0, "I3: {blank} doubts without evidence");
    let unsent = evidence.book.ended("messaggio.scartato") + evidence.book.ended("messaggio.fallito");
    ensure!(unsent <= bounds.unsent, "I1: {unsent} messages were discarded or failed");
    privacy(evidence.written)?;
    let panics = panics(evidence.written);
    ensure!(panics.len() <= bounds.panics, "I7: {} panics: {panics:#?}", panics.len());
    conservation(evidence)?;
    Ok(report)
}

/// Every line that tells of a panic: where it was is half of the search for it.
fn panics<'a>(written: &'a [(&'static str, String)]) -> Vec<&'a str> {
    let told = |line: &&str| PANICS.iter().any(|mark| line.contains(mark));
    written.iter().flat_map(|(_, text)| text.lines().filter(told)).collect()
}

/// I6: nothing personal where it does not belong.
fn privacy(written: &[(&'static str, String)]) -> anyhow::Result<()> {
    for (place, text) in written {
        for canary in CANARIES {
            ensure!(!text.contains(canary), "I6: {canary} is in {place}");
        }
    }
    Ok(())
}

/// I8: what was taken is what ended, what waits and what is in doubt, by two counts.
fn conservation(evidence: &Evidence<'_>) -> anyhow::Result<()> {
    let (book, stored) = (evidence.book, evidence.stored);
    let told = |tipo| book.ended(tipo);
    let (inviati, scartati) = (told("messaggio.inviato"), told("messaggio.scartato"));
    let (falliti, dubbi) = (told("messaggio.fallito"), told("messaggio.in-dubbio"));
    let taken = book.ends().len() - told("evento.rifiutato");
    ensure!(
        (inviati, falliti, dubbi) == (stored.ended("inviato"), stored.ended("fallito"), stored.doubts.len()),
        "I8: told {inviati} sent, {falliti} failed, {dubbi} in doubt; the store has {stored:?}"
    );
    // What is discarded as soon as it is planned is told, and leaves no progress behind.
    let kept = stored.total() - stored.pending - stored.ended("scartato");
    ensure!(
        kept == taken - scartati && inviati + scartati + falliti + dubbi == taken,
        "I8: {taken} events taken; the store has {stored:?}"
    );
    Ok(())
}

/// How often each event's message was created.
fn copies(messages: &[Value]) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    for message in messages {
        let text = message["content"]["markdown"].as_str().unwrap_or_default();
        let event = text.find("caso").and_then(|at| text.get(at..at + 10)).unwrap_or("-");
        *copies.entry(event.to_owned()).or_default() += 1;
    }
    copies
}

/// The words of Jepsen's queue checker.
fn report(book: &Book, copies: &BTreeMap<String, usize>) -> Report {
    let ends = book.ends();
    let end_of = |event: &str| ends.get(event).copied().unwrap_or("-");
    let excused = |event: &str| {
        matches!(
            end_of(event),
            "messaggio.in-dubbio" | "messaggio.scartato" | "messaggio.fallito" | "evento.rifiutato"
        )
    };
    let lost = book.acknowledged.iter().filter(|e| !copies.contains_key(*e) && !excused(e));
    let unexpected = copies.keys().filter(|event| {
        !book.attempted.contains(*event)
            || matches!(end_of(event), "messaggio.scartato" | "evento.rifiutato" | "messaggio.fallito")
    });
    Report {
        attempt: book.attempted.len(),
        acknowledged: book.acknowledged.len(),
        ok: book.acknowledged.iter().filter(|event| copies.contains_key(*event)).count(),
        lost: lost.cloned().collect(),
        unexpected: unexpected.cloned().collect(),
        duplicated: copies.values().map(|count| count - 1).sum(),
        recovered: copies
            .keys()
            .filter(|e| book.attempted.contains(*e) && !book.acknowledged.contains(*e))
            .count(),
        in_doubt: book.ended("messaggio.in-dubbio"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn book(events: &[(&str, &str)]) -> Book {
        let mut book = Book::default();
        for (event, end) in events {
            book.attempted.insert((*event).to_owned());
            book.acknowledged.insert((*event).to_owned());
            book.outcomes.push(json!({ "type": end, "data": { "evento": event } }));
        }
        book
    }

    fn message(event: &str) -> Value {
        json!({ "content": { "markdown": format!("Il numero è: {event}\n") } })
    }

    fn stored(inviati: usize, doubts: &[&str]) -> Stored {
        let over = BTreeMap::from([("inviato".to_owned(), inviati)]);
        Stored { over, doubts: doubts.iter().map(|d| (*d).to_owned()).collect(), pending: 0 }
    }

    fn verdict(book: &Book, messages: &[Value], stored: &Stored, bounds: Bounds) -> String {
        let written = [("a log", "nothing".to_owned())];
        let evidence = Evidence { book, messages, stored, written: &written };
        check(&evidence, bounds).map_or_else(|error| error.to_string(), |_| "held".to_owned())
    }

    #[test]
    fn each_invariant_can_break() {
        let sent = book(&[("caso000001", "messaggio.inviato")]);
        let one = [message("caso000001")];
        let two = [message("caso000001"), message("caso000001")];
        let none = Bounds::default();
        assert_eq!(verdict(&sent, &one, &stored(1, &[]), none), "held");
        assert!(verdict(&sent, &[], &stored(1, &[]), none).starts_with("I1: lost"));
        assert!(verdict(&sent, &two, &stored(1, &[]), none).starts_with("I2"));
        assert!(
            verdict(&sent, &[message("caso000009"), one[0].clone()], &stored(1, &[]), none)
                .starts_with("I1: sent")
        );
        assert!(verdict(&sent, &one, &stored(0, &[]), none).starts_with("I8: told"));
        let doubt = book(&[("caso000001", "messaggio.in-dubbio")]);
        let allowed = Bounds { doubts: 1, ..none };
        assert!(verdict(&doubt, &[], &stored(0, &["cut"]), none).starts_with("I3"));
        assert_eq!(verdict(&doubt, &[], &stored(0, &["cut"]), allowed), "held");
        assert!(verdict(&doubt, &[], &stored(0, &[""]), allowed).starts_with("I3"));
        let open = Stored { pending: 1, ..stored(1, &[]) };
        assert_eq!(verdict(&sent, &one, &open, none), "held", "what waits is no loss");
    }

    #[test]
    fn a_canary_or_a_panic_in_a_log_is_found() {
        let (book, stored) = (book(&[]), Stored::default());
        for (text, wanted) in [("x RSSMRA85T10A562S", "I6"), ("thread panicked at", "I7")] {
            let written = [("a log", text.to_owned())];
            let evidence = Evidence { book: &book, messages: &[], stored: &stored, written: &written };
            let error = check(&evidence, Bounds::default()).expect_err("found").to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
