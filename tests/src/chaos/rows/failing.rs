//! F53: IO fails, by its handler's word or by a gateway's.

use anyhow::ensure;
use serde_json::json;
use tokio::time::Instant;

use super::ill::{SAVED, submits};
use crate::chaos::checker::Bounds;
use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Row, Seen};
use crate::chaos::result::Report;
use crate::chaos::trial::{Setup, Trial};
use crate::fleet::ENTI;

/// Messages of each account.
const MESSAGES: usize = 30;
/// Failures in a row after which an account is paused (`breaker.rs`), and the requests that it may have under way then.
const IN_A_ROW: usize = 10;
const UNDER_WAY: usize = 4;
/// Pauses of each account that a burst lasts for: after the first one it is asked whether IO is well again.
const PAUSES: usize = 2;

/// The row.
pub(in crate::chaos) fn rows() -> Vec<Row> {
    vec![Row::quick(
        "F53",
        [
            "IO fails",
            "500 of the handler to every submit until the account is paused; then 502 to every submit of one account and 504 to every one of another, pages of the gateway, until each was paused twice, with 4 requests under way at most",
            "the account pauses after ten in a row; a 500 is tried again, within the retry budget; a 502 and a 504 are one doubt each, never sent again: at most 9, and 4 for each pause",
        ],
        fails,
    )]
}

async fn fails(ground: Ground) -> anyhow::Result<Seen> {
    let handler = handler_fails(&ground).await?;
    let (gateway, report) = gateways_fail(&ground).await?;
    Ok(Seen::new(format!("500: {handler}; 502 and 504: {gateway}"), report))
}

async fn handler_fails(ground: &Ground) -> anyhow::Result<String> {
    let mut trial = Trial::start(ground, Setup::default()).await?;
    trial.io_fault(&json!({ "kind": "server_error", "operation": "submit", "calls": 1_000 })).await?;
    let begun = Instant::now();
    trial.publish(MESSAGES).await?;
    wait_paused(&trial, ENTI[0], 1).await?;
    trial.crew.clear_faults().await?;
    trial.mended();
    let took = trial.settle().await?;
    let extra = submits(&trial, ENTI[0]).await? - MESSAGES;
    let earned = usize::try_from(begun.elapsed().as_secs())?.max(MESSAGES / 10);
    trial.close(Bounds::default()).await?;
    ensure!(extra >= IN_A_ROW, "{extra} submits failed, and the account was paused");
    ensure!(extra <= earned + SAVED, "{extra} extra calls, more than {}", earned + SAVED);
    Ok(format!("the account paused, {extra} sent again, all over {took:.1} s after IO was well"))
}

async fn gateways_fail(ground: &Ground) -> anyhow::Result<(String, Report)> {
    let under_way = UNDER_WAY.to_string();
    let mut trial = Trial::start(ground, Setup::default().with("IO__CONCURRENCY", &under_way)).await?;
    let burst =
        |kind, account| json!({ "kind": kind, "operation": "submit", "account": account, "calls": 1_000 });
    trial.io_fault(&json!([burst("bad_gateway", ENTI[0]), burst("gateway_timeout", ENTI[1])])).await?;
    for ente in ENTI {
        trial.publish_for(MESSAGES, ente).await?;
    }
    for ente in ENTI {
        wait_paused(&trial, ente, PAUSES).await?;
    }
    trial.crew.clear_faults().await?;
    trial.mended();
    let took = trial.settle().await?;
    let (mut words, mut in_all) = (Vec::new(), 0);
    for ente in ENTI {
        let most = IN_A_ROW - 1 + UNDER_WAY * pauses(&trial, ente);
        let told = trial.book.outcomes.iter().filter(|it| it["type"] == "messaggio.in-dubbio");
        let doubts = told.filter(|it| it["ente"] == ente).count();
        ensure!((IN_A_ROW..=most).contains(&doubts), "{doubts} in doubt of {ente}, not {IN_A_ROW} to {most}");
        let submitted = submits(&trial, ente).await?;
        ensure!(submitted == MESSAGES, "{submitted} submits for {MESSAGES} messages of {ente}");
        words.push(format!("{doubts} in doubt (at most {most})"));
        in_all += doubts;
    }
    let report = trial.close(Bounds { doubts: in_all, ..Bounds::default() }).await?;
    let words = words.join(" and ");
    Ok((format!("{words}, none sent again, the rest sent {took:.1} s after IO was well"), report))
}

/// Waits until an account was paused so often.
async fn wait_paused(trial: &Trial, account: &str, times: usize) -> anyhow::Result<()> {
    let what = format!("{account} is paused, {times} times in all");
    trial.wait_for(&what, async |trial: &Trial| Ok(pauses(trial, account) >= times)).await
}

/// How often an account was paused.
fn pauses(trial: &Trial, account: &str) -> usize {
    let account = format!("\"account\":\"{account}\"");
    let log = trial.crew.log_of("dispatcher");
    log.lines()
        .filter(|line| line.contains("account paused after failures") && line.contains(&account))
        .count()
}
