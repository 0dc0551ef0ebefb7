//! Fields of a request that have no core form. They are kept in `params.extra` under the dialect that they came in,
//! so that they reach providers of that dialect and no other.

use bedplate_core::port::model::ModelParams;
use serde_json::{Map, Value};

/// Returns the fields that were kept for `dialect`.
pub(crate) fn kept(params: &ModelParams, dialect: &str) -> Map<String, Value> {
    match params.extra.get(dialect) {
        Some(Value::Object(fields)) => fields.clone(),
        _ => Map::new(),
    }
}

/// Returns `fields` as they are kept for `dialect`; an empty map when there are none.
pub(crate) fn keep(fields: Map<String, Value>, dialect: &str) -> Map<String, Value> {
    let mut extra = Map::new();
    if !fields.is_empty() {
        extra.insert(dialect.to_owned(), Value::Object(fields));
    }
    extra
}

/// Returns the names of the fields that a provider of `dialect` will not see, as `dialect.field`, so that a caller can
/// say so instead of dropping them in silence.
#[must_use]
pub fn untranslated(params: &ModelParams, dialect: &str) -> Vec<String> {
    let others = params.extra.iter().filter(|(name, _)| *name != dialect);
    others
        .flat_map(|(name, fields)| match fields {
            Value::Object(fields) => fields.keys().map(|field| format!("{name}.{field}")).collect(),
            _ => vec![name.clone()],
        })
        .collect()
}
