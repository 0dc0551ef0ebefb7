//! Nova's body (`schemaVersion: messages-v1`). It is Converse's in all but a few names, and a stream has the events of
//! ConverseStream, each as an object with one field.

use crate::{
    DecodeError,
    bedrock_converse::{self, Frame, wire},
    json,
};
use bedplate_core::{
    message::Usage,
    port::model::{ModelReply, ModelRequest},
};
use serde_json::{Map, Value, json};

/// The name under which fields without a core form are kept.
pub const NAME: &str = "bedrock_nova";

/// The one version of the body that there is.
const VERSION: &str = "messages-v1";

/// Reads a client's request for `model`, which its path names.
///
/// # Errors
/// [`DecodeError`], as for Converse.
pub fn decode_request(body: &[u8], model: &str) -> Result<ModelRequest, DecodeError> {
    let mut fields: Map<String, Value> = json::from_slice(body)?;
    match fields.shift_remove("schemaVersion") {
        None => {}
        Some(version) if version == VERSION => {}
        Some(_) => return Err(DecodeError::new("schemaVersion", format!("only `{VERSION}` is known"))),
    }
    let mut kept = Map::new();
    if let Some(Value::Object(config)) = fields.get_mut("inferenceConfig") {
        if let (Some(most), false) = (config.shift_remove("max_new_tokens"), config.contains_key("maxTokens")) {
            config.insert("maxTokens".into(), most);
        }
        kept.extend(config.shift_remove("topK").map(|top| ("topK".to_owned(), top)));
    }
    let mut request = bedrock_converse::decode_request(&json::to_vec(&fields), model)?;
    if !kept.is_empty() {
        request.params.extra.insert(NAME.into(), Value::Object(kept));
    }
    Ok(request)
}

/// Says a reply to a client.
#[must_use]
pub fn encode_reply(reply: &ModelReply) -> Value {
    let wire::Reply { output, stop_reason, .. } = bedrock_converse::encode_reply(reply, 0);
    json!({ "output": output, "stopReason": stop_reason, "usage": usage(&reply.usage) })
}

/// Says an event of a stream; none for one that Nova does not have.
#[must_use]
pub fn chunk(frame: &Frame) -> Option<Value> {
    let payload: Value = serde_json::from_slice(&frame.payload).ok()?;
    Some(json!({ (frame.kind): payload }))
}

fn usage(usage: &Usage) -> Value {
    json!({
        "inputTokens": usage.input, "outputTokens": usage.output, "totalTokens": usage.total(),
        "cacheReadInputTokenCount": usage.cache_read, "cacheWriteInputTokenCount": usage.cache_write,
    })
}
