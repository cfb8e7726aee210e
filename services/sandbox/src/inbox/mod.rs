//! The citizen's inbox, as a phone would show it: how communications officers judge their texts.
//!
//! `front_matter.rs` and `markdown.rs` follow the app's own rules for buttons and text; `views.rs` turns
//! messages into what the templates show; `page.rs` renders, escapes and guards the pages; `italian.rs`
//! writes dates and amounts.

mod front_matter;
mod italian;
mod markdown;
mod page;
mod views;

use crate::codec;
use crate::state::{Filter, State};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use front_matter::Language;
use serde::Deserialize;
use std::sync::Arc;
use url::form_urlencoded;

/// Messages on one page of the list.
const PAGE: usize = 40;

/// Query of `GET /`. Anything else in the query is ignored: links to the page must not break.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ListQuery {
    #[serde(default)]
    codice_fiscale: String,
    #[serde(default)]
    testo: String,
    /// Sequence number of the last message of the page before.
    prima: Option<u64>,
}

/// Query of `GET /messaggi/{id}`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct MessageQuery {
    #[serde(default)]
    lingua: Language,
}

/// `GET /`: the list, newest first.
pub(crate) async fn list(
    Shared(state): Shared<Arc<State>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Response {
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let recipient = query.codice_fiscale.trim().to_uppercase();
    let text = query.testo.trim().to_owned();
    let is_malformed = !recipient.is_empty() && !codec::is_fiscal_code(&recipient);
    let filter = Filter {
        fiscal_code: Some(recipient.clone()).filter(|code| !code.is_empty()),
        account: None,
        text: Some(text.to_lowercase()).filter(|text| !text.is_empty()),
    };
    let found = if is_malformed {
        Vec::new()
    } else {
        state.store.before(query.prima.unwrap_or(u64::MAX), &filter, PAGE)
    };
    let view = views::ListView {
        older: found
            .last()
            .filter(|_| found.len() == PAGE)
            .map(|last| address(&recipient, &text, last.sequence)),
        items: found.iter().map(|stored| views::item(stored, state.processed_after)).collect(),
        total: italian::thousands(state.store.counts().received),
        codice_fiscale: recipient,
        testo: text,
        is_malformed,
        is_first_page: query.prima.is_none(),
        simulated: views::SIMULATED,
    };
    page::render(StatusCode::OK, "list.html", &view)
}

/// Address of the list from a message on, with the same search.
fn address(recipient: &str, text: &str, before: u64) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("codice_fiscale", recipient), ("testo", text), ("prima", &before.to_string())])
        .finish();
    format!("/?{query}")
}

/// `GET /messaggi/{id}`: one message; opening it marks it as read.
pub(crate) async fn message(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    query: Result<Query<MessageQuery>, QueryRejection>,
) -> Response {
    let Some(stored) = state.store.get(&id) else { return not_found().await };
    stored.mark_read();
    let language = query.map(|Query(query)| query.lingua).unwrap_or_default();
    let view = views::message(&stored, language, state.processed_after);
    page::render(StatusCode::OK, "message.html", &view)
}

/// `POST /messaggi/{id}/pagamento`: the citizen pays.
pub(crate) async fn pay(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response {
    match state.store.get(&id) {
        Some(stored) if stored.message.payment().is_some() => {
            stored.mark_paid();
            Redirect::to(&format!("/messaggi/{}", stored.id)).into_response()
        }
        _ => not_found().await,
    }
}

/// Any other page.
pub(crate) async fn not_found() -> Response {
    page::render(StatusCode::NOT_FOUND, "not-found.html", &())
}
