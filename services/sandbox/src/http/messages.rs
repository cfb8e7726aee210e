//! `POST /messages`, `POST /messages/{fiscal_code}`, `GET /messages/{fiscal_code}/{id}`.

use super::answer::{NO_PREMIUM, NOT_ALLOWED, bad_path_fiscal_code, json, problem, unreadable_body};
use crate::codec::{self, Level, NewMessage};
use crate::state::{Configuration, Service, State, Status, Stored};
use axum::extract::{Extension, Path, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The caller, put there by the gateway.
pub(super) type Caller = Extension<Arc<Service>>;

/// A refusal, boxed because it is far larger than what goes well.
type Refusal = Box<Response>;

/// `POST /messages`: the recipient is in the body.
pub(super) async fn submit(
    Shared(state): Shared<Arc<State>>,
    Extension(caller): Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    submit_message(&state, &caller, None, (&headers, &body)).unwrap_or_else(|refusal| *refusal)
}

/// `POST /messages/{fiscal_code}`: the recipient is in the path.
pub(super) async fn submit_to_path(
    Shared(state): Shared<Arc<State>>,
    Extension(caller): Caller,
    Path(fiscal_code): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    submit_message(&state, &caller, Some(&fiscal_code), (&headers, &body)).unwrap_or_else(|refusal| *refusal)
}

/// The checks in the API's order: the first failure wins.
fn submit_message(
    state: &State,
    caller: &Arc<Service>,
    in_path: Option<&str>,
    (headers, body): (&HeaderMap, &[u8]),
) -> Result<Response, Refusal> {
    let parsed = parse_body(body)?;
    let message = codec::decode(parsed.as_ref())
        .map_err(|detail| problem(StatusCode::BAD_REQUEST, "Invalid message structure", &detail))?;
    if let Some(malformed) = in_path.filter(|code| !codec::is_fiscal_code(code)) {
        return Err(Box::new(bad_path_fiscal_code(malformed)));
    }
    check_permissions(state, caller, &message)?;
    let recipient = recipient(in_path, message.fiscal_code())?.to_owned();
    check_remote_content(state, caller, &message)?;
    check_amount(caller, &message)?;
    let stored = state.store.add(&recipient, Arc::clone(caller), (message, traceparent(headers)));
    Ok(created(&stored))
}

/// The real API says nothing of it; here one can see what was sent.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    headers.get("traceparent")?.to_str().ok().map(str::to_owned)
}

/// `None` for a request without a body.
pub(super) fn parse_body(body: &[u8]) -> Result<Option<Value>, Refusal> {
    if body.is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(body);
    codec::parse(&text).map(Some).map_err(|fault| Box::new(unreadable_body(&fault)))
}

fn forbidden(title: &str, detail: &str) -> Response {
    problem(StatusCode::FORBIDDEN, title, detail)
}

/// Features that need a permission of the account: none here has the ones for certificates and payees.
fn check_permissions(state: &State, caller: &Service, message: &NewMessage) -> Result<(), Refusal> {
    let detail = if message.content().get("eu_covid_cert").is_some() {
        "You do not have enough permissions to send an EUCovidCert message"
    } else if message.payment().is_some_and(|payment| payment.payee.is_some()) {
        "You do not have enough permissions to send a payment message with payee"
    } else if message.level() == Level::Advanced && !caller.is_premium {
        NO_PREMIUM
    } else if message.level() == Level::Standard
        && message.third_party_data().is_some()
        && !state.directory.may_send_third_party_data(caller)
    {
        "You do not have enough permissions to send a third party message"
    } else {
        return Ok(());
    };
    Err(Box::new(forbidden(NOT_ALLOWED, detail)))
}

fn recipient<'a>(in_path: Option<&'a str>, in_body: Option<&'a str>) -> Result<&'a str, Refusal> {
    let bad = |detail| Box::new(problem(StatusCode::BAD_REQUEST, "Bad parameters", detail));
    match (in_path, in_body) {
        (Some(code), None) | (None, Some(code)) => Ok(code),
        (None, None) => Err(bad("The fiscalcode parameter must be specified in the path or in the payload")),
        (Some(_), Some(_)) => Err(bad(
            "The fiscalcode parameter must be specified in the path or in the payload but not in both",
        )),
    }
}

fn check_remote_content(state: &State, caller: &Service, message: &NewMessage) -> Result<(), Refusal> {
    let Some(data) = message.third_party_data() else { return Ok(()) };
    let Some(configuration) = data.get("configuration_id").and_then(Value::as_str) else {
        return Err(Box::new(forbidden(
            "No configuration id for remote content",
            "You did not send any configuration id for your remote content in third_party_data",
        )));
    };
    match state.directory.configuration(configuration, caller) {
        Configuration::Unknown => {
            return Err(Box::new(problem(
                StatusCode::NOT_FOUND,
                "Remote Content Configuration NOT FOUND",
                "Cannot find any Remote Content Configuration with the given id",
            )));
        }
        Configuration::SomeoneElses => {
            return Err(Box::new(forbidden(
                "Not your configuration",
                "You're not the owner of the configuration related to the given configuration_id",
            )));
        }
        Configuration::Owned => {}
    }
    if message.has_attachments() && message.level() == Level::Standard {
        return Err(Box::new(forbidden(
            "Attachments call forbidden",
            "You are not allowed to send messages with attachmens with STANDARD messages, please use ADVANCED",
        )));
    }
    Ok(())
}

fn check_amount(caller: &Service, message: &NewMessage) -> Result<(), Refusal> {
    match message.payment() {
        Some(payment) if payment.amount > caller.max_amount => {
            let detail = format!(
                "The requested amount ({} cents) exceeds the maximum allowed for this service ({} cents)",
                payment.amount, caller.max_amount
            );
            let title = "Error while sending payment metadata";
            Err(Box::new(problem(StatusCode::BAD_REQUEST, title, &detail)))
        }
        _ => Ok(()),
    }
}

fn created(stored: &Stored) -> Response {
    let mut response = json(StatusCode::CREATED, &json!({ "id": stored.id }));
    let location = format!("{}/messages/{}/{}", super::BASE_PATH, stored.fiscal_code, stored.id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// `GET /messages/{fiscal_code}/{id}`.
pub(super) async fn status(
    Shared(state): Shared<Arc<State>>,
    Extension(caller): Caller,
    Path((fiscal_code, id)): Path<(String, String)>,
) -> Response {
    if !codec::is_fiscal_code(&fiscal_code) {
        return bad_path_fiscal_code(&fiscal_code);
    }
    let Some(stored) = state.store.get(&id).filter(|stored| stored.fiscal_code == fiscal_code) else {
        return problem(
            StatusCode::NOT_FOUND,
            "Message not found",
            "The message that you requested was not found in the system.",
        );
    };
    if stored.service.id != caller.id {
        let detail =
            "You are not allowed to read this message, you can only read messages that you have sent";
        return problem(StatusCode::FORBIDDEN, NOT_ALLOWED, detail);
    }
    json(StatusCode::OK, &message_with_status(&stored, stored.status(state.processed_after)))
}

/// The content is there once it was delivered; read and payment status for a Premium message only.
fn message_with_status(stored: &Stored, status: Status) -> Value {
    let mut message = Map::new();
    if status == Status::Processed {
        message.insert("content".to_owned(), stored.message.content().clone());
    }
    for (name, value) in [
        ("id", json!(stored.id)),
        ("fiscal_code", json!(stored.fiscal_code)),
        ("created_at", json!(stored.received.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())),
        ("sender_service_id", json!(stored.service.id)),
        ("time_to_live", json!(stored.message.time_to_live())),
        ("feature_level_type", json!(stored.message.level())),
    ] {
        message.insert(name.to_owned(), value);
    }
    let mut answer =
        Map::from_iter([("message".to_owned(), message.into()), ("status".to_owned(), json!(status))]);
    if stored.message.level() == Level::Advanced && status == Status::Processed {
        answer.insert("read_status".to_owned(), if stored.is_read() { "READ" } else { "UNREAD" }.into());
        if stored.message.payment().is_some() {
            let paid = if stored.is_paid() { "PAID" } else { "NOT_PAID" };
            answer.insert("payment_status".to_owned(), paid.into());
        }
    }
    answer.into()
}
