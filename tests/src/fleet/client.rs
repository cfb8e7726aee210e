//! The integrator's side: publish events, listen to outcomes, look at what citizens got.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::StreamExt as _;
use jsonschema::Validator;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};
use serde_json::Value;
use shared::domain::outcome::{OUTCOME_TYPES, outcome_schema};
use tokio::time::{Instant, timeout};

/// Publishes events and listens to every outcome.
pub struct Client {
    channel: Channel,
    outcomes: Consumer,
    seen: HashSet<String>,
    /// Trace context in the header of each outcome, by its id.
    traces: HashMap<String, String>,
    schemas: HashMap<&'static str, Validator>,
    _connection: Connection,
}

impl Client {
    /// Connects and starts to listen to all outcomes. The topology must be there: the services declare it.
    ///
    /// # Errors
    /// The broker refuses.
    pub async fn connect(amqp_url: &str) -> anyhow::Result<Self> {
        let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let options =
            QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
        let (queue, exchange) = (queue.name().clone(), ShortString::from("promemoria.outcomes"));
        channel
            .queue_bind(
                queue.clone(),
                exchange,
                "#".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let outcomes = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
        let schemas = schemas()?;
        Ok(Self {
            channel,
            outcomes,
            seen: HashSet::new(),
            traces: HashMap::new(),
            schemas,
            _connection: connection,
        })
    }

    /// Publishes a body as an integrator should: persistent, mandatory, confirmed.
    ///
    /// # Errors
    /// It was not confirmed, or came back.
    pub async fn publish(&self, routing_key: &str, body: &[u8]) -> anyhow::Result<()> {
        self.publish_traced(routing_key, body, None).await
    }

    /// The same, with a trace context in the header.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub async fn publish_traced(
        &self,
        routing_key: &str,
        body: &[u8],
        traceparent: Option<&str>,
    ) -> anyhow::Result<()> {
        let mut headers = FieldTable::default();
        if let Some(traceparent) = traceparent {
            headers.insert("traceparent".into(), AMQPValue::LongString(traceparent.into()));
        }
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_headers(headers)
            .with_content_type("application/cloudevents+json".into());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = self
            .channel
            .basic_publish("promemoria.events".into(), routing_key.into(), options, body, properties)
            .await?;
        ensure!(matches!(confirm.await?, Confirmation::Ack(None)), "an event was not taken by the broker");
        Ok(())
    }

    /// Publishes a `CloudEvents` event with the routing key its content asks for.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub async fn publish_event(&self, event: &Value) -> anyhow::Result<()> {
        let word = |key: &str| event[key].as_str().unwrap_or("-").to_owned();
        self.publish(&format!("{}.{}", word("ente"), word("type")), event.to_string().as_bytes()).await
    }

    /// Holds an outcome against the schema that is published for its type.
    fn check(&self, outcome: &Value) -> anyhow::Result<()> {
        let tipo = outcome["type"].as_str().unwrap_or_default();
        let schema = self.schemas.get(tipo).with_context(|| format!("\"{tipo}\" is no outcome type"))?;
        let faults: Vec<String> =
            schema.iter_errors(outcome).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
        ensure!(faults.is_empty(), "{tipo} does not keep its schema: {faults:?} in {outcome:#}");
        Ok(())
    }

    /// The next outcome that was not told before; none within `limit`.
    ///
    /// # Errors
    /// The connection is gone, or an outcome, told before or not, does not keep its schema.
    pub async fn next_outcome(&mut self, limit: Duration) -> anyhow::Result<Option<Value>> {
        let end = Instant::now() + limit;
        while let Ok(delivery) =
            timeout(end.saturating_duration_since(Instant::now()), self.outcomes.next()).await
        {
            let delivery = delivery.context("the connection to the broker is gone")??;
            let outcome: Value = serde_json::from_slice(&delivery.data)?;
            self.check(&outcome)?;
            let id = outcome["id"].as_str().unwrap_or_default().to_owned();
            let headers = delivery.properties.headers().as_ref();
            if let Some(AMQPValue::LongString(trace)) = headers.and_then(|it| it.inner().get("traceparent")) {
                self.traces.insert(id.clone(), trace.to_string());
            }
            if self.seen.insert(id) {
                return Ok(Some(outcome));
            }
        }
        Ok(None)
    }

    /// The trace context in the header of an outcome that came.
    #[must_use]
    pub fn trace_of(&self, outcome: &Value) -> Option<&str> {
        self.traces.get(outcome["id"].as_str()?).map(String::as_str)
    }

    /// Collects outcomes until `enough` says so.
    ///
    /// # Errors
    /// Not within `limit`: what came, and what did not.
    pub async fn outcomes_until(
        &mut self,
        limit: Duration,
        mut enough: impl FnMut(&[Value]) -> bool,
    ) -> anyhow::Result<Vec<Value>> {
        let end = Instant::now() + limit;
        let mut outcomes = Vec::new();
        while !enough(&outcomes) {
            match self.next_outcome(end.saturating_duration_since(Instant::now())).await? {
                Some(outcome) => outcomes.push(outcome),
                None => bail!("not the outcomes hoped for within {limit:?}, only {outcomes:#?}"),
            }
        }
        Ok(outcomes)
    }
}

/// The published schema of each outcome type.
fn schemas() -> anyhow::Result<HashMap<&'static str, Validator>> {
    let compiled = |it| jsonschema::options().should_validate_formats(true).build(&outcome_schema(it));
    OUTCOME_TYPES.iter().map(|it| Ok((it.tipo, compiled(it)?))).collect()
}

/// A client for loopback.
///
/// # Errors
/// It cannot be built.
pub fn http_client() -> reqwest::Result<reqwest::Client> {
    // Already installed by another test of this process: the same provider.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build()
}

/// Everything that the sandbox kept, the oldest first.
///
/// # Errors
/// It does not answer.
pub async fn sandbox_messages(port: u16) -> anyhow::Result<Vec<Value>> {
    let client = http_client()?;
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let url = format!("http://127.0.0.1:{port}/sandbox/messages?limit=10000{after}");
        let mut page: Value = client.get(url).send().await?.error_for_status()?.json().await?;
        let Value::Array(messages) = page["messages"].take() else {
            bail!("the sandbox answered no list of messages");
        };
        all.extend(messages);
        match page["next"].as_u64() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(all),
        }
    }
}

/// The metrics that a service answers on this port, in the Prometheus text format.
///
/// # Errors
/// It does not answer.
pub async fn metrics(port: u16) -> anyhow::Result<String> {
    let url = format!("http://127.0.0.1:{port}/metrics");
    Ok(http_client()?.get(url).send().await?.error_for_status()?.text().await?)
}

/// Sets a fault of the sandbox.
///
/// # Errors
/// It refuses the fault.
pub async fn sandbox_fault(port: u16, fault: &Value) -> anyhow::Result<()> {
    let client = http_client()?;
    let url = format!("http://127.0.0.1:{port}/sandbox/faults");
    let answer = client.post(url).json(fault).send().await?;
    let status = answer.status();
    ensure!(status.is_success(), "the sandbox refuses the fault: {status} {}", answer.text().await?);
    Ok(())
}

/// Faults that are armed and have calls left.
///
/// # Errors
/// The sandbox does not answer.
pub async fn sandbox_faults_left(port: u16) -> anyhow::Result<usize> {
    let url = format!("http://127.0.0.1:{port}/sandbox/faults");
    let answer: Value = http_client()?.get(url).send().await?.error_for_status()?.json().await?;
    let faults = answer.get("faults").unwrap_or(&answer);
    faults.as_array().map(Vec::len).context("the sandbox answered no list of faults")
}

/// What the sandbox says of an account's calls.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
pub struct Called {
    /// All of them.
    pub calls: u64,
    /// Those that were refused for the rate limit.
    pub refused: u64,
    /// Most in any 5 s, from the instants at which they came.
    pub busiest: u64,
    /// Milliseconds from first to last.
    pub span_ms: u64,
}

/// An account's calls; none if it made none.
///
/// # Errors
/// The sandbox does not answer.
pub async fn sandbox_calls(port: u16, account: &str) -> anyhow::Result<Option<Called>> {
    let url = format!("http://127.0.0.1:{port}/sandbox/calls");
    let mut calls: std::collections::BTreeMap<String, Called> =
        http_client()?.get(url).send().await?.error_for_status()?.json().await?;
    Ok(calls.remove(account))
}
