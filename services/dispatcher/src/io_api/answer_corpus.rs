//! The kept corpus of IO's answers (`tests/corpus/answers`) and damaged copies of it, under every status: no
//! panic, and the line between "certainly no message" and "maybe one" holds whatever the body is.
//!
//! Longer: `PROPTEST_CASES=2000000 cargo test --release -p dispatcher corpus`.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use shared::corpus::{Edit, edited, files};

use super::super::observation::{Body, Location};
use super::super::{followed, profiled};
use super::*;

static CORPUS: LazyLock<Vec<(String, Vec<u8>)>> =
    LazyLock::new(|| files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/answers")), ""));

fn check(status: u16, body: Option<Vec<u8>>, location: Option<String>) -> Result<(), TestCaseError> {
    let is_problem = body
        .as_deref()
        .and_then(|body| serde_json::from_slice::<serde_json::Value>(body).ok())
        .is_some_and(|body| body["status"] == status && body["title"].is_string());
    let seen = Observation::Answered(Answered {
        status,
        retry_after: Duration::from_secs(5),
        remaining: None,
        location: location.map(Location),
        body: body.map_or(Body::Broken, Body::Whole),
    });
    // Their answers have no line to hold: nobody gets a message from a question.
    let _ = (profiled(&seen), followed(&seen));
    let answer = submitted(&seen);
    match status {
        201 => {
            let SubmitAnswer::Created { io_id } = &answer else {
                return Err(TestCaseError::fail(format!("{answer:?}")));
            };
            let id = io_id.as_deref().unwrap_or("01HMVM9W74RWH93NT1EYNKKNNR");
            prop_assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            prop_assert!(FiscalCode::parse(id).is_err(), "a code is no id");
        }
        500 if is_problem => prop_assert_eq!(answer, SubmitAnswer::Retryable),
        408 | 500..=599 => prop_assert_eq!(answer, SubmitAnswer::Unknown(Evidence::Gateway)),
        300..=399 => prop_assert_eq!(answer, SubmitAnswer::Misconfigured(Misconfigured::Redirect)),
        400..=499 => {
            let definite = !matches!(
                answer,
                SubmitAnswer::Created { .. } | SubmitAnswer::Unknown(_) | SubmitAnswer::NotSent
            );
            prop_assert!(definite, "{status}: {answer:?}");
        }
        _ => prop_assert_eq!(answer, SubmitAnswer::Unknown(Evidence::Unexpected)),
    }
    Ok(())
}

fn status() -> impl Strategy<Value = u16> {
    let documented = vec![200, 201, 302, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504];
    prop_oneof![4 => prop::sample::select(documented), 1 => 100_u16..1_000]
}

/// 2,000 cases unless `PROPTEST_CASES` says otherwise.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn every_kept_answer_under_every_documented_status_keeps_the_line() {
    for (name, body) in CORPUS.iter() {
        for status in [200, 201, 202, 302, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504] {
            check(status, Some(body.clone()), None)
                .unwrap_or_else(|fault| panic!("{status} {name}: {fault}"));
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn damaged_answers_keep_the_line(
        status in status(),
        (input, other) in any::<(prop::sample::Index, prop::sample::Index)>(),
        edits in prop::collection::vec(any::<Edit>(), 0..8),
        is_whole in prop::bool::weighted(0.9),
        location in prop::option::of("(/api/v1/messages/)?(RSSMRA85T10A562S|.{0,12})?/?[A-Za-z0-9_./-]{0,30}"),
    ) {
        let body = edited(&input.get(&CORPUS).1, &other.get(&CORPUS).1, &edits);
        check(status, is_whole.then_some(body), location)?;
    }
}
