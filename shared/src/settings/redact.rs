//! The settings in force, without their secrets.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use url::Url;

/// Keys whose value is a secret.
const SECRETS: [&str; 2] = ["password", "recipient_hash_key"];
/// Keys whose value is a URL that may hold credentials.
const URLS: [&str; 1] = ["url"];

/// Copies the settings as JSON, sorted; secrets become `***`, and so do the credentials of URLs. The
/// sandbox's part is left out: it holds keys, and it is not ours to read.
pub(super) fn settings(root: &toml::Table) -> Value {
    let mut root = root.clone();
    root.remove("sandbox");
    table(&root)
}

fn table(table: &toml::Table) -> Value {
    let sorted: BTreeMap<_, _> = table.iter().map(|(key, value)| (key.clone(), entry(key, value))).collect();
    Value::Object(sorted.into_iter().collect::<Map<_, _>>())
}

fn entry(key: &str, value: &toml::Value) -> Value {
    match value {
        toml::Value::Table(inner) => table(inner),
        _ if SECRETS.contains(&key) => json!("***"),
        toml::Value::String(text) if URLS.contains(&key) => json!(url(text)),
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(flag) => json!(flag),
        toml::Value::Datetime(instant) => json!(instant.to_string()),
        toml::Value::Array(items) => Value::Array(items.iter().map(|item| entry(key, item)).collect()),
    }
}

fn url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return "***".to_owned() };
    let credentials = !url.username().is_empty() || url.password().is_some();
    if credentials && (url.set_username("***").is_err() || url.set_password(None).is_err()) {
        return "***".to_owned();
    }
    url.set_query(None);
    url.into()
}
