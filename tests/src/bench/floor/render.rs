//! Second hop: parse, put the values into a fixed text, serialise.

use clap::Args;

use super::job::Job;
use super::topology;
use crate::bench::amqp::{Outlet, WINDOW, connect, relay};
use crate::bench::process::hop;

/// Where the second hop finds its broker.
#[derive(Debug, Clone, Args)]
pub(in crate::bench) struct Render {
    /// RabbitMQ.
    #[arg(long)]
    pub(in crate::bench) amqp: String,
}

/// Works until the benchmark goes away.
pub(in crate::bench) async fn run(render: Render) -> anyhow::Result<()> {
    let (incoming, outgoing) = (connect(&render.amqp).await?, connect(&render.amqp).await?);
    topology::declare(&incoming).await?;
    let outlet = Outlet::open(&outgoing, WINDOW).await?;
    hop::ready()?;
    hop::while_wanted(relay(&incoming, topology::RENDER, |body| pass(body, &outlet))).await
}

async fn pass(body: Vec<u8>, outlet: &Outlet) -> anyhow::Result<()> {
    let job = Job::of(serde_json::from_slice(&body)?);
    outlet.send(topology::WORK, topology::DISPATCH, &serde_json::to_vec(&job)?).await
}
