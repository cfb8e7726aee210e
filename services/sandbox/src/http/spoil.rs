//! Makes a struck call go wrong.

use super::answer::{NO_PREMIUM, NOT_ALLOWED, invalid_key, problem, too_many_calls, with_type};
use super::body;
use crate::state::{FaultKind, FaultSpec, RetryAfter, Spoiled};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use std::io;

/// Marks an answer that must not be sent: the connection is closed in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut;

/// Seconds that a 429 without a wished wait names in its text.
const WAIT_IN_TEXT: u64 = 5;

/// Runs a call that a fault has hit.
pub(super) async fn run(fault: &FaultSpec, request: Request, next: Next) -> Response {
    let response = match fault.kind {
        FaultKind::RateLimited => rate_limited(fault.retry_after.as_ref()),
        FaultKind::Unauthorized => invalid_key(),
        FaultKind::PremiumForbidden => problem(StatusCode::FORBIDDEN, NOT_ALLOWED, NO_PREMIUM),
        FaultKind::ServerError => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Internal server error",
            "Unable to store processing message",
        ),
        FaultKind::BadGateway => gateway_page(StatusCode::BAD_GATEWAY, "502 Bad Gateway"),
        FaultKind::GatewayTimeout => gateway_page(StatusCode::GATEWAY_TIMEOUT, "504 Gateway Time-out"),
        FaultKind::Redirect => redirect(request.uri().path()),
        FaultKind::CutBefore => cut(),
        FaultKind::CutAfter => {
            next.run(request).await;
            cut()
        }
        FaultKind::Truncated => truncated(next.run(request).await).await,
        FaultKind::WrongJson => wrong_json(next.run(request).await),
        FaultKind::Body => body::spoiled(next.run(request).await, fault.body.unwrap_or(Spoiled::Empty)),
        FaultKind::Delay => next.run(request).await,
    };
    tokio::time::sleep(fault.delay()).await;
    response
}

/// 429 with what is asked for in its header.
fn rate_limited(retry_after: Option<&RetryAfter>) -> Response {
    match retry_after {
        None => too_many_calls(WAIT_IN_TEXT, None),
        Some(RetryAfter::Seconds(seconds)) => too_many_calls(*seconds, Some(HeaderValue::from(*seconds))),
        // A text that is no header was refused when the fault was armed.
        Some(RetryAfter::Text(text)) => too_many_calls(WAIT_IN_TEXT, HeaderValue::from_str(text).ok()),
    }
}

fn cut() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Cut);
    response
}

/// The page of the gateway itself, in which nothing of the API is.
fn gateway_page(status: StatusCode, title: &str) -> Response {
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         </body>\r\n</html>\r\n"
    );
    with_type(status, "text/html", page)
}

/// To a path that does not exist: a client that follows it gets a 404, one that must not follow it does not.
fn redirect(path: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    if let Ok(target) = HeaderValue::from_str(&format!("/moved{path}")) {
        response.headers_mut().insert(header::LOCATION, target);
    }
    response
}

/// The head of the answer with its true length, half of the body, then the end of the connection.
async fn truncated(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let half = whole.slice(..whole.len() / 2);
    let body = stream::unfold(Some(half), async |half| {
        if let Some(half) = half {
            return Some((Ok::<Bytes, io::Error>(half), None));
        }
        // Gives the server one turn to flush the half before the error closes the connection.
        tokio::task::yield_now().await;
        Some((Err(io::ErrorKind::ConnectionAborted.into()), None))
    });
    Response::from_parts(parts, Body::from_stream(body))
}

fn wrong_json(response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from("{\"id\": 01, <html>"))
}
