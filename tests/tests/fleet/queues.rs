//! Every work queue is lost with what it holds: the leases bring it back, each message once.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use shared::broker::topology::{DISPATCH_QUEUE, FOLLOW_QUEUE, RENDER_QUEUE};
use tests::fleet::client::{Client, sandbox_messages};
use tests::fleet::{Enti, Fleet};
use tokio::time::{Instant, sleep};

use crate::journal::{ledger, notice, of, permit};

/// How long each step may take on a busy machine: a lease of 30 s is among them.
const STEP: Duration = Duration::from_secs(150);
/// How often something is asked that tells of no change by itself.
const GLANCE: Duration = Duration::from_millis(100);

/// Messages that wait in each queue when it is lost.
const EACH: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_work_queues_may_be_lost() -> anyhow::Result<()> {
    let mut fleet = Fleet::start(crate::binaries(), &Enti::default()).await?;
    let mut client = Client::connect(fleet.brokers.amqp_url()).await?;
    let connection = Connection::connect(fleet.brokers.amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    publish(&client, 0).await?;
    let told = client.outcomes_until(STEP, |all| of(all, "messaggio.inviato") == EACH).await?;
    let delivered = of(&told, "messaggio.consegnato");
    // From now on nobody asks for a status, then nobody sends, then nobody writes.
    fleet.terminate("dispatcher").await?;
    publish(&client, EACH).await?;
    until_holds(&channel, DISPATCH_QUEUE).await?;
    fleet.terminate("renderer").await?;
    publish(&client, 2 * EACH).await?;
    until_holds(&channel, RENDER_QUEUE).await?;

    let mut lost = 0;
    for queue in [RENDER_QUEUE, DISPATCH_QUEUE, FOLLOW_QUEUE] {
        lost += channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
    }
    ensure!(usize::try_from(lost)? >= 2 * EACH, "only {lost} messages were lost");
    connection.close(200, "done".into()).await?;
    // The administrator imports the definitions again, and the services come back.
    fleet.grant().await?;
    fleet.start_service("renderer")?;
    fleet.start_service("dispatcher")?;
    fleet.wait_ready().await?;

    client.outcomes_until(STEP, |all| of(all, "messaggio.consegnato") == 3 * EACH - delivered).await?;
    let sent = sandbox_messages(fleet.ports.sandbox).await?;
    let subjects: BTreeSet<String> = sent.iter().map(|message| message["content"].to_string()).collect();
    assert_eq!((sent.len(), subjects.len()), (3 * EACH, 3 * EACH), "each message once");
    let tally = ledger(&fleet).await?["borgochiaro"];
    assert_eq!((tally.sent, tally.in_doubt, tally.dead), (3 * u64::try_from(EACH)?, 0, 0));
    fleet.shutdown().await
}

/// Messages that go at once, and timers that must not be touched.
async fn publish(client: &Client, from: usize) -> anyhow::Result<()> {
    for number in from..from + EACH {
        client.publish_event(&notice(number)).await?;
        client.publish_event(&permit(number)).await?;
    }
    Ok(())
}

async fn until_holds(channel: &Channel, queue: &str) -> anyhow::Result<()> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let end = Instant::now() + STEP;
    loop {
        let found = channel.queue_declare(queue.into(), passive, FieldTable::default()).await?;
        let count = usize::try_from(found.message_count()).context("a count")?;
        if count >= EACH {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{queue} holds {count}");
        sleep(GLANCE).await;
    }
}
