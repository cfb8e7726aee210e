//! The IO API as the dispatcher uses it.
//!
//! - [`IoApi`]: the port, three calls; none of them fails: whatever happens is an answer.
//! - [`Observation`]: what was seen on the wire.
//! - [`submitted`], [`profiled`], [`followed`]: the pure reading of an observation, one a call.
//! - [`HttpIoApi`]: the adapter on HTTPS.

mod answer;
mod http;
mod observation;
mod profile;
mod refusal;
mod status;

use std::future::Future;

use secrecy::SecretString;
use shared::domain::FiscalCode;
use shared::wire::DispatchRequest;

pub use answer::{Evidence, SubmitAnswer, submitted};
pub use http::{HttpIoApi, HttpOptions};
pub use observation::{Answered, Body, Observation};
pub use profile::{ProfileAnswer, profiled};
pub use refusal::{Misconfigured, Refusal};
pub use status::{StatusAnswer, followed};

/// An answer, and what every answer tells beside itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call<A> {
    /// What it means.
    pub answer: A,
    /// Metric label: the HTTP status, `none` without an answer. Bounded.
    pub status: &'static str,
    /// Calls left to the account in IO's window (`x-rate-limit-remaining`), where IO says so.
    pub remaining: Option<u32>,
}

impl<A> Call<A> {
    /// Reads an observation.
    pub fn read(seen: &Observation, answer: impl FnOnce(&Observation) -> A) -> Self {
        Self { answer: answer(seen), status: seen.label(), remaining: seen.remaining() }
    }
}

/// One try of one call, with the service's key. No call is ever repeated here: who repeats it must know
/// what the first try did.
pub trait IoApi: Send + Sync + 'static {
    /// `POST /profiles`: may this service write to this person?
    fn profile(
        &self,
        key: &SecretString,
        person: &FiscalCode,
    ) -> impl Future<Output = Call<ProfileAnswer>> + Send;

    /// `POST /messages`. IO has no idempotency key: a second call makes a second message.
    fn submit(
        &self,
        key: &SecretString,
        request: &DispatchRequest,
    ) -> impl Future<Output = Call<SubmitAnswer>> + Send;

    /// `GET /messages/{fiscal_code}/{id}`: what became of a message of this service.
    fn status(
        &self,
        key: &SecretString,
        person: &FiscalCode,
        io_id: &str,
    ) -> impl Future<Output = Call<StatusAnswer>> + Send;
}
