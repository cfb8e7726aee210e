//! One publishing channel: a window of messages in flight, and what each confirm means.
//!
//! Only this task publishes on its channel: lapin numbers a message and queues its frames in two steps,
//! and two tasks could swap between them, each then taking the other's confirm.
//!
//! lapin also hangs a returned message on whichever confirm completes next. Hence the two rules here. A
//! success is believed only after everything that lapin had completed was looked at and no return was
//! among it; and where there was one, everything in flight is doubtful. Doubtful messages are published
//! again *alone*, one in flight at a time, where a return can only mean the message itself.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

use futures_util::{Stream, stream::FuturesUnordered, task::AtomicWaker};
use lapin::{Channel, Confirmation, ErrorKind, options::BasicPublishOptions};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    connection::Shared,
    holds::{Admission, Cost, Holds},
    properties::Envelope,
};
use crate::broker::{Cause, Counters, State};

/// What became of one offer of a message.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Safe on its queues.
    Confirmed,
    /// Refused for now.
    Nacked,
    /// Nobody knows. `doubtful` if the message itself may be the cause: publish it again alone.
    Unknown { doubtful: bool },
    /// Confirmed, and no queue took it.
    Unroutable,
    /// The broker closed the channel, or the connection, over this very message.
    Refused(Cause),
    /// Not offered: its exchange refused another a moment ago, with these words.
    Held(String),
}

/// A message offered for publishing.
pub(super) struct Request {
    pub(super) envelope: Arc<Envelope>,
    /// Nothing else may be in flight with it.
    pub(super) alone: bool,
    pub(super) reply: Reply,
}

/// Where the verdict goes. Dropped without one (its channel was given up), it says that nobody knows.
pub(super) struct Reply(Option<oneshot::Sender<Verdict>>);

impl Reply {
    pub(super) fn new() -> (Self, oneshot::Receiver<Verdict>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(sender)), receiver)
    }

    fn send(mut self, verdict: Verdict) {
        if let Some(sender) = self.0.take() {
            // Nobody waits any more: the publish timed out.
            drop(sender.send(verdict));
        }
    }

    fn unwanted(&self) -> bool {
        self.0.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            drop(sender.send(Verdict::Unknown { doubtful: true }));
        }
    }
}

/// Why a channel ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// All publishers are gone and everything is answered.
    Finished,
    /// Another channel is needed: this one failed, or its confirms can't be told apart.
    Renew,
    /// An offer was not answered. The broker's side of a channel remembers who leads each queue and stream, and may
    /// miss the change: what it is given then waits for ever, and in the end fills the window.
    Stalled {
        /// The channel was of use before.
        has_confirmed: bool,
    },
}

/// So many times as long as a publish may take, an offer waits for its answer: whoever made it gave up long ago.
const STALL: u32 = 2;

/// Reply codes of AMQP 0-9-1.
const CONNECTION_FORCED: u16 = 320;
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;

/// A finished offer.
struct Done {
    request: Request,
    /// None if no answer came.
    result: Option<lapin::Result<Confirmation>>,
}

/// The answer, if it comes before the offer counts as stalled. Where the broker says that it takes nothing for now,
/// it is waited for as long as that lasts.
async fn answer<T>(shared: &Shared, confirm: impl Future<Output = T>) -> Option<T> {
    let (limit, mut confirm) = (shared.options.publish_timeout * STALL, pin!(confirm));
    loop {
        match timeout(limit, &mut confirm).await {
            Ok(answer) => return Some(answer),
            Err(_) if shared.links.borrow().publish == State::Blocked => {}
            Err(_) => return None,
        }
    }
}

async fn offer(channel: &Channel, request: Request, shared: &Shared) -> Done {
    let envelope = &request.envelope;
    let options = BasicPublishOptions { mandatory: envelope.mandatory, immediate: false };
    let (exchange, key) = (envelope.exchange.clone(), envelope.routing_key.clone());
    let published =
        channel.basic_publish(exchange, key, options, &envelope.body, envelope.properties.clone()).await;
    crate::crash_point!("broker.offered", request.envelope.exchange.as_str());
    let result = match published {
        Ok(confirm) => answer(shared, confirm).await,
        Err(error) => Some(Err(error)),
    };
    Done { request, result }
}

/// Publishes what comes in until the channel fails or there is nothing more to come.
pub(super) async fn run(
    channel: &Channel,
    intake: &mut mpsc::Receiver<Request>,
    shared: &Shared,
    holds: &mut Holds,
) -> Exit {
    let mut in_flight = FuturesUnordered::new();
    let mut alone: Option<Request> = None;
    let (mut finished, mut has_confirmed) = (false, false);
    let bell = Arc::new(Bell::default());
    let exit = |after, has_confirmed| match after {
        After::Stall => Exit::Stalled { has_confirmed },
        After::Fault | After::Confirm | After::Other => Exit::Renew,
    };
    loop {
        if in_flight.is_empty() {
            if let Some(request) = alone.take() {
                match single(channel, request, shared, holds).await {
                    After::Confirm => has_confirmed = true,
                    After::Other => {}
                    after => return exit(after, has_confirmed),
                }
                continue;
            }
            if finished {
                return Exit::Finished;
            }
        }
        let room = shared.options.publish_window.saturating_sub(in_flight.len());
        tokio::select! {
            biased;
            done = bell.all_done(&mut in_flight), if !in_flight.is_empty() => {
                match settle(done, &shared.counters) {
                    After::Confirm => has_confirmed = true,
                    After::Other => {}
                    after => return exit(after, has_confirmed),
                }
            }
            request = intake.recv(), if room > 0 && alone.is_none() && !finished => match request {
                None => finished = true,
                Some(first) => {
                    let start = |it| in_flight.push(offer(channel, it, shared));
                    alone = take(first, (room, intake), holds, start);
                }
            },
            // What was taken in by now is still published; `recv` then says that there is no more.
            () = shared.drain.cancelled(), if !intake.is_closed() => intake.close(),
            () = gone(channel), if in_flight.is_empty() => return Exit::Renew,
        }
    }
}

/// Starts up to `room` waiting requests; stops at one that must go alone and gives it back.
fn take(
    first: Request,
    (room, intake): (usize, &mut mpsc::Receiver<Request>),
    holds: &Holds,
    mut start: impl FnMut(Request),
) -> Option<Request> {
    let more = std::iter::from_fn(|| intake.try_recv().ok());
    for request in std::iter::once(first).chain(more).take(room) {
        if request.reply.unwanted() {
            continue;
        }
        match holds.admit(request.envelope.exchange.as_str(), Instant::now) {
            Admission::Held(said) => request.reply.send(Verdict::Held(said)),
            Admission::Trial => return Some(request),
            Admission::Free if request.alone => return Some(request),
            Admission::Free => start(request),
        }
    }
    None
}

/// Returns when the channel is no longer usable. Only an idle channel needs to be asked: publishes and
/// confirms in flight fail by themselves.
async fn gone(channel: &Channel) {
    let mut look = tokio::time::interval(std::time::Duration::from_millis(100));
    while channel.status().connected() {
        look.tick().await;
    }
}

/// What an answer says of the channel, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum After {
    /// It confirms.
    Confirm,
    /// It answers.
    Other,
    /// It did not answer.
    Stall,
    /// It can't be trusted further.
    Fault,
}

/// Answers what is done.
fn settle(done: Vec<Done>, counters: &Counters) -> After {
    let returned = done
        .iter()
        .any(|it| matches!(&it.result, Some(Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))))));
    if returned {
        // Every request of `done` and in flight is dropped, which answers "doubtful".
        counters.count_returned();
        return After::Fault;
    }
    let mut worst = After::Confirm;
    for Done { request, result } in done {
        let (verdict, after) = match result {
            Some(Ok(Confirmation::Ack(_))) => (Verdict::Confirmed, After::Confirm),
            Some(Ok(Confirmation::Nack(_))) => (Verdict::Nacked, After::Other),
            Some(Ok(Confirmation::NotRequested)) => (Verdict::Unknown { doubtful: false }, After::Fault),
            None => (Verdict::Unknown { doubtful: false }, After::Stall),
            // The broker closed the channel, or the connection, over one of the messages in flight; which one
            // is not said.
            Some(Err(error)) => (Verdict::Unknown { doubtful: is_refusal(&error) }, After::Fault),
        };
        worst = worst.max(after);
        request.reply.send(verdict);
    }
    worst
}

/// Publishes one message with nothing else in flight on its channel, nor alone on another.
async fn single(channel: &Channel, request: Request, shared: &Shared, holds: &mut Holds) -> After {
    let turn = shared.alone.lock().await;
    let Done { request, result } = offer(channel, request, shared).await;
    drop(turn);
    let (exchange, key) = (request.envelope.exchange.as_str(), request.envelope.routing_key.as_str());
    let Some(result) = result else {
        request.reply.send(Verdict::Unknown { doubtful: false });
        return After::Stall;
    };
    let (verdict, after) = match result {
        Ok(Confirmation::Ack(None)) => {
            if holds.taken(exchange) {
                tracing::info!(exchange, "the exchange takes messages again");
            }
            shared.links.send_if_modified(|links| links.takes(exchange, key));
            (Verdict::Confirmed, After::Confirm)
        }
        Ok(Confirmation::Ack(Some(_))) => {
            shared.counters.count_returned();
            holds.taken(exchange);
            shared.links.send_modify(|links| links.returns(exchange, key));
            (Verdict::Unroutable, After::Confirm)
        }
        Ok(Confirmation::Nack(_)) => (Verdict::Nacked, After::Other),
        Ok(Confirmation::NotRequested) => (Verdict::Unknown { doubtful: false }, After::Fault),
        Err(error) if is_refusal(&error) => {
            shared.counters.count_refused();
            if let Some(cost) = cost_to_exchange(&error) {
                let now = Instant::now();
                let again = holds.refused(exchange, error.to_string(), cost, now);
                shared.links.send_modify(|links| links.refuses(exchange, again));
                let held_ms = again.duration_since(now).as_millis();
                tracing::warn!(exchange, held_ms, %error, "the exchange refuses messages and is held");
            }
            (Verdict::Refused(error.into()), After::Fault)
        }
        Err(_) => (Verdict::Unknown { doubtful: true }, After::Fault),
    };
    request.reply.send(verdict);
    after
}

/// Whether the broker ended the channel or the connection over what was published. By `CONNECTION_FORCED` it
/// says farewell: an operator or the node's end.
pub(super) fn is_refusal(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() != CONNECTION_FORCED)
}

/// What a refusal costs that would meet each message of its exchange: that is missing or forbidden, or leads to a
/// queue that cost the connection. Others are of the message alone, such as its size.
fn cost_to_exchange(error: &lapin::Error) -> Option<Cost> {
    let ErrorKind::ProtocolError(said) = error.kind() else { return None };
    if error.is_amqp_hard_error() {
        return Some(Cost::Connection);
    }
    [ACCESS_REFUSED, NOT_FOUND].contains(&said.get_id()).then_some(Cost::Channel)
}

/// Wakes the publishing task, and remembers that it did.
#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Bell {
    /// Everything that is done, at least one.
    ///
    /// `FuturesUnordered` may stop early with work still queued, ringing for itself; taking that for
    /// "nothing more" could hide the confirm that carries a return. So it is asked until it stays quiet.
    async fn all_done<F: Future<Output = Done>>(
        self: &Arc<Self>,
        in_flight: &mut FuturesUnordered<F>,
    ) -> Vec<Done> {
        let waker = Waker::from(Arc::clone(self));
        let mut done = Vec::new();
        std::future::poll_fn(|cx| {
            self.task.register(cx.waker());
            let mut inner = Context::from_waker(&waker);
            loop {
                self.rung.store(false, Ordering::Release);
                match Pin::new(&mut *in_flight).poll_next(&mut inner) {
                    Poll::Ready(Some(one)) => done.push(one),
                    Poll::Pending if self.rung.load(Ordering::Acquire) => {}
                    Poll::Ready(None) | Poll::Pending => break,
                }
            }
            if done.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        done
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError};

    use super::*;

    #[test]
    fn each_refusal_is_told_from_a_farewell_and_costs_what_it_costs() {
        use {AMQPErrorKind::Hard, AMQPErrorKind::Soft, Cost::Channel, Cost::Connection};
        for (kind, refuses, cost) in [
            (Hard(AMQPHardError::CONNECTIONFORCED), false, None),
            (Hard(AMQPHardError::RESOURCEERROR), true, Some(Connection)),
            (Hard(AMQPHardError::INTERNALERROR), true, Some(Connection)),
            (Soft(AMQPSoftError::NOTFOUND), true, Some(Channel)),
            (Soft(AMQPSoftError::ACCESSREFUSED), true, Some(Channel)),
            (Soft(AMQPSoftError::PRECONDITIONFAILED), true, None),
        ] {
            let error = lapin::Error::from(ErrorKind::ProtocolError(AMQPError::new(kind, "said".into())));
            assert_eq!(is_refusal(&error), refuses, "{error}");
            assert_eq!(cost_to_exchange(&error).filter(|_| refuses), cost, "{error}");
        }
    }
}
