//! Streams to a client: model events → events of a response.

use super::{
    failure_code,
    reply::{About, begun, encode_reply, opened, over, seal},
    wire::{self, Item, Part},
};
use crate::{
    Envelope, Fault,
    json::{self, TextOr},
    reply::block_events,
    sse,
};
use bedplate_core::{
    message::Reasoning,
    port::model::{BlockKind, ModelEvent, ModelReply},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Writes the events of a response; the caller sends what is appended to `out` and adds nothing.
///
/// A failure ends the stream with `response.failed`. Items of calls that an upstream sends at the same time are open at
/// the same time; their `output_index` keeps them apart.
#[derive(Debug)]
pub struct Encoder {
    envelope: Envelope,
    about: About,
    sequence: u64,
    begun: bool,
    blocks: BTreeMap<u32, Open>,
    started: usize,
    finished: BTreeMap<usize, Item>,
    last: Option<wire::Response>,
}

/// An item whose block is open.
#[derive(Debug)]
struct Open {
    item: Item,
    at: usize,
    said: Said,
}

#[derive(Debug)]
enum Said {
    Text(String),
    Input(String),
    Reasoning(Reasoning),
}

impl Encoder {
    /// Returns an encoder.
    #[must_use]
    pub fn new(envelope: Envelope, about: About) -> Self {
        Self {
            envelope,
            about,
            sequence: 0,
            begun: false,
            blocks: BTreeMap::new(),
            started: 0,
            finished: BTreeMap::new(),
            last: None,
        }
    }

    /// Writes an event.
    pub fn event(&mut self, event: &ModelEvent, out: &mut Vec<u8>) {
        if self.is_over() {
            return;
        }
        match event {
            ModelEvent::BlockStart { index, kind } => self.start(*index, kind, out),
            ModelEvent::TextDelta { index, text } => self.text(*index, text, out),
            ModelEvent::InputDelta { index, json } => self.input(*index, json, out),
            ModelEvent::ReasoningSeal { index, seal } => {
                if let Some(Open { said: Said::Reasoning(reasoning), .. }) = self.blocks.get_mut(index) {
                    let text = std::mem::take(&mut reasoning.text);
                    *reasoning = Reasoning { text, ..seal.clone() };
                }
            }
            ModelEvent::BlockStop { index } => self.stop(*index, out),
            ModelEvent::Restart if !self.begun => {}
            ModelEvent::Restart => self.fail(Fault::BadUpstream, "the reply broke off and began again", out),
            ModelEvent::End(reply) => self.end(reply, out),
        }
    }

    /// Writes a failure and ends the stream.
    pub fn fail(&mut self, fault: Fault, message: &str, out: &mut Vec<u8>) {
        if self.is_over() {
            return;
        }
        self.begin(out);
        let response = wire::Response {
            status: Some("failed".into()),
            error: Some(wire::ResponseError { code: failure_code(fault).into(), message: message.to_owned() }),
            output: self.finished.values().cloned().collect(),
            ..opened(&self.envelope, &self.about)
        };
        self.close("response.failed", response, out);
    }

    /// Returns whether the reply or a failure ended the stream; nothing is written after that.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.last.is_some()
    }

    /// Returns the response that ended the stream.
    #[must_use]
    pub fn response(&self) -> Option<&wire::Response> {
        self.last.as_ref()
    }

    fn start(&mut self, index: u32, kind: &BlockKind, out: &mut Vec<u8>) {
        self.begin(out);
        let at = self.started;
        self.started += 1;
        let item = begun(kind, &self.envelope.id, at);
        self.write("response.output_item.added", &json!({"output_index": at, "item": item}), out);
        let said = match kind {
            BlockKind::Text => {
                let event = part_event(&item, at, &Part::output_text(""));
                self.write("response.content_part.added", &event, out);
                Said::Text(String::new())
            }
            BlockKind::ToolUse { .. } => Said::Input(String::new()),
            BlockKind::Reasoning => {
                Said::Reasoning(Reasoning { text: String::new(), signature: None, redacted: None, family: None })
            }
        };
        self.blocks.insert(index, Open { item, at, said });
    }

    fn text(&mut self, index: u32, text: &str, out: &mut Vec<u8>) {
        let Some(open) = self.blocks.get_mut(&index) else { return };
        let (id, at) = (open.item.id.clone(), open.at);
        match &mut open.said {
            Said::Text(whole) => {
                whole.push_str(text);
                let event =
                    json!({"item_id": id, "output_index": at, "content_index": 0, "delta": text, "logprobs": []});
                self.write("response.output_text.delta", &event, out);
            }
            Said::Reasoning(reasoning) => {
                let first = reasoning.text.is_empty();
                reasoning.text.push_str(text);
                if first {
                    let event =
                        summary_event(id.as_deref(), at, "part", json!(Part::SummaryText { text: String::new() }));
                    self.write("response.reasoning_summary_part.added", &event, out);
                }
                let event = summary_event(id.as_deref(), at, "delta", json!(text));
                self.write("response.reasoning_summary_text.delta", &event, out);
            }
            Said::Input(_) => {}
        }
    }

    fn input(&mut self, index: u32, json: &str, out: &mut Vec<u8>) {
        if let Some(Open { item, at, said: Said::Input(whole) }) = self.blocks.get_mut(&index) {
            whole.push_str(json);
            let event = json!({"item_id": item.id, "output_index": at, "delta": json});
            self.write("response.function_call_arguments.delta", &event, out);
        }
    }

    fn stop(&mut self, index: u32, out: &mut Vec<u8>) {
        let Some(Open { mut item, at, said }) = self.blocks.remove(&index) else { return };
        match said {
            Said::Text(text) => {
                let part = Part::output_text(&text);
                let event =
                    json!({"item_id": item.id, "output_index": at, "content_index": 0, "text": text, "logprobs": []});
                self.write("response.output_text.done", &event, out);
                self.write("response.content_part.done", &part_event(&item, at, &part), out);
                item.content = Some(TextOr::Parts(vec![part]));
            }
            Said::Input(arguments) => {
                let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments };
                let event = json!({"item_id": item.id, "output_index": at, "name": item.name, "arguments": arguments});
                self.write("response.function_call_arguments.done", &event, out);
                item.arguments = Some(Value::String(arguments));
            }
            Said::Reasoning(reasoning) => {
                if !reasoning.text.is_empty() {
                    let id = item.id.as_deref();
                    let event = summary_event(id, at, "text", json!(reasoning.text));
                    self.write("response.reasoning_summary_text.done", &event, out);
                    let part = json!(Part::SummaryText { text: reasoning.text.clone() });
                    self.write("response.reasoning_summary_part.done", &summary_event(id, at, "part", part), out);
                }
                seal(&mut item, &reasoning);
            }
        }
        let item = over(item);
        self.write("response.output_item.done", &json!({"output_index": at, "item": item}), out);
        self.finished.insert(at, item);
    }

    fn end(&mut self, reply: &ModelReply, out: &mut Vec<u8>) {
        if self.started == 0 {
            let mut events = Vec::new();
            block_events(reply, &mut events);
            events.iter().for_each(|event| self.event(event, out));
        }
        self.begin(out);
        let open: Vec<u32> = self.blocks.keys().copied().collect();
        open.into_iter().for_each(|index| self.stop(index, out));
        let whole = encode_reply(reply, &self.envelope, &self.about);
        // The items are those that the events named.
        let response = wire::Response { output: std::mem::take(&mut self.finished).into_values().collect(), ..whole };
        let kind = if response.incomplete_details.is_some() { "response.incomplete" } else { "response.completed" };
        self.close(kind, response, out);
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let response = json!({"response": opened(&self.envelope, &self.about)});
        self.write("response.created", &response, out);
        self.write("response.in_progress", &response, out);
    }

    fn close(&mut self, kind: &str, response: wire::Response, out: &mut Vec<u8>) {
        self.write(kind, &json!({"response": response}), out);
        self.last = Some(response);
    }

    fn write(&mut self, kind: &str, fields: &Value, out: &mut Vec<u8>) {
        let mut event = json!({"type": kind, "sequence_number": self.sequence});
        self.sequence += 1;
        if let (Value::Object(event), Value::Object(fields)) = (&mut event, fields) {
            event.extend(fields.clone());
        }
        sse::write(out, kind, &json::to_string(&event));
    }
}

fn part_event(item: &Item, at: usize, part: &Part) -> Value {
    json!({"item_id": item.id, "output_index": at, "content_index": 0, "part": part})
}

fn summary_event(id: Option<&str>, at: usize, field: &str, value: Value) -> Value {
    let mut event = json!({"item_id": id, "output_index": at, "summary_index": 0});
    event[field] = value;
    event
}
