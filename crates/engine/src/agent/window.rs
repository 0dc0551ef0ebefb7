//! Truncation: which part of the conversation a model call shows.
//!
//! A call and its result stay together, and the present turn's question is always shown. Inside a tool loop that is
//! longer than the window, the question is followed by the newest calls and results that fit.

use super::conversation::{Conversation, Place};
use bedplate_core::{
    agent::Truncation,
    id::Seq,
    message::{Message, Role},
};
use std::sync::Arc;

/// What of a conversation is shown: the parts of one group from `start` on, then the groups from `resume` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    start: Place,
    resume: usize,
}

impl Window {
    /// Returns the window of a call in the turn whose question is at `question`; none when there is no such question.
    pub fn of(conversation: &Conversation, question: Seq, truncation: Truncation) -> Option<Self> {
        let asked = conversation.find(question)?;
        let Truncation::SlidingWindow { messages } = truncation else {
            return Some(Self::from_place(Place { group: 0, part: 0 }));
        };
        let groups = conversation.len();
        if groups - asked.group > messages {
            return Some(Self { start: asked, resume: newest(conversation, asked.group, messages) });
        }
        // A window begins with a question: results without their calls, and a reply without its question, are left out.
        let start = (groups.saturating_sub(messages)..asked.group)
            .find_map(|group| conversation.question_in(group).map(|part| Place { group, part }));
        Some(Self::from_place(start.unwrap_or_else(|| first_of_turn(conversation, asked))))
    }

    /// Returns the window that showed everything from the part at `from` on, and the question at `question`.
    pub fn again(conversation: &Conversation, from: Seq, question: Seq) -> Option<Self> {
        let oldest = conversation.find(from)?;
        if from <= question {
            return Some(Self::from_place(oldest));
        }
        Some(Self { start: conversation.find(question)?, resume: oldest.group })
    }

    fn from_place(start: Place) -> Self {
        Self { start, resume: start.group + 1 }
    }

    /// Returns the position of the oldest part that is shown, the question aside.
    pub fn from(&self, conversation: &Conversation) -> Seq {
        let gap = self.resume > self.start.group + 1;
        let part = if gap { conversation.first_part(self.resume) } else { self.start.part };
        conversation.parts().get(part).map_or(0, |part| part.seq)
    }

    /// Returns about how many bytes are shown.
    pub fn bytes(&self, conversation: &Conversation) -> usize {
        conversation.bytes_of(self.start.group) + conversation.bytes_from(self.resume)
    }

    /// Returns the messages that are shown, of the first `until` parts. Only where a merged message is cut is it copied.
    pub fn messages(&self, conversation: &Conversation, until: usize) -> Vec<Arc<Message>> {
        let mut messages = Vec::with_capacity(conversation.len().saturating_sub(self.resume) + 1);
        let mut push = |group: usize, from: usize| {
            let to = conversation.first_part(group + 1).min(until);
            if from < to {
                messages.push(conversation.message(group, from, to));
            }
        };
        push(self.start.group, self.start.part);
        for group in self.resume..conversation.len() {
            push(group, conversation.first_part(group));
        }
        messages
    }
}

/// Returns where the newest groups of a long turn begin that fit beside its question: at a reply, so that no result
/// lacks its call. The last call and its results are shown however narrow the window is.
fn newest(conversation: &Conversation, question: usize, messages: usize) -> usize {
    let groups = conversation.len();
    let fits = groups.saturating_sub(messages.saturating_sub(1)).max(question + 1);
    let at_reply = if fits < groups && conversation.role(fits) == Role::User { fits + 1 } else { fits };
    let last_reply = if conversation.role(groups - 1) == Role::User { groups.saturating_sub(2) } else { groups - 1 };
    at_reply.min(last_reply).max(question + 1)
}

/// Returns where the question of a turn begins; questions of turns that failed before it without a reply go with it.
fn first_of_turn(conversation: &Conversation, asked: Place) -> Place {
    conversation.question_in(asked.group).map_or(asked, |part| Place { group: asked.group, part })
}
