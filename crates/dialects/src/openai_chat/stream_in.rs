//! Streams of an upstream: bytes → model events.

use super::{
    reply::reasoning_text,
    stop_reason, usage_in,
    wire::{self, Content, Part},
};
use crate::{
    DecodeError, Ending, NameMap, ReplyBuilder, StreamDecoder, StreamError,
    fault::ErrorDetail,
    json::{self, TextOr},
    reply::{call_id, nameless_tool, settle},
    sse,
};
use bedplate_core::{
    message::{StopReason, Usage},
    port::model::{BlockKind, ModelEvent},
};
use serde_json::Value;

/// Reads a stream of chunks. The reply ends when its finish reason was said and `[DONE]` or the end of the stream
/// comes, because usage stands in a chunk after the reason.
#[derive(Debug, Default)]
pub struct Decoder {
    names: NameMap,
    parser: sse::Parser,
    events: Vec<sse::Event>,
    builder: ReplyBuilder,
    /// The text or reasoning block that is open.
    open: Option<(BlockKind, u32)>,
    calls: Vec<Call>,
    finish: Option<StopReason>,
    refused: bool,
    usage: Usage,
    model: String,
    done: bool,
}

/// A tool call as its pieces come. Its block begins when its name is known.
#[derive(Debug, Default)]
struct Call {
    index: Option<u32>,
    id: Option<String>,
    block: Option<u32>,
    early: String,
}

impl Decoder {
    /// Returns a decoder for the reply to a request whose tools have these names.
    #[must_use]
    pub fn new(names: NameMap) -> Self {
        Self { names, ..Self::default() }
    }

    fn event(&mut self, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        if self.done {
            return Ok(());
        }
        if data.trim() == "[DONE]" {
            return self.end(out);
        }
        let chunk: wire::Reply = json::from_slice(data.as_bytes())?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(StreamError::Upstream(error_detail(error).into_fault(None)));
        }
        if self.model.is_empty() {
            self.model = chunk.model;
        }
        if let Some(usage) = &chunk.usage {
            self.usage = usage_in(usage);
        }
        for choice in chunk.choices.into_iter().filter(|choice| choice.index == 0) {
            // Some servers end with the whole message; it says again what the deltas said.
            let whole = choice.message.filter(|_| self.open.is_none() && self.calls.is_empty());
            if let Some(delta) = choice.delta.or(whole) {
                self.delta(delta, out)?;
            }
            if let Some(word) = choice.finish_reason.filter(|word| !word.is_empty()) {
                let unknown = || DecodeError::new("choices[0].finish_reason", format!("unknown reason `{word}`"));
                self.finish = Some(stop_reason(&word).ok_or_else(unknown)?);
            }
        }
        Ok(())
    }

    fn delta(&mut self, delta: wire::Message, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        if let Some(text) = reasoning_text(&delta) {
            let index = self.open_block(BlockKind::Reasoning, out);
            self.builder.text(index, &text, out);
        }
        if let Some(blocks) = delta.bedplate_reasoning {
            self.builder.replace_reasoning(blocks.into_iter().map(wire::Reasoning::into_core).collect());
        }
        let words = match delta.content {
            Content::Absent | Content::Null => String::new(),
            Content::Some(TextOr::Text(text)) => text,
            Content::Some(TextOr::Parts(parts)) => parts.into_iter().filter_map(text_of_part).collect(),
        };
        let refusal = delta.refusal.unwrap_or_default();
        self.refused |= !refusal.is_empty();
        for text in [words, refusal] {
            if !text.is_empty() {
                let index = self.open_block(BlockKind::Text, out);
                self.builder.text(index, &text, out);
            }
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.call(call, out);
        }
        Ok(())
    }

    fn open_block(&mut self, kind: BlockKind, out: &mut Vec<ModelEvent>) -> u32 {
        match &self.open {
            Some((open, index)) if *open == kind => *index,
            _ => {
                self.close_block(out);
                let index = self.builder.start(kind.clone(), out);
                self.open = Some((kind, index));
                index
            }
        }
    }

    fn close_block(&mut self, out: &mut Vec<ModelEvent>) {
        if let Some((_, index)) = self.open.take() {
            self.builder.stop(index, out);
        }
    }

    fn call(&mut self, piece: wire::ToolCall, out: &mut Vec<ModelEvent>) {
        let function = piece.function.unwrap_or_default();
        let name = function.name.as_deref().filter(|name| !name.is_empty());
        let id = piece.id.clone().filter(|id| !id.is_empty());
        let position = self.position(piece.index, id.as_deref(), name.is_some());
        let position = position.unwrap_or_else(|| {
            self.calls.push(Call { index: piece.index, ..Call::default() });
            self.calls.len() - 1
        });
        if self.calls[position].id.is_none() {
            self.calls[position].id = id;
        }
        if let (Some(name), None) = (name, self.calls[position].block) {
            self.start_call(position, name, out);
        }
        let arguments = function.arguments_text();
        let call = &mut self.calls[position];
        match call.block {
            Some(block) => self.builder.input(block, &arguments, out),
            None => call.early.push_str(&arguments),
        }
    }

    /// Finds the call that a piece belongs to. Servers leave out the index, give every call the index 0, or repeat
    /// the id in every piece; a known index with another id is another call.
    fn position(&self, index: Option<u32>, id: Option<&str>, named: bool) -> Option<usize> {
        let found = match (index, id) {
            (Some(_), _) => self.calls.iter().rposition(|call| call.index == index),
            (None, Some(_)) => self.calls.iter().rposition(|call| call.id.as_deref() == id),
            (None, None) if named => None,
            (None, None) => self.calls.len().checked_sub(1),
        }?;
        let other_id = matches!((id, self.calls[found].id.as_deref()), (Some(new), Some(old)) if new != old);
        (!(other_id && named)).then_some(found)
    }

    fn start_call(&mut self, position: usize, name: &str, out: &mut Vec<ModelEvent>) {
        self.close_block(out);
        // An object that is whole cannot grow, so a call that went before it is over. One that is not whole may go on.
        for block in self.calls.iter().filter_map(|call| call.block) {
            if self.builder.input_is_whole(block) {
                self.builder.stop(block, out);
            }
        }
        let call = &mut self.calls[position];
        let kind =
            BlockKind::ToolUse { id: call_id(call.id.clone(), position), name: self.names.core(name).to_owned() };
        let block = self.builder.start(kind, out);
        call.block = Some(block);
        let early = std::mem::take(&mut call.early);
        self.builder.input(block, &early, out);
    }

    fn end(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        let Some(reason) = self.finish else { return Err(StreamError::Cut) };
        if let Some(position) = self.calls.iter().position(|call| call.block.is_none()) {
            return Err(nameless_tool(format!("choices[0].delta.tool_calls[{position}]")).into());
        }
        self.done = true;
        let builder = std::mem::take(&mut self.builder);
        let ending = Ending {
            stop_reason: settle(reason, builder.has_tool_use(), self.refused),
            stop_sequence: None,
            usage: self.usage,
            model: std::mem::take(&mut self.model),
        };
        builder.finish(ending, out);
        Ok(())
    }

    fn drain(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        for event in std::mem::take(&mut self.events) {
            // Some servers say `event: error`; the others only put it into the data.
            if event.name == "error" && !self.done {
                let error = serde_json::from_str(&event.data).unwrap_or(Value::String(event.data));
                return Err(StreamError::Upstream(error_detail(error).into_fault(None)));
            }
            self.event(&event.data, out)?;
        }
        Ok(())
    }
}

impl StreamDecoder for Decoder {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        self.parser.feed(bytes, &mut self.events);
        self.drain(out)
    }

    fn finish(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        self.parser.finish(&mut self.events);
        self.drain(out)?;
        if self.done { Ok(()) } else { self.end(out) }
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

fn text_of_part(part: Part) -> Option<String> {
    match part {
        Part::Text { text, .. } => Some(text),
        Part::Refusal { refusal } => Some(refusal),
        Part::ImageUrl { .. } | Part::File { .. } => None,
    }
}

pub(super) fn error_detail(error: Value) -> ErrorDetail {
    let error = match error {
        Value::Object(mut fields) if fields.contains_key("error") => fields.remove("error").unwrap_or(Value::Null),
        other => other,
    };
    match error {
        Value::String(message) => ErrorDetail::of_message(message),
        other => serde_json::from_value(other.clone()).unwrap_or_else(|_| ErrorDetail::of_message(other.to_string())),
    }
}
