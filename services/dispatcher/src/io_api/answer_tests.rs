//! The table of answers, row by row (io-api.md section 3 and the failures below HTTP).

use super::super::observation::{Body, Location};
use super::super::{ProfileAnswer, StatusAnswer, followed, profiled};
use super::*;

const ULID: &str = "01HMVM9W74RWH93NT1EYNKKNNR";
const PAUSE: Duration = Duration::from_secs(7);

fn answer(status: u16, body: Body, location: Option<&str>) -> Observation {
    let location = location.map(|location| Location(location.to_owned()));
    Observation::Answered(Answered { status, retry_after: PAUSE, remaining: None, location, body })
}

fn whole(status: u16, body: &str) -> Observation {
    answer(status, Body::Whole(body.as_bytes().to_vec()), None)
}

fn problem(status: u16, title: &str, detail: &str) -> Observation {
    whole(status, &serde_json::json!({"detail": detail, "status": status, "title": title}).to_string())
}

const NOT_HERE: &str = "You are not allowed here";

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn each_row_of_the_submit_table_has_its_answer() {
    use SubmitAnswer::{KeyRefused, Misconfigured as Pause, PremiumRefused, Retryable, Throttled, Unknown};
    let refused = SubmitAnswer::Refused;
    let gateway = r#"{"statusCode":0,"message":"Resource not found"}"#;
    let detail = "You do not have enough permission to complete the operation you requested";
    let rows: Vec<(&str, Observation, SubmitAnswer)> = vec![
        ("refused port, DNS, TLS", Observation::NotConnected, SubmitAnswer::NotSent),
        ("key with a line break", Observation::NotFormed, KeyRefused),
        ("no answer in time", Observation::TimedOut, Unknown(Evidence::Timeout)),
        ("RST after the request", Observation::Reset, Unknown(Evidence::Reset)),
        ("FIN in place of an answer", Observation::Closed, Unknown(Evidence::Closed)),
        ("0 key", whole(401, r#"{"statusCode":401,"message":"Access denied"}"#), KeyRefused),
        ("0 rate", whole(429, r#"{"statusCode":429}"#), Throttled { retry_after: PAUSE }),
        ("0 path", whole(404, gateway), Pause(Misconfigured::Path)),
        ("0 mTLS", whole(403, ""), Pause(Misconfigured::Gateway)),
        ("1 not JSON", problem(500, "Internal server error", "Unexpected end of JSON input"), Retryable),
        ("2 no group", problem(403, NOT_HERE, detail), Pause(Misconfigured::Permission)),
        ("2 no scopes", problem(403, NOT_HERE, "User has no valid scopes"), Pause(Misconfigured::Permission)),
        ("4 schema", problem(400, "Invalid message structure", "value \"x\""), refused(Refusal::Structure)),
        ("5 path code", problem(400, "Invalid string that matches", "value"), refused(Refusal::Structure)),
        (
            "6 Premium",
            problem(403, NOT_HERE, "You do not have enough permissions to send a Premium message"),
            PremiumRefused,
        ),
        (
            "6 third party",
            problem(403, NOT_HERE, "You do not have enough permissions to send a third party message"),
            refused(Refusal::Attachment),
        ),
        (
            "6 payee",
            problem(403, NOT_HERE, "You do not have enough permissions to send a payment message with payee"),
            refused(Refusal::Feature),
        ),
        ("8 both places", problem(400, "Bad parameters", "The fiscalcode"), refused(Refusal::Other)),
        (
            "9 no configuration",
            problem(403, "No configuration id for remote content", "You did not send"),
            refused(Refusal::Configuration),
        ),
        (
            "10 unknown configuration",
            problem(404, "Remote Content Configuration NOT FOUND", "Cannot find"),
            refused(Refusal::Configuration),
        ),
        (
            "11 not ours",
            problem(403, "Not your configuration", "You're not the owner"),
            refused(Refusal::Configuration),
        ),
        ("12 lookup", problem(500, "Internal server error", "Cannot retrieve"), Retryable),
        (
            "13 STANDARD with attachment",
            problem(403, "Attachments call forbidden", "You are not allowed to send"),
            refused(Refusal::Attachment),
        ),
        (
            "14 test account",
            problem(403, "Recipient forbidden", "You are not allowed to issue"),
            refused(Refusal::Recipient),
        ),
        (
            "15 not in production",
            problem(403, "Production call forbidden", "You are not"),
            Pause(Misconfigured::Production),
        ),
        (
            "16 amount",
            problem(400, "Error while sending payment metadata", "The requested amount"),
            refused(Refusal::Payment),
        ),
        ("17 store", problem(500, "Query error (500)", "x"), Retryable),
        ("403 cut", answer(403, Body::Broken, None), Retryable),
        ("403 unheard of", problem(403, "Something new", ""), refused(Refusal::Other)),
        ("400 not JSON", whole(400, "<html>"), refused(Refusal::Other)),
        ("413", whole(413, ""), refused(Refusal::Other)),
        ("302", whole(302, ""), Pause(Misconfigured::Redirect)),
        ("408", whole(408, ""), Unknown(Evidence::Gateway)),
        ("500 HTML", whole(500, "<html>"), Unknown(Evidence::Gateway)),
        ("500 cut", answer(500, Body::Broken, None), Unknown(Evidence::Gateway)),
        ("500 of another status", whole(500, r#"{"title":"x","status":502}"#), Unknown(Evidence::Gateway)),
        (
            "500 said twice",
            whole(500, r#"{"title":"x","status":500,"status":500}"#),
            Unknown(Evidence::Gateway),
        ),
        ("502 as HTML", whole(502, "<html>"), Unknown(Evidence::Gateway)),
        ("503 as problem", problem(503, "Service Unavailable", ""), Unknown(Evidence::Gateway)),
        ("504", whole(504, ""), Unknown(Evidence::Gateway)),
        ("200", whole(200, r#"{"id":"x"}"#), Unknown(Evidence::Unexpected)),
    ];
    for (row, seen, expected) in rows {
        assert_eq!(submitted(&seen), expected, "{row}");
    }
}

#[test]
fn a_201_is_created_whatever_its_body() {
    let of_body = format!(r#"{{"id":"{ULID}"}}"#);
    let location = format!("/api/v1/messages/RSSMRA85T10A562S/{ULID}");
    let rows = [
        ("as documented", answer(201, Body::Whole(of_body.into_bytes()), None), Some(ULID)),
        ("cut, with Location", answer(201, Body::Broken, Some(&location)), Some(ULID)),
        ("cut", answer(201, Body::Broken, None), None),
        ("empty object", answer(201, Body::Whole(b"{}".to_vec()), Some(&location)), Some(ULID)),
        ("HTML", whole(201, "<html></html>"), None),
        ("id of another type", whole(201, r#"{"id":7}"#), None),
        ("id with a path", whole(201, r#"{"id":"../../x/yyyyyyyy"}"#), None),
        ("Location that ends in a code", answer(201, Body::Broken, Some("/m/RSSMRA85T10A562S")), None),
    ];
    for (row, seen, io_id) in rows {
        let io_id = io_id.map(str::to_owned);
        assert_eq!(submitted(&seen), SubmitAnswer::Created { io_id }, "{row}");
    }
}

#[test]
fn each_row_of_the_profile_table_has_its_answer() {
    use ProfileAnswer::{
        Allowed, Misconfigured as Pause, NotAllowed, NotFound, Refused, Retryable, Unavailable,
    };
    let yes = r#"{"sender_allowed":true,"preferred_languages":["it_IT"]}"#;
    let rows = vec![
        ("allowed", whole(200, yes), Allowed),
        ("allowed without languages", whole(200, r#"{"sender_allowed":true}"#), Allowed),
        ("blocked", whole(200, r#"{"sender_allowed":false}"#), NotAllowed),
        ("text for a boolean", whole(200, r#"{"sender_allowed":"true"}"#), Retryable),
        ("200 as HTML", whole(200, "<html>"), Retryable),
        ("200 cut", answer(200, Body::Broken, None), Retryable),
        ("not on IO", problem(404, "Profile not found", "The profile you requested"), NotFound),
        ("wrong path", whole(404, r#"{"statusCode":404}"#), Pause(Misconfigured::Path)),
        ("test account", problem(403, "Recipient forbidden", ""), Refused(Refusal::Recipient)),
        ("no group", problem(403, NOT_HERE, "x"), Pause(Misconfigured::Permission)),
        ("bad code", problem(400, "Invalid FiscalCodePayload", ""), Refused(Refusal::Structure)),
        ("key", whole(401, ""), ProfileAnswer::KeyRefused),
        ("rate", whole(429, ""), ProfileAnswer::Throttled { retry_after: PAUSE }),
        ("redirect", whole(307, ""), Pause(Misconfigured::Redirect)),
        ("handler's failure", problem(500, "Internal server error", ""), Retryable),
        ("gateway", whole(502, "<html>"), Unavailable),
        ("500 as HTML", whole(500, "<html>"), Unavailable),
        ("408", whole(408, ""), Unavailable),
        ("no connection", Observation::NotConnected, Unavailable),
        ("timeout", Observation::TimedOut, Unavailable),
        ("reset", Observation::Reset, Unavailable),
        ("closed", Observation::Closed, Unavailable),
    ];
    for (row, seen, expected) in rows {
        assert_eq!(profiled(&seen), expected, "{row}");
    }
}

#[test]
fn each_row_of_the_status_table_has_its_answer() {
    use StatusAnswer::{Failed, KeyRefused, Pending, Processed, Rejected, Retryable, Throttled};
    let says = |status: &str| whole(200, &format!(r#"{{"message":{{"id":"x"}},"status":"{status}"}}"#));
    let rows = [
        ("accepted", says("ACCEPTED"), Pending),
        ("throttled", says("THROTTLED"), Pending),
        ("a word of tomorrow", says("ARCHIVED"), Pending),
        ("processed", says("PROCESSED"), Processed),
        ("rejected", says("REJECTED"), Rejected),
        ("failed", says("FAILED"), Failed),
        ("not there yet", problem(404, "Message not found", ""), Retryable),
        ("another service's", problem(403, NOT_HERE, ""), Retryable),
        ("payment state unknown", problem(500, "Error retrieving Payment Status: x", ""), Retryable),
        ("200 without status", whole(200, "{}"), Retryable),
        ("key", whole(401, ""), KeyRefused),
        ("rate", whole(429, ""), Throttled { retry_after: PAUSE }),
        ("timeout", Observation::TimedOut, Retryable),
        ("no connection", Observation::NotConnected, Retryable),
    ];
    for (row, seen, expected) in rows {
        assert_eq!(followed(&seen), expected, "{row}");
    }
}
