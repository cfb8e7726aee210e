//! The refusals of one body, in the API's words.

use serde_json::Value;

/// Lines of a 400 answer's `detail`, in the order in which the checks fail.
#[derive(Debug, Default)]
pub(super) struct Report {
    lines: Vec<String>,
}

impl Report {
    /// Notes that the value at `path` is none of `expected`: one line for each, as the API's unions do.
    pub(super) fn refuse(&mut self, value: Option<&Value>, path: &str, expected: &[&str]) {
        let text = json_text(value);
        for name in expected {
            self.lines.push(format!("value {text} at {path} is not a valid [{name}]"));
        }
    }

    /// Whether nothing was refused.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The whole `detail`.
    pub(super) fn into_text(self) -> String {
        self.lines.join("\n")
    }
}

/// A value as JavaScript's `JSON.stringify` prints it; an absent one is `undefined`.
pub(crate) fn json_text(value: Option<&Value>) -> String {
    let mut text = String::new();
    match value {
        None => text.push_str("undefined"),
        Some(value) => write_value(value, &mut text),
    }
    text
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => out.push_str(&number_text(number.as_f64().unwrap_or(f64::NAN))),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_value(item, out);
            }
            out.push(']');
        }
        Value::Object(entries) => {
            out.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_value(item, out);
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// A double as JavaScript prints it: no fraction where there is none, exponent from 1e21 up and below 1e-6.
fn number_text(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    if (1e-6..1e21).contains(&number.abs()) {
        return format!("{number}");
    }
    let text = format!("{number:e}");
    if text.contains("e-") { text } else { text.replace('e', "e+") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_print_as_javascript_prints_them() {
        for (value, expected) in [
            (json!(1.0), "1"),
            (json!(10_000_000_000_u64), "10000000000"),
            (json!(1.5), "1.5"),
            (json!(1e21), "1e+21"),
            (json!(1e-7), "1e-7"),
            (json!(-0.0), "0"),
            (json!({"b": [1, "x\n"], "a": null}), r#"{"b":[1,"x\n"],"a":null}"#),
        ] {
            assert_eq!(json_text(Some(&value)), expected, "{value}");
        }
        assert_eq!(json_text(None), "undefined");
    }
}
