//! A model that answers from a script: fast, deterministic, and loud when the conversation is not the scripted one.

use super::{Dialect, PassCall, Provider, ProviderCall, ProviderEmbed, no_embeddings};
use crate::script::{Order, Script, Step, Steps};
use bedplate_core::{
    id::RunId,
    message::{ContentBlock, Message, Role},
    port::{
        BoxFuture,
        clock::Clock,
        model::{
            Answer, Embeddings, Events, ModelError, ModelErrorKind, ModelEvent, ModelReply, ModelRequest, OutputFormat,
        },
    },
};
use bedplate_dialects::events_of;
use futures::stream::{self, StreamExt};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub(crate) struct Scripted {
    script: Arc<Script>,
    clock: Arc<dyn Clock>,
    counts: Counts,
}

impl Scripted {
    pub(crate) fn new(script: Arc<Script>, clock: Arc<dyn Clock>) -> Self {
        Self { script, clock, counts: Counts::default() }
    }

    fn step(&self, request: &ModelRequest, run: Option<RunId>) -> Result<(&Step, Place), ModelError> {
        let conversation = Place::of(request);
        let place = match (self.script.order, &self.script.steps) {
            (Order::Conversation, Steps::Turns(_)) => conversation,
            (Order::Conversation, Steps::Flat(_)) => Place { turn: 0, step: assistants(&request.messages) },
            (Order::Run, _) => Place { turn: 0, step: self.counts.next((run, Place::default())) },
            (Order::Global, _) => Place { turn: 0, step: self.counts.next((None, Place::default())) },
        };
        let step = match &self.script.steps {
            Steps::Flat(steps) => self.at(steps, place.step),
            Steps::Turns(turns) if self.script.order == Order::Conversation => {
                self.at(turns, place.turn).and_then(|steps| self.at(steps, place.step))
            }
            Steps::Turns(turns) => {
                let steps: Vec<&Step> = turns.iter().flatten().collect();
                self.at(&steps, place.step).copied()
            }
        };
        let step = step.ok_or_else(|| {
            invalid(format!(
                "the script has no step {} for turn {}; the user said {}",
                place.step + 1,
                place.turn + 1,
                said(request)
            ))
        })?;
        Ok((step, place))
    }

    fn at<'a, T>(&self, items: &'a [T], index: usize) -> Option<&'a T> {
        if self.script.repeat { items.get(index.checked_rem(items.len())?) } else { items.get(index) }
    }

    fn open(&self, call: &ProviderCall) -> Result<(Vec<ModelEvent>, Option<ModelError>, Pace), ModelError> {
        let (step, place) = self.step(&call.request, call.run)?;
        check(step, &call.request)?;
        let pace = Pace { hang: step.hang, delay: step.delay, chunk_delay: step.chunk_delay };
        let failure = step.fail.as_ref().filter(|fail| {
            fail.times.is_none_or(|times| self.counts.next((call.run, place.failing())) < times as usize)
        });
        let reply = ModelReply::clone(&step.reply);
        match failure {
            None if step.stream => Ok((in_words(reply), None, pace)),
            None => Ok((vec![ModelEvent::End(Box::new(reply))], None, pace)),
            Some(fail) if fail.midway => {
                let mut events = in_words(reply);
                events.truncate(events.len() / 2);
                Ok((events, Some(fail.error()), pace))
            }
            Some(fail) => Err(fail.error()),
        }
    }
}

impl Provider for Scripted {
    fn dialect(&self) -> Dialect {
        ""
    }

    fn pass(&self, _: PassCall<'_>) -> Option<BoxFuture<'static, Result<Answer, ModelError>>> {
        None
    }

    fn call(&self, call: ProviderCall) -> BoxFuture<'static, Result<Events, ModelError>> {
        let (events, error, pace) = match self.open(&call) {
            Ok(opened) => opened,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let clock = Arc::clone(&self.clock);
        let items = stream::iter(events.into_iter().map(Ok).chain(error.map(Err)));
        if pace.is_instant() {
            let events: Events = Box::pin(items);
            return Box::pin(std::future::ready(Ok(events)));
        }
        Box::pin(async move {
            if pace.hang {
                std::future::pending::<()>().await;
            }
            clock.sleep_until(clock.now().after(pace.delay)).await;
            let events: Events = Box::pin(items.then(move |item| {
                let pause = clock.sleep_until(clock.now().after(pace.chunk_delay));
                async move {
                    pause.await;
                    item
                }
            }));
            Ok(events)
        })
    }

    fn embed(&self, _: ProviderEmbed) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        no_embeddings()
    }
}

/// How fast a step answers.
struct Pace {
    hang: bool,
    delay: Duration,
    chunk_delay: Duration,
}

impl Pace {
    fn is_instant(&self) -> bool {
        !self.hang && self.delay.is_zero() && self.chunk_delay.is_zero()
    }
}

/// Where in a script a call stands, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Place {
    turn: usize,
    step: usize,
}

impl Place {
    fn of(request: &ModelRequest) -> Self {
        let turns = request.messages.iter().filter(|message| is_from_a_person(message)).count();
        let last = request.messages.iter().rposition(|message| is_from_a_person(message));
        let after = last.map_or(&request.messages[..], |last| &request.messages[last + 1..]);
        Self { turn: turns.saturating_sub(1), step: assistants(after) }
    }

    /// Returns the key of the count of failures here, which is apart from that of the steps.
    fn failing(self) -> Self {
        Self { turn: self.turn + 1, step: self.step + 1 }
    }
}

/// How often each place was called: only for scripts that are not read off the conversation, and for failures.
#[derive(Default)]
struct Counts(Mutex<HashMap<(Option<RunId>, Place), usize>>);

impl Counts {
    fn next(&self, key: (Option<RunId>, Place)) -> usize {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_default();
        *count += 1;
        *count - 1
    }
}

fn assistants(messages: &[Arc<Message>]) -> usize {
    messages.iter().filter(|message| message.role == Role::Assistant).count()
}

fn is_from_a_person(message: &Message) -> bool {
    message.role == Role::User
        && message.content.iter().any(|block| !matches!(block, ContentBlock::ToolResult(_) | ContentBlock::CachePoint))
}

fn check(step: &Step, request: &ModelRequest) -> Result<(), ModelError> {
    if let Some(expected) = &step.expect {
        let last = request.messages.iter().rev().find(|message| is_from_a_person(message));
        if !last.is_some_and(|message| message.text().contains(expected)) {
            return Err(invalid(format!(
                "the script expects a user who says {expected:?}; the user said {}",
                said(request)
            )));
        }
    }
    for name in &step.expect_tools {
        if !request.tools.iter().any(|tool| tool.name == *name) {
            let offered: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
            return Err(invalid(format!(
                "the script expects the tool `{name}`; on offer are [{}]",
                offered.join(", ")
            )));
        }
    }
    let form = match &request.params.output {
        None => None,
        Some(OutputFormat::Json) => Some(""),
        Some(OutputFormat::Schema(schema)) => Some(schema.name.as_str()),
    };
    if let Some(expected) = &step.expect_output
        && form.is_none_or(|name| !expected.is_empty() && name != expected)
    {
        return Err(invalid(format!("the script expects a reply in the form {expected:?}; asked for was {form:?}")));
    }
    let blocks = || request.messages.iter().flat_map(|message| &message.content);
    if let Some(seal) = &step.expect_reasoning {
        let has = |block: &ContentBlock| matches!(block, ContentBlock::Reasoning(reasoning) if [&reasoning.signature, &reasoning.redacted].contains(&&Some(seal.clone())));
        if !blocks().any(has) {
            return Err(invalid(format!("the script expects reasoning with the seal {seal:?}; there is none")));
        }
    }
    if let Some(expected) = &step.expect_image {
        let has =
            |block: &ContentBlock| matches!(block, ContentBlock::Image { media_type, .. } if media_type == expected);
        if !blocks().any(has) {
            return Err(invalid(format!("the script expects a picture of the type {expected}; there is none")));
        }
    }
    Ok(())
}

fn said(request: &ModelRequest) -> String {
    match request.messages.iter().rev().find(|message| is_from_a_person(message)) {
        None => "nothing".into(),
        Some(message) => format!("{:?}", message.text().chars().take(200).collect::<String>()),
    }
}

fn invalid(message: String) -> ModelError {
    ModelError::new(ModelErrorKind::InvalidReply, message)
}

/// Returns the events of a reply with its texts cut after each word, as a model that writes would send them.
pub(crate) fn in_words(reply: ModelReply) -> Vec<ModelEvent> {
    let mut out = Vec::new();
    for event in events_of(reply) {
        match event {
            ModelEvent::TextDelta { index, text } => {
                out.extend(
                    text.split_inclusive(' ').map(|word| ModelEvent::TextDelta { index, text: word.to_owned() }),
                );
            }
            other => out.push(other),
        }
    }
    out
}
