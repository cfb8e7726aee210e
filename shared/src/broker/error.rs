//! What can go wrong between us and the broker, told apart by what the caller does next.

use std::time::Duration;

/// The error below, whatever its type; its text never holds a URL or a password.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a message was not confirmed, or a broker could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// No usable connection for as long as the caller was ready to wait. Try again later.
    #[error("the message broker is not available")]
    Unavailable {
        /// What the last attempt to connect met, if there was one.
        #[source]
        source: Option<Cause>,
    },
    /// Confirmed, but no queue took it: the topology is broken. Repair it, then publish again.
    #[error("no queue takes what exchange {exchange} gets with routing key {routing_key}")]
    Unroutable {
        /// The exchange it was published to.
        exchange: String,
        /// The routing key it was published with.
        routing_key: String,
    },
    /// The broker refused to store it, each time. Try again later.
    #[error("the message broker refused the message {attempts} times")]
    Nacked {
        /// How many times it was offered.
        attempts: u32,
    },
    /// No confirm in time: the message may be stored or not. Publish again with the same identity. Of another request:
    /// no answer in time, and the connection is given up.
    #[error("no answer from the message broker within {} ms", waited.as_millis())]
    TimedOut {
        /// How long it was waited for.
        waited: Duration,
    },
    /// A stream gave nothing where it must. Read it again on another connection.
    #[error("nothing from stream {stream} within {} ms", waited.as_millis())]
    Silent {
        /// The stream.
        stream: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// This side has closed. Nothing more goes out.
    #[error("the connection to the message broker was closed by this process")]
    Closed,
    /// An exchange or a queue is missing, different from what is expected, or not allowed to this user.
    #[error("exchange, queue or permission not as expected: {object}")]
    Topology {
        /// The exchange or queue concerned.
        object: String,
        /// The broker's answer.
        #[source]
        source: Cause,
    },
    /// A setting or a message that can never work as it is.
    #[error("{field}: {reason}")]
    Invalid {
        /// The setting or the part of the message.
        field: &'static str,
        /// What is wrong with it, without its value.
        reason: String,
    },
}

impl BrokerError {
    /// A short code from a closed list, for metrics and headers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "broker-unavailable",
            Self::Unroutable { .. } => "broker-unroutable",
            Self::Nacked { .. } => "broker-nacked",
            Self::TimedOut { .. } => "broker-timeout",
            Self::Silent { .. } => "broker-silent",
            Self::Closed => "broker-closed",
            Self::Topology { .. } => "broker-topology",
            Self::Invalid { .. } => "broker-invalid",
        }
    }

    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { field, reason: reason.into() }
    }
}
