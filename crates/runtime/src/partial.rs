//! The message of a model call as far as it came.

use bedplate_core::{
    message::{ContentBlock, Message, Reasoning, Role, ToolUse},
    port::model::{BlockKind, ModelEvent},
};
use serde_json::{Map, Value};

/// The blocks of a reply that is still being written.
#[derive(Default)]
pub(crate) struct Partial {
    blocks: Vec<Block>,
}

struct Block {
    index: u32,
    kind: BlockKind,
    text: String,
    seal: Option<Reasoning>,
}

impl Partial {
    pub(crate) fn push(&mut self, event: &ModelEvent) {
        match event {
            ModelEvent::BlockStart { index, kind } => {
                self.block(*index, kind.clone());
            }
            ModelEvent::TextDelta { index, text } => self.block(*index, BlockKind::Text).text.push_str(text),
            ModelEvent::InputDelta { index, json } => {
                let unnamed = BlockKind::ToolUse { id: String::new(), name: String::new() };
                self.block(*index, unnamed).text.push_str(json);
            }
            ModelEvent::ReasoningSeal { index, seal } => {
                self.block(*index, BlockKind::Reasoning).seal = Some(seal.clone());
            }
            ModelEvent::Restart => self.blocks.clear(),
            ModelEvent::BlockStop { .. } | ModelEvent::End(_) => {}
        }
    }

    /// Returns the message so far. Arguments that are not whole yet stand in `malformed`.
    pub(crate) fn message(&self) -> Message {
        Message { role: Role::Assistant, content: self.blocks.iter().map(Block::content).collect() }
    }

    /// Returns the block at `index`; a provider may leave out its start, and then the first piece opens it.
    fn block(&mut self, index: u32, kind: BlockKind) -> &mut Block {
        let at = self.blocks.iter().position(|block| block.index == index).unwrap_or_else(|| {
            self.blocks.push(Block { index, kind, text: String::new(), seal: None });
            self.blocks.len() - 1
        });
        &mut self.blocks[at]
    }
}

impl Block {
    fn content(&self) -> ContentBlock {
        match &self.kind {
            BlockKind::Text => ContentBlock::text(self.text.clone()),
            BlockKind::Reasoning => {
                let (signature, redacted, family) = match &self.seal {
                    Some(seal) => (seal.signature.clone(), seal.redacted.clone(), seal.family.clone()),
                    None => (None, None, None),
                };
                ContentBlock::Reasoning(Reasoning { text: self.text.clone(), signature, redacted, family })
            }
            BlockKind::ToolUse { id, name } => {
                let (input, malformed) = match serde_json::from_str(&self.text) {
                    Ok(Value::Object(input)) => (Value::Object(input), None),
                    _ => (Value::Object(Map::new()), Some(self.text.clone())),
                };
                ContentBlock::ToolUse(ToolUse { id: id.clone(), name: name.clone(), input, malformed })
            }
        }
    }
}
