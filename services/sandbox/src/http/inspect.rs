//! The sandbox's own endpoints, for tests and trials: what was sent, how many, which faults.

use super::answer::json;
use crate::codec;
use crate::state::{FaultSpec, Filter, State, Stored};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State as Shared};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Messages in one answer, unless the reader says otherwise.
const DEFAULT_LIMIT: usize = 100;
/// Most messages in one answer.
const MAX_LIMIT: usize = 10_000;

/// Query of `GET /sandbox/messages`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessagesQuery {
    fiscal_code: Option<String>,
    account: Option<String>,
    limit: Option<usize>,
    /// Sequence number of the last message seen.
    after: Option<u64>,
}

/// `GET /sandbox/messages`: oldest first; `next` is the cursor of the following page, `null` at the end.
pub(super) async fn messages(
    Shared(state): Shared<Arc<State>>,
    query: Result<Query<MessagesQuery>, QueryRejection>,
) -> Response {
    let Ok(Query(query)) = query else {
        return refused(&["query: knows fiscal_code, account, limit (1 to 10000) and after (integer)"]);
    };
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return refused(&["limit: must be 1 to 10000"]);
    }
    if query.fiscal_code.as_ref().is_some_and(|code| !codec::is_fiscal_code(code)) {
        return refused(&["fiscal_code: not a fiscal code"]);
    }
    let filter = Filter { fiscal_code: query.fiscal_code, account: query.account, text: None };
    let found = state.store.after(query.after.unwrap_or(0), &filter, limit);
    let next = found.last().filter(|_| found.len() == limit).map(|last| last.sequence);
    let messages: Vec<Value> = found.iter().map(|stored| describe(stored, state.processed_after)).collect();
    json(StatusCode::OK, &json!({"messages": messages, "next": next}))
}

fn describe(stored: &Stored, processed_after: Duration) -> Value {
    json!({
        "sequence": stored.sequence,
        "id": stored.id,
        "received_at": stored.received.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "account": &*stored.service.account,
        "service": {
            "id": stored.service.id,
            "nome": stored.service.nome,
            "ente": stored.service.ente,
        },
        "fiscal_code": stored.fiscal_code,
        "feature_level_type": stored.message.level(),
        "time_to_live": stored.message.time_to_live(),
        "status": stored.status(processed_after),
        "read": stored.is_read(),
        "paid": stored.is_paid(),
        "traceparent": stored.traceparent,
        "content": stored.message.content(),
    })
}

/// `GET /sandbox/count`.
pub(super) async fn count(Shared(state): Shared<Arc<State>>) -> Response {
    json(StatusCode::OK, &json!(state.store.counts()))
}

/// `GET /sandbox/calls`: by account.
pub(super) async fn calls(Shared(state): Shared<Arc<State>>) -> Response {
    json(StatusCode::OK, &json!(state.calls.tally()))
}

/// `DELETE /sandbox/calls`.
pub(super) async fn clear_calls(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.calls.clear();
    StatusCode::NO_CONTENT
}

/// `DELETE /sandbox/messages`: messages and counters.
pub(super) async fn clear_messages(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.store.clear();
    StatusCode::NO_CONTENT
}

/// `GET /sandbox/faults`: the armed ones, `calls` being those left.
pub(super) async fn faults(Shared(state): Shared<Arc<State>>) -> Response {
    json(StatusCode::OK, &json!({"faults": state.faults.list()}))
}

/// `DELETE /sandbox/faults`.
pub(super) async fn clear_faults(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.faults.clear();
    StatusCode::NO_CONTENT
}

/// `POST /sandbox/faults`: one fault, or an array of them.
pub(super) async fn arm_faults(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    let specs = match read_faults(&body) {
        Ok(specs) => specs,
        Err(reason) => return refused(&[&reason]),
    };
    let faults: Vec<&str> = specs.iter().flat_map(FaultSpec::faults).collect();
    if !faults.is_empty() {
        return refused(&faults);
    }
    state.faults.arm(specs);
    json(StatusCode::CREATED, &json!({"faults": state.faults.list()}))
}

fn read_faults(body: &[u8]) -> Result<Vec<FaultSpec>, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("body: not JSON: {error}"))?;
    let items = match value {
        Value::Array(items) => items,
        single => vec![single],
    };
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| serde_json::from_value(item).map_err(|error| format!("fault {index}: {error}")))
        .collect()
}

fn refused(faults: &[&str]) -> Response {
    json(StatusCode::BAD_REQUEST, &json!({"errors": faults}))
}
