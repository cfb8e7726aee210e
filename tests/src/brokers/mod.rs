//! Private brokers for the integration tests, the demo and the benchmark, behind one fixture.
//!
//! [`Brokers::start`] gives a RabbitMQ and a Redis from the first of these that can be had:
//!
//! 1. endpoints named by the environment (`PROMEMORIA_TEST_AMQP_URL` and `PROMEMORIA_TEST_REDIS_URL`);
//! 2. Docker images that are on this machine already (see `tests/images`), never pulled;
//! 3. the programs of Debian's packages, started as private instances on loopback.
//!
//! [`Cluster`] is three RabbitMQ nodes and [`Solos`] are single Redis servers, for what a pair can't show; with a
//! [`Network`] each stands on a host of its own. Both are always programs of this machine.
//!
//! What the fixture started ends with it: processes by their pid, containers by their id, folders.
//! That holds too when the test process is killed: a watchdog of one shell cleans up after it.

mod cluster;
mod container;
mod fixture;
mod instance;
mod launch;
mod network;
mod options;
mod ports;
mod process;
mod rabbitmq;
mod ready;
mod redis_server;
mod solo;
mod source;
mod started;
mod watchdog;

pub use cluster::{Cluster, Minority, NODES};
pub use fixture::{Brokers, Server};
pub use network::Network;
pub use options::{Images, Options, Source};
pub use ports::free_port;
pub use solo::Solos;
pub use source::Origin;

#[cfg(test)]
mod fixture_tests;
