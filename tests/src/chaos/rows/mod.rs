//! The rows: `crash` processes that die at a named point, `life` processes that are stopped, killed and
//! frozen, `broker` RabbitMQ, `store` Redis and the clocks, `io` the IO API and the events themselves,
//! `rest` what has no injection.

pub(super) mod broker;
pub(super) mod crash;
pub(super) mod io;
pub(super) mod life;
pub(super) mod rest;
pub(super) mod store;
