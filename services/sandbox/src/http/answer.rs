//! Answers in the shapes of the IO API: ProblemJson from the API itself, `{statusCode, message}` from the
//! gateway before it.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Calls left in the window.
pub(super) const REMAINING: HeaderName = HeaderName::from_static("x-rate-limit-remaining");
/// Seconds to wait after a 429.
pub(super) const RETRY_AFTER: HeaderName = HeaderName::from_static("x-rate-limit-retry-after");

/// Title of the API's refusals for want of a permission.
pub(super) const NOT_ALLOWED: &str = "You are not allowed here";
/// Detail of the Premium 403.
pub(super) const NO_PREMIUM: &str = "You do not have enough permissions to send a Premium message";

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    with_type(status, "application/json; charset=utf-8", body.to_string())
}

/// An error of the API: `application/problem+json` with `detail`, `status`, `title`.
pub(super) fn problem(status: StatusCode, title: &str, detail: &str) -> Response {
    let body = json!({"detail": detail, "status": status.as_u16(), "title": title});
    with_type(status, "application/problem+json", body.to_string())
}

/// An error of the gateway, which is no ProblemJson.
pub(super) fn gateway(status: StatusCode, message: &str) -> Response {
    json(status, &json!({"statusCode": status.as_u16(), "message": message}))
}

/// The gateway's 404.
pub(super) fn no_such_resource() -> Response {
    gateway(StatusCode::NOT_FOUND, "Resource not found")
}

/// The gateway's 429; without a header, as some gateways in the way strip it.
pub(super) fn too_many_calls(seconds: u64, header: Option<HeaderValue>) -> Response {
    let message = format!("Rate limit is exceeded. Try again in {seconds} seconds.");
    let mut response = gateway(StatusCode::TOO_MANY_REQUESTS, &message);
    if let Some(value) = header {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

/// The gateway's 401 for a key that it does not know.
pub(super) fn invalid_key() -> Response {
    gateway(
        StatusCode::UNAUTHORIZED,
        "Access denied due to invalid subscription key. Make sure to provide a valid key for an active \
         subscription.",
    )
}

/// The gateway's 401 for a call without a key.
pub(super) fn missing_key() -> Response {
    gateway(
        StatusCode::UNAUTHORIZED,
        "Access denied due to missing subscription key. Make sure to include subscription key when making \
         requests to an API.",
    )
}

/// The API's 500 for a body that is not JSON.
pub(super) fn unreadable_body(fault: &str) -> Response {
    problem(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error", fault)
}

/// The API's 400 for a malformed fiscal code in the path.
pub(super) fn bad_path_fiscal_code(given: &str) -> Response {
    use crate::codec::{FISCAL_CODE, bracketed};
    let (_, pattern) = FISCAL_CODE.split_once("string").unwrap_or(("", FISCAL_CODE));
    let title = format!("Invalid string{pattern}");
    problem(StatusCode::BAD_REQUEST, &title, &bracketed(Some(&given.into()), "root", FISCAL_CODE))
}

/// An answer of a given media type.
pub(super) fn with_type(status: StatusCode, media_type: &'static str, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, media_type)], body.into()).into_response()
}
