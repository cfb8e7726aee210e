//! First hop: event in, record, entry of the schedule and journal line written, then claimed and handed on.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::future::try_join_all;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::schedule::Schedule;
use super::topology;
use crate::bench::amqp::{Outlet, WINDOW, connect, relay};
use crate::bench::events::Event;
use crate::bench::process::hop;

/// Claims at work at the same time: two hide the wait for confirms.
const CLAIM_LOOPS: usize = 2;
/// How often due work is looked for when there was none; the fleet's default.
const POLL: Duration = Duration::from_millis(250);

/// Where the first hop finds its brokers.
#[derive(Debug, Clone, Args)]
pub(in crate::bench) struct Intake {
    /// RabbitMQ.
    #[arg(long)]
    pub(in crate::bench) amqp: String,
    /// Redis.
    #[arg(long)]
    pub(in crate::bench) redis: String,
}

/// Works until the benchmark goes away.
pub(in crate::bench) async fn run(intake: Intake) -> anyhow::Result<()> {
    let (incoming, outgoing) = (connect(&intake.amqp).await?, connect(&intake.amqp).await?);
    topology::declare(&incoming).await?;
    let outlet = Outlet::open(&outgoing, WINDOW).await?;
    let schedule = Schedule::connect(&intake.redis).await?;
    let bell = Arc::new(Notify::new());
    let mut tasks = JoinSet::new();
    for _ in 0..CLAIM_LOOPS {
        tasks.spawn(claim(schedule.clone(), outlet.clone(), Arc::clone(&bell)));
    }
    tasks.spawn(async move {
        relay(&incoming, topology::EVENTS, |body| take(body, (&schedule, &outlet), &bell)).await
    });
    hop::ready()?;
    hop::while_wanted(async move {
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    })
    .await
}

async fn take(body: Vec<u8>, (schedule, outlet): (&Schedule, &Outlet), bell: &Notify) -> anyhow::Result<()> {
    let event: Event = serde_json::from_slice(&body)?;
    schedule.load(&event.id, &event.subject).await?;
    schedule.commit(&event.id, &event.subject, &serde_json::to_vec(&event)?, None).await?;
    bell.notify_one();
    outlet.send(topology::JOURNAL, topology::JOURNAL_EVENTS, &body).await
}

async fn claim(schedule: Schedule, outlet: Outlet, bell: Arc<Notify>) -> anyhow::Result<()> {
    loop {
        let records = schedule.claim().await?;
        if records.is_empty() {
            // Time running out is the poll, and no fault.
            drop(tokio::time::timeout(POLL, bell.notified()).await);
            continue;
        }
        let sends = records.iter().map(|record| outlet.send(topology::WORK, topology::RENDER, record));
        try_join_all(sends).await?;
    }
}
