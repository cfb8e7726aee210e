//! Faults on demand.

use crate::client::{Trial, message, refusal, two_services};
use reqwest::Method;
use sandbox::recipients;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a message on a bare socket; every byte that comes back before the end of the connection.
async fn raw_answer(trial: &Trial) -> String {
    let body = message(recipients::ON_IO).to_string();
    let request = format!(
        "POST /api/v1/messages HTTP/1.1\r\nhost: sandbox\r\nocp-apim-subscription-key: chiave-uno\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut socket = TcpStream::connect(trial.sandbox.address()).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let end = socket.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), end).await.expect("the connection ends").unwrap();
    answer
}

async fn received(trial: &Trial) -> Value {
    trial.json("/sandbox/count").await["received"].clone()
}

#[tokio::test]
async fn a_cut_closes_the_connection_without_a_byte_before_or_after_storing() {
    let trial = Trial::start(two_services()).await;
    for (kind, stored) in [("cut_before", 0), ("cut_after", 1)] {
        trial.arm(json!({"kind": kind})).await;
        assert_eq!(raw_answer(&trial).await, "", "{kind}");
        assert_eq!(received(&trial).await, stored, "{kind}");
    }
}

#[tokio::test]
async fn a_truncated_answer_ends_in_the_middle_of_its_body() {
    let trial = Trial::start(two_services()).await;
    trial.arm(json!({"kind": "truncated"})).await;
    let answer = raw_answer(&trial).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-length: 35"), "{head}");
    assert_eq!(body.len(), 17);
    assert_eq!(received(&trial).await, 1);
}

#[tokio::test]
async fn answers_go_wrong_as_asked_and_then_right_again() {
    let trial = Trial::start(two_services()).await;
    let body = message(recipients::ON_IO);
    for (fault, status, media_type, stored) in [
        (json!({"kind": "rate_limited", "retry_after": 7}), 429, "application/json; charset=utf-8", 0),
        (json!({"kind": "unauthorized"}), 401, "application/json; charset=utf-8", 0),
        (json!({"kind": "premium_forbidden"}), 403, "application/problem+json", 0),
        (json!({"kind": "server_error"}), 500, "application/problem+json", 0),
        (json!({"kind": "bad_gateway"}), 502, "text/html", 0),
        (json!({"kind": "gateway_timeout"}), 504, "text/html", 0),
        (json!({"kind": "wrong_json"}), 201, "application/json; charset=utf-8", 1),
    ] {
        trial.arm(fault.clone()).await;
        let response = trial.submit("chiave-uno", &body).await;
        assert_eq!(response.status().as_u16(), status, "{fault}");
        assert_eq!(response.headers()["content-type"], media_type, "{fault}");
        assert_eq!(response.headers().contains_key("x-rate-limit-retry-after"), status == 429, "{fault}");
        let text = response.text().await.unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&text).is_err(),
            matches!(status, 201 | 502 | 504),
            "{fault}: {text}"
        );
        assert_eq!(received(&trial).await, stored, "{fault}");
    }
    assert_eq!(trial.submit("chiave-uno", &body).await.status(), 201);
}

#[tokio::test]
async fn a_429_may_lack_its_header_and_a_redirect_leads_nowhere() {
    let trial = Trial::start(two_services()).await;
    trial.arm(json!([{"kind": "rate_limited"}, {"kind": "redirect"}])).await;
    let limited = trial.submit("chiave-uno", &message(recipients::ON_IO)).await;
    assert_eq!(limited.status(), 429);
    assert!(!limited.headers().contains_key("x-rate-limit-retry-after"));
    let redirect = trial.submit("chiave-uno", &message(recipients::ON_IO)).await;
    assert_eq!(redirect.status(), 307);
    let target = redirect.headers()["location"].to_str().unwrap();
    assert_eq!(trial.get(target).await.status(), 404);
}

#[tokio::test]
async fn a_delay_comes_after_storing() {
    let trial = Trial::start(two_services()).await;
    trial.arm(json!({"kind": "delay", "delay_ms": 3_600_000})).await;
    let body = message(recipients::ON_IO);
    let call = tokio::time::timeout(Duration::from_secs(20), trial.submit("chiave-uno", &body));
    let stored = async {
        let deadline = Instant::now() + Duration::from_secs(10);
        while received(&trial).await != 1 {
            assert!(Instant::now() < deadline, "not stored");
        }
    };
    tokio::select! {
        _ = call => panic!("answered, or given up, before the delay"),
        () = stored => {}
    }
}

#[tokio::test]
async fn faults_choose_operation_and_recipient_and_are_listed_and_cleared() {
    let trial = Trial::start(two_services()).await;
    let fault = json!({
        "kind": "server_error", "calls": 5, "operation": "profile", "fiscal_code": recipients::SLOW,
    });
    trial.arm(fault).await;
    assert_eq!(trial.submit("chiave-uno", &message(recipients::SLOW)).await.status(), 201);
    let profile = |code: &'static str| {
        trial.api(Method::POST, "/profiles", "chiave-uno").json(&json!({"fiscal_code": code})).send()
    };
    assert_eq!(profile(recipients::ON_IO).await.unwrap().status(), 200);
    assert_eq!(profile(recipients::SLOW).await.unwrap().status(), 500);
    let path = format!("/profiles/{}", recipients::SLOW);
    assert_eq!(trial.api(Method::GET, &path, "chiave-uno").send().await.unwrap().status(), 500);
    assert_eq!(trial.json("/sandbox/faults").await["faults"][0]["calls"], 3);
    trial.request(Method::DELETE, "/sandbox/faults").send().await.unwrap();
    assert_eq!(profile(recipients::SLOW).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_bad_fault_is_refused_whole() {
    let trial = Trial::start(two_services()).await;
    for (fault, reason) in [
        (json!({"kind": "earthquake"}), "unknown variant"),
        (json!({"kind": "delay"}), "delay_ms: required"),
        (json!({"kind": "cut_after", "fiscal_code": "x"}), "fiscal_code: not a fiscal code"),
        (json!([{"kind": "cut_after"}, {"kind": "cut_after", "calls": 0}]), "calls: must be 1 or more"),
        (json!({"kind": "cut_after", "colour": "blue"}), "unknown field"),
    ] {
        let response = trial.request(Method::POST, "/sandbox/faults").json(&fault).send().await.unwrap();
        let (status, body) = refusal(response).await;
        assert_eq!(status, 400, "{fault}");
        assert!(body["errors"][0].as_str().unwrap().contains(reason), "{fault}: {body}");
    }
    assert_eq!(trial.json("/sandbox/faults").await["faults"], json!([]));
}
