//! Running rows: those that share brokers side by side, those that need brokers of their own one by one.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use chrono::SecondsFormat;
use futures_util::future::join_all;
use shared::clock::Clock;
use tokio::time::Instant;

use super::ground::Ground;
use super::length::Length;
use super::matrix::{Needs, Row, matrix};
use super::result::{Finding, Outcome, Verdict};
use crate::brokers::{Brokers, Options};
use crate::fleet::Binaries;

/// Rows that wait for leases run side by side in so many lanes: on two cores more would only be in each
/// other's way.
const LANES: u16 = 3;

/// Which rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Half {
    /// The quick ones, which `make test` runs.
    Quick,
    /// All.
    All,
    /// Those named.
    Named(Vec<String>),
}

impl Half {
    fn takes(&self, row: &Row) -> bool {
        match self {
            Self::Quick => row.quick,
            Self::All => true,
            Self::Named(names) => names.iter().any(|name| name == row.id),
        }
    }

    /// Whether the rows' times are held against what they promise. Among other tests, on a machine that may compile
    /// beside them, a time says nothing.
    fn is_timed(&self) -> bool {
        *self != Self::Quick
    }
}

/// How a row runs.
#[derive(Debug, Clone, Copy)]
struct Manner {
    is_timed: bool,
    length: Length,
}

/// Runs rows of the matrix on private brokers.
///
/// # Errors
/// Brokers cannot be had. A row that breaks is a finding.
pub async fn run(binaries: &Binaries, half: &Half, length: Length) -> anyhow::Result<Outcome> {
    let rows: Vec<Row> = matrix().into_iter().filter(|row| half.takes(row)).collect();
    let brokers = Arc::new(Brokers::start(&Options::from_env()?).await?);
    let versions = brokers.versions();
    let named = format!("{} and {}", versions.0, versions.1);
    let manner = Manner { is_timed: half.is_timed(), length };
    let in_lanes = rows.iter().filter(|row| row.needs == Needs::Lane);
    let mut findings = side_by_side(&brokers, binaries, in_lanes, manner).await?;
    let ground = Ground::lane(&brokers, binaries, 0).await?;
    for row in rows.iter().filter(|row| row.needs == Needs::Alone) {
        findings.push(one(row, &ground, manner).await);
    }
    brokers.shutdown().await?;
    findings.sort_by(|a, b| a.id.cmp(&b.id));
    let day = Clock::system().now().format("%Y-%m-%d").to_string();
    Ok(Outcome { brokers: named, day, findings, soaks: Vec::new() })
}

/// Rows in lanes; each lane takes the next row when it is done with one.
async fn side_by_side(
    brokers: &Arc<Brokers>,
    binaries: &Binaries,
    rows: impl Iterator<Item = &Row>,
    manner: Manner,
) -> anyhow::Result<Vec<Finding>> {
    let waiting: Mutex<VecDeque<&Row>> = Mutex::new(rows.collect());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let mut grounds = Vec::new();
    for lane in 1..=LANES {
        grounds.push(Ground::lane(brokers, binaries, lane).await?);
    }
    let lanes = grounds.iter().map(async |ground| {
        let mut findings = Vec::new();
        while let Some(row) = next() {
            findings.push(one(row, ground, manner).await);
        }
        findings
    });
    Ok(join_all(lanes).await.into_iter().flatten().collect())
}

async fn one(row: &Row, ground: &Ground, manner: Manner) -> Finding {
    let begun = Instant::now();
    if let Err(why) = (row.possible)() {
        return finding(row, why, Verdict::NotHere);
    }
    let within = if manner.is_timed { row.within.clone() } else { Vec::new() };
    let ground = ground.of_row(within, manner.length);
    let ended = (row.run)(ground.clone()).await.and_then(|seen| ground.stopwatch.complete().map(|()| seen));
    let ended = ended.with_context(|| format!("{} {}", row.id, row.fault));
    let seconds = begun.elapsed().as_secs();
    let (seen, verdict, report) = match ended {
        Ok(seen) => (seen.words, Verdict::Held, seen.report),
        Err(error) => (format!("{error:#}"), Verdict::Broken, None),
    };
    say(&format!("{:<4} {verdict:?} in {seconds} s: {seen}", row.id));
    Finding { seconds, report, full: ground.is_full(), ..finding(row, seen, verdict) }
}

fn finding(row: &Row, seen: String, verdict: Verdict) -> Finding {
    let at = Clock::system().now().to_rfc3339_opts(SecondsFormat::Secs, true);
    Finding { id: row.id.to_owned(), seen, verdict, seconds: 0, at, full: false, report: None }
}

/// A line for whoever watches.
pub(super) fn say(line: &str) {
    // Nobody is left to tell if stdout is closed.
    drop(writeln!(std::io::stdout(), "{line}"));
}
