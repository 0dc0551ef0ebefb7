//! A decision in the making: events with their positions, intents, and what both need of turn and definition.

use super::{
    limits, say,
    state::{AgentState, Call, Turn},
};
use crate::{
    definition::Definition,
    machine::{Context, Decision, Intent},
};
use bedplate_core::{
    event::{Event, QuestionAsked, QuestionKind, ToolBegun, ToolOutcome, ToolReturned},
    id::{CallId, Seq},
    time::Timestamp,
    tool::{Approval, ToolDefinition, ToolOutput},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// How often a repeatable call is tried when its attempts end without an outcome.
const TOOL_ATTEMPTS: u32 = 3;

/// How often a repeatable call is begun when crashes lose its attempts.
const TOOL_ATTEMPTS_LOST: u32 = 10;

/// How long a look before a call may take.
const LOOK: Duration = Duration::from_secs(30);

/// A decision in the making.
pub(super) struct Plan<'a> {
    pub state: &'a AgentState,
    pub turn: &'a Turn,
    pub context: &'a Context,
    /// The definition that the turn is pinned to, when the driver has it.
    pub definition: Option<&'a Arc<Definition>>,
    events: Vec<Event>,
    intents: Vec<Intent>,
}

impl<'a> Plan<'a> {
    pub fn new(state: &'a AgentState, turn: &'a Turn, context: &'a Context) -> Self {
        let definition = context.definition.as_ref().filter(|definition| definition.hash() == turn.definition);
        Self { state, turn, context, definition, events: Vec::new(), intents: Vec::new() }
    }

    pub fn done(self) -> Decision {
        Decision { events: self.events, intents: self.intents }
    }

    /// Adds an event and returns its position.
    pub fn event(&mut self, event: Event) -> Seq {
        self.events.push(event);
        self.state.position + self.events.len() as u64
    }

    pub fn intent(&mut self, intent: Intent) {
        self.intents.push(intent);
    }

    pub fn tool(&self, name: &str) -> Option<&'a Arc<ToolDefinition>> {
        self.definition.and_then(|definition| definition.tool(name))
    }

    /// Returns whether a call of this tool may be made again without asking.
    pub fn repeatable(&self, name: &str) -> bool {
        self.tool(name).is_some_and(|tool| tool.annotations.repeatable())
    }

    /// Returns when a call of `tool` that begins now is given up: it never outlasts its turn.
    pub fn deadline(&self, tool: &ToolDefinition) -> Timestamp {
        let left = self
            .definition
            .map_or(u64::MAX, |definition| limits::remaining_ms(self.turn, definition, self.context.now));
        self.context.now.after(Duration::from_millis(tool.timeout_ms.min(left)))
    }

    pub fn close(&mut self, call: CallId, outcome: ToolOutcome, output: ToolOutput, took_ms: u64) {
        self.event(Event::ToolReturned(ToolReturned { call, outcome, output: Arc::new(output), took_ms }));
    }

    /// Performs a look; the event that asked for it was decided before or stands in this plan.
    pub fn look(&mut self, call: CallId, tool: &Arc<ToolDefinition>, input: Value) {
        let deadline = self.context.now.after(LOOK);
        self.intent(Intent::PrepareTool { call, tool: Arc::clone(tool), input, deadline });
    }

    /// Begins a requested call, for the first time or again.
    pub fn begin(&mut self, call: &Call) {
        let (Some(tool), Some(tool_use)) = (self.tool(&call.name), self.turn.tool_use(call.index)) else {
            // Only a journal that no machine wrote requests a call that its reply or definition lacks.
            return self.close(call.id, ToolOutcome::UnknownTool, ToolOutput::error("There is no such tool."), 0);
        };
        let deadline = self.deadline(tool);
        self.event(Event::ToolBegun(ToolBegun { call: call.id, deadline }));
        self.intent(Intent::CallTool {
            call: call.id,
            tool: Arc::clone(tool),
            input: tool_use.input.clone(),
            deadline,
        });
    }

    /// Goes on after an attempt at a begun call ended without an outcome, which `message` explains.
    pub fn outcome_unknown(&mut self, call: &Call, message: &str, crashed: bool, took_ms: u64) {
        if self.turn.cancel.is_some() {
            let output = say::outcome_unknown(call.note.as_deref());
            return self.close(call.id, ToolOutcome::OutcomeUnknown, output, took_ms);
        }
        if !self.repeatable(&call.name) {
            let preview = json!({ "reason": message });
            return self.ask(call, QuestionKind::OutcomeUnknown, say::ask_again(&call.name), preview);
        }
        let is_time_up =
            |definition: &Arc<Definition>| limits::remaining_ms(self.turn, definition, self.context.now) == 0;
        if self.definition.is_some_and(is_time_up) {
            // The turn ends in this very step, and nothing begins that has no time.
            return self.close(call.id, ToolOutcome::Cancelled, say::stopped(), took_ms);
        }
        let allowed = if crashed { TOOL_ATTEMPTS_LOST } else { TOOL_ATTEMPTS };
        if call.attempts < allowed {
            self.begin(call);
        } else {
            self.close(call.id, ToolOutcome::Failed, say::kept_failing(call.attempts, message), took_ms);
        }
    }

    pub fn ask(&mut self, call: &Call, kind: QuestionKind, question: String, preview: Value) {
        let seconds = self
            .tool(&call.name)
            .map_or_else(|| Approval::default().deadline_seconds, |tool| tool.approval.deadline_seconds);
        let deadline = self.context.now.after(Duration::from_secs(seconds));
        self.event(Event::QuestionAsked(QuestionAsked { call: call.id, kind, question, preview, deadline }));
    }
}
