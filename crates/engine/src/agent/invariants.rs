//! What is always true of an agent's run, as named checks: tests, simulation and replay share them.
//!
//! They read the journal and the folded state, never the machine's own reasoning, so that they cannot share its errors.

use super::{Agent, AgentState, state::Next};
use crate::{definition::Definition, machine::Machine};
use bedplate_core::{
    event::{Entry, Event, QuestionKind, ToolOutcome, TurnInput},
    id::{CallId, ContentHash, Seq},
    message::{ContentBlock, Message, Role, Usage},
    port::{journal::RunStatus, model::ModelRequest},
    time::Timestamp,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Finds the definition that a hash names.
pub type Definitions<'a> = &'a dyn Fn(ContentHash) -> Option<Arc<Definition>>;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invariant {name} is broken at {at}: {message}")]
pub struct Broken {
    /// Which.
    pub name: &'static str,
    /// The position.
    pub at: Seq,
    /// How.
    pub message: String,
}

fn broken(name: &'static str, at: Seq, message: impl Into<String>) -> Broken {
    Broken { name, at, message: message.into() }
}

/// Checks everything that holds between two steps of a driver.
///
/// # Errors
/// The first invariant that does not hold.
pub fn check(entries: &[Entry], state: &AgentState, definitions: Definitions<'_>) -> Result<(), Broken> {
    well_formed_conversation(state)?;
    no_call_open_after_turn_end(entries)?;
    no_unrepeatable_call_begun_twice_without_permission(entries, definitions)?;
    limits_never_passed(entries, definitions)?;
    wake_at_set_when_waiting_on_time(state)?;
    refold_equals_state(entries, state)?;
    snapshot_restore_equals_state(entries, state)
}

/// The conversation alternates roles from a user's message on, and every tool use is followed by its result, but for
/// the calls that are open now.
///
/// # Errors
/// [`Broken`] when it does not.
pub fn well_formed_conversation(state: &AgentState) -> Result<(), Broken> {
    const NAME: &str = "well_formed_conversation";
    let conversation = &state.conversation;
    let messages: Vec<Arc<Message>> = (0..conversation.len())
        .map(|group| conversation.message(group, conversation.first_part(group), conversation.first_part(group + 1)))
        .collect();
    let open = state.turn.as_ref().is_some_and(|turn| turn.reply.as_ref().is_some_and(|reply| reply.uses > 0));
    well_formed(&messages, open).map_err(|message| broken(NAME, state.position, message))
}

/// A request to a model is one that no provider refuses for its shape.
///
/// # Errors
/// [`Broken`] when it is not; `at` is its call.
pub fn well_formed_request(call: CallId, request: &ModelRequest) -> Result<(), Broken> {
    const NAME: &str = "well_formed_request";
    if request.messages.is_empty() {
        return Err(broken(NAME, call, "it has no message"));
    }
    well_formed(&request.messages, false).map_err(|message| broken(NAME, call, message))
}

fn well_formed(messages: &[Arc<Message>], last_calls_open: bool) -> Result<(), String> {
    let mut role = Role::User;
    let mut asked: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        if message.role != role {
            return Err(format!("message {index} is {:?}, not {role:?}", message.role));
        }
        if message.content.is_empty() {
            return Err(format!("message {index} is empty"));
        }
        let blank = |block: &ContentBlock| matches!(block, ContentBlock::Text { text } if text.trim().is_empty());
        if message.content.iter().any(blank) {
            return Err(format!("message {index} has a blank text"));
        }
        let answered: Vec<&str> = message.tool_results().map(|result| result.tool_use_id.as_str()).collect();
        if answered != asked {
            return Err(format!("message {index} answers {answered:?}, asked was {asked:?}"));
        }
        let results_first = message.content.iter().take(answered.len());
        if results_first.clone().any(|block| !matches!(block, ContentBlock::ToolResult(_))) {
            return Err(format!("message {index} says something before its tool results"));
        }
        asked = message.tool_uses().map(|call| call.id.as_str()).collect();
        if asked.iter().collect::<HashSet<_>>().len() != asked.len() {
            return Err(format!("message {index} repeats an id of a call"));
        }
        role = if role == Role::User { Role::Assistant } else { Role::User };
    }
    if !asked.is_empty() && !last_calls_open {
        return Err(format!("the calls {asked:?} have no results"));
    }
    Ok(())
}

/// Every call is closed exactly once and inside its turn; nothing is open when the turn ends.
///
/// # Errors
/// [`Broken`] when it is not so.
pub fn no_call_open_after_turn_end(entries: &[Entry]) -> Result<(), Broken> {
    const NAME: &str = "no_call_open_after_turn_end";
    let mut open: HashSet<CallId> = HashSet::new();
    let mut uses: HashMap<Seq, usize> = HashMap::new();
    for entry in entries {
        let closes = match &entry.event {
            Event::ModelCalled(_) => {
                open.insert(entry.seq);
                None
            }
            Event::ToolRequested(requested) => {
                open.insert(entry.seq);
                if let Some(left) = uses.get_mut(&requested.reply) {
                    *left = left.saturating_sub(1);
                }
                None
            }
            Event::ModelReplied(replied) => {
                uses.insert(entry.seq, replied.message.tool_uses().count());
                Some(replied.call)
            }
            Event::ModelFailed(failed) => Some(failed.call),
            Event::ToolReturned(returned) => Some(returned.call),
            Event::TurnEnded(_) => {
                if let Some(call) = open.iter().next() {
                    return Err(broken(NAME, entry.seq, format!("call {call} is open")));
                }
                if let Some((reply, left)) = uses.iter().find(|(_, left)| **left > 0) {
                    return Err(broken(NAME, entry.seq, format!("{left} calls of reply {reply} were never requested")));
                }
                None
            }
            _ => None,
        };
        if let Some(call) = closes
            && !open.remove(&call)
        {
            return Err(broken(NAME, entry.seq, format!("call {call} is closed, and was not open")));
        }
    }
    Ok(())
}

/// What permits a call to begin.
#[derive(Default)]
struct Permission {
    begun: bool,
    /// A look that found no need to ask, or a person's yes, since it began last.
    granted: bool,
    asked: Option<QuestionKind>,
}

/// A call whose tool is neither read-only nor idempotent begins again only when a person said so; a call that needs
/// approval begins only when it was looked at and nobody had to be asked, or somebody agreed.
///
/// # Errors
/// [`Broken`] when it is not so.
pub fn no_unrepeatable_call_begun_twice_without_permission(
    entries: &[Entry],
    definitions: Definitions<'_>,
) -> Result<(), Broken> {
    const NAME: &str = "no_unrepeatable_call_begun_twice_without_permission";
    let mut calls: HashMap<CallId, (bool, Permission)> = HashMap::new();
    for (entry, definition) in entries.iter().zip(pinned(entries, definitions)) {
        match &entry.event {
            Event::ToolRequested(requested) => {
                let tool = definition.as_ref().and_then(|definition| definition.tool(&requested.name));
                let repeatable = tool.is_some_and(|tool| tool.annotations.repeatable());
                let free = tool.is_some_and(|tool| tool.approval.mode == bedplate_core::tool::ApprovalMode::Never);
                let begun = requested.deadline.is_some();
                if begun && !free {
                    return Err(broken(NAME, entry.seq, format!("{} began without a look", requested.name)));
                }
                calls.insert(entry.seq, (repeatable, Permission { begun, ..Permission::default() }));
            }
            Event::ToolPrepared(prepared) => {
                if let Some((_, permission)) = calls.get_mut(&prepared.call) {
                    permission.granted = prepared.preparation == bedplate_core::event::Preparation::Run;
                }
            }
            Event::QuestionAsked(asked) => {
                if let Some((_, permission)) = calls.get_mut(&asked.call) {
                    permission.asked = Some(asked.kind);
                }
            }
            Event::QuestionAnswered(answered) => {
                if let Some((_, permission)) = calls.get_mut(&answered.call) {
                    permission.granted = answered.approved && permission.asked.take().is_some();
                }
            }
            Event::ToolBegun(begun) => {
                let Some((repeatable, permission)) = calls.get_mut(&begun.call) else {
                    return Err(broken(NAME, entry.seq, "a call began that was never requested"));
                };
                let permitted = permission.granted || (permission.begun && *repeatable);
                if !permitted {
                    return Err(broken(NAME, entry.seq, format!("call {} began without permission", begun.call)));
                }
                permission.begun = true;
                permission.granted = false;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The definition that is in force at each entry.
fn pinned<'a>(
    entries: &'a [Entry],
    definitions: Definitions<'a>,
) -> impl Iterator<Item = Option<Arc<Definition>>> + 'a {
    let mut queued: HashMap<Seq, ContentHash> = HashMap::new();
    let mut current = None;
    entries.iter().map(move |entry| {
        match &entry.event {
            Event::TurnQueued(input) => drop(queued.insert(entry.seq, input.definition)),
            Event::TurnStarted(input) => current = definitions(input.definition),
            Event::QueuedTurnStarted(started) => {
                current = queued.get(&started.queued).and_then(|hash| definitions(*hash));
            }
            _ => {}
        }
        current.clone()
    })
}

/// What a turn has spent so far, counted from the journal alone.
#[derive(Default)]
struct Spent {
    iterations: u32,
    tool_calls: u32,
    usage: Usage,
    cost: u64,
    started: Timestamp,
    timeout_seconds: Option<u64>,
    asking: HashSet<CallId>,
    asking_since: Timestamp,
    waited_ms: i64,
}

impl Spent {
    fn begin(at: Timestamp, input: &TurnInput) -> Self {
        Self { started: at, timeout_seconds: input.timeout_seconds, ..Self::default() }
    }

    fn ask(&mut self, at: Timestamp, call: CallId) {
        if self.asking.is_empty() {
            self.asking_since = at;
        }
        self.asking.insert(call);
    }

    fn settle(&mut self, at: Timestamp, call: CallId) {
        if self.asking.remove(&call) && self.asking.is_empty() {
            self.waited_ms += at.0 - self.asking_since.0;
        }
    }

    fn worked_ms(&self, at: Timestamp) -> i64 {
        let until = if self.asking.is_empty() { at } else { self.asking_since };
        until.0 - self.started.0 - self.waited_ms
    }
}

/// No intent is decided that passes a limit of its turn: what was spent and what is reserved stay within it.
///
/// # Errors
/// [`Broken`] when one does.
pub fn limits_never_passed(entries: &[Entry], definitions: Definitions<'_>) -> Result<(), Broken> {
    let mut spent = Spent::default();
    let mut queued: HashMap<Seq, &TurnInput> = HashMap::new();
    let mut refused: HashSet<CallId> = HashSet::new();
    for entry in entries {
        if let Event::ToolReturned(returned) = &entry.event
            && matches!(returned.outcome, ToolOutcome::LimitReached | ToolOutcome::Cancelled)
        {
            refused.insert(returned.call);
        }
    }
    for (entry, definition) in entries.iter().zip(pinned(entries, definitions)) {
        match &entry.event {
            Event::TurnQueued(input) => drop(queued.insert(entry.seq, input)),
            Event::TurnStarted(input) => spent = Spent::begin(entry.at, input),
            Event::QueuedTurnStarted(started) => {
                if let Some(input) = queued.get(&started.queued) {
                    spent = Spent::begin(entry.at, input);
                }
            }
            Event::ModelReplied(replied) => {
                spent.usage += replied.usage;
                spent.cost += replied.cost;
            }
            Event::ModelFailed(failed) => {
                spent.usage += failed.usage;
                spent.cost += failed.cost;
            }
            Event::QuestionAsked(asked) => spent.ask(entry.at, asked.call),
            Event::QuestionAnswered(answered) => spent.settle(entry.at, answered.call),
            Event::ToolReturned(returned) => spent.settle(entry.at, returned.call),
            Event::ModelCalled(_) | Event::ToolRequested(_) | Event::ToolBegun(_) => {
                let Some(definition) = definition else { continue };
                within(&mut spent, entry, &definition, &refused)
                    .map_err(|message| broken("limits_never_passed", entry.seq, message))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn within(spent: &mut Spent, entry: &Entry, definition: &Definition, refused: &HashSet<CallId>) -> Result<(), String> {
    let limits = &definition.limits;
    let timeout = spent.timeout_seconds.unwrap_or(limits.timeout_seconds);
    let mut begins = true;
    match &entry.event {
        Event::ModelCalled(called) => {
            spent.iterations += u32::from(called.attempt == 1);
            let tokens = spent.usage.total() + u64::from(called.max_tokens);
            if spent.iterations > limits.max_iterations {
                return Err(format!("{} model calls", spent.iterations));
            }
            if called.max_tokens > limits.max_tokens {
                return Err(format!("a reply of {} tokens is allowed", called.max_tokens));
            }
            if limits.max_turn_tokens.is_some_and(|max| tokens > max) {
                return Err(format!("{tokens} tokens are spent or reserved"));
            }
            let cost = spent.cost + called.reserved;
            if called.reserved > 0 && limits.max_cost_micros.is_some_and(|max| cost > max) {
                return Err(format!("{cost} millionths are spent or reserved"));
            }
        }
        Event::ToolRequested(requested) => {
            spent.tool_calls += 1;
            begins = requested.deadline.is_some();
            if spent.tool_calls > limits.max_tool_calls && !refused.contains(&entry.seq) {
                return Err(format!("{} tool calls", spent.tool_calls));
            }
        }
        Event::ToolBegun(begun) => spent.settle(entry.at, begun.call),
        _ => {}
    }
    let worked = spent.worked_ms(entry.at);
    if begins && u64::try_from(worked).unwrap_or(0) > timeout.saturating_mul(1_000) {
        return Err(format!("the turn worked for {worked} ms, and goes on"));
    }
    Ok(())
}

/// A run that waits for something with a deadline wakes by itself; an idle one does not; lists tell them apart.
///
/// # Errors
/// [`Broken`] when it is not so.
pub fn wake_at_set_when_waiting_on_time(state: &AgentState) -> Result<(), Broken> {
    const NAME: &str = "wake_at_set_when_waiting_on_time";
    let wake = Agent::wake_at(state);
    let status = Agent::status(state);
    let asks = state.open_questions().map(|question| question.deadline).min();
    let timed = match state.turn.as_ref().map(|turn| &turn.next) {
        Some(Next::AwaitModel(_)) => true,
        Some(_) => asks.is_some(),
        None => false,
    };
    if timed && wake.is_none() {
        return Err(broken(NAME, state.position, "nothing wakes a run that waits on time"));
    }
    if let (Some(deadline), Some(wake)) = (asks, wake)
        && wake > deadline
    {
        return Err(broken(NAME, state.position, "it wakes after the deadline of a question"));
    }
    let idle = state.turn.is_none() && state.queue.is_empty();
    if idle != (status == RunStatus::Idle) || idle && wake.is_some() {
        return Err(broken(NAME, state.position, format!("an idle run ({idle}) is {status:?} and wakes at {wake:?}")));
    }
    if status == RunStatus::Waiting && asks.is_none() {
        return Err(broken(NAME, state.position, "it waits for nobody"));
    }
    Ok(())
}

/// Folding all events from nothing gives the state.
///
/// # Errors
/// [`Broken`] when it gives another.
pub fn refold_equals_state(entries: &[Entry], state: &AgentState) -> Result<(), Broken> {
    let mut folded = AgentState::default();
    for entry in entries {
        Agent::apply(&mut folded, entry.seq, entry.at, &entry.event);
    }
    same("refold_equals_state", &folded, state)
}

/// The state's snapshot, restored with the events that it names, gives the state.
///
/// # Errors
/// [`Broken`] when it gives another, or cannot be restored.
pub fn snapshot_restore_equals_state(entries: &[Entry], state: &AgentState) -> Result<(), Broken> {
    const NAME: &str = "snapshot_restore_equals_state";
    let Some((mut restored, needed)) = Agent::restore(&Agent::snapshot(state)) else {
        return Err(broken(NAME, state.position, "the snapshot cannot be restored"));
    };
    for seq in needed {
        let Some(entry) = entries.iter().find(|entry| entry.seq == seq) else {
            return Err(broken(NAME, state.position, format!("it refers to {seq}, which is not there")));
        };
        Agent::restore_entry(&mut restored, entry.seq, entry.at, &entry.event);
    }
    same(NAME, &restored, state)
}

fn same(name: &'static str, left: &AgentState, right: &AgentState) -> Result<(), Broken> {
    if left == right { Ok(()) } else { Err(broken(name, right.position, format!("{left:#?}\nis not\n{right:#?}"))) }
}
