//! The rows: `crash` processes that die at a named point, `life` processes that are stopped, killed and
//! frozen, `memory` what asks for too much of it, `broker`, `alarm` and `cluster` RabbitMQ, one node and three,
//! `delivery` what becomes of its deliveries, `store` Redis and the clocks, `lost` a Redis that lost something, `tls`
//! certificates, `io`, `failing` and `ill` the IO API and the events themselves, `calendar` special days, `crowd` a
//! million timers, `upgrade` two releases side by side.

pub(super) mod alarm;
pub(super) mod broker;
pub(super) mod calendar;
pub(super) mod cluster;
pub(super) mod crash;
pub(super) mod crowd;
pub(super) mod delivery;
pub(super) mod failing;
pub(super) mod ill;
pub(super) mod io;
pub(super) mod life;
pub(super) mod lost;
pub(super) mod memory;
pub(super) mod store;
pub(super) mod tls;
pub(super) mod upgrade;
