//! The kept corpus of IO's answers (`tests/corpus/answers`) and damaged copies of it, under every status: no
//! panic, and the line between "certainly no message" and "maybe one" holds whatever the body is.
//!
//! Longer, and led by coverage: `make fuzz`.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use bolero::check;
use shared::corpus::{CASES, Edit, any_of, edited, files};

use super::super::observation::{Body, Location};
use super::super::{followed, profiled};
use super::*;

static CORPUS: LazyLock<Vec<(String, Vec<u8>)>> =
    LazyLock::new(|| files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/answers")), ""));

fn keeps_the_line(status: u16, body: Option<Vec<u8>>, location: Option<String>) {
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
            let SubmitAnswer::Created { io_id } = &answer else { panic!("{answer:?}") };
            let id = io_id.as_deref().unwrap_or("01HMVM9W74RWH93NT1EYNKKNNR");
            assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            assert!(FiscalCode::parse(id).is_err(), "a code is no id");
        }
        // "Certainly not made" needs a body that says so; of one that says it badly (twice, or with a detail of
        // another type) nothing is believed.
        500 if answer == SubmitAnswer::Retryable => assert!(is_problem),
        408 | 500..=599 => assert_eq!(answer, SubmitAnswer::Unknown(Evidence::Gateway)),
        300..=399 => assert_eq!(answer, SubmitAnswer::Misconfigured(Misconfigured::Redirect)),
        400..=499 => {
            let definite = !matches!(
                answer,
                SubmitAnswer::Created { .. } | SubmitAnswer::Unknown(_) | SubmitAnswer::NotSent
            );
            assert!(definite, "{status}: {answer:?}");
        }
        _ => assert_eq!(answer, SubmitAnswer::Unknown(Evidence::Unexpected)),
    }
}

/// Mostly one that IO documents.
fn status(number: u16) -> u16 {
    const DOCUMENTED: [u16; 13] = [200, 201, 302, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504];
    if number.is_multiple_of(5) {
        100 + number % 900
    } else {
        DOCUMENTED[usize::from(number) % DOCUMENTED.len()]
    }
}

/// A `Location` header: none, or the usual one with anything behind it.
fn location(kind: u8, rest: &str) -> Option<String> {
    let start = ["", "/api/v1/messages/", "/api/v1/messages/RSSMRA85T10A562S/", "/"];
    (kind > 50).then(|| format!("{}{rest}", start[usize::from(kind) % start.len()]))
}

#[test]
fn every_kept_answer_under_every_documented_status_keeps_the_line() {
    for (_, body) in CORPUS.iter() {
        for status in [200, 201, 202, 302, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504] {
            keeps_the_line(status, Some(body.clone()), None);
        }
    }
}

#[test]
fn damaged_answers_keep_the_line() {
    type Damage = (u16, (u16, u16, Vec<Edit>), u8, (u8, String));
    check!().with_iterations(CASES).with_type::<Damage>().for_each(
        |(number, damage, whole, (kind, rest))| {
            let (input, other, edits) = damage;
            let body = edited(any_of(&CORPUS, *input), any_of(&CORPUS, *other), edits);
            keeps_the_line(status(*number), (*whole > 25).then_some(body), location(*kind, rest));
        },
    );
}
