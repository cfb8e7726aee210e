//! One supervised connection: opened, watched, opened again for ever.
//!
//! lapin's own recovery gives up after 16 attempts and hands out deliveries of the lost connection
//! meanwhile; here a lost connection is simply replaced, and whoever works on it notices by its channel.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{FutureExt, StreamExt};
use lapin::{Connection, ErrorKind, Event};
use rand::Rng;
use tokio::{
    sync::watch,
    time::{interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    declare,
    socket::{Endpoint, Tether},
    wary::Wary,
};
use crate::broker::{BrokerError, Counters, Links, Options, State, topology::Topology};

/// First and longest pause between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A connection that lasted this long starts the pauses afresh when it is lost.
const SETTLED_AFTER: Duration = Duration::from_secs(10);
/// How often the connection's own status is read: closing without an error sends no event.
const LOOK: Duration = Duration::from_millis(250);
/// How long the broker may take to answer one request. Heartbeats go on while it owes an answer, as a node without a
/// majority may for ever, and nobody answers what is asked over a connection that has just ended: only a limit ends
/// such a wait.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// Bound on the broker's goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Publish,
    Consume,
}

/// An open connection.
pub(super) struct Session {
    pub(super) connection: Connection,
    tether: Tether,
}

impl Session {
    /// Has it end without a word; another takes its place.
    pub(super) fn cut(&self) {
        self.tether.cut();
    }

    /// What the broker answers; if it does not in time, the connection is cut.
    pub(super) async fn answer<T>(&self, request: impl Future<Output = T>) -> Result<T, BrokerError> {
        let answer = timeout(ANSWER, request).await;
        answer.map_err(|_| {
            self.cut();
            BrokerError::TimedOut { waited: ANSWER }
        })
    }
}

/// The open connection, while there is one.
pub(super) type Live = watch::Receiver<Option<Arc<Session>>>;

/// What the parts of one broker share.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) endpoint: Endpoint,
    pub(super) links: watch::Sender<Links>,
    pub(super) counters: Arc<Counters>,
    pub(super) last_error: Mutex<Option<BrokerError>>,
    pub(super) wary: Wary,
    /// Held while a message is in flight alone: what ends the connection then is known, whichever its channel.
    pub(super) alone: tokio::sync::Mutex<()>,
    /// Work in hand is finished, nothing more is begun.
    pub(super) drain: CancellationToken,
    /// The connections go down.
    pub(super) halt: CancellationToken,
}

impl Shared {
    fn set(&self, role: Role, state: State) {
        self.links.send_if_modified(|links| {
            let link = match role {
                Role::Publish => &mut links.publish,
                Role::Consume => &mut links.consume,
            };
            std::mem::replace(link, state) != state
        });
    }

    /// Declares or checks the topology, whichever the options say.
    pub(super) async fn ensure_topology(&self, session: &Session) -> Result<(), BrokerError> {
        self.ensure(session, &self.options.topology).await
    }

    async fn ensure(&self, session: &Session, topology: &Topology) -> Result<(), BrokerError> {
        // A fleet that starts for the first time makes them too.
        let runs = self.counters.connections() > 0;
        let (made, done) = declare::ensure(&session.connection, topology, self.options.declare).await;
        if matches!(done, Err(BrokerError::TimedOut { .. })) {
            session.cut();
        }
        for stream in made.into_iter().filter(|_| runs) {
            self.counters.count_stream_made();
            tracing::error!(
                stream,
                "the stream was missing and is made anew, empty: what the journal told there is left in archives only"
            );
        }
        done
    }

    /// The same for exchanges, streams and bindings. Queues are left to their consumers: when a quorum queue is deleted
    /// and another of its name is there at once, RabbitMQ 3.10 does not tell the consumer, which then waits for
    /// ever (seen in a test).
    pub(super) async fn ensure_routes(&self, session: &Session) -> Result<(), BrokerError> {
        let topology = &self.options.topology;
        let routes = Topology {
            exchanges: topology.exchanges.clone(),
            streams: topology.streams.clone(),
            bindings: topology.bindings.clone(),
            ..Topology::default()
        };
        self.ensure(session, &routes).await
    }
}

/// Waits for an open connection; `None` once `stop` is called.
pub(super) async fn next_session(live: &mut Live, stop: &CancellationToken) -> Option<Arc<Session>> {
    let open = stop.run_until_cancelled(live.wait_for(Option::is_some)).await?;
    open.ok()?.clone()
}

/// Keeps a connection open until `halt`.
pub(super) async fn supervise(shared: Arc<Shared>, role: Role, live: watch::Sender<Option<Arc<Session>>>) {
    let mut backoff = Backoff::default();
    while !shared.halt.is_cancelled() {
        let Some(opened) = shared.halt.run_until_cancelled(open(&shared, role)).await else { break };
        match opened {
            Ok(session) => {
                let since = Instant::now();
                let loss = watch_over(&shared, role, &session, &live).await;
                if !shared.halt.is_cancelled() {
                    shared.counters.count_lost();
                }
                live.send_replace(None);
                part(&shared, role, &session).await;
                if loss == Loss::Unreadable && role == Role::Consume {
                    shared.wary.begin();
                }
                // What cannot be read is no sign of a broker in need: whatever waits behind it need not wait long.
                if loss == Loss::Unreadable || since.elapsed() >= SETTLED_AFTER {
                    backoff = Backoff::default();
                }
            }
            Err(error) => {
                tracing::warn!(?role, code = error.code(), error = %chain(&error), "broker connection failed");
                *shared.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        }
        backoff.pause(&shared.halt).await;
    }
    shared.set(role, State::Closed);
}

async fn open(shared: &Shared, role: Role) -> Result<Arc<Session>, BrokerError> {
    shared.set(role, State::Connecting);
    let name = match role {
        Role::Publish => format!("{} publish", shared.options.connection_name),
        Role::Consume => format!("{} consume", shared.options.connection_name),
    };
    let opened = shared.endpoint.open(&name).await;
    let (connection, tether) = opened.map_err(|source| BrokerError::Unavailable { source: Some(source) })?;
    let session = Arc::new(Session { connection, tether });
    if let Err(error) = shared.ensure_topology(&session).await {
        part(shared, role, &session).await;
        return Err(error);
    }
    shared.counters.count_connection();
    Ok(session)
}

/// Why a connection is no more; of several faults told, the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    Other,
    /// The broker sent what lapin cannot read: a message of somebody whose client lets pass what AMQP does not.
    Unreadable,
}

impl Loss {
    fn of(error: &lapin::Error) -> Self {
        if matches!(error.kind(), ErrorKind::ParsingError(_)) { Self::Unreadable } else { Self::Other }
    }
}

/// Returns when the connection is lost or must go down.
async fn watch_over(
    shared: &Shared,
    role: Role,
    session: &Arc<Session>,
    live: &watch::Sender<Option<Arc<Session>>>,
) -> Loss {
    let mut events = pin!(session.connection.events_listener());
    let mut loss = Loss::Other;
    let mut look = interval(LOOK);
    let status = session.connection.status();
    let mut blocked = false;
    tracing::info!(?role, "broker connection up");
    live.send_replace(Some(Arc::clone(session)));
    shared.set(role, State::Up);
    while status.connected() {
        if status.blocked() != blocked {
            blocked = !blocked;
            shared.set(role, if blocked { State::Blocked } else { State::Up });
            if blocked {
                shared.counters.count_blocked();
            }
            tracing::warn!(?role, blocked, "broker blocked or unblocked the connection");
        }
        tokio::select! {
            () = shared.halt.cancelled() => return loss,
            _ = look.tick() => {}
            event = events.next() => match event {
                Some(Event::Error(error)) => loss = loss.max(fault(role, &error)),
                Some(_) => {}
                None => return loss,
            }
        }
    }
    // The status may change before the error is read.
    while let Some(Some(event)) = events.next().now_or_never() {
        if let Event::Error(error) = event {
            loss = loss.max(fault(role, &error));
        }
    }
    tracing::warn!(?role, "broker connection lost");
    loss
}

fn fault(role: Role, error: &lapin::Error) -> Loss {
    tracing::warn!(?role, %error, "broker connection fault");
    Loss::of(error)
}

/// Closes politely what is still open, then makes sure that nothing stays behind.
async fn part(shared: &Shared, role: Role, session: &Session) {
    shared.set(role, State::Connecting);
    if session.connection.status().connected() {
        // A broker that does not answer finds out by the socket.
        let goodbye = timeout(GOODBYE, session.connection.close(200, "OK".into())).await;
        if goodbye.is_err() {
            tracing::warn!(?role, "no answer to the close of a connection");
        }
    }
    session.tether.cut();
}

/// An error and what caused it, in one line.
pub(super) fn chain(error: &BrokerError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// Up to half shorter, at random.
pub(super) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// Pauses that double, each shortened by up to half at random so that a fleet does not come back at once.
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let ceiling = self.0;
        self.0 = (ceiling * 2).min(LONGEST_PAUSE);
        jittered(ceiling)
    }

    pub(super) async fn pause(&mut self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(self.next()) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_five_seconds_and_differ() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..12).map(|_| backoff.next()).collect();
        assert!((FIRST_PAUSE / 2..=FIRST_PAUSE).contains(&pauses[0]));
        assert!(pauses[8..].iter().all(|it| (LONGEST_PAUSE / 2..=LONGEST_PAUSE).contains(it)));
        assert!(pauses[8..].windows(2).any(|pair| pair[0] != pair[1]));
    }
}
