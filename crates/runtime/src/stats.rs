//! Counters of what the runtime did since it started, for `/metrics`.

use bedplate_core::{
    event::{Event, ToolOutcome, TurnOutcome},
    message::Usage,
};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A reading of the counters. All of them only rise, except `loaded_runs` and `subscribers`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Runs in memory now.
    pub loaded_runs: u64,
    /// Live subscribers now.
    pub subscribers: u64,
    /// Durable steps: model and tool calls whose end was journaled.
    pub steps: u64,
    /// Appends that were committed.
    pub appends: u64,
    /// Events in them.
    pub events: u64,
    /// Appends that were refused because another claim took over.
    pub conflicts: u64,
    /// Appends that the store failed at least once.
    pub store_errors: u64,
    /// Runs whose work was taken up again after its process was gone.
    pub recovered: u64,
    /// Turns that began.
    pub turns_started: u64,
    /// Turns that ended, by outcome, in the order of [`TURN_OUTCOMES`].
    pub turns_ended: [u64; TURN_OUTCOMES.len()],
    /// Model calls that were answered.
    pub model_replies: u64,
    /// Model calls that failed or were lost.
    pub model_failures: u64,
    /// Tool calls that were closed, by outcome, in the order of [`TOOL_OUTCOMES`].
    pub tool_calls: [u64; TOOL_OUTCOMES.len()],
    /// Questions that were asked.
    pub questions: u64,
    /// Input tokens, without the cached.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Money in millionths of a US dollar.
    pub cost: u64,
}

/// The outcomes of turns, as [`Stats::turns_ended`] counts them.
pub const TURN_OUTCOMES: [(TurnOutcome, &str); 12] = [
    (TurnOutcome::Completed, "completed"),
    (TurnOutcome::MaxTokens, "max_tokens"),
    (TurnOutcome::Refused, "refused"),
    (TurnOutcome::ContextExceeded, "context_exceeded"),
    (TurnOutcome::MaxIterations, "max_iterations"),
    (TurnOutcome::MaxToolCalls, "max_tool_calls"),
    (TurnOutcome::MaxTurnTokens, "max_turn_tokens"),
    (TurnOutcome::MaxCost, "max_cost"),
    (TurnOutcome::Timeout, "timeout"),
    (TurnOutcome::Cancelled, "cancelled"),
    (TurnOutcome::Interrupted, "interrupted"),
    (TurnOutcome::ModelFailed, "model_failed"),
];

/// The outcomes of tool calls, as [`Stats::tool_calls`] counts them.
pub const TOOL_OUTCOMES: [(ToolOutcome, &str); 8] = [
    (ToolOutcome::Done, "done"),
    (ToolOutcome::InvalidInput, "invalid_input"),
    (ToolOutcome::UnknownTool, "unknown_tool"),
    (ToolOutcome::Failed, "failed"),
    (ToolOutcome::Refused, "refused"),
    (ToolOutcome::Cancelled, "cancelled"),
    (ToolOutcome::OutcomeUnknown, "outcome_unknown"),
    (ToolOutcome::LimitReached, "limit_reached"),
];

/// The counters themselves.
#[derive(Default)]
pub(crate) struct Counters {
    pub loaded: AtomicU64,
    pub subscribers: AtomicU64,
    pub steps: AtomicU64,
    pub appends: AtomicU64,
    pub events: AtomicU64,
    pub conflicts: AtomicU64,
    pub store_errors: AtomicU64,
    pub recovered: AtomicU64,
    pub turns_started: AtomicU64,
    pub turns_ended: [AtomicU64; TURN_OUTCOMES.len()],
    pub model_replies: AtomicU64,
    pub model_failures: AtomicU64,
    pub tool_calls: [AtomicU64; TOOL_OUTCOMES.len()],
    pub questions: AtomicU64,
    pub input_tokens: AtomicU64,
    pub output_tokens: AtomicU64,
    pub cost: AtomicU64,
}

impl Counters {
    /// Counts committed events.
    pub(crate) fn count(&self, events: &[Event]) {
        add(&self.appends, 1);
        add(&self.events, events.len() as u64);
        for event in events {
            match event {
                Event::TurnStarted(_) | Event::QueuedTurnStarted(_) => add(&self.turns_started, 1),
                Event::ModelReplied(replied) => {
                    add(&self.steps, 1);
                    add(&self.model_replies, 1);
                    self.spend(&replied.usage, replied.cost);
                }
                Event::ModelFailed(failed) => {
                    add(&self.model_failures, 1);
                    self.spend(&failed.usage, failed.cost);
                }
                Event::ToolReturned(returned) => {
                    add(&self.steps, 1);
                    if let Some(at) = TOOL_OUTCOMES.iter().position(|(outcome, _)| *outcome == returned.outcome) {
                        add(&self.tool_calls[at], 1);
                    }
                }
                Event::QuestionAsked(_) => add(&self.questions, 1),
                Event::TurnEnded(ended) => {
                    if let Some(at) = TURN_OUTCOMES.iter().position(|(outcome, _)| *outcome == ended.outcome) {
                        add(&self.turns_ended[at], 1);
                    }
                }
                Event::RunStarted(_)
                | Event::Forked(_)
                | Event::TurnQueued(_)
                | Event::ModelCalled(_)
                | Event::ToolRequested(_)
                | Event::ToolPrepared(_)
                | Event::QuestionAnswered(_)
                | Event::ToolBegun(_)
                | Event::CancelRequested(_)
                | Event::Workflow(_) => {}
            }
        }
    }

    /// Counts a commit of so many events, of which none is an agent's.
    pub(crate) fn count_workflow(&self, events: u64) {
        add(&self.appends, 1);
        add(&self.events, events);
    }

    pub(crate) fn read(&self) -> Stats {
        Stats {
            loaded_runs: self.loaded.load(Relaxed),
            subscribers: self.subscribers.load(Relaxed),
            steps: self.steps.load(Relaxed),
            appends: self.appends.load(Relaxed),
            events: self.events.load(Relaxed),
            conflicts: self.conflicts.load(Relaxed),
            store_errors: self.store_errors.load(Relaxed),
            recovered: self.recovered.load(Relaxed),
            turns_started: self.turns_started.load(Relaxed),
            turns_ended: self.turns_ended.each_ref().map(|count| count.load(Relaxed)),
            model_replies: self.model_replies.load(Relaxed),
            model_failures: self.model_failures.load(Relaxed),
            tool_calls: self.tool_calls.each_ref().map(|count| count.load(Relaxed)),
            questions: self.questions.load(Relaxed),
            input_tokens: self.input_tokens.load(Relaxed),
            output_tokens: self.output_tokens.load(Relaxed),
            cost: self.cost.load(Relaxed),
        }
    }

    fn spend(&self, usage: &Usage, cost: u64) {
        add(&self.input_tokens, usage.input);
        add(&self.output_tokens, usage.output);
        add(&self.cost, cost);
    }
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Relaxed);
}
