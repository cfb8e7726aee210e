//! The way to the collector: OTLP, protobuf over HTTP.

use std::pin::Pin;
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use tokio::runtime::Handle;
use url::Url;

/// Longest that the collector may take for one request; a connection is part of it.
const EXPORT_LIMIT: Duration = Duration::from_secs(5);
/// Longest answer read: it names at most how many spans were refused.
const ANSWER_CAP: usize = 64 * 1024;

/// Why there is no way to the collector.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// TLS or the client could not be set up.
    #[error("tracing.endpoint: the HTTP client could not be set up")]
    Client,
    /// The exporter refuses what it was given.
    #[error("tracing.endpoint: the exporter could not be set up")]
    Exporter,
}

/// The exporter; it does not connect yet.
pub(super) fn exporter(endpoint: &Url) -> Result<SpanExporter, StartError> {
    // Another part of the process may have chosen the provider already: it is the same one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(EXPORT_LIMIT)
        .build()
        .map_err(|_| StartError::Client)?;
    let mut url = endpoint.clone();
    url.path_segments_mut().map_err(|()| StartError::Exporter)?.pop_if_empty().extend(["v1", "traces"]);
    SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(url.as_str())
        .with_timeout(EXPORT_LIMIT)
        .with_http_client(OnRuntime { client, runtime: Handle::current() })
        .build()
        .map_err(|_| StartError::Exporter)
}

/// The client on the process's runtime: the library sends from a thread of its own, which has none.
#[derive(Debug)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: Handle,
}

impl HttpClient for OnRuntime {
    fn send_bytes<'me, 'answer>(
        &'me self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'answer>>
    where
        'me: 'answer,
        Self: 'answer,
    {
        let sent = self.runtime.spawn(send(self.client.clone(), request));
        Box::pin(async { sent.await? })
    }
}

async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let mut response = client.execute(request.try_into()?).await?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_CAP {
            return Err("the collector's answer is too long".into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response::builder().status(status).body(body.into())?)
}
