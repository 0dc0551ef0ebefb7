//! Titan's bodies for embeddings, of the first version and the second.

use crate::{DecodeError, json};
use serde::Deserialize;
use serde_json::{Value, json};

/// The lengths that the second version knows.
const DIMENSIONS: [u32; 3] = [256, 512, 1024];

/// A request for one embedding.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The text.
    pub input_text: String,
    /// The length of the vector; absent: the model's own.
    #[serde(default)]
    pub dimensions: Option<u32>,
    /// Whether the vector is brought to the length 1; absent: yes.
    #[serde(default)]
    pub normalize: Option<bool>,
    /// The forms that are wanted, `float` and `binary`; absent: the first.
    #[serde(default)]
    pub embedding_types: Option<Vec<String>>,
}

/// Reads a client's request.
///
/// # Errors
/// [`DecodeError`], also for what Titan refuses.
pub fn decode_request(body: &[u8]) -> Result<Request, DecodeError> {
    let request: Request = json::from_slice(body)?;
    if request.input_text.is_empty() {
        return Err(DecodeError::new("inputText", "the text is empty"));
    }
    if request.dimensions.is_some_and(|dimensions| !DIMENSIONS.contains(&dimensions)) {
        return Err(DecodeError::new("dimensions", "a vector has 256, 512 or 1024 numbers"));
    }
    for (index, kind) in request.embedding_types.iter().flatten().enumerate() {
        if !matches!(kind.as_str(), "float" | "binary") {
            return Err(DecodeError::new(format!("embeddingTypes[{index}]"), "a form is `float` or `binary`"));
        }
    }
    Ok(request)
}

/// Says an embedding to a client.
#[must_use]
pub fn encode_reply(request: &Request, mut vector: Vec<f32>, tokens: u64) -> Value {
    if request.normalize != Some(false) {
        let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|number| *number /= length);
        }
    }
    let mut reply = json!({ "embedding": vector, "inputTextTokenCount": tokens });
    if let Some(kinds) = &request.embedding_types {
        let bits: Vec<u8> = vector.iter().map(|number| u8::from(*number > 0.0)).collect();
        reply["embeddingsByType"] = json!({});
        for kind in kinds {
            reply["embeddingsByType"][kind] = if kind == "binary" { json!(bits) } else { json!(vector) };
        }
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_brought_to_length_one_unless_the_client_says_no() {
        let decode = |body: &str| decode_request(body.as_bytes()).expect("a good body");
        let reply = encode_reply(&decode(r#"{"inputText":"a"}"#), vec![3.0, 4.0], 1);
        assert_eq!(reply, json!({"embedding": [0.6_f32, 0.8_f32], "inputTextTokenCount": 1}));
        let plain = decode(r#"{"inputText":"a","normalize":false,"dimensions":256,"embeddingTypes":["binary"]}"#);
        let reply = encode_reply(&plain, vec![3.0, -4.0], 1);
        assert_eq!(
            (&reply["embedding"], &reply["embeddingsByType"]),
            (&json!([3.0, -4.0]), &json!({"binary": [1, 0]}))
        );
    }

    #[test]
    fn what_titan_refuses_is_refused_with_the_place() {
        for (body, path) in [
            (r#"{"inputText":""}"#, "inputText"),
            (r#"{"inputText":"a","dimensions":7}"#, "dimensions"),
            (r#"{"inputText":"a","embeddingTypes":["int8"]}"#, "embeddingTypes[0]"),
        ] {
            assert_eq!(decode_request(body.as_bytes()).expect_err(body).path, path);
        }
    }
}
