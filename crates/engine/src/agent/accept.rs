//! What an input means: the events that record it. Stale inputs mean nothing.

use super::{
    AgentSignal,
    admission::{Admission, admit},
    apply::ATTEMPT_LOST,
    decide::model,
    plan::Plan,
    say,
    state::{AgentState, Call, Phase, Turn},
};
use crate::machine::{Context, Decision, Input};
use bedplate_core::{
    agent::SessionPolicy,
    event::{
        CancelReason, CancelRequested, Event, ModelFailed, ModelReplied, Preparation, QuestionAnswered, ToolOutcome,
        ToolPrepared, TurnInput,
    },
    id::{CallId, Seq, UserId},
    message::ToolResultContent,
    port::{
        model::{ModelError, ModelReply},
        tools::{ToolError, ToolErrorKind},
    },
    tool::ToolOutput,
};
use std::sync::Arc;

/// Returns what `input` means in this state.
pub(super) fn accept(state: &AgentState, input: Input<AgentSignal>, context: &Context) -> Decision {
    match input {
        Input::Signal(AgentSignal::StartTurn { input, policy }) => events(start_turn(state, input, policy)),
        Input::Signal(AgentSignal::Answer { call, approved, by, note }) => {
            events(answer(state, context, QuestionAnswered { call, approved, by, note }))
        }
        Input::Signal(AgentSignal::Cancel { turn, by }) => events(cancel(state, turn, by)),
        Input::Model { call, result, took_ms } => {
            let open = state.open_model_call() == Some(call);
            events(if open { vec![model_ended(call, result, took_ms, context)] } else { Vec::new() })
        }
        Input::Prepared { call, result } => with_call(state, context, call, |plan, call| {
            if call.phase == Phase::Looking {
                prepared(plan, call, result);
            }
        }),
        Input::Tool { call, result, took_ms } => with_call(state, context, call, |plan, call| {
            if matches!(call.phase, Phase::Performing { .. }) {
                tool_ended(plan, call, result, took_ms);
            }
        }),
        // An agent has no tasks: what is reported is not meant for it.
        Input::Children { .. } | Input::Task { .. } => Decision::default(),
        Input::Recovered => state.turn.as_ref().map_or_else(Decision::default, |turn| recovered(state, turn, context)),
    }
}

fn events(events: Vec<Event>) -> Decision {
    Decision { events, intents: Vec::new() }
}

fn with_call(state: &AgentState, context: &Context, id: CallId, then: impl FnOnce(&mut Plan<'_>, &Call)) -> Decision {
    let Some(turn) = &state.turn else { return Decision::default() };
    let Some(call) = turn.call(id) else { return Decision::default() };
    let mut plan = Plan::new(state, turn, context);
    then(&mut plan, call);
    plan.done()
}

fn start_turn(state: &AgentState, mut input: TurnInput, policy: SessionPolicy) -> Vec<Event> {
    let admission = admit(state, &input.key, input.request_hash, policy);
    if matches!(admission, Admission::Queue { .. } | Admission::Interrupt { .. }) && input.system.is_none() {
        // Turns before it may change the prompt: a queued one carries its own.
        input.system = state.system();
    }
    match admission {
        Admission::Start => vec![Event::TurnStarted(input)],
        Admission::Queue { .. } => vec![Event::TurnQueued(input)],
        Admission::Interrupt { .. } => {
            let cancel = CancelRequested { by: None, reason: CancelReason::Interrupted, turn: None };
            vec![Event::TurnQueued(input), Event::CancelRequested(cancel)]
        }
        Admission::Join { .. } | Admission::Busy { .. } | Admission::KeyReused { .. } => Vec::new(),
    }
}

fn answer(state: &AgentState, context: &Context, answered: QuestionAnswered) -> Vec<Event> {
    let call = state.turn.as_ref().and_then(|turn| turn.call(answered.call));
    match call.map(|call| &call.phase) {
        Some(Phase::Asking { question, .. }) if context.now < question.deadline => {
            vec![Event::QuestionAnswered(answered)]
        }
        _ => Vec::new(),
    }
}

fn cancel(state: &AgentState, turn: Option<Seq>, by: Option<UserId>) -> Vec<Event> {
    let reason = CancelReason::Requested;
    let current = state.turn.as_ref();
    let wanted = turn.or_else(|| state.current_turn());
    if let Some(id) = wanted.filter(|id| state.queue.iter().any(|queued| queued.view.id == *id)) {
        return vec![Event::CancelRequested(CancelRequested { by, reason, turn: Some(id) })];
    }
    // A person's cancel also ends a turn that waits for its last call because of an interrupt.
    match current {
        Some(turn) if wanted == Some(turn.view.id) && turn.cancel != Some(CancelReason::Requested) => {
            vec![Event::CancelRequested(CancelRequested { by, reason, turn: None })]
        }
        _ => Vec::new(),
    }
}

fn model_ended(call: CallId, result: Result<ModelReply, ModelError>, took_ms: u64, context: &Context) -> Event {
    let price = context.price.as_ref();
    match result {
        Ok(reply) => {
            let cost = reply.cost.or_else(|| price.map(|price| price.cost(&reply.usage))).unwrap_or(0);
            Event::ModelReplied(ModelReplied {
                call,
                message: Arc::new(reply.message),
                stop_reason: reply.stop_reason,
                usage: reply.usage,
                cost,
                model: reply.model,
                took_ms,
                partial: false,
            })
        }
        Err(error) => Event::ModelFailed(ModelFailed {
            call,
            code: error.kind.code().to_owned(),
            message: error.message,
            retryable: error.kind.retryable(),
            retry_after_ms: error.retry_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            usage: error.usage,
            cost: price.map_or(0, |price| price.cost(&error.usage)),
        }),
    }
}

fn prepared(plan: &mut Plan<'_>, call: &Call, result: Result<Preparation, ToolError>) {
    match result {
        Ok(preparation) => {
            plan.event(Event::ToolPrepared(ToolPrepared { call: call.id, preparation }));
        }
        // A look changes nothing, so its failure leaves nothing open.
        Err(error) => {
            let outcome = match error.kind {
                ToolErrorKind::InvalidInput => ToolOutcome::InvalidInput,
                ToolErrorKind::Misconfigured | ToolErrorKind::Failed | ToolErrorKind::OutcomeUnknown => {
                    ToolOutcome::Failed
                }
            };
            plan.close(call.id, outcome, ToolOutput::error(error.message), 0);
        }
    }
}

fn tool_ended(plan: &mut Plan<'_>, call: &Call, result: Result<ToolOutput, ToolError>, took_ms: u64) {
    match result {
        Ok(mut output) => {
            if let Some(note) = call.note.as_deref().filter(|note| !note.trim().is_empty()) {
                output.content.push(ToolResultContent::text(say::note(note)));
            }
            plan.close(call.id, ToolOutcome::Done, output, took_ms);
        }
        Err(error) => match error.kind {
            ToolErrorKind::InvalidInput => {
                plan.close(call.id, ToolOutcome::InvalidInput, ToolOutput::error(error.message), took_ms);
            }
            ToolErrorKind::Misconfigured | ToolErrorKind::Failed => {
                plan.close(call.id, ToolOutcome::Failed, ToolOutput::error(error.message), took_ms);
            }
            ToolErrorKind::OutcomeUnknown => plan.outcome_unknown(call, &error.message, false, took_ms),
        },
    }
}

/// Nothing is performed any more. What may be done again is done again; what may not is asked about. Questions wait on.
fn recovered(state: &AgentState, turn: &Turn, context: &Context) -> Decision {
    let mut plan = Plan::new(state, turn, context);
    if let Some(call) = state.open_model_call() {
        plan.event(Event::ModelFailed(ModelFailed {
            call,
            code: ATTEMPT_LOST.to_owned(),
            message: "the process that made this call stopped before its reply was recorded".to_owned(),
            retryable: true,
            retry_after_ms: None,
            usage: bedplate_core::message::Usage::default(),
            cost: model::shown_cost(&plan),
        }));
    }
    for call in &turn.calls {
        match call.phase {
            Phase::Looking => {
                if let (Some(tool), Some(tool_use)) = (plan.tool(&call.name), turn.tool_use(call.index)) {
                    plan.look(call.id, tool, tool_use.input.clone());
                }
            }
            Phase::Performing { .. } => {
                plan.outcome_unknown(
                    call,
                    "the process that made this call stopped before its result was recorded",
                    true,
                    0,
                );
            }
            Phase::Prepared { .. } | Phase::Asking { .. } | Phase::Answered { .. } | Phase::Closed { .. } => {}
        }
    }
    plan.done()
}
