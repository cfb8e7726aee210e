//! Where one run takes place: a virtual host of its own and an empty Redis.

use std::sync::atomic::{AtomicU32, Ordering};

use lapin::Channel;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;

use super::{Ground, Side, fleet};
use crate::bench::amqp::connect;
use crate::bench::redis_info::RedisInfo;

/// Queues of the floor.
const FLOOR_QUEUES: [&str; 3] = ["floor.events", "floor.render", "floor.dispatch"];

/// Brokers of one run.
pub(in crate::bench) struct Venue {
    pub(in crate::bench) side: Side,
    /// Address of the virtual host.
    pub(in crate::bench) amqp: String,
    /// Address of Redis.
    pub(in crate::bench) redis: String,
}

impl Venue {
    /// Makes a virtual host and empties Redis.
    pub(in crate::bench) async fn clear(ground: &Ground, side: Side) -> anyhow::Result<Self> {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let amqp = ground.brokers.vhost(&format!("{}-{run}", side.name())).await?;
        let redis = ground.brokers.redis_url().to_owned();
        RedisInfo::connect(&redis).await?.clear().await?;
        Ok(Self { side, amqp, redis })
    }

    /// Takes the queues away, so that the next run does not share the broker with them.
    pub(in crate::bench) async fn leave(self) -> anyhow::Result<()> {
        let queues: &[&str] = match self.side {
            Side::Floor => &FLOOR_QUEUES,
            Side::Fleet => &fleet::QUEUES,
        };
        let connection = connect(&self.amqp).await?;
        let channel = connection.create_channel().await?;
        for queue in queues {
            channel.queue_delete((*queue).into(), QueueDeleteOptions::default()).await?;
        }
        connection.close(200, "left".into()).await?;
        Ok(())
    }
}

/// Messages that wait on a queue.
pub(in crate::bench) async fn waiting(channel: &Channel, queue: &str) -> anyhow::Result<u64> {
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    let state = channel.queue_declare(queue.into(), options, FieldTable::default()).await?;
    Ok(u64::from(state.message_count()))
}
