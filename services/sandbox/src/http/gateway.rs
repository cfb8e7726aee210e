//! What stands before the API: the key, the account's rate limit, the armed faults; in this order.

use super::answer::{REMAINING, invalid_key, missing_key, too_many_calls};
use super::spoil;
use crate::state::{Admission, Call, FaultSpec, Operation, Service, State};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;

/// Header of the key.
const KEY: &str = "ocp-apim-subscription-key";

/// Bytes of a body that a struck call may have; more than any message.
const MAX_BODY: usize = 2 * 1024 * 1024;

/// Lets a call through to the API, or answers in its place.
pub(super) async fn pass(Shared(state): Shared<Arc<State>>, mut request: Request, next: Next) -> Response {
    let service = match identify(&state, &request) {
        Ok(service) => service,
        Err(refusal) => return *refusal,
    };
    let now = Instant::now();
    let admission = service.admit(now);
    state.calls.record(&service.account, now, matches!(admission, Admission::Refused { .. }));
    let remaining = match admission {
        Admission::Unlimited => None,
        Admission::Admitted { remaining } => Some(remaining),
        Admission::Refused { retry_after } => {
            return with_remaining(
                too_many_calls(retry_after, Some(HeaderValue::from(retry_after))),
                Some(0),
            );
        }
    };
    request.extensions_mut().insert(Arc::clone(&service));
    let response = if state.faults.is_empty() {
        next.run(request).await
    } else {
        let (request, fault) = strike(&state, &service, request).await;
        match fault {
            None => next.run(request).await,
            Some(fault) => spoil::run(&fault, request, next).await,
        }
    };
    with_remaining(response, remaining)
}

fn identify(state: &State, request: &Request) -> Result<Arc<Service>, Box<Response>> {
    let key = request.headers().get(KEY).filter(|key| !key.is_empty());
    let Some(key) = key else { return Err(Box::new(missing_key())) };
    let service = key.to_str().ok().and_then(|key| state.directory.service(key));
    service.ok_or_else(|| Box::new(invalid_key()))
}

fn with_remaining(mut response: Response, remaining: Option<usize>) -> Response {
    if let Some(remaining) = remaining {
        response.headers_mut().insert(REMAINING, HeaderValue::from(remaining));
    }
    response
}

/// Reads the body whole, to know its recipient (and so that a cut leaves nothing unread, which would reset
/// the connection in place of closing it), and takes the fault that hits the call.
async fn strike(state: &State, service: &Service, request: Request) -> (Request, Option<FaultSpec>) {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let mut segments = parts.uri.path().trim_start_matches(super::BASE_PATH).split('/').skip(1);
    let (resource, in_path) = (segments.next(), segments.next());
    let operation = match (resource, &parts.method) {
        (Some("messages"), &Method::POST) => Some(Operation::Submit),
        (Some("messages"), _) => Some(Operation::Status),
        (Some("profiles"), _) => Some(Operation::Profile),
        _ => None,
    };
    let in_body = serde_json::from_slice::<Value>(&bytes).ok();
    let in_body = in_body.as_ref().and_then(|body| body.get("fiscal_code")).and_then(Value::as_str);
    let (fiscal_code, account) = (in_path.or(in_body), &*service.account);
    let fault =
        operation.and_then(|operation| state.faults.strike(&Call { operation, fiscal_code, account }));
    (Request::from_parts(parts, Body::from(bytes)), fault)
}
