//! `POST /profiles`, `GET /profiles/{fiscal_code}`.

use super::answer::{bad_path_fiscal_code, json, problem};
use super::messages::parse_body;
use crate::codec::{self, FISCAL_CODE, bracketed};
use crate::recipients::{self, Profile};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};

/// `POST /profiles`, the fiscal code in the body.
pub(super) async fn by_body(body: Bytes) -> Response {
    let parsed = match parse_body(&body) {
        Ok(parsed) => parsed,
        Err(refusal) => return *refusal,
    };
    let invalid = |detail: &str| problem(StatusCode::BAD_REQUEST, "Invalid FiscalCodePayload", detail);
    let Some(payload) = parsed.as_ref().filter(|payload| payload.is_object()) else {
        return invalid(&bracketed(parsed.as_ref(), "root", "FiscalCodePayload"));
    };
    let given = payload.get("fiscal_code");
    match given.and_then(Value::as_str).filter(|code| codec::is_fiscal_code(code)) {
        Some(fiscal_code) => profile(fiscal_code),
        None => invalid(&bracketed(given, "root.fiscal_code", FISCAL_CODE)),
    }
}

/// `GET /profiles/{fiscal_code}`.
pub(super) async fn by_path(Path(fiscal_code): Path<String>) -> Response {
    if codec::is_fiscal_code(&fiscal_code) {
        profile(&fiscal_code)
    } else {
        bad_path_fiscal_code(&fiscal_code)
    }
}

fn profile(fiscal_code: &str) -> Response {
    let is_allowed = match recipients::profile(fiscal_code) {
        Profile::Allowed => true,
        Profile::Denied => false,
        Profile::Missing => {
            return problem(
                StatusCode::NOT_FOUND,
                "Profile not found",
                "The profile you requested was not found in the system.",
            );
        }
    };
    json(StatusCode::OK, &json!({"sender_allowed": is_allowed, "preferred_languages": ["it_IT"]}))
}
