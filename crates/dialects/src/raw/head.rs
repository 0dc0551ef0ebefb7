//! What must be known of a client's request before it can be sent anywhere.

use super::scan;
use crate::DecodeError;
use std::ops::Range;

/// See [`head`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The model, as the client calls it.
    pub model: Option<String>,
    /// Where its name stands in the body, with the quotes; empty where there is none.
    pub model_at: Range<usize>,
    /// Whether a stream is wanted.
    pub stream: bool,
    /// Whether the stream is to tell its usage (`stream_options.include_usage`).
    pub include_usage: bool,
}

/// Reads the model and the wish for a stream off a request of any dialect, and nothing else.
///
/// # Errors
/// [`DecodeError`] when the body is no JSON object in UTF-8, when one of the fields has the wrong type, or when one
/// stands twice: who reads the body next might take the other.
pub fn head(body: &[u8]) -> Result<Head, DecodeError> {
    std::str::from_utf8(body).map_err(|error| DecodeError::new("", format!("the body is not UTF-8: {error}")))?;
    let mut head = Head::default();
    let (mut models, mut streams, mut options) = (0, 0, 0);
    for field in scan::fields(body) {
        let field = field.map_err(|scan::NotAnObject| malformed(body))?;
        let value = &body[field.value.clone()];
        match &*field.name {
            b"model" => {
                models += 1;
                let model = serde_json::from_slice(value).map_err(|_| DecodeError::new("model", "not a string"))?;
                (head.model, head.model_at) = (Some(model), field.value);
            }
            b"stream" => {
                streams += 1;
                head.stream = flag(value).ok_or_else(|| DecodeError::new("stream", "not a boolean"))?;
            }
            b"stream_options" => {
                options += 1;
                head.include_usage = scan::field(value, b"include_usage").and_then(flag).unwrap_or(false);
            }
            _ => {}
        }
    }
    for (name, count) in [("model", models), ("stream", streams), ("stream_options", options)] {
        if count > 1 {
            return Err(DecodeError::new(name, "the field stands twice"));
        }
    }
    Ok(head)
}

fn flag(value: &[u8]) -> Option<bool> {
    match value {
        b"true" => Some(true),
        b"false" | b"null" => Some(false),
        _ => None,
    }
}

/// Says what is wrong with a body that is no object; found out only now, because good bodies need not pay for it.
fn malformed(body: &[u8]) -> DecodeError {
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body) {
        Err(error) => DecodeError::new("", error.to_string()),
        Ok(_) => DecodeError::new("", "the body is not a JSON object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_and_stream_are_found_wherever_they_stand() {
        let body =
            br#"{"messages":[{"model":"no"}],"stream_options":{"include_usage":true},"stream":true,"model":"a/b"}"#;
        let head = head(body).unwrap();
        assert_eq!((head.model.as_deref(), head.stream, head.include_usage), (Some("a/b"), true, true));
        assert_eq!(&body[head.model_at], b"\"a/b\"");
    }

    #[test]
    fn a_second_model_is_not_smuggled_past_the_route() {
        for body in
            [r#"{"model":"a","model":"b"}"#, r#"{"model":"a","mod\u0065l":"b"}"#, r#"{"stream":true,"stream":1}"#]
        {
            assert!(head(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn an_error_says_where_it_is() {
        let error = head(b"{\"model\": \"a\",\n  \"messages\": [}").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        assert_eq!(head(br#"{"model":1}"#).unwrap_err().path, "model");
        assert_eq!(head(br#"{"stream":"yes"}"#).unwrap_err().path, "stream");
        assert!(head(b"{\"model\":\"\xff\"}").unwrap_err().message.contains("UTF-8"));
    }
}
