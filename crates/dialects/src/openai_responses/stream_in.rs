//! Streams of an upstream: bytes → model events.

use super::{
    item::{arguments_text, reasoning_in},
    reply::{ending, failure},
    usage_in,
    wire::{Item, Response, StreamEvent},
};
use crate::{
    DecodeError, Ending, NameMap, ReplyBuilder, StreamDecoder, StreamError,
    fault::ErrorDetail,
    json,
    reply::{call_id, nameless_tool, settle},
    sse,
};
use bedplate_core::{
    message::{Reasoning, Usage},
    port::model::{BlockKind, ModelEvent},
};
use std::collections::BTreeMap;

/// Reads the events of a response. It ends with `response.completed` or `response.incomplete`; without one it was cut.
#[derive(Debug, Default)]
pub struct Decoder {
    names: NameMap,
    parser: sse::Parser,
    events: Vec<sse::Event>,
    builder: ReplyBuilder,
    /// The open blocks by their `output_index`.
    open: BTreeMap<u32, Open>,
    items: u32,
    usage: Usage,
    done: bool,
}

#[derive(Debug)]
struct Open {
    block: u32,
    kind: Kind,
    said: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Call,
}

impl Decoder {
    /// Returns a decoder for the reply to a request whose tools have these names.
    #[must_use]
    pub fn new(names: NameMap) -> Self {
        Self { names, ..Self::default() }
    }

    fn event(&mut self, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        if self.done || data.trim() == "[DONE]" {
            return Ok(());
        }
        let event: StreamEvent = json::from_slice(data.as_bytes())?;
        let at = event.output_index.unwrap_or(self.items);
        match event.kind.as_str() {
            "response.output_item.added" => match event.item {
                Some(item) => self.added(at, &item, out),
                None => Err(DecodeError::new("item", "missing field `item`").into()),
            },
            "response.output_text.delta" | "response.refusal.delta" => {
                self.delta(at, Kind::Text, event.delta.as_deref().unwrap_or_default(), out);
                Ok(())
            }
            "response.content_part.added" => {
                // Each part of a message is a block of its own.
                let spoken = |open: &Open| open.kind == Kind::Text && !open.said.is_empty();
                if self.open.get(&at).is_some_and(spoken) {
                    self.close(at, out);
                }
                Ok(())
            }
            "response.reasoning_summary_part.added" => {
                // Parts are set apart as in a whole response.
                if self.open.get(&at).is_some_and(|open| open.kind == Kind::Reasoning && !open.said.is_empty()) {
                    self.delta(at, Kind::Reasoning, "\n\n", out);
                }
                Ok(())
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.delta(at, Kind::Reasoning, event.delta.as_deref().unwrap_or_default(), out);
                Ok(())
            }
            "response.function_call_arguments.delta" => {
                self.arguments(at, event.delta.as_deref().unwrap_or_default(), out);
                Ok(())
            }
            "response.function_call_arguments.done" => {
                self.whole_arguments(at, event.arguments.as_deref().unwrap_or_default(), out);
                Ok(())
            }
            "response.output_item.done" => match event.item {
                Some(item) => self.item_done(at, item, out),
                None => Err(DecodeError::new("item", "missing field `item`").into()),
            },
            "response.completed" | "response.incomplete" => match event.response {
                Some(response) => self.end(response, out),
                None => Err(DecodeError::new("response", "missing field `response`").into()),
            },
            "response.failed" => {
                let fault = event.response.as_ref().and_then(failure);
                Err(StreamError::Upstream(
                    fault.unwrap_or_else(|| ErrorDetail::of_message("the response failed".into()).into_fault(None)),
                ))
            }
            "error" => {
                let detail = match event.error {
                    Some(error) => serde_json::from_value(error.clone())
                        .unwrap_or_else(|_| ErrorDetail::of_message(error.to_string())),
                    None => ErrorDetail::of_code(
                        event.message.unwrap_or_default(),
                        event.code.as_deref().unwrap_or_default(),
                    ),
                };
                Err(StreamError::Upstream(detail.into_fault(None)))
            }
            // Borders of parts, progress, and what later versions add.
            _ => Ok(()),
        }
    }

    fn added(&mut self, at: u32, item: &Item, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        let (kind, block) = match item.kind() {
            "message" => return Ok(()),
            "reasoning" => (Kind::Reasoning, BlockKind::Reasoning),
            "function_call" => {
                let name = item.name.as_deref().filter(|name| !name.is_empty());
                let name = name.ok_or_else(|| nameless_tool(format!("output[{at}]")))?;
                let id = call_id(item.call_id.clone().or_else(|| item.id.clone()), at as usize);
                (Kind::Call, BlockKind::ToolUse { id, name: self.names.core(name).to_owned() })
            }
            other => {
                let message = format!("items of type `{other}` are not supported");
                return Err(DecodeError::new(format!("output[{at}].type"), message).into());
            }
        };
        self.items = self.items.max(at.saturating_add(1));
        if !self.open.contains_key(&at) {
            let block = self.builder.start(block, out);
            self.open.insert(at, Open { block, kind, said: String::new() });
        }
        // Some servers say the arguments at once.
        let early = arguments_text(item.arguments.as_ref());
        self.arguments(at, &early, out);
        Ok(())
    }

    /// Adds to the text or reasoning of an item; a message begins with its first words.
    fn delta(&mut self, at: u32, kind: Kind, text: &str, out: &mut Vec<ModelEvent>) {
        if text.is_empty() {
            return;
        }
        if !self.open.contains_key(&at) && kind == Kind::Text {
            self.items = self.items.max(at.saturating_add(1));
            let block = self.builder.start(BlockKind::Text, out);
            self.open.insert(at, Open { block, kind, said: String::new() });
        }
        if let Some(open) = self.open.get_mut(&at).filter(|open| open.kind == kind) {
            open.said.push_str(text);
            self.builder.text(open.block, text, out);
        }
    }

    fn arguments(&mut self, at: u32, json: &str, out: &mut Vec<ModelEvent>) {
        if let Some(open) = self.open.get_mut(&at).filter(|open| open.kind == Kind::Call) {
            open.said.push_str(json);
            self.builder.input(open.block, json, out);
        }
    }

    /// Takes arguments that are said whole: what of them came before is not said twice.
    fn whole_arguments(&mut self, at: u32, json: &str, out: &mut Vec<ModelEvent>) {
        let missing = match self.open.get(&at) {
            Some(open) => json.strip_prefix(open.said.as_str()).map(str::to_owned),
            None => None,
        };
        self.arguments(at, &missing.unwrap_or_default(), out);
    }

    fn item_done(&mut self, at: u32, item: Item, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        if !self.open.contains_key(&at) {
            self.added(at, &item, out)?;
        }
        match item.kind() {
            "function_call" => self.whole_arguments(at, &arguments_text(item.arguments.as_ref()), out),
            "reasoning" => {
                if let (Some(block), Some(reasoning)) = (self.open.get(&at).map(|open| open.block), reasoning_in(item))
                {
                    let said = self.open.get(&at).map(|open| open.said.clone()).unwrap_or_default();
                    let missing = reasoning.text.strip_prefix(&said).unwrap_or_default().to_owned();
                    self.delta(at, Kind::Reasoning, &missing, out);
                    if reasoning.signature.is_some() || reasoning.redacted.is_some() {
                        self.builder.seal(block, Reasoning { text: String::new(), ..reasoning }, out);
                    }
                }
            }
            _ => {
                if let Some(crate::json::TextOr::Parts(parts)) = &item.content {
                    let whole: String = parts.iter().filter_map(super::wire::Part::text).collect();
                    let said = self.open.get(&at).map(|open| open.said.clone()).unwrap_or_default();
                    let missing = whole.strip_prefix(&said).unwrap_or_default().to_owned();
                    self.delta(at, Kind::Text, &missing, out);
                }
            }
        }
        self.close(at, out);
        Ok(())
    }

    fn close(&mut self, at: u32, out: &mut Vec<ModelEvent>) {
        if let Some(open) = self.open.remove(&at) {
            self.builder.stop(open.block, out);
        }
    }

    fn end(&mut self, mut response: Response, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        if let Some(fault) = failure(&response) {
            return Err(StreamError::Upstream(fault));
        }
        let (reason, refused) = ending(&response)?;
        self.usage = response.usage.as_ref().map(usage_in).unwrap_or_default();
        // A server that told nothing before tells all of it here.
        if self.items == 0 {
            for (at, item) in (0..).zip(std::mem::take(&mut response.output)) {
                self.item_done(at, item, out)?;
            }
        }
        self.done = true;
        let builder = std::mem::take(&mut self.builder);
        let ending = Ending {
            stop_reason: settle(reason, builder.has_tool_use(), refused),
            stop_sequence: None,
            usage: self.usage,
            model: response.model,
        };
        builder.finish(ending, out);
        Ok(())
    }

    fn drain(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        std::mem::take(&mut self.events).into_iter().try_for_each(|event| self.event(&event.data, out))
    }
}

impl StreamDecoder for Decoder {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        if self.done {
            return Ok(());
        }
        self.parser.feed(bytes, &mut self.events);
        self.drain(out)
    }

    fn finish(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        if !self.done {
            self.parser.finish(&mut self.events);
            self.drain(out)?;
        }
        if self.done { Ok(()) } else { Err(StreamError::Cut) }
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}
