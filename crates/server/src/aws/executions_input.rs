//! Inputs of executions as callers write them, refused in the words of the service.

use super::Fault;
use serde_json::Value;

/// Reads an input.
pub(super) fn parse(text: &str) -> Result<Value, Fault> {
    serde_json::from_str(text).map_err(|_| {
        Fault::new("InvalidExecutionInput", format_args!("Invalid State Machine Execution Input: '{}'", wrong(text)))
    })
}

/// Returns what the service's parser says of a text that is no JSON: of the first token, or where an object goes wrong.
fn wrong(text: &str) -> String {
    let rest = text.trim_start();
    let Some(first) = rest.chars().next() else { return "Invalid execution input.".to_owned() };
    if first == '{'
        && let Some(next) = rest[1..].trim_start().chars().next()
        && next != '"'
        && next != '}'
    {
        return format!(
            "Unexpected character ('{next}' (code {})): was expecting double-quote to start field name",
            u32::from(next)
        );
    }
    if first.is_alphabetic() {
        let token: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        return format!(
            "Unrecognized token '{token}': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or \
             'false')"
        );
    }
    "Invalid execution input.".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_that_is_no_json_is_refused_in_the_services_words() {
        assert!(parse("2").is_ok() && parse("null").is_ok() && parse(" {\"a\": 1} ").is_ok());
        assert_eq!(wrong(""), "Invalid execution input.");
        let token = "Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' \
                     or 'false')";
        assert_eq!(wrong("not some json"), token);
        let field = "Unexpected character (''' (code 39)): was expecting double-quote to start field name";
        assert_eq!(wrong("{'not': 'json'"), field);
        for text in ["{", "{\"a\"", "[", "ä", "\u{0}", "{é"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
