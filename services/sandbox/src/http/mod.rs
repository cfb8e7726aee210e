//! The HTTP side: the IO API under `/api/v1`, the sandbox's own endpoints, the inbox.
//!
//! `gateway.rs` stands in front of the API (keys, rate limit, faults); `messages.rs` and `profiles.rs` are
//! the API; `inspect.rs` is what tests ask; `spoil.rs` makes a struck call go wrong, with what `body.rs`
//! writes in the place of its answer; `connection.rs` serves,
//! and can close a connection without an answer.

mod answer;
mod body;
mod connection;
mod gateway;
mod inspect;
mod messages;
mod profiles;
mod spoil;

pub(crate) use connection::serve_connections;

use crate::inbox;
use crate::state::State;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use std::sync::Arc;

/// Base path of the API.
pub(crate) const BASE_PATH: &str = "/api/v1";

/// Everything that the sandbox answers.
pub(crate) fn router(state: Arc<State>) -> Router {
    let api = Router::new()
        .route("/messages", post(messages::submit))
        .route("/messages/{fiscal_code}", post(messages::submit_to_path))
        .route("/messages/{fiscal_code}/{id}", get(messages::status))
        .route("/profiles", post(profiles::by_body))
        .route("/profiles/{fiscal_code}", get(profiles::by_path))
        .fallback(async || answer::no_such_resource())
        .method_not_allowed_fallback(async || answer::no_such_resource())
        .layer(from_fn_with_state(Arc::clone(&state), gateway::pass));
    Router::new()
        .nest(BASE_PATH, api)
        .route("/sandbox/messages", get(inspect::messages).delete(inspect::clear_messages))
        .route("/sandbox/count", get(inspect::count))
        .route("/sandbox/calls", get(inspect::calls).delete(inspect::clear_calls))
        .route(
            "/sandbox/faults",
            get(inspect::faults).post(inspect::arm_faults).delete(inspect::clear_faults),
        )
        .route("/", get(inbox::list))
        .route("/messaggi/{id}", get(inbox::message))
        .route("/messaggi/{id}/pagamento", post(inbox::pay))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(async || "ok\n"))
        .fallback(inbox::not_found)
        .with_state(state)
}
