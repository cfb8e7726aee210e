//! What a test does to broker and store: the ways of the rows, which the random mix goes too.

use std::time::Duration;

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use tokio::time::{Instant, sleep};

use super::ground::Ground;
use crate::brokers::Server;

/// The limit of the broker's memory: its name, one that is below what it has, and the usual one.
pub(super) const MEMORY_ALARM: [&str; 3] = ["set_vm_memory_high_watermark", "0.00001", "0.4"];

impl Ground {
    /// Kills a server, and starts it again after so long; returns when it answered.
    pub(super) async fn kill_for(&self, server: Server, time: Duration) -> anyhow::Result<Instant> {
        self.brokers.kill(server).await?;
        sleep(time).await;
        self.brokers.start_again(server).await?;
        Ok(Instant::now())
    }

    /// Freezes a server for so long.
    pub(super) async fn freeze_for(&self, server: Server, time: Duration) -> anyhow::Result<()> {
        self.brokers.pause(server).await?;
        sleep(time).await;
        self.brokers.resume(server).await
    }

    /// Stops the broker's application in order, for so long.
    pub(super) async fn stop_broker_for(&self, time: Duration) -> anyhow::Result<()> {
        self.brokers.control(&["stop_app"]).await?;
        sleep(time).await;
        self.brokers.control(&["start_app"]).await
    }

    /// Deletes the exchange of the fleet's own work.
    pub(super) async fn delete_work_exchange(&self) -> anyhow::Result<()> {
        let (connection, channel) = self.amqp().await?;
        channel.exchange_delete("promemoria.work".into(), ExchangeDeleteOptions::default()).await?;
        Ok(connection.close(200, "done".into()).await?)
    }

    /// Deletes a queue with what it holds.
    pub(super) async fn delete_queue(&self, queue: &str) -> anyhow::Result<()> {
        let (connection, channel) = self.amqp().await?;
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
        Ok(connection.close(200, "done".into()).await?)
    }

    /// Takes away the binding by which the renderer gets its requests.
    pub(super) async fn unbind_render(&self) -> anyhow::Result<()> {
        let (connection, channel) = self.amqp().await?;
        let (queue, exchange, key) = ("promemoria.render", "promemoria.work", "render");
        channel.queue_unbind(queue.into(), exchange.into(), key.into(), FieldTable::default()).await?;
        Ok(connection.close(200, "done".into()).await?)
    }

    /// Takes everything out of Redis.
    pub(super) async fn empty_redis(&self) -> anyhow::Result<()> {
        Ok(redis::cmd("FLUSHALL").query_async(&mut self.redis().await?).await?)
    }

    /// Has Redis forget its scripts.
    pub(super) async fn forget_scripts(&self) -> anyhow::Result<()> {
        Ok(redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut self.redis().await?).await?)
    }

    /// `maxmemory` in bytes; 0 is no limit.
    pub(super) async fn limit_redis(&self, bytes: u64) -> anyhow::Result<()> {
        let set = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).to_owned();
        Ok(set.query_async(&mut self.redis().await?).await?)
    }
}
