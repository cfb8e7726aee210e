//! The API: keys, limits, order of checks, answers, statuses, what is kept.

use crate::client::{CONFIGURATION, Trial, message, refusal, two_services};
use reqwest::Method;
use sandbox::{Options, recipients};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_good_message_is_created_with_a_relative_location() {
    let trial = Trial::start(two_services()).await;
    let response = trial.submit("chiave-uno-bis", &message(recipients::ON_IO)).await;
    assert_eq!(response.status(), 201);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert!(!response.headers().contains_key("x-rate-limit-remaining"), "no limit, nothing remaining");
    let id = response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(location, format!("/api/v1/messages/{}/{id}", recipients::ON_IO));
    let answer = trial.until_status(recipients::ON_IO, &id, "PROCESSED").await;
    assert_eq!(answer["message"]["content"]["subject"], "La tua pratica");
    assert_eq!(answer["message"]["feature_level_type"], "STANDARD");
    assert!(answer.get("read_status").is_none(), "not Premium: {answer}");
}

#[tokio::test]
async fn keys_are_refused_in_the_gateways_shape() {
    let trial = Trial::start(two_services()).await;
    let without = trial.request(Method::POST, "/api/v1/messages").send().await.unwrap();
    let (status, body) = refusal(without).await;
    assert_eq!((status, body["statusCode"].as_u64()), (401, Some(401)));
    assert!(body["message"].as_str().unwrap().contains("missing subscription key"));
    let (status, body) = refusal(trial.submit("altra", &json!({})).await).await;
    assert_eq!(status, 401);
    assert!(body["message"].as_str().unwrap().contains("invalid subscription key"));
    let lost = trial.api(Method::GET, "/messages", "chiave-uno").send().await.unwrap();
    assert_eq!(refusal(lost).await, (404, json!({"statusCode": 404, "message": "Resource not found"})));
}

#[tokio::test]
async fn calls_of_an_account_share_one_window_and_the_rest_is_429() {
    let mut options = two_services();
    options.servizi[1].calls_per_5s = 2;
    let trial = Trial::start(options).await;
    let profile = json!({"fiscal_code": recipients::ON_IO});
    let call = || trial.api(Method::POST, "/profiles", "chiave-due").json(&profile).send();
    assert_eq!(call().await.unwrap().headers()["x-rate-limit-remaining"], "1");
    let second = trial.submit("chiave-due", &message(recipients::ON_IO)).await;
    assert_eq!(
        (second.status().as_u16(), &second.headers()["x-rate-limit-remaining"]),
        (201, &"0".parse().unwrap())
    );
    let third = call().await.unwrap();
    assert_eq!(third.status(), 429);
    assert_eq!(third.headers()["x-rate-limit-remaining"], "0");
    let wait: u64 = third.headers()["x-rate-limit-retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=5).contains(&wait), "{wait}");
    let (_, body) = refusal(third).await;
    assert_eq!(body["message"], format!("Rate limit is exceeded. Try again in {wait} seconds."));
}

#[tokio::test]
async fn refusals_are_those_of_the_api_in_its_order() {
    let trial = Trial::start(two_services()).await;
    let with = |key: &str, value: Value| {
        let mut body = message(recipients::ON_IO);
        body["content"][key] = value;
        body
    };
    let premium = |mut body: Value| {
        body["feature_level_type"] = "ADVANCED".into();
        body
    };
    let mut nobody = message(recipients::ON_IO);
    nobody.as_object_mut().unwrap().remove("fiscal_code");
    let third = |id: Option<&str>| match id {
        Some(id) => json!({"id": "x", "configuration_id": id, "has_attachments": true}),
        None => json!({"id": "x"}),
    };
    let payment = |amount: u64| json!({"amount": amount, "notice_number": "301000000000000017"});
    let mut payee = payment(1);
    payee["payee"] = json!({"fiscal_code": "12345678901"});
    for (key, body, status, title) in [
        ("chiave-uno", json!({}), 400, "Invalid message structure"),
        ("chiave-uno", with("eu_covid_cert", json!({"auth_code": "x"})), 403, "You are not allowed here"),
        ("chiave-uno", with("payment_data", payee), 403, "You are not allowed here"),
        ("chiave-due", premium(message(recipients::ON_IO)), 403, "You are not allowed here"),
        ("chiave-due", with("third_party_data", third(None)), 403, "You are not allowed here"),
        ("chiave-uno", nobody, 400, "Bad parameters"),
        ("chiave-uno", with("third_party_data", third(None)), 403, "No configuration id for remote content"),
        (
            "chiave-uno",
            premium(with("third_party_data", third(Some("01ARZ3NDEKTSV4RRFFQ69G5FAV")))),
            404,
            "Remote Content Configuration NOT FOUND",
        ),
        (
            "chiave-uno",
            with("third_party_data", third(Some(CONFIGURATION))),
            403,
            "Attachments call forbidden",
        ),
        ("chiave-uno", with("payment_data", payment(1_000_001)), 400, "Error while sending payment metadata"),
    ] {
        let (found, problem) = refusal(trial.submit(key, &body).await).await;
        assert_eq!((found, problem["title"].as_str()), (status, Some(title)), "{problem}");
        assert_eq!(problem["status"], status);
    }
    let both = trial.api(Method::POST, &format!("/messages/{}", recipients::ON_IO), "chiave-uno");
    let (status, problem) = refusal(both.json(&message(recipients::ON_IO)).send().await.unwrap()).await;
    assert_eq!(status, 400);
    assert!(problem["detail"].as_str().unwrap().ends_with("but not in both"), "{problem}");
    assert_eq!(trial.json("/sandbox/count").await["received"], 0);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_a_500_and_a_malformed_path_is_named() {
    let trial = Trial::start(two_services()).await;
    let post = |path: &'static str, body: &'static str| {
        trial
            .api(Method::POST, path, "chiave-uno")
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    let response = post("/messages", "{bad").await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let expected = json!({
        "detail": "Expected property name or '}' in JSON at position 1",
        "status": 500,
        "title": "Internal server error",
    });
    assert_eq!(refusal(response).await, (500, expected));
    let (status, problem) = refusal(post("/messages", "").await.unwrap()).await;
    assert_eq!(status, 400);
    assert!(problem["detail"].as_str().unwrap().starts_with("value undefined at root is not"));
    let pattern = "string that matches the pattern \"^[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}\
                   [A-Z][0-9LMNPQRSTUV]{3}[A-Z]$\"";
    let path = trial.api(Method::GET, "/profiles/abc", "chiave-uno").send().await.unwrap();
    let (status, problem) = refusal(path).await;
    assert_eq!(status, 400);
    assert_eq!(problem["title"], format!("Invalid {pattern}"));
    assert_eq!(problem["detail"], format!("value [\"abc\"] at [root] is not a valid [{pattern}]"));
    for (body, detail) in [
        ("", "value [undefined] at [root] is not a valid [FiscalCodePayload]".to_owned()),
        ("{}", format!("value [undefined] at [root.fiscal_code] is not a valid [{pattern}]")),
        (r#"{"fiscal_code":"x"}"#, format!("value [\"x\"] at [root.fiscal_code] is not a valid [{pattern}]")),
    ] {
        let (status, problem) = refusal(post("/profiles", body).await.unwrap()).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(problem["title"], "Invalid FiscalCodePayload");
        assert_eq!(problem["detail"], detail);
    }
}

#[tokio::test]
async fn simulated_recipients_have_their_own_fate() {
    let trial = Trial::start(two_services()).await;
    for (code, profile, fate) in [
        (recipients::ON_IO, Some(true), "PROCESSED"),
        (recipients::NOT_ON_IO, None, "REJECTED"),
        (recipients::SERVICE_BLOCKED, Some(false), "REJECTED"),
        (recipients::MANUAL_NOT_OPTED_IN, Some(false), "REJECTED"),
        (recipients::REJECTED, Some(true), "REJECTED"),
        (recipients::FAILED, Some(true), "FAILED"),
        (recipients::SLOW, Some(true), "ACCEPTED"),
    ] {
        let path = format!("/profiles/{code}");
        let by_path = trial.api(Method::GET, &path, "chiave-uno").send().await.unwrap();
        let by_body = trial.api(Method::POST, "/profiles", "chiave-uno").json(&json!({"fiscal_code": code}));
        let (by_path, by_body) = (refusal(by_path).await, refusal(by_body.send().await.unwrap()).await);
        assert_eq!(by_path, by_body, "{code}");
        assert_eq!(by_path.0, if profile.is_some() { 200 } else { 404 }, "{code}");
        assert_eq!(by_path.1.get("sender_allowed").and_then(Value::as_bool), profile, "{code}");
        let id = trial.accepted("chiave-uno", &message(code)).await;
        let answer = trial.until_status(code, &id, fate).await;
        assert_eq!(answer["message"].get("content").is_some(), fate == "PROCESSED", "{code}");
    }
}

#[tokio::test]
async fn a_message_is_accepted_first_and_only_its_sender_may_ask() {
    let options = Options { processed_after: Duration::from_hours(1), ..two_services() };
    let trial = Trial::start(options).await;
    let id = trial.accepted("chiave-uno", &message(recipients::ON_IO)).await;
    let answer = trial.status("chiave-uno", recipients::ON_IO, &id).await;
    assert_eq!(answer["status"], "ACCEPTED");
    assert!(answer["message"].get("content").is_none());
    let other = trial.status("chiave-due", recipients::ON_IO, &id).await;
    assert_eq!(other["status"], 403);
    let wrong = trial.status("chiave-uno", recipients::NOT_ON_IO, &id).await;
    assert_eq!(wrong["title"], "Message not found");
}

#[tokio::test]
async fn what_was_sent_is_listed_counted_and_emptied() {
    let options = Options { keep: 2, processed_after: Duration::ZERO, ..Options::default() };
    let trial = Trial::start(options).await;
    for code in [recipients::ON_IO, recipients::ON_IO, recipients::SLOW] {
        trial.accepted("prova", &message(code)).await;
    }
    let counts = trial.json("/sandbox/count").await;
    assert_eq!(counts, json!({"received": 3, "stored": 2, "unique": 2, "duplicates": 1}));
    let page = trial.json("/sandbox/messages?limit=1").await;
    assert_eq!((&page["messages"][0]["sequence"], &page["next"]), (&json!(2), &json!(2)));
    let rest = trial.json("/sandbox/messages?limit=5&after=2&account=account-1").await;
    assert_eq!(
        (&rest["messages"][0]["fiscal_code"], &rest["next"]),
        (&json!(recipients::SLOW), &Value::Null)
    );
    let of_one = trial.json(&format!("/sandbox/messages?fiscal_code={}", recipients::ON_IO)).await;
    assert_eq!(of_one["messages"].as_array().unwrap().len(), 1);
    assert_eq!(trial.get("/sandbox/messages?limit=0").await.status(), 400);
    assert_eq!(trial.get("/sandbox/messages?colour=blue").await.status(), 400);
    trial.request(Method::DELETE, "/sandbox/messages").send().await.unwrap();
    assert_eq!(trial.json("/sandbox/count").await["received"], 0);
}

#[tokio::test]
async fn without_services_any_key_is_its_own_account() {
    let trial = Trial::start(Options::default()).await;
    let mut premium = message(recipients::ON_IO);
    premium["feature_level_type"] = "ADVANCED".into();
    assert_eq!(trial.submit("a", &premium).await.status(), 403);
    let response = trial.submit("a-premium", &premium).await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["x-rate-limit-remaining"], "149");
}

#[tokio::test]
async fn probes_answer_and_stop_ends() {
    let trial = Trial::start(Options::default()).await;
    assert_eq!(trial.get("/livez").await.status(), 200);
    assert_eq!(trial.get("/readyz").await.status(), 200);
    tokio::time::timeout(Duration::from_secs(10), trial.sandbox.stop()).await.unwrap();
}
