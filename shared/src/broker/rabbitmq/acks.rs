//! Acknowledgements, merged: one `basic.ack` for the longest run of settled deliveries.
//!
//! A single ack a message costs client and broker twice the work of one ack for up to 64. Deliveries
//! settle out of order, so a run ends at the oldest one still in hand; what is settled beyond it waits a
//! little for the run to grow and is then acknowledged one by one. Such single acks are no promise at a close:
//! RabbitMQ 3.10 was seen to drop them with the channel (4 of 5 closes), and the messages come again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lapin::{
    Channel, ChannelStatus,
    options::{BasicAckOptions, BasicNackOptions},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::broker::{Counters, message::Settlement};

/// Settled deliveries that are flushed at once: already 8 give most of the gain, 64 nearly all.
const BATCH: usize = 64;
/// How long fewer than [`BATCH`] wait for company.
const IDLE: Duration = Duration::from_millis(2);
/// How long a settled delivery waits behind one still in hand before it is acknowledged alone.
const STUCK: Duration = Duration::from_millis(50);
/// Bound on a channel's farewell.
const FAREWELL: Duration = Duration::from_secs(2);

/// Which deliveries of a channel are in hand, settled, and told to the broker.
#[derive(Default)]
struct Ledger {
    in_hand: BTreeSet<u64>,
    acked: BTreeMap<u64, Instant>,
    requeued: Vec<u64>,
    closing: bool,
}

/// What to tell the broker, in this order: a multiple ack would take in a requeue not yet told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Flush {
    requeue: Vec<u64>,
    ack_up_to: Option<u64>,
    ack: Vec<u64>,
}

impl Ledger {
    fn delivered(&mut self, tag: u64) {
        self.in_hand.insert(tag);
    }

    /// True if the flusher should look now: the first of a batch, or a full one.
    fn ack(&mut self, tag: u64, now: Instant) -> bool {
        self.in_hand.remove(&tag);
        self.acked.insert(tag, now);
        self.acked.len() == 1 || self.acked.len() >= BATCH
    }

    fn requeue(&mut self, tag: u64) {
        self.in_hand.remove(&tag);
        self.requeued.push(tag);
    }

    /// Takes what can be told now. The multiple ack names a tag that is still open at the broker, as it
    /// must, and covers only acked ones: everything below it is either acked or already told.
    fn flush(&mut self, now: Instant) -> Flush {
        let requeue = std::mem::take(&mut self.requeued);
        let beyond = match self.in_hand.first() {
            Some(oldest) => self.acked.split_off(oldest),
            None => BTreeMap::new(),
        };
        let run = std::mem::replace(&mut self.acked, beyond);
        let ack_up_to = run.last_key_value().map(|(tag, _)| *tag);
        let overdue = |since: &Instant| self.closing || now.duration_since(*since) >= STUCK;
        let ack: Vec<u64> =
            self.acked.iter().filter(|(_, since)| overdue(since)).map(|(tag, _)| *tag).collect();
        for tag in &ack {
            self.acked.remove(tag);
        }
        Flush { requeue, ack_up_to, ack }
    }

    /// When to flush again if nothing new is settled.
    fn next_flush(&self) -> Option<Instant> {
        self.acked.values().min().map(|oldest| *oldest + STUCK)
    }
}

/// The settlements of one channel, shared by its deliveries and its flusher.
pub(super) struct Acks {
    ledger: Mutex<Ledger>,
    wake: Notify,
    channel: ChannelStatus,
    counters: Arc<Counters>,
}

/// Held by every delivery of a channel and by their stream; with the last one the channel closes.
pub(super) struct Settler(Arc<Acks>);

impl Acks {
    pub(super) fn new(channel: &Channel, counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self {
            ledger: Mutex::default(),
            wake: Notify::new(),
            channel: channel.status().clone(),
            counters,
        })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Every change is a single step on a collection: a panic in between leaves it whole.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.ledger().closing = true;
        self.wake.notify_one();
    }

    /// Whether what was just settled should be told at once rather than in company.
    fn urgent(&self) -> bool {
        let ledger = self.ledger();
        ledger.closing || ledger.acked.len() >= BATCH || !ledger.requeued.is_empty()
    }

    /// Tells the broker until the last holder is gone or `drain` is called, then closes the channel.
    pub(super) async fn run(self: Arc<Self>, channel: Channel, drain: CancellationToken) {
        let mut due: Option<Instant> = None;
        while self.channel.connected() {
            let timer = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = drain.cancelled() => self.ledger().closing = true,
                () = timer => {}
                () = self.wake.notified() => {
                    if !self.urgent() {
                        let soon = Instant::now() + IDLE;
                        due = Some(due.map_or(soon, |at| at.min(soon)));
                        continue;
                    }
                }
            }
            if !self.tell(&channel).await {
                break;
            }
            due = self.ledger().next_flush();
        }
        self.ledger().closing = true;
    }

    /// Flushes; false once the channel is done with.
    async fn tell(&self, channel: &Channel) -> bool {
        let (flush, closing) = {
            let mut ledger = self.ledger();
            (ledger.flush(Instant::now()), ledger.closing)
        };
        if let Err(error) = send(channel, flush).await {
            tracing::warn!(%error, "acknowledgements not sent");
            return false;
        }
        if closing {
            // A channel that does not answer is closed with its connection.
            if timeout(FAREWELL, channel.close(200, "OK".into())).await.is_err() {
                tracing::warn!("no answer to the close of a consumer's channel");
            }
        }
        !closing
    }
}

async fn send(channel: &Channel, flush: Flush) -> lapin::Result<()> {
    for tag in flush.requeue {
        // `nack` and not `reject`: since RabbitMQ 4.3 only the latter counts towards the delivery limit.
        channel.basic_nack(tag, BasicNackOptions { multiple: false, requeue: true }).await?;
    }
    if let Some(tag) = flush.ack_up_to {
        channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?;
    }
    for tag in flush.ack {
        channel.basic_ack(tag, BasicAckOptions { multiple: false }).await?;
    }
    Ok(())
}

impl Settler {
    pub(super) fn new(acks: Arc<Acks>) -> Self {
        Self(acks)
    }

    pub(super) fn delivered(&self, tag: u64) {
        self.0.ledger().delivered(tag);
    }

    /// Records a verdict, unless the channel is gone.
    fn settle(&self, record: impl FnOnce(&mut Ledger) -> bool) -> bool {
        let mut ledger = self.0.ledger();
        if ledger.closing || !self.0.channel.connected() {
            drop(ledger);
            self.0.counters.count_stale_settlement();
            return false;
        }
        let wake = record(&mut ledger);
        drop(ledger);
        if wake {
            self.0.wake.notify_one();
        }
        true
    }
}

impl Settlement for Settler {
    fn usable(&self, _tag: u64) -> bool {
        self.0.channel.connected() && !self.0.ledger().closing
    }

    fn ack(&self, tag: u64) -> bool {
        let now = Instant::now();
        self.settle(|ledger| ledger.ack(tag, now))
    }

    fn requeue(&self, tag: u64) -> bool {
        self.settle(|ledger| {
            ledger.requeue(tag);
            true
        })
    }

    fn abandoned(&self) {
        self.0.counters.count_abandoned();
    }
}

impl Drop for Settler {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_run_is_one_multiple_ack_and_the_rest_waits_then_goes_alone() {
        let start = Instant::now();
        let mut ledger = Ledger::default();
        (1..=5).for_each(|tag| ledger.delivered(tag));
        for tag in [1, 2, 4, 5] {
            ledger.ack(tag, start);
        }
        assert_eq!(ledger.flush(start), Flush { ack_up_to: Some(2), ..Flush::default() });
        assert_eq!(ledger.next_flush(), Some(start + STUCK));
        assert_eq!(ledger.flush(start), Flush::default());
        assert_eq!(ledger.flush(start + STUCK), Flush { ack: vec![4, 5], ..Flush::default() });
        ledger.ack(3, start);
        assert_eq!(ledger.flush(start), Flush { ack_up_to: Some(3), ..Flush::default() });
    }

    /// The broker's side of a channel: what is open, what was acked, what went back.
    #[derive(Default)]
    struct Broker {
        open: BTreeSet<u64>,
        acked: BTreeSet<u64>,
        back: BTreeSet<u64>,
    }

    impl Broker {
        fn take(&mut self, flush: Flush) {
            for tag in flush.requeue {
                assert!(self.open.remove(&tag), "requeue of {tag}, which is not open");
                self.back.insert(tag);
            }
            if let Some(last) = flush.ack_up_to {
                assert!(self.open.contains(&last), "multiple ack of {last}, which is not open");
                let rest = self.open.split_off(&(last + 1));
                self.acked.append(&mut self.open);
                self.open = rest;
            }
            for tag in flush.ack {
                assert!(self.open.remove(&tag), "ack of {tag}, which is not open");
                self.acked.insert(tag);
            }
        }
    }

    proptest! {
        /// Steps: 0 delivers one more, 1 acks one in hand, 2 requeues one, 3 flushes, 4 flushes later.
        #[test]
        fn the_broker_hears_exactly_the_verdicts(steps in prop::collection::vec((0u8..5, any::<prop::sample::Index>()), 0..300)) {
            let (mut ledger, mut broker) = (Ledger::default(), Broker::default());
            let (mut in_hand, mut acked, mut back) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
            let (mut next, mut now) = (1, Instant::now());
            for (step, pick) in steps {
                match step {
                    0 => {
                        broker.open.insert(next);
                        ledger.delivered(next);
                        in_hand.push(next);
                        next += 1;
                    }
                    1 | 2 if !in_hand.is_empty() => {
                        let tag = in_hand.swap_remove(pick.index(in_hand.len()));
                        if step == 1 {
                            ledger.ack(tag, now);
                            acked.insert(tag);
                        } else {
                            ledger.requeue(tag);
                            back.insert(tag);
                        }
                    }
                    3 => broker.take(ledger.flush(now)),
                    _ => {
                        now += STUCK;
                        broker.take(ledger.flush(now));
                    }
                }
            }
            broker.take(ledger.flush(now + STUCK));
            prop_assert_eq!(broker.acked, acked);
            prop_assert_eq!(broker.back, back);
            prop_assert_eq!(broker.open.into_iter().collect::<Vec<_>>(), { in_hand.sort_unstable(); in_hand });
        }
    }
}
