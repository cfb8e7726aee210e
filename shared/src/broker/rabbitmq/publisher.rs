//! The publisher: offers a message until the broker has it, refuses it, or time is up.

use std::{
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use lapin::{Channel, options::ConfirmSelectOptions};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{
    confirms::{self, Exit, Reply, Request, Verdict},
    connection::{Backoff, Live, Session, Shared, chain, jittered, next_session},
    holds::Holds,
    lanes::{LANES, lane},
    properties::Envelope,
};
use crate::broker::{BrokerError, Outgoing, Publisher, State};

/// How often a refused message is offered.
const NACK_ATTEMPTS: u32 = 3;
/// Pause before the second offer, doubled for the third; a full queue or a missing majority needs time.
const NACK_PAUSE: Duration = Duration::from_millis(100);
/// Bound on a channel's farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// Publishes over the broker's publishing connection; clones share its channels, each with a window.
#[derive(Clone)]
pub struct RabbitPublisher {
    shared: Arc<Shared>,
    lanes: [mpsc::Sender<Request>; LANES],
}

impl RabbitPublisher {
    /// The publisher, and what each of its channels takes in.
    pub(super) fn new(shared: Arc<Shared>) -> (Self, Vec<mpsc::Receiver<Request>>) {
        let mut intakes = Vec::with_capacity(LANES);
        let lanes = std::array::from_fn(|_| {
            let (requests, intake) = mpsc::channel(shared.options.publish_window);
            intakes.push(intake);
            requests
        });
        (Self { shared, lanes }, intakes)
    }

    fn lane(&self, envelope: &Envelope) -> &mpsc::Sender<Request> {
        &self.lanes[lane(envelope.exchange.as_str(), envelope.routing_key.as_str())]
    }

    async fn offer_until_settled(&self, envelope: Envelope) -> Result<(), BrokerError> {
        let envelope = Arc::new(envelope);
        let (mut alone, mut nacks) = (false, 0);
        loop {
            match self.offer(&envelope, alone).await? {
                Verdict::Confirmed => return Ok(()),
                Verdict::Nacked => {
                    nacks += 1;
                    if nacks == NACK_ATTEMPTS {
                        return Err(BrokerError::Nacked { attempts: nacks });
                    }
                    sleep(jittered(NACK_PAUSE * nacks)).await;
                }
                Verdict::Unknown { doubtful } => {
                    alone |= doubtful;
                    self.shared.counters.count_resent();
                }
                Verdict::Unroutable => {
                    return Err(BrokerError::Unroutable {
                        exchange: envelope.exchange.to_string(),
                        routing_key: envelope.routing_key.to_string(),
                    });
                }
                Verdict::Refused(source) => {
                    return Err(BrokerError::Topology { object: envelope.exchange.to_string(), source });
                }
                Verdict::Held(said) => {
                    let object = envelope.exchange.to_string();
                    return Err(BrokerError::Topology { object, source: said.into() });
                }
            }
        }
    }

    async fn offer(&self, envelope: &Arc<Envelope>, alone: bool) -> Result<Verdict, BrokerError> {
        let (reply, verdict) = Reply::new();
        let request = Request { envelope: Arc::clone(envelope), alone, reply };
        self.lane(envelope).send(request).await.map_err(|_| BrokerError::Closed)?;
        verdict.await.map_err(|_| BrokerError::Closed)
    }

    /// Why time ran out: the connection, or the broker behind it.
    fn too_late(&self) -> BrokerError {
        let publish = self.shared.links.borrow().publish;
        match publish {
            State::Connecting => {
                let last = self.shared.last_error.lock().unwrap_or_else(PoisonError::into_inner).take();
                BrokerError::Unavailable { source: last.map(Into::into) }
            }
            State::Closed => BrokerError::Closed,
            State::Up | State::Blocked => {
                BrokerError::TimedOut { waited: self.shared.options.publish_timeout }
            }
        }
    }
}

impl Publisher for RabbitPublisher {
    async fn publish(&self, outgoing: Outgoing) -> Result<(), BrokerError> {
        let envelope = Envelope::seal(outgoing)?;
        let span = envelope.span.clone();
        let limit = self.shared.options.publish_timeout;
        let published = match timeout(limit, self.offer_until_settled(envelope)).await {
            Ok(settled) => settled,
            Err(_) => Err(self.too_late()),
        };
        if let Err(failure) = &published {
            span.fail(failure.code());
        }
        published
    }

    async fn publish_all(&self, outgoing: Vec<Outgoing>) -> Vec<Result<(), BrokerError>> {
        let window = self.shared.options.publish_window;
        stream::iter(outgoing).map(|it| self.publish(it)).buffered(window).collect().await
    }
}

/// Keeps one publishing channel open, from connection to connection, until the publishers are gone or the
/// broker is closed; what was taken in by then is still published.
pub(super) async fn run(shared: Arc<Shared>, mut live: Live, mut intake: mpsc::Receiver<Request>) {
    let mut backoff = Backoff::default();
    let mut last: Weak<Session> = Weak::new();
    let mut holds = Holds::default();
    while let Some(session) = next_session(&mut live, &shared.drain).await {
        // Another channel on the same connection: an exchange or binding may be gone. Declare it again if
        // that is ours to do.
        if last.ptr_eq(&Arc::downgrade(&session))
            && let Err(error) = shared.ensure_routes(&session).await
        {
            tracing::warn!(error = %chain(&error), "topology not as it should be");
        }
        last = Arc::downgrade(&session);
        let channel = match open_channel(&session).await {
            Ok(channel) => channel,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "publishing channel not opened");
                backoff.pause(&shared.drain).await;
                continue;
            }
        };
        backoff = Backoff::default();
        let exit = confirms::run(&channel, &mut intake, &shared, &mut holds).await;
        // A channel that does not answer goes down with its connection.
        let is_mute =
            channel.status().connected() && timeout(FAREWELL, channel.close(200, "OK".into())).await.is_err();
        match exit {
            Exit::Finished => return,
            Exit::Renew => {}
            Exit::Stalled { has_confirmed } => {
                tracing::warn!(has_confirmed, "a message got no answer, another channel is opened");
                // The node behind it may be one without a majority: another is tried.
                if is_mute || !has_confirmed {
                    session.cut();
                }
            }
        }
    }
}

async fn open_channel(session: &Session) -> Result<Channel, BrokerError> {
    let opened = session.answer(async {
        let channel = session.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        lapin::Result::Ok(channel)
    });
    opened.await?.map_err(|error| BrokerError::Unavailable { source: Some(error.into()) })
}
