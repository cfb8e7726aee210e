use serde_json::{Value, json};

use super::*;

const GOLDEN: [(&str, &str); 3] = [
    ("render", include_str!("golden/render-1.json")),
    ("dispatch", include_str!("golden/dispatch-1.json")),
    ("follow", include_str!("golden/follow-1.json")),
];

/// Reads a body and writes it again.
fn again(format: &str, body: &[u8]) -> Result<Value, Unread> {
    let written = match format {
        "render" => write(&read::<RenderRequest>(body)?),
        "dispatch" => write(&read::<DispatchRequest>(body)?),
        _ => write(&read::<FollowRequest>(body)?),
    };
    Ok(serde_json::from_slice(&written.unwrap()).unwrap())
}

/// What changes these files changes what a replica of the release before is given: see docs/upgrades.md.
#[test]
fn bodies_of_version_1_are_read_and_written_as_they_were() {
    for (format, text) in GOLDEN {
        let golden: Value = serde_json::from_str(text).unwrap();
        let written = again(format, text.as_bytes()).unwrap();
        for (key, value) in golden.as_object().unwrap() {
            assert_eq!(&written[key], value, "{format}: {key}");
        }
    }
}

#[test]
fn a_field_that_nobody_knows_yet_is_passed_over() {
    for (format, text) in GOLDEN {
        let mut body: Value = serde_json::from_str(text).unwrap();
        body["domani"] = json!({ "prova": true });
        assert!(again(format, body.to_string().as_bytes()).is_ok(), "{format}");
    }
}

#[test]
fn another_version_is_told_from_a_broken_body_by_its_version_alone() {
    let foreign = read::<RenderRequest>(br#"{"v":2,"campi":7}"#).unwrap_err();
    assert_eq!(foreign.to_string(), "render format 2: this build reads 0 to 1");
    for broken in ["", "{}", r#"{"v":1}"#, r#"{"v":"1"}"#, r#"{"v":-1}"#] {
        assert!(matches!(read::<RenderRequest>(broken.as_bytes()), Err(Unread::Broken { .. })), "{broken}");
    }
}
