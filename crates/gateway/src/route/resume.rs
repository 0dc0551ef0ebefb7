//! A stream that broke after its first token, where the route says `resume = true`.
//!
//! What has been said is shown to the next model as its own words, and it is asked to go on where they end; the client
//! sees one answer. That is possible only for text: half a tool call or a piece of signed reasoning has no
//! continuation, so there the answer begins again, with a `Restart` that makes what came void.

use super::{pursue::Pursuit, residency::Candidate, spent::Spent};
use crate::call::Call;
use bedplate_core::{
    message::{ContentBlock, Message, Role},
    port::model::{BlockKind, Events, ModelError, ModelEvent, ModelReply},
};
use futures::{StreamExt, stream};
use std::{collections::VecDeque, sync::Arc};

/// What the next model is told after the words that it shall continue.
const GO_ON: &str = "Your answer was cut off by the network. Continue it exactly where it stops, in the middle of the \
                     word if need be. Repeat nothing, and say nothing about the interruption.";

/// How often one answer is resumed.
const MOST: u32 = 3;

/// Returns `events` such that a break in them is mended by the candidates in `order`.
pub(crate) fn resuming(
    events: Events,
    pursuit: Arc<Pursuit>,
    order: Vec<Candidate>,
    call: Call,
    tokens: u64,
) -> Events {
    let state = Resuming {
        events: Some(events),
        pursuit,
        order,
        call,
        tokens,
        left: MOST,
        said: Said::default(),
        carried: Said::default(),
        shift: None,
        trim: false,
        spent: Spent::default(),
        ready: VecDeque::new(),
    };
    Box::pin(stream::unfold(state, |mut state| async move { state.next().await.map(|item| (item, state)) }))
}

struct Resuming {
    events: Option<Events>,
    pursuit: Arc<Pursuit>,
    order: Vec<Candidate>,
    call: Call,
    tokens: u64,
    left: u32,
    /// What the client has seen.
    said: Said,
    /// What of it the present model did not say itself.
    carried: Said,
    /// How far the blocks of the present model are moved; none for one that began the answer.
    shift: Option<Shift>,
    /// Whether white space at the present model's beginning was there before the break already.
    trim: bool,
    spent: Spent,
    ready: VecDeque<ModelEvent>,
}

/// The blocks of an answer so far.
#[derive(Clone, Debug, Default)]
struct Said {
    /// The text of each block; none for a block that is not text.
    blocks: Vec<Option<String>>,
    /// Whether the last of them is still open.
    open: bool,
}

/// How a continuation's blocks join those before.
#[derive(Clone, Copy, Debug)]
struct Shift {
    /// Added to each index.
    by: u32,
    /// Whether the first block goes on in the one that was open.
    joined: bool,
}

impl Resuming {
    async fn next(&mut self) -> Option<Result<ModelEvent, ModelError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            match self.events.as_mut()?.next().await? {
                Ok(ModelEvent::End(reply)) => {
                    self.events = None;
                    return Some(Ok(ModelEvent::End(Box::new(self.whole(*reply)))));
                }
                Ok(event) => {
                    self.take(event);
                }
                Err(error) => {
                    if let Some(event) = self.mend(error).await.transpose() {
                        return Some(event);
                    }
                }
            }
        }
    }

    /// Passes an event on as part of the whole answer.
    fn take(&mut self, event: ModelEvent) {
        let event = match self.shift {
            None => event,
            Some(shift) => match self.join(event, shift) {
                Some(event) => event,
                None => return,
            },
        };
        self.said.note(&event);
        self.ready.push_back(event);
    }

    /// Returns the event of a continuation with its index moved; none for the start of a block that is already open.
    fn join(&mut self, event: ModelEvent, shift: Shift) -> Option<ModelEvent> {
        if let ModelEvent::BlockStart { index: 0, kind } = &event
            && !shift.joined
            && self.said.open
        {
            let last = u32::try_from(self.said.blocks.len()).unwrap_or(u32::MAX).saturating_sub(1);
            if *kind == BlockKind::Text {
                self.shift = Some(Shift { by: last, joined: true });
                return None;
            }
            self.said.open = false;
            self.ready.push_back(ModelEvent::BlockStop { index: last });
            self.shift = Some(Shift { by: last + 1, joined: true });
        }
        let by = self.shift.map_or(0, |shift| shift.by);
        match moved(event, by) {
            ModelEvent::TextDelta { index, text } if self.trim => {
                let text = text.trim_start().to_owned();
                self.trim = text.is_empty();
                (!text.is_empty()).then_some(ModelEvent::TextDelta { index, text })
            }
            other => Some(other),
        }
    }

    /// Finds somebody who goes on; returns the `Restart` where the answer begins again.
    async fn mend(&mut self, error: ModelError) -> Result<Option<ModelEvent>, ModelError> {
        self.events = None;
        if self.left == 0 || !error.kind.retryable() {
            return Err(self.spent.onto_error(error));
        }
        self.left -= 1;
        if let Some(first) = self.order.first() {
            self.spent.failed(first, &error);
        }
        // Who broke off goes last.
        self.order.rotate_left(1);
        let core = self.call.core()?;
        let continued = self.said.text().map(|said| {
            let mut request = (**core).clone();
            if !said.trim().is_empty() {
                // A model that is shown trailing white space at the end of its own words may be refused for it.
                request.messages.push(Arc::new(Message::assistant(said.trim_end())));
                request.messages.push(Arc::new(Message::user(GO_ON)));
            }
            self.call.clone().with_core(request)
        });
        let restarts = continued.is_none();
        let call = continued.unwrap_or_else(|| self.call.clone());
        let found = self.pursuit.run(&self.order, &call, self.tokens).await;
        let found = found.map_err(|error| self.spent.onto_error(error))?;
        self.spent.add(found.spent.usage, found.spent.cost);
        // The one that answers is the first in turn should it break, too.
        self.order.rotate_left(found.at);
        self.events = Some(found.answer.into_events()?);
        self.call.notes.note(|noted| noted.reason = Some("resumed after a broken stream".into()));
        if restarts {
            (self.said, self.carried, self.shift, self.trim) = (Said::default(), Said::default(), None, false);
            return Ok(Some(ModelEvent::Restart));
        }
        self.carried = self.said.clone();
        self.trim = self.said.ends_in_space();
        let by = u32::try_from(self.said.blocks.len()).unwrap_or(u32::MAX);
        self.shift = Some(Shift { by, joined: !self.said.open });
        Ok(None)
    }

    /// Returns the reply to the whole call: what came before the break, and the continuation.
    fn whole(&mut self, mut reply: ModelReply) -> ModelReply {
        self.spent.onto_reply(&mut reply);
        let mut blocks: Vec<ContentBlock> =
            self.carried.blocks.iter().flatten().map(|text| ContentBlock::text(text.clone())).collect();
        if blocks.is_empty() {
            return reply;
        }
        let mut content = reply.message.content.into_iter();
        if self.carried.open {
            let trimmed = self.carried.ends_in_space();
            match (blocks.last_mut(), content.next()) {
                (Some(ContentBlock::Text { text }), Some(ContentBlock::Text { text: more })) => {
                    text.push_str(if trimmed { more.trim_start() } else { &more });
                }
                (_, Some(other)) => blocks.push(other),
                (_, None) => {}
            }
        }
        blocks.extend(content);
        reply.message = Message { role: Role::Assistant, content: blocks };
        reply
    }
}

impl Said {
    fn note(&mut self, event: &ModelEvent) {
        match event {
            ModelEvent::BlockStart { kind, .. } => {
                self.blocks.push((*kind == BlockKind::Text).then(String::new));
                self.open = true;
            }
            ModelEvent::TextDelta { text, .. } => {
                if let Some(Some(last)) = self.blocks.last_mut() {
                    last.push_str(text);
                }
            }
            ModelEvent::BlockStop { .. } => self.open = false,
            ModelEvent::Restart => *self = Self::default(),
            ModelEvent::InputDelta { .. } | ModelEvent::ReasoningSeal { .. } | ModelEvent::End(_) => {}
        }
    }

    /// Returns whether the open block ends in white space, which the next model is not shown.
    fn ends_in_space(&self) -> bool {
        let last = self.blocks.last().and_then(Option::as_deref);
        self.open && last.is_some_and(|text| text.ends_with(char::is_whitespace))
    }

    /// Returns all that was said, if it is text and nothing else.
    fn text(&self) -> Option<String> {
        self.blocks.iter().cloned().collect::<Option<Vec<String>>>().map(|texts| texts.join("\n\n"))
    }
}

fn moved(event: ModelEvent, by: u32) -> ModelEvent {
    match event {
        ModelEvent::BlockStart { index, kind } => ModelEvent::BlockStart { index: index + by, kind },
        ModelEvent::TextDelta { index, text } => ModelEvent::TextDelta { index: index + by, text },
        ModelEvent::InputDelta { index, json } => ModelEvent::InputDelta { index: index + by, json },
        ModelEvent::ReasoningSeal { index, seal } => ModelEvent::ReasoningSeal { index: index + by, seal },
        ModelEvent::BlockStop { index } => ModelEvent::BlockStop { index: index + by },
        other @ (ModelEvent::Restart | ModelEvent::End(_)) => other,
    }
}
