//! The invariants, held after every run: what was published against what the sandbox was sent, what was told
//! and what the store says.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use serde_json::Value;

use super::book::Book;
use super::result::Report;
use super::stored::Stored;

/// What may be found nowhere but in bodies: the fictitious citizens of every trial, the keys of the trial
/// enti, and a sentence of the text that is sent.
pub(super) const CANARIES: [&str; 8] = [
    "RSSMRA85T10A562S",
    "BNCLRA80A41F205G",
    "VRDLGI70B02H501G",
    "SPNDNL80R13C555T",
    "trial-borgochiaro",
    "Il numero di protocollo",
    NOME,
    COGNOME,
];
/// First name and surname in every event of a trial.
pub(super) const NOME: &str = "Nome-canarino";
pub(super) const COGNOME: &str = "Cognome-canarino";

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

/// Outcomes of which a message has one of each type, however often it is told.
const ONCE: [&str; 6] = [
    "messaggio.inviato",
    "messaggio.scartato",
    "messaggio.fallito",
    "messaggio.in-dubbio",
    "messaggio.consegnato",
    "messaggio.rifiutato",
];

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
    conservation(evidence.book, evidence.stored)?;
    always(evidence, bounds)?;
    Ok(report)
}

/// Holds the invariants that do not count events, since several messages may come of one: each message that IO has
/// was told by IO's id or is in doubt, and each that was told IO has.
pub(super) fn check_uncounted(evidence: &Evidence<'_>, bounds: Bounds) -> anyhow::Result<()> {
    let mut told = BTreeMap::<&str, BTreeSet<&str>>::new();
    for outcome in evidence.book.outcomes.iter().filter(|it| it["type"] == "messaggio.inviato") {
        let key = outcome["data"]["chiave"].as_str().unwrap_or_default();
        told.entry(key).or_default().extend(outcome["data"]["io_id"].as_str());
    }
    let most = told.values().map(BTreeSet::len).max().unwrap_or(0);
    ensure!(most <= 1 + bounds.extra_copies, "I2: {most} copies of one message");
    let told: BTreeSet<&str> = told.into_values().flatten().collect();
    let sent: BTreeSet<&str> = evidence.messages.iter().filter_map(|it| it["id"].as_str()).collect();
    let lost: Vec<_> = told.difference(&sent).collect();
    ensure!(lost.is_empty(), "I1: told and not sent {lost:?}");
    let doubts = evidence.stored.doubts.len();
    ensure!(doubts <= bounds.doubts, "I3: {doubts} in doubt");
    let untold: Vec<_> = sent.difference(&told).collect();
    ensure!(untold.len() <= doubts, "I1: sent and not told {untold:?}");
    always(evidence, bounds)
}

/// What no row may break in any number.
fn always(evidence: &Evidence<'_>, bounds: Bounds) -> anyhow::Result<()> {
    one_id(evidence.book)?;
    one_end(evidence.book)?;
    privacy(evidence.written)?;
    let panics = panics(evidence.written);
    ensure!(panics.len() <= bounds.panics, "I7: {} panics: {panics:#?}", panics.len());
    Ok(())
}

/// I2 of the outcomes: what is told again is told with the same id. A doubt is one of each try, a presumed sending
/// one beside the certain one, and of two sendings that IO took each is told with IO's own id.
fn one_id(book: &Book) -> anyhow::Result<()> {
    let mut told = BTreeMap::<[String; 4], (BTreeSet<&str>, BTreeSet<&str>)>::new();
    for outcome in &book.outcomes {
        let tipo = outcome["type"].as_str().unwrap_or_default();
        if !ONCE.contains(&tipo) {
            continue;
        }
        let data = &outcome["data"];
        let what = [&outcome["type"], &data["chiave"], &data["tentativo"], &data["presunto"]];
        let (ids, io_ids) = told.entry(what.map(Value::to_string)).or_default();
        ids.insert(outcome["id"].as_str().unwrap_or_default());
        io_ids.extend(data["io_id"].as_str());
    }
    for (what, (ids, io_ids)) in told {
        let most = io_ids.len().max(1);
        ensure!(ids.len() <= most, "I2: {what:?} was told under {} ids: {ids:?}", ids.len());
    }
    Ok(())
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

/// Holds in the middle of a run, when everything is over, what can be held by counting: `made` are the different
/// messages that IO has, and the copies beyond.
pub(super) fn at_rest(
    book: &Book,
    stored: &Stored,
    (made, copies): (usize, usize),
    bounds: Bounds,
) -> anyhow::Result<()> {
    let (sent, doubts) = (book.ended("messaggio.inviato"), book.ended("messaggio.in-dubbio"));
    ensure!(sent <= made, "I1: {sent} told as sent, and IO has {made}");
    ensure!(made <= sent + doubts, "I1: IO has {made}, {sent} told as sent and {doubts} in doubt");
    ensure!(copies <= bounds.extra_copies, "I2: {copies} copies beyond the first");
    ensure!(doubts <= bounds.doubts, "I3: {doubts} in doubt, not {} at most", bounds.doubts);
    let unsent = book.ends().len() - sent - doubts;
    ensure!(unsent <= bounds.unsent, "I1: {unsent} messages were discarded, failed or refused");
    one_id(book)?;
    one_end(book)?;
    conservation(book, stored)
}

/// I8: what was taken is what ended, what waits and what is in doubt, by two counts.
fn conservation(book: &Book, stored: &Stored) -> anyhow::Result<()> {
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

/// I1 of the outcomes: no message is told as sent and as not sent.
fn one_end(book: &Book) -> anyhow::Result<()> {
    let mut ends = BTreeMap::<&str, &str>::new();
    for outcome in &book.outcomes {
        let (Some(key), Some(tipo)) = (outcome["data"]["chiave"].as_str(), outcome["type"].as_str()) else {
            continue;
        };
        if matches!(tipo, "messaggio.inviato" | "messaggio.scartato" | "messaggio.fallito") {
            let end = *ends.entry(key).or_insert(tipo);
            ensure!(end == tipo, "I1: {key} was told as {end} and as {tipo}");
        }
    }
    Ok(())
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
            book.tell(json!({ "type": end, "data": { "evento": event } }));
        }
        book
    }

    fn told(outcomes: Vec<Value>) -> Book {
        let mut book = Book::default();
        for outcome in outcomes {
            book.tell(outcome);
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
    fn what_breaks_in_the_middle_of_a_run_is_found_at_rest() {
        let sent = book(&[("caso000001", "messaggio.inviato")]);
        let doubt = book(&[("caso000001", "messaggio.in-dubbio")]);
        let failed = book(&[("caso000001", "messaggio.fallito")]);
        let says = |book: &Book, stored: &Stored, made, bounds| {
            at_rest(book, stored, made, bounds).map_or_else(|error| error.to_string(), |()| "held".to_owned())
        };
        let (none, one) = (Bounds::default(), Bounds { doubts: 1, ..Bounds::default() });
        assert_eq!(says(&sent, &stored(1, &[]), (1, 0), none), "held");
        assert!(says(&sent, &stored(1, &[]), (0, 0), none).starts_with("I1: 1 told"));
        assert!(says(&sent, &stored(1, &[]), (2, 0), none).starts_with("I1: IO has 2"));
        assert!(says(&sent, &stored(1, &[]), (1, 1), none).starts_with("I2"));
        assert!(says(&doubt, &stored(0, &["cut"]), (1, 0), none).starts_with("I3"));
        assert_eq!(says(&doubt, &stored(0, &["cut"]), (1, 0), one), "held");
        assert_eq!(says(&doubt, &stored(0, &["cut"]), (0, 0), one), "held");
        assert!(says(&failed, &stored(0, &[]), (0, 0), none).starts_with("I1: 1 messages"));
        assert!(says(&sent, &stored(0, &["cut"]), (1, 0), none).starts_with("I8"));
    }

    #[test]
    fn what_is_told_under_two_ids_is_found() {
        let outcome = |id: &str, tentativo: u64, io_id: &str| {
            json!({ "id": id, "type": "messaggio.inviato", "data": {
                "evento": "caso000001", "chiave": "k", "tentativo": tentativo, "io_id": io_id,
            } })
        };
        let of = |outcomes: Vec<Value>| one_id(&told(outcomes));
        of(vec![outcome("a", 1, "io"), outcome("a", 1, "io"), outcome("b", 2, "io")])
            .expect("one of each try");
        of(vec![outcome("a", 1, "io-1"), outcome("b", 1, "io-2")]).expect("two sendings");
        let error = of(vec![outcome("a", 1, "io"), outcome("b", 1, "io")]).expect_err("found").to_string();
        assert!(error.starts_with("I2:"), "{error}");
    }

    #[test]
    fn what_is_told_as_sent_and_as_cancelled_is_found() {
        let outcome = |tipo: &str| json!({ "type": tipo, "data": { "chiave": "k" } });
        let of = |types: &[&str]| one_end(&told(types.iter().map(|tipo| outcome(tipo)).collect()));
        of(&["messaggio.in-dubbio", "messaggio.inviato", "messaggio.inviato"]).expect("one end");
        assert!(of(&["messaggio.scartato", "messaggio.inviato"]).is_err());
    }

    #[test]
    fn what_is_sent_and_not_told_or_told_and_not_sent_is_found_where_events_are_not_counted() {
        let outcome =
            json!({ "id": "a", "type": "messaggio.inviato", "data": { "chiave": "k", "io_id": "io" } });
        let book = told(vec![outcome]);
        let (stored, sent) = (Stored::default(), [json!({ "id": "io" }), json!({ "id": "other" })]);
        let check = |messages| {
            let evidence = Evidence { book: &book, messages, stored: &stored, written: &[] };
            check_uncounted(&evidence, Bounds::default())
                .map_or_else(|error| error.to_string(), |()| String::new())
        };
        assert_eq!(check(&sent[..1]), "");
        assert!(check(&sent).starts_with("I1: sent"));
        assert!(check(&[]).starts_with("I1: told"));
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
