//! The dialects that a client's request may come in: a visible list.

use crate::{DecodeError, anthropic_messages, bedrock_converse, openai_chat, openai_responses};
use bedplate_core::port::model::ModelRequest;

/// Reads a client's request of the dialect called `dialect` (`NAME` of its module) for `model`, whatever the body calls
/// it.
///
/// # Errors
/// [`DecodeError`], also for a dialect that is not in the list.
pub fn decode(dialect: &str, body: &[u8], model: &str) -> Result<ModelRequest, DecodeError> {
    let request = match dialect {
        openai_chat::NAME => openai_chat::decode_request(body)?.request,
        anthropic_messages::NAME => anthropic_messages::decode_request(body)?.request,
        anthropic_messages::INVOKE_NAME => anthropic_messages::decode_invoke(body, model)?,
        openai_responses::NAME => openai_responses::decode_request(body)?,
        bedrock_converse::NAME => bedrock_converse::decode_request(body, model)?,
        _ => return Err(DecodeError::new("", format!("requests in `{dialect}` are not read"))),
    };
    Ok(ModelRequest { model: model.to_owned(), ..request })
}
