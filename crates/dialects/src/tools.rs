//! Tools and the choice among them, as far as dialects agree about them.

use crate::{DecodeError, EncodeError};
use bedplate_core::{
    message::ContentBlock,
    port::model::{ModelRequest, ToolChoice},
    tool::ToolSpec,
};
use serde_json::{Value, json};

/// Returns the input of a tool that says nothing of it.
pub(crate) fn empty_schema() -> Value {
    json!({"type": "object", "properties": {}})
}

/// Refuses the choice of a tool that is not on offer.
pub(crate) fn check_choice(request: &ModelRequest) -> Result<(), EncodeError> {
    match &request.tool_choice {
        ToolChoice::Tool(name) if !request.tools.iter().any(|tool| tool.name == *name) => {
            Err(EncodeError::UnknownTool(name.clone()))
        }
        _ => Ok(()),
    }
}

/// Returns what stands in for tools that a conversation used and that are not on offer: without any tool, some models
/// refuse a history with calls in it.
pub(crate) fn placeholder(request: &ModelRequest) -> Option<ToolSpec> {
    let of_tool = |block: &ContentBlock| matches!(block, ContentBlock::ToolUse(_) | ContentBlock::ToolResult(_));
    request.messages.iter().flat_map(|message| &message.content).any(of_tool).then(|| ToolSpec {
        name: "no_tool".into(),
        description: "No tool is available.".into(),
        input_schema: empty_schema(),
    })
}

/// Reads OpenAI's word for a choice.
pub(crate) fn choice_of_word(word: &str) -> Result<ToolChoice, DecodeError> {
    match word {
        "auto" => Ok(ToolChoice::Auto),
        "required" | "any" => Ok(ToolChoice::Any),
        "none" => Ok(ToolChoice::None),
        other => Err(DecodeError::new("tool_choice", format!("unknown mode `{other}`"))),
    }
}
