//! The codec against the answers of the API's own codec, case by case (`codec_cases.json`: input, then the
//! decoded message or the lines of the refusal). A string `@x*N` stands for `x` repeated N times.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use sandbox::codec;
use serde_json::Value;

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("codec_cases.json")).unwrap()
}

/// Writes out every `@x*N`.
fn expanded(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(expanded_text(text)),
        Value::Array(items) => items.iter().map(expanded).collect(),
        Value::Object(entries) => entries.iter().map(|(key, item)| (key.clone(), expanded(item))).collect(),
        other => other.clone(),
    }
}

fn expanded_text(text: &str) -> String {
    let repeated = |rest: &str| {
        let (unit, count) = rest.split_once('*')?;
        Some(unit.repeat(count.parse().ok()?))
    };
    if let Some(whole) = text.strip_prefix('@').and_then(repeated) {
        return whole;
    }
    // Inside a line of a refusal the value is quoted.
    let Some((before, rest)) = text.split_once("\"@") else { return text.to_owned() };
    let (token, after) = rest.split_once('"').unwrap();
    format!("{before}\"{}\"{after}", repeated(token).unwrap())
}

#[test]
fn every_case_gets_the_answer_of_the_apis_own_codec() {
    let cases = cases();
    assert_eq!(cases.len(), 49);
    for case in &cases {
        let name = case["case"].as_str().unwrap();
        let body = case.get("body").map(expanded);
        let outcome = codec::decode(body.as_ref());
        if let Some(accepted) = case.get("accepted") {
            let decoded = outcome.unwrap_or_else(|detail| panic!("{name}: refused: {detail}"));
            assert_eq!(Value::from(decoded.decoded().clone()), expanded(accepted), "{name}");
        } else {
            let lines: Vec<&str> =
                case["refused"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
            let expected: Vec<String> = lines.into_iter().map(expanded_text).collect();
            assert_eq!(outcome.unwrap_err(), expected.join("\n"), "{name}");
        }
    }
}

#[test]
fn refusals_of_several_fields_come_in_the_order_of_the_schema() {
    let body = serde_json::json!({
        "time_to_live": 1,
        "content": {"markdown": 1, "due_date": null, "payment_data": "x"},
        "fiscal_code": 7,
    });
    let detail = codec::decode(Some(&body)).unwrap_err();
    let paths: Vec<&str> = detail
        .lines()
        .map(|line| line.split_once(" at ").unwrap().1.split_once(" is not").unwrap().0)
        .collect();
    let expected = [
        "root.content.subject",
        "root.content.markdown",
        "root.content.payment_data",
        "root.content.payment_data",
        "root.content.due_date",
        "root.content.due_date",
        "root.time_to_live",
        "root.time_to_live",
        "root.fiscal_code",
        "root.time_to_live",
        "root.time_to_live",
    ];
    assert_eq!(paths, expected);
}
