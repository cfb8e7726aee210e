//! `rebuild`: puts back into Redis what the journal says and Redis lacks.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared::journal::{Comparison, Counts, Kind, LINE_IN_TIME, Mended, mend};
use shared::store::inspect::Inspector;
use shared::store::rebuild::Rebuilds;
use shared::store::{CaseStore, MemoryBooks};

use super::source::Source;
use super::{against_ledger, enti};
use crate::cli::Rebuild;
use crate::connect;
use crate::report::{Failure, Report, push};
use crate::setup::Setup;

/// Rebuilds, or says what would change.
pub(crate) async fn run(setup: &Setup, arguments: &Rebuild) -> Result<Report, Failure> {
    if arguments.dry_run { look(setup, arguments).await } else { rebuild(setup, arguments).await }
}

async fn rebuild(setup: &Setup, arguments: &Rebuild) -> Result<Report, Failure> {
    let away = |error| connect::redis_away(&error);
    let redis = connect::redis(&setup.settings).await?;
    let ids = enti(setup, arguments.ente.as_ref())?;
    let rebuilds = Rebuilds::new(redis.clone());
    let run = rebuilds.run().await.map_err(away)?;
    // What was taken before has its line by then.
    tokio::time::sleep(LINE_IN_TIME).await;
    let source = Source::open(setup, arguments.from.as_deref()).await?;
    let counts = source.replay(setup, CaseStore::new(redis.clone()), (&redis, &ids)).await?;
    let inspector = Inspector::new(redis.clone());
    let mut mended = BTreeMap::new();
    for id in &ids {
        let cases = inspector.cases(id).await.map_err(away)?;
        mended.insert(id.clone(), mend(&redis, id, &cases).await.map_err(away)?);
    }
    // An archive is older than the streams: a store is whole only after these, which the scheduler sees to.
    if arguments.from.is_none() {
        for id in &ids {
            rebuilds.whole(id, &run).await.map_err(away)?;
        }
    }
    Ok(rebuilt(&counts, &mended))
}

fn rebuilt(counts: &BTreeMap<String, Counts>, mended: &BTreeMap<String, Mended>) -> Report {
    let mut text = String::new();
    for (ente, it) in counts {
        push(
            &mut text,
            format_args!(
                "{ente}: {} lines, {} events and {} messages put back, {} events refused today, {} lines of \
                 messages not planned today\n",
                it.lines, it.events, it.messages, it.refused, it.unplanned
            ),
        );
    }
    if text.is_empty() {
        text.push_str("the journal has nothing of these enti\n");
    }
    for (ente, it) in mended.iter().filter(|(_, it)| **it != Mended::default()) {
        push(
            &mut text,
            format_args!(
                "{ente}: {} messages put back into the schedule, {} entries without a case taken out of it\n",
                it.put_back, it.taken_out
            ),
        );
    }
    let of = |(ente, mended): (&String, &Mended)| {
        let it = counts.get(ente).copied().unwrap_or_default();
        let counted = json!({
            "lines": it.lines, "events": it.events, "messages": it.messages, "refused": it.refused,
            "unplanned": it.unplanned, "put_back": mended.put_back, "taken_out": mended.taken_out,
        });
        (ente.clone(), counted)
    };
    let json: serde_json::Map<String, Value> = mended.iter().map(of).collect();
    let found = counts.values().any(|it| it.refused + it.unplanned > 0);
    Report::with_findings(text, json!({ "enti": json }), found)
}

async fn look(setup: &Setup, arguments: &Rebuild) -> Result<Report, Failure> {
    let redis = connect::redis(&setup.settings).await?;
    let ids = enti(setup, arguments.ente.as_ref())?;
    let now_ms = redis.now_ms().await.map_err(|error| connect::redis_away(&error))?;
    let books = MemoryBooks::new(now_ms);
    let source = Source::open(setup, arguments.from.as_deref()).await?;
    source.replay(setup, books.clone(), (&redis, &ids)).await?;
    let mut all = BTreeMap::new();
    for id in &ids {
        all.insert(id.clone(), against_ledger(&redis, &books, id).await?);
    }
    Ok(differences(&all))
}

fn differences(all: &BTreeMap<String, Comparison>) -> Report {
    let mut text = String::new();
    for (ente, comparison) in all {
        let count = |kind| comparison.differences.iter().filter(|it| it.kind == kind).count();
        push(
            &mut text,
            format_args!(
                "{ente}: {} missing, {} extra, {} shifted, {} with other progress, {} not in the schedule, {} \
                 in it without a case\n",
                count(Kind::Missing),
                count(Kind::Extra),
                count(Kind::Shifted),
                count(Kind::Progress),
                count(Kind::Unplaced),
                count(Kind::Orphan)
            ),
        );
    }
    let json: serde_json::Map<String, Value> =
        all.iter().map(|(ente, it)| (ente.clone(), json!(it.differences))).collect();
    let found = all.values().any(|it| !it.differences.is_empty());
    Report::with_findings(text, json!({ "enti": json }), found)
}
