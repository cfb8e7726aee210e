//! Whether the broker confirms: asked with a message of no content, through a quorum queue of its own.
//!
//! A connection that is up says little. A node that lost its majority should close its connections
//! (`cluster_partition_handling = pause_minority`), and does not always: not where two nodes go at once, nor
//! under another policy, nor before it has noticed. It then takes what is published and never confirms it.

use std::{pin::pin, sync::Arc, time::Duration};

use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use tokio::time::{sleep, timeout};

use super::{
    connection::{Live, Session, Shared, chain, next_session},
    declare,
};
use crate::broker::topology::{PROBE, PROBE_QUEUE};

/// Between a confirm and the next question.
const EVERY: Duration = Duration::from_secs(5);
/// How long a confirm may take: twice the 5 s that the death of a node may cost (docs/guarantees.md, F22).
const LIMIT: Duration = Duration::from_secs(10);
/// How long a late one is waited for before another is asked for. It comes by itself when a majority is back; a
/// new channel each time would use up those of the connection (2047) where nothing answers for hours.
const LATE: Duration = Duration::from_mins(1);
/// Between a question that failed and the next.
const AGAIN: Duration = Duration::from_secs(1);
/// Bound on a channel's farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why the broker did not confirm.
#[derive(Debug, thiserror::Error)]
enum Unconfirmed {
    #[error("no answer")]
    Silent,
    #[error("refused by the queue: look for the majority of its nodes")]
    Nacked,
    #[error("no queue is bound to promemoria.probe: import the definitions again")]
    Unbound,
    #[error("the channel ended: {0}")]
    Channel(#[from] lapin::Error),
}

/// Asks over one connection after another until `halt`.
pub(super) async fn run(shared: Arc<Shared>, mut live: Live) {
    while let Some(session) = next_session(&mut live, &shared.halt).await {
        let gone = live.wait_for(|now| now.as_ref().is_none_or(|now| !Arc::ptr_eq(now, &session)));
        let failed = tokio::select! {
            // The connection's own state tells of it.
            _ = gone => None,
            () = shared.halt.cancelled() => return,
            failed = ask(&shared, &session) => Some(failed),
        };
        note(&shared, false);
        let Some(failed) = failed else { continue };
        tracing::warn!(%failed, "the broker does not confirm");
        if matches!(failed, Unconfirmed::Unbound) && shared.options.declare {
            let of_probe = shared.options.topology.of_probe();
            if let (_, Err(error)) = declare::ensure(&session.connection, &of_probe, true).await {
                tracing::warn!(error = %chain(&error), queue = PROBE_QUEUE, "not declared again");
            }
        }
        if shared.halt.run_until_cancelled(sleep(AGAIN)).await.is_none() {
            return;
        }
    }
}

/// Asks over one channel until an answer is not a confirm.
async fn ask(shared: &Shared, session: &Session) -> Unconfirmed {
    let channel = match patiently(shared, open(session)).await {
        Ok(channel) => channel,
        Err(failed) => return failed,
    };
    let failed = loop {
        match patiently(shared, offer(&channel)).await {
            Ok(Confirmation::Ack(None)) => note(shared, true),
            Ok(Confirmation::Ack(Some(_)) | Confirmation::NotRequested) => break Unconfirmed::Unbound,
            Ok(Confirmation::Nack(_)) => break Unconfirmed::Nacked,
            Err(failed) => break failed,
        }
        sleep(EVERY).await;
    };
    if channel.status().connected() {
        drop(timeout(FAREWELL, channel.close(200, "OK".into())).await);
    }
    failed
}

/// An answer, even a late one; that it is late is told as soon as it is.
async fn patiently<T>(
    shared: &Shared,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Unconfirmed> {
    let mut answer = pin!(answer);
    if let Ok(in_time) = timeout(LIMIT, &mut answer).await {
        return Ok(in_time?);
    }
    note(shared, false);
    tracing::warn!("no confirm within 10 s: look for an alarm, and for the majority of the broker's nodes");
    Ok(timeout(LATE, answer).await.map_err(|_| Unconfirmed::Silent)??)
}

/// Not the publisher's channel: a return or a refusal would put its messages in doubt.
async fn open(session: &Session) -> lapin::Result<Channel> {
    let channel = session.connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

async fn offer(channel: &Channel) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let persistent = BasicProperties::default().with_delivery_mode(2);
    channel.basic_publish(PROBE.into(), "".into(), options, &[], persistent).await?.await
}

fn note(shared: &Shared, confirms: bool) {
    shared.links.send_if_modified(|links| std::mem::replace(&mut links.confirms, confirms) != confirms);
}
