//! A collector of traces in this process: takes OTLP over HTTP and keeps it, decoded and as it came.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Listens on loopback until it is dropped.
pub struct Collector {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Bytes>>>,
    serving: JoinHandle<()>,
}

/// A span, and the service that sent it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// `service.name`.
    pub service: String,
    /// The span.
    pub span: Span,
}

impl Collector {
    /// Starts to listen.
    ///
    /// # Errors
    /// Loopback has no port left.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let requests = Arc::<Mutex<Vec<Bytes>>>::default();
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&requests));
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { address, requests, serving })
    }

    /// The table `[tracing]` that leads here.
    #[must_use]
    pub fn settings(&self, sample_ratio: f64) -> String {
        settings(self.address, sample_ratio)
    }

    /// What came, byte for byte.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.requests().concat()
    }

    /// What came, span by span.
    ///
    /// # Errors
    /// Something else than OTLP came.
    pub fn spans(&self) -> anyhow::Result<Vec<Sent>> {
        let mut spans = Vec::new();
        for request in self.requests().iter() {
            for of_service in ExportTraceServiceRequest::decode(&request[..])?.resource_spans {
                let attributes = of_service.resource.map(|it| it.attributes).unwrap_or_default();
                let service = text(&attributes, "service.name").unwrap_or_default();
                let sent = of_service.scope_spans.into_iter().flat_map(|it| it.spans);
                spans.extend(sent.map(|span| Sent { service: service.clone(), span }));
            }
        }
        Ok(spans)
    }

    fn requests(&self) -> MutexGuard<'_, Vec<Bytes>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Sent {
    /// An attribute that is text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        text(&self.span.attributes, key)
    }
}

/// The table `[tracing]` for a collector at this address.
#[must_use]
pub fn settings(address: SocketAddr, sample_ratio: f64) -> String {
    format!("[tracing]\nendpoint = \"http://{address}\"\nsample_ratio = {sample_ratio:.1}\n")
}

async fn take(State(requests): State<Arc<Mutex<Vec<Bytes>>>>, body: Bytes) -> StatusCode {
    requests.lock().unwrap_or_else(PoisonError::into_inner).push(body);
    StatusCode::OK
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    match &attributes.iter().find(|it| it.key == key)?.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some(text.clone()),
        _ => None,
    }
}
