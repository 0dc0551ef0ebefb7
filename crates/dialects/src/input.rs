//! The arguments of tool calls: a JSON text in some dialects, an object in others.

use bedplate_core::message::ToolUse;
use serde_json::{Map, Value};

/// Reads a model's arguments. An empty text is `{}`; anything that is not a JSON object comes back word for word as
/// the second part, so that the model can be told, and is never made into something it did not say.
#[must_use]
pub fn parse_input(text: &str) -> (Value, Option<String>) {
    if text.trim().is_empty() {
        return (Value::Object(Map::new()), None);
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => (Value::Object(object), None),
        Ok(_) | Err(_) => (Value::Object(Map::new()), Some(text.to_owned())),
    }
}

/// Renders arguments as a JSON text; malformed ones word for word.
#[must_use]
pub fn render_input(call: &ToolUse) -> String {
    call.malformed.clone().unwrap_or_else(|| call.input.to_string())
}

/// Returns a value as arguments of a dialect that sends objects.
pub(crate) fn input_of_value(value: Value) -> (Value, Option<String>) {
    match value {
        Value::Object(_) => (value, None),
        Value::String(text) => parse_input(&text),
        other => (Value::Object(Map::new()), Some(other.to_string())),
    }
}

/// Returns arguments as the object that some dialects demand: malformed ones are shown to the model as what it wrote,
/// under a name that says so, because `{}` would be a lie about what happened.
pub(crate) fn input_as_object(call: &ToolUse) -> Value {
    match &call.malformed {
        None => call.input.clone(),
        Some(text) => serde_json::json!({ MALFORMED_KEY: text }),
    }
}

const MALFORMED_KEY: &str = "malformed_arguments";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pain_9_malformed_arguments_are_kept_and_never_become_an_empty_object() {
        for text in ["{\"a\":", "[1]", "null", "\"x\"", "{} trailing", "{'a':1}"] {
            assert_eq!(parse_input(text), (json!({}), Some(text.to_owned())), "{text}");
        }
        assert_eq!(parse_input(""), (json!({}), None));
        assert_eq!(parse_input(" \n"), (json!({}), None));
        assert_eq!(parse_input("{\"a\":1}"), (json!({"a":1}), None));
    }

    #[test]
    fn an_object_dialect_shows_the_model_what_it_wrote() {
        let call = ToolUse { id: "1".into(), name: "t".into(), input: json!({}), malformed: Some("{\"a\"".into()) };
        assert_eq!(input_as_object(&call), json!({"malformed_arguments": "{\"a\""}));
        assert_eq!(render_input(&call), "{\"a\"");
    }
}
