//! The one place where the pieces of a reply become a reply, and a reply becomes pieces.

use crate::{DecodeError, input::render_input, parse_input};
use bedplate_core::{
    message::{ContentBlock, Message, Reasoning, Role, StopReason, ToolUse, Usage},
    port::model::{BlockKind, ModelEvent, ModelReply},
};

/// What is known of a reply when it is complete, besides its blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// Why the model stopped.
    pub stop_reason: StopReason,
    /// The stop sequence that came up.
    pub stop_sequence: Option<String>,
    /// Tokens.
    pub usage: Usage,
    /// The model that answered.
    pub model: String,
}

/// Collects the blocks of a streamed reply and says what a consumer of the stream sees of them.
///
/// It keeps the promises of the stream: one start and one stop for each block, nothing outside of them, indices from 0
/// without gaps, arguments of a tool that came only at the end still as one delta, and no empty text block.
#[derive(Debug, Default)]
pub struct ReplyBuilder {
    blocks: Vec<Block>,
    reasoning: Option<Vec<Reasoning>>,
}

#[derive(Debug)]
struct Block {
    content: Content,
    open: bool,
}

#[derive(Debug)]
enum Content {
    Text(String),
    Reasoning(Reasoning),
    ToolUse { id: String, name: String, json: String },
}

impl ReplyBuilder {
    /// Begins a block and returns its index.
    pub fn start(&mut self, kind: BlockKind, out: &mut Vec<ModelEvent>) -> u32 {
        let index = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        let content = match &kind {
            BlockKind::Text => Content::Text(String::new()),
            BlockKind::Reasoning => {
                Content::Reasoning(Reasoning { text: String::new(), signature: None, redacted: None, family: None })
            }
            BlockKind::ToolUse { id, name } => {
                Content::ToolUse { id: id.clone(), name: name.clone(), json: String::new() }
            }
        };
        self.blocks.push(Block { content, open: true });
        out.push(ModelEvent::BlockStart { index, kind });
        index
    }

    /// Adds to a text or reasoning block that is open.
    pub fn text(&mut self, index: u32, text: &str, out: &mut Vec<ModelEvent>) {
        if text.is_empty() {
            return;
        }
        if let Some(Block { content, open: true }) = self.blocks.get_mut(index as usize) {
            match content {
                Content::Text(whole) | Content::Reasoning(Reasoning { text: whole, .. }) => whole.push_str(text),
                Content::ToolUse { .. } => return,
            }
            out.push(ModelEvent::TextDelta { index, text: text.to_owned() });
        }
    }

    /// Adds to the arguments of a tool use. What comes after its stop is kept for the reply, but no longer shown.
    pub fn input(&mut self, index: u32, json: &str, out: &mut Vec<ModelEvent>) {
        if json.is_empty() {
            return;
        }
        if let Some(Block { content: Content::ToolUse { json: whole, .. }, open }) = self.blocks.get_mut(index as usize)
        {
            whole.push_str(json);
            if *open {
                out.push(ModelEvent::InputDelta { index, json: json.to_owned() });
            }
        }
    }

    /// Seals a reasoning block; parts of one seal may come one after another.
    pub fn seal(&mut self, index: u32, seal: Reasoning, out: &mut Vec<ModelEvent>) {
        if let Some(Block { content: Content::Reasoning(reasoning), open: true }) = self.blocks.get_mut(index as usize)
        {
            for (whole, part) in
                [(&mut reasoning.signature, &seal.signature), (&mut reasoning.redacted, &seal.redacted)]
            {
                if let Some(part) = part {
                    whole.get_or_insert_default().push_str(part);
                }
            }
            if seal.family.is_some() {
                reasoning.family.clone_from(&seal.family);
            }
            out.push(ModelEvent::ReasoningSeal { index, seal });
        }
    }

    /// Says the reasoning of the reply whole, where a dialect tells it once more with its seals at the end.
    pub(crate) fn replace_reasoning(&mut self, blocks: Vec<Reasoning>) {
        self.reasoning = Some(blocks);
    }

    /// Ends a block; a second end of the same block is nothing.
    pub fn stop(&mut self, index: u32, out: &mut Vec<ModelEvent>) {
        if let Some(block) = self.blocks.get_mut(index as usize)
            && std::mem::take(&mut block.open)
        {
            out.push(ModelEvent::BlockStop { index });
        }
    }

    /// Ends all blocks that are open, in order.
    pub fn stop_all(&mut self, out: &mut Vec<ModelEvent>) {
        for index in 0..self.blocks.len() {
            self.stop(u32::try_from(index).unwrap_or(u32::MAX), out);
        }
    }

    /// Returns whether the arguments of a tool use are a whole JSON object, which nothing can be added to.
    pub(crate) fn input_is_whole(&self, index: u32) -> bool {
        match self.blocks.get(index as usize) {
            Some(Block { content: Content::ToolUse { json, .. }, .. }) => {
                serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).is_ok()
            }
            _ => false,
        }
    }

    /// Returns whether any block is a tool use.
    pub(crate) fn has_tool_use(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block.content, Content::ToolUse { .. }))
    }

    /// Ends all blocks and appends the `End` with the whole reply. `provider` and `cost` are left to the caller.
    pub fn finish(mut self, ending: Ending, out: &mut Vec<ModelEvent>) {
        self.stop_all(out);
        let mut content: Vec<ContentBlock> = self.blocks.into_iter().filter_map(Block::into_content).collect();
        if let Some(reasoning) = self.reasoning {
            content.retain(|block| !matches!(block, ContentBlock::Reasoning(_)));
            content.splice(0..0, reasoning.into_iter().map(ContentBlock::Reasoning));
        }
        out.push(ModelEvent::End(Box::new(ModelReply {
            message: Message { role: Role::Assistant, content },
            stop_reason: ending.stop_reason,
            stop_sequence: ending.stop_sequence,
            usage: ending.usage,
            cost: None,
            model: ending.model,
            provider: String::new(),
        })));
    }
}

impl Block {
    fn into_content(self) -> Option<ContentBlock> {
        match self.content {
            Content::Text(text) if text.is_empty() => None,
            Content::Text(text) => Some(ContentBlock::Text { text }),
            Content::Reasoning(reasoning) => Some(ContentBlock::Reasoning(reasoning)),
            Content::ToolUse { id, name, json } => {
                let (input, malformed) = parse_input(&json);
                Some(ContentBlock::ToolUse(ToolUse { id, name, input, malformed }))
            }
        }
    }
}

/// Returns the events of a whole reply: each block as start, at most one delta, and stop, and then the `End`.
#[must_use]
pub fn events_of(reply: ModelReply) -> Vec<ModelEvent> {
    let mut out = Vec::with_capacity(reply.message.content.len() * 3 + 1);
    block_events(&reply, &mut out);
    out.push(ModelEvent::End(Box::new(reply)));
    out
}

/// Appends the events of the reply's blocks, without the `End`.
pub(crate) fn block_events(reply: &ModelReply, out: &mut Vec<ModelEvent>) {
    let mut next = 0;
    for block in &reply.message.content {
        let index = next;
        match block {
            ContentBlock::Text { text } => {
                out.push(ModelEvent::BlockStart { index, kind: BlockKind::Text });
                out.push(ModelEvent::TextDelta { index, text: text.clone() });
            }
            ContentBlock::Reasoning(reasoning) => {
                out.push(ModelEvent::BlockStart { index, kind: BlockKind::Reasoning });
                if !reasoning.text.is_empty() {
                    out.push(ModelEvent::TextDelta { index, text: reasoning.text.clone() });
                }
                if reasoning.signature.is_some() || reasoning.redacted.is_some() {
                    let seal = Reasoning { text: String::new(), ..reasoning.clone() };
                    out.push(ModelEvent::ReasoningSeal { index, seal });
                }
            }
            ContentBlock::ToolUse(call) => {
                let kind = BlockKind::ToolUse { id: call.id.clone(), name: call.name.clone() };
                out.push(ModelEvent::BlockStart { index, kind });
                out.push(ModelEvent::InputDelta { index, json: render_input(call) });
            }
            // Models say none of these in a reply.
            ContentBlock::Image { .. }
            | ContentBlock::Document { .. }
            | ContentBlock::ToolResult(_)
            | ContentBlock::CachePoint => continue,
        }
        out.push(ModelEvent::BlockStop { index });
        next += 1;
    }
}

/// Returns the error of a tool call without a name, which nobody can perform or answer.
pub(crate) fn nameless_tool(path: impl Into<String>) -> DecodeError {
    DecodeError::new(path, "the tool call has no name")
}

/// Returns an id for a call that came without one; it pairs the call with its result, and no more hangs on it.
pub(crate) fn call_id(id: Option<String>, position: usize) -> String {
    id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{position}"))
}

/// Settles what the reason says with what the reply holds: many servers say `stop` when they call a tool, and a reply
/// without a call waits for none.
pub(crate) fn settle(reason: StopReason, has_tool_use: bool, refused: bool) -> StopReason {
    match reason {
        StopReason::EndTurn if has_tool_use => StopReason::ToolUse,
        StopReason::ToolUse if !has_tool_use => StopReason::EndTurn,
        StopReason::EndTurn if refused => StopReason::Refusal,
        other => other,
    }
}
