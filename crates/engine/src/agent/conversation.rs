//! The conversation of a run: messages in the order in which a model reads them, always well formed.
//!
//! Invariant: groups alternate roles and begin with a user's; every tool use is followed by its result in the next
//! group. Content is held once: neighbours of one role are one message, of which each part knows its end.

use super::size;
use bedplate_core::{
    id::Seq,
    message::{ContentBlock, Message, Role, StopReason, ToolResult},
    tool::ToolOutput,
};
use std::{borrow::Cow, collections::HashSet, sync::Arc};

/// What stands in for a question without any content that a model can read.
const NO_TEXT: &str = "(no text)";

/// All messages of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Conversation {
    groups: Vec<Group>,
    parts: Vec<Part>,
    bytes: usize,
}

/// Neighbours of one role, merged.
#[derive(Clone, Debug, PartialEq)]
struct Group {
    message: Arc<Message>,
    /// The index of its first part.
    first: usize,
    /// The size of everything before it.
    before: usize,
}

/// What one event (or the results of one reply's calls together) said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// Its position; ascending along the conversation.
    pub seq: Seq,
    /// Where it comes from.
    pub source: Source,
    /// The index after its last block in its group's message.
    end: usize,
}

/// Where a part comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// The message of a turn, in the event at this position.
    Question(Seq),
    /// A reply, in the event at the part's own position.
    Reply,
    /// The results of a reply's calls, in the events at these positions, in call order; 0 where there is none.
    Results {
        /// The reply.
        reply: Seq,
        /// The `ToolReturned` of each call.
        returned: Box<[Seq]>,
    },
}

/// A place in the conversation: the group, and the part in the list of all parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The group's index.
    pub group: usize,
    /// The part's index.
    pub part: usize,
}

impl Conversation {
    /// Returns how many groups there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Returns all parts in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Returns the role of a group.
    pub fn role(&self, group: usize) -> Role {
        self.groups[group].message.role
    }

    /// Returns the place of the part at position `seq`.
    pub fn find(&self, seq: Seq) -> Option<Place> {
        let part = self.parts.binary_search_by_key(&seq, |part| part.seq).ok()?;
        Some(Place { group: self.group_of(part), part })
    }

    /// Returns how many parts come before position `seq`.
    pub fn parts_before(&self, seq: Seq) -> usize {
        self.parts.partition_point(|part| part.seq < seq)
    }

    /// Returns the group that a part belongs to.
    pub fn group_of(&self, part: usize) -> usize {
        self.groups.partition_point(|group| group.first <= part).saturating_sub(1)
    }

    /// Returns the index of a group's first part.
    pub fn first_part(&self, group: usize) -> usize {
        self.groups.get(group).map_or(self.parts.len(), |group| group.first)
    }

    /// Returns the first question in a group.
    pub fn question_in(&self, group: usize) -> Option<usize> {
        (self.first_part(group)..self.first_part(group + 1))
            .find(|&part| matches!(self.parts[part].source, Source::Question(_)))
    }

    /// Returns the message of the parts `from..to` of one group: the group's own when these are all, else a copy.
    pub fn message(&self, group: usize, from: usize, to: usize) -> Arc<Message> {
        let whole = &self.groups[group];
        let start = if from > whole.first { self.parts[from - 1].end } else { 0 };
        let end = self.parts[to - 1].end;
        if start == 0 && end == whole.message.content.len() {
            return Arc::clone(&whole.message);
        }
        Arc::new(Message { role: whole.message.role, content: whole.message.content[start..end].to_vec() })
    }

    /// Returns about how many bytes the groups from `group` on have.
    pub fn bytes_from(&self, group: usize) -> usize {
        self.bytes - self.groups.get(group).map_or(self.bytes, |group| group.before)
    }

    /// Returns about how many bytes one group has.
    pub fn bytes_of(&self, group: usize) -> usize {
        self.bytes_from(group) - self.bytes_from(group + 1)
    }

    /// Adds the message of a turn, which the event at `source` holds.
    pub fn push_question(&mut self, seq: Seq, source: Seq, message: &Arc<Message>) {
        let shown = match presentable(message, Role::User) {
            Cow::Borrowed(message) => Arc::clone(message),
            Cow::Owned(message) if message.content.is_empty() => Arc::new(Message::user(NO_TEXT)),
            Cow::Owned(message) => message,
        };
        self.push(Part { seq, source: Source::Question(source), end: 0 }, shown);
    }

    /// Adds a reply and returns its message as later requests show it; nothing is added when it says nothing.
    pub fn push_reply(&mut self, seq: Seq, message: &Arc<Message>, stop_reason: StopReason) -> Arc<Message> {
        let shown = Self::shown_reply(message, stop_reason);
        if !shown.content.is_empty() {
            self.push(Part { seq, source: Source::Reply, end: 0 }, Arc::clone(&shown));
        }
        shown
    }

    /// Returns the message of a reply as later requests show it. Reasoning alone is no message: it was cut before a
    /// word was said, and most dialects would send nothing for it. Only a paused turn goes on from it.
    pub fn shown_reply(message: &Arc<Message>, stop_reason: StopReason) -> Arc<Message> {
        let shown = presentable(message, Role::Assistant).into_owned();
        let silent = |block: &ContentBlock| matches!(block, ContentBlock::Reasoning(_) | ContentBlock::CachePoint);
        if stop_reason != StopReason::PauseTurn && !shown.content.is_empty() && shown.content.iter().all(silent) {
            return Arc::new(Message { role: Role::Assistant, content: Vec::new() });
        }
        shown
    }

    /// Adds the results of the calls in `reply`, in call order; a call without one gets a result that says so.
    pub fn push_results(
        &mut self,
        seq: Seq,
        reply: Seq,
        message: &Message,
        results: &[Option<(Seq, Arc<ToolOutput>)>],
    ) {
        let content = message
            .tool_uses()
            .enumerate()
            .map(|(index, call)| {
                let output = results.get(index).and_then(Option::as_ref).map(|(_, output)| output);
                ContentBlock::ToolResult(result(&call.id, output))
            })
            .collect();
        let returned = message
            .tool_uses()
            .enumerate()
            .map(|(index, _)| results.get(index).and_then(Option::as_ref).map_or(0, |(seq, _)| *seq))
            .collect();
        let source = Source::Results { reply, returned };
        self.push(Part { seq, source, end: 0 }, Arc::new(Message { role: Role::User, content }));
    }

    fn push(&mut self, mut part: Part, message: Arc<Message>) {
        let bytes = size::message(&message);
        match self.groups.last_mut() {
            Some(group) if group.message.role == message.role => {
                let merged = Arc::make_mut(&mut group.message);
                merged.content.extend_from_slice(&message.content);
                part.end = merged.content.len();
            }
            _ => {
                part.end = message.content.len();
                self.groups.push(Group { message, first: self.parts.len(), before: self.bytes });
            }
        }
        self.bytes += bytes;
        self.parts.push(part);
    }
}

fn result(id: &str, output: Option<&Arc<ToolOutput>>) -> ToolResult {
    let tool_use_id = id.to_owned();
    match output {
        Some(output) => ToolResult { tool_use_id, content: output.content.clone(), is_error: output.is_error },
        None => {
            let output = ToolOutput::error("No result of this call is known.");
            ToolResult { tool_use_id, content: output.content, is_error: true }
        }
    }
}

/// Returns the message without what may not stand in a request: blank texts, blocks that the role does not say, and
/// ids of calls that are empty or given twice. Nearly always that is the message itself.
fn presentable(message: &Arc<Message>, role: Role) -> Cow<'_, Arc<Message>> {
    let clean = message.role == role && message.content.iter().all(|block| keeps(block, role));
    let says_something = message.content.iter().any(|block| !matches!(block, ContentBlock::CachePoint));
    if clean && says_something && ids_differ(message) {
        return Cow::Borrowed(message);
    }
    let mut content: Vec<ContentBlock> = message.content.iter().filter(|block| keeps(block, role)).cloned().collect();
    if content.iter().all(|block| matches!(block, ContentBlock::CachePoint)) {
        content.clear();
    }
    let mut seen = HashSet::new();
    let mut index = 0;
    for block in &mut content {
        if let ContentBlock::ToolUse(call) = block {
            while call.id.is_empty() || !seen.insert(call.id.clone()) {
                call.id = format!("{}_{index}", if call.id.is_empty() { "call" } else { &call.id });
            }
            index += 1;
        }
    }
    Cow::Owned(Arc::new(Message { role, content }))
}

fn keeps(block: &ContentBlock, role: Role) -> bool {
    match block {
        ContentBlock::Text { text } => !text.trim().is_empty(),
        ContentBlock::ToolUse(_) | ContentBlock::Reasoning(_) => role == Role::Assistant,
        ContentBlock::ToolResult(_) => false,
        ContentBlock::Image { .. } | ContentBlock::Document { .. } | ContentBlock::CachePoint => true,
    }
}

fn ids_differ(message: &Message) -> bool {
    let mut ids = message.tool_uses().map(|call| call.id.as_str());
    match (ids.next(), ids.next()) {
        (None, _) => true,
        (Some(only), None) => !only.is_empty(),
        (Some(_), Some(_)) => {
            let mut seen = HashSet::new();
            message.tool_uses().all(|call| !call.id.is_empty() && seen.insert(call.id.as_str()))
        }
    }
}
