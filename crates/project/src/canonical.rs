//! The one byte form of a definition, which its hash names.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Returns the canonical JSON of `value` (compact, keys sorted at every level), and the value that this JSON says.
///
/// # Errors
/// When the value has no JSON form, or that form cannot be read back.
pub fn canonical<T: Serialize + DeserializeOwned>(value: &T) -> Result<(Vec<u8>, T), serde_json::Error> {
    let json = sorted(serde_json::to_value(value)?);
    let bytes = serde_json::to_vec(&json)?;
    // Read back, so that a live run and one that was recovered from the bytes see the same order of keys.
    Ok((bytes, serde_json::from_value(json)?))
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.into_iter().map(|(key, value)| (key, sorted(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}
