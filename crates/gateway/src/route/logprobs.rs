//! The probabilities of an answer's tokens. The core form of a reply has no place for them, so a cascade asks in the
//! form of the Chat Completions API, and reads them from the raw reply before it decodes it.

use crate::call::{Call, invalid};
use bedplate_core::port::model::{Answer, Asked, ModelError, ModelReply, ModelRequest, RawBody, RawReply, RawRequest};
use bedplate_dialects::{NameMap, openai_chat};
use bytes::Bytes;
use serde::Deserialize;

/// Returns `call` with `request` in the form of the Chat Completions API, asking for the tokens' probabilities.
///
/// # Errors
/// When the request has no such form.
pub(crate) fn asking(call: Call, request: ModelRequest) -> Result<Call, ModelError> {
    let options = openai_chat::EncodeOptions {
        max_tokens_field: openai_chat::MaxTokensField::MaxTokens,
        stream: false,
        extensions: false,
    };
    let (wire, _) = openai_chat::encode_request(&request, options).map_err(invalid)?;
    let mut body: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&wire.to_json()).map_err(invalid)?;
    body.insert("logprobs".into(), true.into());
    body.remove("stream_options");
    let body = serde_json::to_vec(&body).map_err(invalid)?;
    let model = request.model.clone();
    let name = serde_json::to_string(&model).unwrap_or_default();
    let key = format!("\"model\":{name}");
    let model_at = find(&body, key.as_bytes()).map(|at| at + "\"model\":".len()..at + key.len()).unwrap_or_default();
    Ok(call.with_asked(Asked::Raw(RawRequest {
        dialect: openai_chat::NAME,
        model,
        body: Bytes::from(body),
        model_at,
        headers: Vec::new(),
    })))
}

/// Returns the reply of a raw answer, and the mean of its tokens' logarithmic probabilities.
///
/// # Errors
/// The answer as it is, where it is not such a one.
pub(crate) fn read(answer: Answer) -> Result<(ModelReply, Option<f64>), Answer> {
    match answer {
        Answer::Raw(RawReply { content_type, body: RawBody::Whole(bytes, end) }) => {
            match openai_chat::decode_reply(&bytes, &NameMap::default()) {
                Ok(mut reply) => {
                    reply.cost = end.cost;
                    let mean = mean(&bytes);
                    Ok((reply, mean))
                }
                Err(_) => Err(Answer::Raw(RawReply { content_type, body: RawBody::Whole(bytes, end) })),
            }
        }
        other => Err(other),
    }
}

fn mean(bytes: &[u8]) -> Option<f64> {
    #[derive(Deserialize)]
    struct Reply {
        choices: Vec<Choice>,
    }
    #[derive(Deserialize)]
    struct Choice {
        logprobs: Option<Logprobs>,
    }
    #[derive(Deserialize)]
    struct Logprobs {
        content: Option<Vec<Token>>,
    }
    #[derive(Deserialize)]
    struct Token {
        logprob: f64,
    }
    let reply: Reply = serde_json::from_slice(bytes).ok()?;
    let tokens = reply.choices.into_iter().next()?.logprobs?.content?;
    #[expect(clippy::cast_precision_loss, reason = "counts of tokens")]
    let count = tokens.len() as f64;
    (count > 0.0).then(|| tokens.iter().map(|token| token.logprob).sum::<f64>() / count)
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_probabilities_is_read_where_the_provider_says_them() {
        let body = br#"{"choices":[{"logprobs":{"content":[{"logprob":-0.2},{"logprob":-0.6}]}}]}"#;
        assert!((mean(body).unwrap() + 0.4).abs() < 1e-9);
        assert_eq!(mean(br#"{"choices":[{"logprobs":null}]}"#), None);
        assert_eq!(mean(br#"{"choices":[]}"#), None);
    }
}
