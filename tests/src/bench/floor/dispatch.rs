//! Third hop: profile, fence, journal line, submit, settle, outcome.

use std::sync::Arc;

use clap::Args;
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::job::{Content, Job};
use super::schedule::Schedule;
use super::topology;
use crate::bench::amqp::{Outlet, WINDOW, connect, relay};
use crate::bench::process::hop;

/// Calls in flight; the fleet's default `io.concurrency`.
const CALLS: usize = 64;
/// Header of the service's key.
const KEY_HEADER: &str = "Ocp-Apim-Subscription-Key";

/// Where the third hop finds what it needs.
#[derive(Debug, Clone, Args)]
pub(in crate::bench) struct Dispatch {
    /// RabbitMQ.
    #[arg(long)]
    pub(in crate::bench) amqp: String,
    /// Redis.
    #[arg(long)]
    pub(in crate::bench) redis: String,
    /// The sandbox's API.
    #[arg(long)]
    pub(in crate::bench) api: String,
    /// Key of the sending service.
    #[arg(long)]
    pub(in crate::bench) key: String,
}

struct Sender {
    client: Client,
    profiles: String,
    messages: String,
    key: String,
    calls: Semaphore,
    schedule: Schedule,
    outlet: Outlet,
}

/// Works until the benchmark goes away.
pub(in crate::bench) async fn run(dispatch: Dispatch) -> anyhow::Result<()> {
    let (incoming, outgoing) = (connect(&dispatch.amqp).await?, connect(&dispatch.amqp).await?);
    topology::declare(&incoming).await?;
    let client = Client::builder()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(CALLS)
        .tcp_nodelay(true)
        .build()?;
    let sender = Arc::new(Sender {
        client,
        profiles: format!("{}/profiles", dispatch.api),
        messages: format!("{}/messages", dispatch.api),
        key: dispatch.key,
        calls: Semaphore::new(CALLS),
        schedule: Schedule::connect(&dispatch.redis).await?,
        outlet: Outlet::open(&outgoing, WINDOW).await?,
    });
    hop::ready()?;
    hop::while_wanted(relay(&incoming, topology::DISPATCH, |body| {
        let sender = Arc::clone(&sender);
        async move { sender.send(&body).await }
    }))
    .await
}

#[derive(Serialize)]
struct ProfileRequest<'a> {
    fiscal_code: &'a str,
}

#[derive(Deserialize)]
struct Profile {
    sender_allowed: bool,
}

#[derive(Serialize)]
struct NewMessage<'a> {
    fiscal_code: &'a str,
    feature_level_type: &'a str,
    content: &'a Content,
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

#[derive(Serialize)]
struct Intent<'a> {
    case: &'a str,
    ente: &'a str,
}

#[derive(Serialize)]
struct Outcome<'a> {
    specversion: &'a str,
    r#type: &'a str,
    subject: &'a str,
    ente: &'a str,
    io_id: &'a str,
}

impl Sender {
    async fn send(&self, body: &[u8]) -> anyhow::Result<()> {
        let job: Job = serde_json::from_slice(body)?;
        let io_id = {
            let _slot = self.calls.acquire().await?;
            self.profile(&job).await?;
            self.schedule.fence(&job.case).await?;
            let intent = Intent { case: &job.case, ente: &job.ente };
            let line = serde_json::to_vec(&intent)?;
            self.outlet.send(topology::JOURNAL, topology::JOURNAL_INTENTS, &line).await?;
            self.submit(&job).await?
        };
        self.schedule.settle(&job.case, &io_id).await?;
        let outcome = Outcome {
            specversion: "1.0",
            r#type: "messaggio.inviato",
            subject: &job.case,
            ente: &job.ente,
            io_id: &io_id,
        };
        let key = format!("{}.messaggio.inviato", job.ente);
        self.outlet.send(topology::OUTCOMES, &key, &serde_json::to_vec(&outcome)?).await
    }

    async fn profile(&self, job: &Job) -> anyhow::Result<()> {
        let request = ProfileRequest { fiscal_code: &job.codice_fiscale };
        let answer = self.client.post(&self.profiles).header(KEY_HEADER, &self.key).json(&request);
        let profile: Profile = serde_json::from_slice(&answer.send().await?.bytes().await?)?;
        anyhow::ensure!(profile.sender_allowed, "a recipient refuses the service");
        Ok(())
    }

    async fn submit(&self, job: &Job) -> anyhow::Result<String> {
        let message = NewMessage {
            fiscal_code: &job.codice_fiscale,
            feature_level_type: "STANDARD",
            content: &job.content,
        };
        let answer = self.client.post(&self.messages).header(KEY_HEADER, &self.key).json(&message);
        let answer = answer.send().await?;
        anyhow::ensure!(answer.status() == StatusCode::CREATED, "the API answers {}", answer.status());
        let accepted: Accepted = serde_json::from_slice(&answer.bytes().await?)?;
        Ok(accepted.id)
    }
}
