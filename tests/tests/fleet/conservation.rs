//! The metric that holds the journal against the ledger: silent while the fleet works, forgets and rebuilds;
//! loud when the books are broken behind its back.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use shared::domain::plan::case_id;
use tests::fleet::client::{Client, metrics};
use tests::fleet::{ENTI, Enti, Fleet};
use tokio::time::{Instant, sleep};

use crate::journal::{command, connection, notice, of, open, permit, until_lost, until_ready};

/// How long each step may take on a busy machine.
const STEP: Duration = Duration::from_mins(2);
/// How often something is asked that tells of no change by itself.
const GLANCE: Duration = Duration::from_millis(100);
const DAY_MS: i64 = 86_400_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_deleted_behind_the_fleets_back_is_counted() -> anyhow::Result<()> {
    let mut fleet = Fleet::start(crate::binaries(), &Enti::default()).await?;
    compare_every_second(&mut fleet).await?;
    let mut client = Client::connect(fleet.brokers.amqp_url()).await?;
    for number in 0..10 {
        client.publish_event(&notice(number)).await?;
        client.publish_event(&permit(number)).await?;
    }
    client.outcomes_until(STEP, |all| of(all, "messaggio.consegnato") == 10).await?;
    // Compared twice after everything came to rest.
    assert_eq!(compared_again(&fleet, 2).await?, [0, 0]);

    delete(&fleet, b"c:", "permesso-3").await?;
    until_differs(&fleet, true).await?;
    assert_eq!(compared_again(&fleet, 1).await?[1], 0, "the other ente's books are whole");
    open(&fleet).await?.rebuild(usize::MAX).await?;
    until_differs(&fleet, false).await?;

    a_case_of_which_the_journal_knows_nothing_is_counted(&mut fleet).await?;

    // The store loses everything, the register with it: both are made again from the journal.
    command(&fleet, "FLUSHALL").await?;
    until_lost(&fleet).await?;
    until_ready(&fleet).await?;
    assert_eq!(compared_again(&fleet, 3).await?, [0, 0]);

    retention_is_no_loss(&fleet).await?;
    assert!(!fleet.logs()?.contains("panicked"), "a panic in a log");
    fleet.shutdown().await
}

/// One that a comparison of all buckets found is asked for by name at the next, which reads only some; and it is
/// counted until it is known again.
async fn a_case_of_which_the_journal_knows_nothing_is_counted(fleet: &mut Fleet) -> anyhow::Result<()> {
    let mut redis = connection(fleet).await?;
    let case = case_id("permesso-soggiorno", "permesso-5", None);
    let (bucket, name) = case.split_at(2);
    let bucket = [b"pm:{borgochiaro}:j:", bucket].concat();
    let page: Vec<u8> = redis::cmd("HGET").arg(&bucket).arg(name).query_async(&mut redis).await?;
    let gone: u64 = redis::cmd("HDEL").arg(&bucket).arg(name).query_async(&mut redis).await?;
    ensure!(gone == 1, "the register had no such page");
    // The first comparison of a scheduler reads all buckets.
    fleet.terminate("scheduler").await?;
    fleet.start_service("scheduler")?;
    fleet.wait_ready().await?;
    until_differs(fleet, true).await?;
    assert_eq!(compared_again(fleet, 2).await?, [1, 0], "one case of one ente");
    redis::cmd("HSET").arg(&bucket).arg(name).arg(page).query_async::<()>(&mut redis).await?;
    until_differs(fleet, false).await
}

/// What retention deletes leaves both books.
async fn retention_is_no_loss(fleet: &Fleet) -> anyhow::Result<()> {
    let mut redis = connection(fleet).await?;
    let days = 1_826 * DAY_MS;
    redis::cmd("SET").arg("promemoria:clock-offset-ms").arg(days).query_async::<()>(&mut redis).await?;
    let end = Instant::now() + STEP;
    let record = key(b"c:", "alloggi-sociali", "domanda-3");
    while redis::cmd("EXISTS").arg(&record).query_async::<bool>(&mut redis).await? {
        ensure!(Instant::now() < end, "retention does not take the case\n{}", fleet.logs()?);
        sleep(GLANCE).await;
    }
    assert_eq!(compared_again(fleet, 3).await?, [0, 0]);
    Ok(())
}

async fn compare_every_second(fleet: &mut Fleet) -> anyhow::Result<()> {
    fleet.terminate("scheduler").await?;
    let text = std::fs::read_to_string(fleet.config())?;
    let text = text.replace("[scheduler]\n", "[scheduler]\nconservation = \"1s\"\n");
    std::fs::write(fleet.config(), format!("{text}\n[retention]\nsweep = \"1s\"\n"))?;
    let mut redis = connection(fleet).await?;
    for ente in ENTI {
        // The turn of the scheduler that ended lasts a day.
        redis::cmd("DEL").arg(format!("pm:{{{ente}}}:sweep")).query_async::<()>(&mut redis).await?;
    }
    fleet.start_service("scheduler")?;
    fleet.wait_ready().await
}

fn key(kind: &[u8], servizio: &str, pratica: &str) -> Vec<u8> {
    [b"pm:{borgochiaro}:", kind, &case_id(servizio, pratica, None)].concat()
}

async fn delete(fleet: &Fleet, kind: &[u8], permit: &str) -> anyhow::Result<()> {
    let mut redis = connection(fleet).await?;
    let key = key(kind, "permesso-soggiorno", permit);
    let gone: u64 = redis::cmd("DEL").arg(key).query_async(&mut redis).await?;
    ensure!(gone == 1, "there was no such record");
    Ok(())
}

/// Waits until the fleet has compared so many times more; the differences of both enti then.
async fn compared_again(fleet: &Fleet, times: u32) -> anyhow::Result<[i64; 2]> {
    let compared = "promemoria_conservation_compared_timestamp_seconds";
    let mut last = shown(fleet, compared).await?;
    for _ in 0..times {
        let end = Instant::now() + STEP;
        loop {
            let now = shown(fleet, compared).await?;
            if now.iter().zip(&last).all(|(now, last)| now > last) {
                last = now;
                break;
            }
            ensure!(Instant::now() < end, "nothing is compared\n{}", fleet.logs()?);
            sleep(GLANCE).await;
        }
    }
    shown(fleet, "promemoria_conservation_difference").await
}

async fn until_differs(fleet: &Fleet, wanted: bool) -> anyhow::Result<()> {
    let end = Instant::now() + STEP;
    while (shown(fleet, "promemoria_conservation_difference").await?[0] != 0) != wanted {
        ensure!(Instant::now() < end, "the difference does not come to {wanted}\n{}", fleet.logs()?);
        sleep(GLANCE).await;
    }
    Ok(())
}

/// What the scheduler shows for each ente.
async fn shown(fleet: &Fleet, metric: &str) -> anyhow::Result<[i64; 2]> {
    let text = metrics(fleet.ports.scheduler).await?;
    let mut found = [0; 2];
    for (ente, value) in ENTI.iter().zip(&mut found) {
        let series = format!("{metric}{{ente=\"{ente}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        *value = line.with_context(|| format!("no {series}"))?.parse()?;
    }
    Ok(found)
}
