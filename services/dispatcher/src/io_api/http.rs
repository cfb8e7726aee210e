//! The IO API over HTTP.
//!
//! No call is repeated, no redirect followed, no proxy used: a second copy of a message can come from any
//! layer that tries again by itself. Nothing of an error of the HTTP library leaves this file: its texts
//! hold the URL, and the status call's URL holds a fiscal code.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use shared::domain::{FiscalCode, TraceContext};
use shared::trace::{self, Traces};
use shared::wire::{Content, DispatchRequest};
use tracing::warn;
use url::Url;

use super::observation::{Location, pause, remaining};
use super::{
    Answered, Body, Call, IoApi, Observation, ProfileAnswer, StatusAnswer, SubmitAnswer, followed, profiled,
    submitted,
};

/// Header of the service's key (io-api.md section 1).
const KEY_HEADER: &str = "Ocp-Apim-Subscription-Key";
/// Budget left, on every answer.
const REMAINING_HEADER: &str = "x-rate-limit-remaining";
/// Pause asked by a 429, in place of `Retry-After`.
const PAUSE_HEADER: &str = "x-rate-limit-retry-after";
/// Longest body read: IO's longest is a status with the message's own text, under 50 KiB.
const BODY_CAP: usize = 64 * 1024;
/// Idle connections are closed before a gateway does: a request written to a connection that the other
/// side is closing ends in doubt. The library's own default is 90 s.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// How to reach IO.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// `io.base_url`.
    pub base_url: Url,
    /// `io.connect_timeout`: name, TCP and TLS together.
    pub connect_timeout: Duration,
    /// `io.request_timeout`: the whole call, body included.
    pub request_timeout: Duration,
    /// Idle connections kept.
    pub connections: usize,
}

/// The adapter.
#[derive(Debug, Clone)]
pub struct HttpIoApi {
    client: Client,
    base: Url,
    profiles: Url,
    messages: Url,
    traces: Traces,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The address cannot have a path.
    #[error("io.base_url: must be an http or https address with a host")]
    BaseUrl,
    /// TLS or the client could not be set up.
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
}

impl HttpIoApi {
    /// A client with a pool of its own. It does not connect yet.
    ///
    /// # Errors
    /// When the address cannot be used, or TLS cannot be set up (no root certificates on this machine).
    pub fn new(options: &HttpOptions) -> Result<Self, HttpSetupError> {
        Self::on(client(options), &options.base_url)
    }

    /// With the client of a builder.
    fn on(builder: ClientBuilder, base_url: &Url) -> Result<Self, HttpSetupError> {
        let client = builder.build().map_err(|error| HttpSetupError::Client(error.without_url()))?;
        let below = |path: &str| {
            let mut url = base_url.clone();
            url.path_segments_mut().map_err(|()| HttpSetupError::BaseUrl)?.pop_if_empty().push(path);
            Ok(url)
        };
        let (profiles, messages) = (below("profiles")?, below("messages")?);
        Ok(Self { client, base: base_url.clone(), profiles, messages, traces: Traces::off() })
    }

    /// The same, with a span for each call. Its context goes along as `traceparent`, where the trace is kept.
    #[must_use]
    pub fn traced(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// Makes a call and writes down what was seen.
    async fn observe(
        &self,
        request: RequestBuilder,
        key: &SecretString,
        (method, template): (&'static str, &'static str),
    ) -> Observation {
        let span = self.traces.call(&trace::Call { method, template, base: &self.base });
        let request = match span.kept() {
            Some(context) => request.header(TraceContext::NAME, context.to_string()),
            None => request,
        };
        let seen = observe(request, key).await;
        if let Observation::Answered(answered) = &seen {
            span.note("http.response.status_code", i64::from(answered.status));
        }
        if let Some(code) = seen.error() {
            span.fail(code);
        }
        seen
    }

    /// The one URL with a fiscal code in it: IO has no other form of this call.
    fn status_url(&self, person: &FiscalCode, io_id: &str) -> Url {
        let mut url = self.messages.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(person.expose()).push(io_id);
        }
        url
    }
}

/// The one way in which clients are set up.
fn client(options: &HttpOptions) -> ClientBuilder {
    // Another part of the process may have chosen the provider already: it is the same one.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(options.connect_timeout)
        .timeout(options.request_timeout)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(options.connections)
        .tcp_nodelay(true)
}

impl IoApi for HttpIoApi {
    async fn profile(&self, key: &SecretString, person: &FiscalCode) -> Call<ProfileAnswer> {
        let body = Profile { fiscal_code: person.expose() };
        let request = self.client.post(self.profiles.clone()).json(&body);
        let seen = self.observe(request, key, ("POST", "/profiles")).await;
        Call::read(&seen, profiled)
    }

    async fn submit(&self, key: &SecretString, request: &DispatchRequest) -> Call<SubmitAnswer> {
        let body = NewMessage {
            fiscal_code: request.codice_fiscale.expose(),
            feature_level_type: request.livello.as_str(),
            content: &request.content,
        };
        let request = self.client.post(self.messages.clone()).json(&body);
        let seen = self.observe(request, key, ("POST", "/messages")).await;
        Call::read(&seen, submitted)
    }

    async fn status(&self, key: &SecretString, person: &FiscalCode, io_id: &str) -> Call<StatusAnswer> {
        let request = self.client.get(self.status_url(person, io_id));
        let seen = self.observe(request, key, ("GET", "/messages/{fiscal_code}/{id}")).await;
        Call::read(&seen, followed)
    }
}

/// Body of `POST /profiles`.
#[derive(Serialize)]
struct Profile<'a> {
    fiscal_code: &'a str,
}

/// Body of `POST /messages`. `time_to_live` is deprecated and left out.
#[derive(Serialize)]
struct NewMessage<'a> {
    fiscal_code: &'a str,
    feature_level_type: &'a str,
    content: &'a Content,
}

/// Makes the call and writes down what was seen, no more.
async fn observe(request: RequestBuilder, key: &SecretString) -> Observation {
    let Ok(mut key) = HeaderValue::from_str(key.expose_secret()) else {
        return Observation::NotFormed;
    };
    key.set_sensitive(true);
    match request.header(KEY_HEADER, key).send().await {
        Ok(response) => Observation::Answered(answered(response).await),
        Err(error) => {
            let seen = failed(&error);
            if seen == Observation::NotConnected {
                warn!(code = unreached(&error), "IO not reached");
            }
            seen
        }
    }
}

/// Reads an answer as far as it comes.
async fn answered(mut response: Response) -> Answered {
    let headers = response.headers();
    let location = text(headers, LOCATION.as_str()).map(|location| Location(location.to_owned()));
    let retry_after = pause([text(headers, PAUSE_HEADER), text(headers, RETRY_AFTER.as_str())]);
    let remaining = remaining(text(headers, REMAINING_HEADER));
    let status = response.status().as_u16();
    Answered { status, retry_after, remaining, location, body: body(&mut response).await }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The body by pieces, so that its length is ours to bound and not the other side's.
async fn body(response: &mut Response) -> Body {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= BODY_CAP => bytes.extend_from_slice(&chunk),
            Ok(None) => return Body::Whole(bytes),
            Ok(Some(_)) | Err(_) => return Body::Broken,
        }
    }
}

/// Which kind of failure it was. A connect failure is asked for first: a connect timeout is both.
fn failed(error: &reqwest::Error) -> Observation {
    if error.is_builder() {
        Observation::NotFormed
    } else if error.is_connect() {
        Observation::NotConnected
    } else if error.is_timeout() {
        Observation::TimedOut
    } else if was_reset(error) {
        Observation::Reset
    } else {
        Observation::Closed
    }
}

fn was_reset(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    causes(error)
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| matches!(error.kind(), ConnectionReset | ConnectionAborted | BrokenPipe))
}

/// Why no connection was made, for the log: an expired certificate and a closed port are mended by
/// different people. Bounded.
fn unreached(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return "connect-timeout";
    }
    causes(error).find_map(cause_code).unwrap_or("name-or-network")
}

fn cause_code(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(tls_code(error));
    }
    let error = error.downcast_ref::<std::io::Error>()?;
    if error.kind() == std::io::ErrorKind::ConnectionRefused {
        return Some("refused");
    }
    // What TLS says travels inside I/O errors, and is not among their sources.
    cause_code(error.get_ref()?)
}

fn tls_code(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
        UnknownIssuer,
    };
    let rustls::Error::InvalidCertificate(fault) = error else { return "tls" };
    match fault {
        Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. } => "tls-certificate-dates",
        NotValidForName | NotValidForNameContext { .. } => "tls-certificate-name",
        UnknownIssuer => "tls-certificate-issuer",
        _ => "tls-certificate",
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
#[path = "misbehaving.rs"]
mod misbehaving;
#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "http_tls_tests.rs"]
mod tls_tests;
