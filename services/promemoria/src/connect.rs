//! RabbitMQ and Redis, as the settings say, for the length of one command.

use std::time::Duration;

use shared::broker::rabbitmq::Desk;
use shared::broker::{BrokerError, Options, RabbitMq};
use shared::service;
use shared::settings::Settings;
use shared::store::{Redis, StoreError};

use crate::report::Failure;

/// How long a command waits for the broker: longer than a first connection with TLS takes, short enough
/// for somebody who waits in front of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The name that the broker shows.
const NAME: &str = "promemoria";

/// A broker that is up.
pub(crate) async fn broker(settings: &Settings) -> Result<RabbitMq, Failure> {
    let broker = service::broker(settings, NAME).map_err(|error| broker_away(&error))?;
    match broker.wait_until_up(PATIENCE).await {
        Ok(()) => Ok(broker),
        Err(error) => Err(broker_away(&error)),
    }
}

/// How to reach the broker.
pub(crate) fn options(settings: &Settings) -> Options {
    service::broker_options(settings, NAME)
}

/// Opens a desk at the broker.
pub(crate) async fn open_desk(settings: &Settings) -> Result<Desk, BrokerError> {
    Desk::open(&options(settings)).await
}

/// The same, its error as a failure.
pub(crate) async fn desk(settings: &Settings) -> Result<Desk, Failure> {
    open_desk(settings).await.map_err(|error| broker_away(&error))
}

/// Redis.
pub(crate) async fn redis(settings: &Settings) -> Result<Redis, Failure> {
    Redis::connect(&service::redis_options(settings)).await.map_err(|error| redis_away(&error))
}

/// The failure of a broker's error.
pub(crate) fn broker_away(error: &BrokerError) -> Failure {
    let error = service::chain(error);
    Failure::Away(format!("RabbitMQ: {error}; check amqp.url and run `promemoria doctor`"))
}

/// The failure of a store's error.
pub(crate) fn redis_away(error: &StoreError) -> Failure {
    match error {
        StoreError::Unreadable(what) => Failure::fault(format!(
            "Redis: the stored {what} cannot be read by this build; use the version that wrote it"
        )),
        StoreError::Foreign(foreign) => {
            Failure::fault(format!("Redis: {foreign}; use the command line of the newer release"))
        }
        StoreError::Unavailable(_) | StoreError::Lost | StoreError::Refused { .. } => {
            let error = service::chain(error);
            Failure::Away(format!("Redis: {error}; check redis.url and run `promemoria doctor`"))
        }
    }
}
