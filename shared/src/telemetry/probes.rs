//! `/livez`, `/readyz` and `/metrics` of a service.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Without a tick for that long, the process is taken for stuck.
pub const STUCK_AFTER: Duration = Duration::from_secs(30);

/// Whether a process turns, and whether it takes work.
#[derive(Debug)]
pub struct Health {
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    last_tick: Instant,
    conditions: BTreeMap<&'static str, bool>,
    draining: bool,
}

impl Health {
    /// Starts alive and not ready: every condition given must be [set](Self::set) first.
    #[must_use]
    pub fn new(conditions: &[&'static str]) -> Arc<Self> {
        let conditions = conditions.iter().map(|name| (*name, false)).collect();
        Arc::new(Self { seen: Mutex::new(Seen { last_tick: Instant::now(), conditions, draining: false }) })
    }

    /// Says that a loop turned. Every loop calls it at each turn, idle ones at least every 10 s.
    pub fn tick(&self) {
        self.seen().last_tick = Instant::now();
    }

    /// Says whether a condition of readiness holds.
    pub fn set(&self, condition: &'static str, holds: bool) {
        self.seen().conditions.insert(condition, holds);
    }

    /// Ends readiness for good: the process stops.
    pub fn drain(&self) {
        self.seen().draining = true;
    }

    /// Whether a loop turned within [`STUCK_AFTER`].
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.seen().last_tick.elapsed() <= STUCK_AFTER
    }

    /// The conditions that do not hold, `draining` among them; ready if there is none.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let seen = self.seen();
        let unmet = seen.conditions.iter().filter(|(_, holds)| !**holds).map(|(name, _)| *name);
        unmet.chain(seen.draining.then_some("draining")).collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens and answers until `stop` is cancelled; cancel it last, so that a draining process still
/// tells that it is not ready. Port 0 takes a free one: the address in use is logged and returned.
///
/// # Errors
///
/// The address cannot be listened on.
pub async fn serve(
    bind: SocketAddr,
    health: Arc<Health>,
    registry: Registry,
    stop: CancellationToken,
) -> std::io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(bind).await?;
    let address = listener.local_addr()?;
    info!(%address, "probes and metrics listen");
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(health)
        .merge(Router::new().route("/metrics", get(metrics)).with_state(registry));
    let answering = tokio::spawn(async move {
        // A scraper may hold its connection open: the stop does not wait for it.
        let served = stop.run_until_cancelled(axum::serve(listener, router).into_future()).await;
        if let Some(Err(error)) = served {
            warn!(reason = %error.kind(), "probes and metrics ended");
        }
    });
    Ok((address, answering))
}

async fn livez(State(health): State<Arc<Health>>) -> (StatusCode, &'static str) {
    if health.is_alive() {
        (StatusCode::OK, "alive\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no loop turned for 30 s\n")
    }
}

async fn readyz(State(health): State<Arc<Health>>) -> (StatusCode, String) {
    let missing = health.missing();
    if missing.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join(", ")))
    }
}

async fn metrics(State(registry): State<Registry>) -> Response {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_names_what_is_missing() {
        let health = Health::new(&["amqp", "redis"]);
        let registry = Registry::new();
        let counter = prometheus::IntCounter::new("turns_total", "Turns.").unwrap();
        registry.register(Box::new(counter.clone())).unwrap();
        let stop = CancellationToken::new();
        let bind = ([127, 0, 0, 1], 0).into();
        let (address, answering) = serve(bind, Arc::clone(&health), registry, stop.clone()).await.unwrap();
        assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200"));
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("not ready: amqp, redis\n"));
        health.set("amqp", true);
        assert!(get(address, "/readyz").await.ends_with("not ready: redis\n"));
        health.set("redis", true);
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        health.drain();
        assert!(get(address, "/readyz").await.ends_with("not ready: draining\n"));
        let answer = get(address, "/metrics").await;
        assert!(answer.contains("text/plain; version=0.0.4") && answer.contains("turns_total 0\n"));
        assert!(get(address, "/").await.starts_with("HTTP/1.1 404"));
        stop.cancel();
        answering.await.unwrap();
    }

    #[test]
    fn a_process_without_ticks_is_not_alive() {
        let health = Health::new(&[]);
        assert!(health.is_alive() && health.missing().is_empty());
        let long_ago = Instant::now().checked_sub(STUCK_AFTER + Duration::from_secs(1)).unwrap();
        health.seen().last_tick = long_ago;
        assert!(!health.is_alive());
        health.tick();
        assert!(health.is_alive());
    }
}
