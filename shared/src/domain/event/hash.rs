//! The hash by which the same event is known again.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The attributes that make an event what it is. Other attributes are extensions: a relay may add them.
const ATTRIBUTES: [&str; 10] =
    ["source", "id", "type", "subject", "time", "ente", "servizio", "dataschema", "sequence", "data"];

/// SHA-256 over the attributes that count, in canonical form: keys sorted, no white space.
pub(super) fn body_hash(event: &Map<String, Value>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for name in ATTRIBUTES {
        if let Some(value) = event.get(name) {
            hasher.update(name.as_bytes());
            canonical(value, &mut hasher);
        }
    }
    hasher.finalize().into()
}

fn canonical(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            hasher.update(b"{");
            for (key, value) in entries {
                hasher.update(Value::from(key.as_str()).to_string());
                hasher.update(b":");
                canonical(value, hasher);
                hasher.update(b",");
            }
            hasher.update(b"}");
        }
        Value::Array(values) => {
            hasher.update(b"[");
            for value in values {
                canonical(value, hasher);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        scalar => hasher.update(scalar.to_string()),
    }
}
