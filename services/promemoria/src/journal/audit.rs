//! `audit`: every message that was planned stands in one place, counted from the journal and from Redis.

use std::collections::BTreeMap;

use serde_json::json;
use shared::journal::{Comparison, Tally};
use shared::store::MemoryBooks;

use super::source::Source;
use super::{against_ledger, enti};
use crate::cli::Audit;
use crate::connect;
use crate::report::{Failure, Report, push};
use crate::setup::Setup;

/// Counts twice and compares.
pub(crate) async fn run(setup: &Setup, arguments: &Audit) -> Result<Report, Failure> {
    let redis = connect::redis(&setup.settings).await?;
    let ids = enti(setup, arguments.ente.as_ref())?;
    let now_ms = redis.now_ms().await.map_err(|error| connect::redis_away(&error))?;
    let books = MemoryBooks::new(now_ms);
    let source = Source::open(setup, arguments.from.as_deref()).await?;
    let counts = source.replay(setup, books.clone(), (&redis, &ids)).await?;
    let mut all = BTreeMap::new();
    for id in &ids {
        all.insert(id.clone(), against_ledger(&redis, &books, id).await?);
    }
    let unplanned: u64 = counts.values().map(|it| it.unplanned).sum();
    Ok(report(&all, unplanned))
}

fn report(all: &BTreeMap<String, Comparison>, unplanned: u64) -> Report {
    let mut text = String::new();
    for (ente, comparison) in all {
        push(&mut text, format_args!("{ente}\n"));
        row(&mut text, "journal", &comparison.journal);
        row(&mut text, "ledger", &comparison.ledger);
        for it in &comparison.differences {
            let side = |place: Option<&'static str>| place.unwrap_or("not there");
            push(
                &mut text,
                format_args!(
                    "  {}  {:<48} journal: {}, ledger: {}\n",
                    it.chiave,
                    it.messaggio,
                    side(it.journal),
                    side(it.ledger)
                ),
            );
        }
    }
    let different = all.values().any(|it| !it.differences.is_empty());
    if unplanned > 0 {
        push(
            &mut text,
            format_args!(
                "{unplanned} lines of the journal tell of messages that today's settings do not plan\n"
            ),
        );
    }
    text.push_str(if different { "it does not add up\n" } else { "it adds up\n" });
    let json = json!({ "enti": all, "unplanned": unplanned });
    Report::with_findings(text, json, different)
}

fn row(text: &mut String, side: &str, it: &Tally) {
    push(
        text,
        format_args!(
            "  {side:<8} accepted {} = sent {} + pending {} + cancelled {} + suppressed {} + discarded {} + \
             failed {} + in doubt {} + dead {}\n",
            it.accepted,
            it.sent,
            it.pending,
            it.cancelled,
            it.suppressed,
            it.discarded,
            it.failed,
            it.in_doubt,
            it.dead
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::journal::{Difference, Kind};

    #[test]
    fn what_does_not_add_up_is_named_by_its_key() {
        let tally = Tally { accepted: 2, sent: 1, pending: 1, ..Tally::default() };
        let difference = Difference {
            kind: Kind::Missing,
            chiave: "0a1b".to_owned(),
            messaggio: "permesso-in-scadenza".to_owned(),
            journal: Some("pending"),
            ledger: None,
        };
        let good = Comparison { journal: tally, ledger: tally, differences: Vec::new() };
        let bad = Comparison { differences: vec![difference], ..good.clone() };
        let told = report(&BTreeMap::from([("borgo".to_owned(), good)]), 0);
        assert!(!told.found && told.text.contains("accepted 2 = sent 1 + pending 1"), "{}", told.text);
        let told = report(&BTreeMap::from([("borgo".to_owned(), bad)]), 0);
        assert!(told.found && told.text.contains("0a1b"), "{}", told.text);
        assert_eq!(told.json["enti"]["borgo"]["differences"][0]["kind"], "missing");
    }
}
