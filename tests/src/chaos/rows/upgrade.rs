//! U01 and U02: two releases side by side, one replacing the other under load.

use anyhow::ensure;

use crate::chaos::checker::Bounds;
use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Row, Seen};
use crate::chaos::trial::{Setup, Trial};
use crate::fleet::SERVICES;

/// Which release a process plays; without a value its own (`shared/src/other_release.rs`).
const RELEASE: &str = "PROMEMORIA_TEST_RELEASE";

/// The rows.
pub(in crate::chaos) fn rows() -> Vec<Row> {
    let wanted = "nothing lost, doubled or in doubt; the older scheduler refuses to start again";
    vec![
        Row::quick(
            "U01",
            [
                "a rollout from the release before",
                "every format one version lower; each service replaced under load, the scheduler first",
                wanted,
            ],
            |ground| rollout(ground, "previous", ""),
        ),
        Row::quick(
            "U02",
            [
                "a rollout to the release after",
                "every format one version higher, with a field that nobody knows; each service replaced under \
                 load, the scheduler first",
                wanted,
            ],
            |ground| rollout(ground, "", "next"),
        ),
    ]
}

/// Replaces a fleet of one release by one of another. Whoever writes goes before whoever reads: the wrong order.
async fn rollout(ground: Ground, from: &'static str, to: &'static str) -> anyhow::Result<Seen> {
    let setup = Setup::default().variable(RELEASE, from);
    let setup = if to == "next" { setup.later_journal() } else { setup };
    let mut trial = Trial::start(&ground, setup).await?;
    for service in SERVICES {
        trial.publish(30).await?;
        trial.crew.enlist(service, &[(RELEASE, to)])?;
        trial.crew.wait_newest_ready().await?;
        trial.publish(30).await?;
        // Known cases again: the records of the one release are read by the other.
        trial.publish_again(0..10, "").await?;
        trial.crew.terminate(service).await?;
    }
    trial.settle().await?;
    let left = foreign(&trial.crew.logs());
    trial.crew.enlist("scheduler", &[(RELEASE, from)])?;
    let code = trial.crew.newest_ended().await?;
    ensure!(code == Some(78), "the older scheduler ended with {code:?}, not 78");
    let report = trial.close(Bounds::default()).await?;
    ensure!(left > 0, "the older release met nothing of the newer: the row shows nothing");
    Ok(Seen::new(format!("three services replaced; {left} times something newer was left alone"), report))
}

/// How often the older release said that it left something alone.
fn foreign(logs: &str) -> usize {
    let told = ["a body of another release is left", "the store is of a later release"];
    logs.lines().filter(|line| told.iter().any(|words| line.contains(words))).count()
}
