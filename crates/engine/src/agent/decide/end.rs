//! Ending a turn: everything that is open is closed in the same decision, so that the next request is well formed.

use super::{model, reply};
use crate::agent::{
    limits::Ending,
    plan::Plan,
    say, size,
    state::{Call, Next, Phase},
    wake::GRACE,
};
use crate::machine::Intent;
use bedplate_core::{
    event::{Event, ModelFailed, ModelReplied, QuestionKind, ToolOutcome, TurnEnded, TurnOutcome},
    id::CallId,
    message::{ContentBlock, Message, Role, StopReason, Usage},
    tool::ToolOutput,
};
use std::sync::Arc;

/// Closes what is open and ends the turn.
pub(super) fn end(plan: &mut Plan<'_>, ending: &Ending) {
    close(plan, ending.outcome, false);
    plan.event(Event::TurnEnded(TurnEnded { outcome: ending.outcome, message: ending.message.clone() }));
}

/// Closes what an interrupt closes at once. Returns whether a begun call that may not be repeated is still awaited.
pub(super) fn close_all_but_begun(plan: &mut Plan<'_>) -> bool {
    let awaited = plan.turn.calls.iter().any(|call| awaited(plan, call));
    if awaited {
        close(plan, TurnOutcome::Interrupted, true);
    }
    awaited
}

fn awaited(plan: &Plan<'_>, call: &Call) -> bool {
    match call.phase {
        Phase::Performing { deadline } => !plan.repeatable(&call.name) && plan.context.now < deadline.after(GRACE),
        _ => false,
    }
}

fn close(plan: &mut Plan<'_>, outcome: TurnOutcome, spare_awaited: bool) {
    let turn = plan.turn;
    match &turn.next {
        Next::AwaitModel(open) => cut_model_call(plan, open.call, outcome),
        Next::HandleReply => close_unrequested(plan, outcome),
        Next::AskModel | Next::HandleFailure(_) | Next::AwaitCalls => {}
    }
    for call in &turn.calls {
        let spared = spare_awaited && awaited(plan, call);
        if !spared {
            close_call(plan, call, outcome);
        }
    }
}

/// Ends an open model call. What it had said is kept as a partial reply; what it cost is estimated.
fn cut_model_call(plan: &mut Plan<'_>, call: CallId, outcome: TurnOutcome) {
    plan.intent(Intent::Abandon { call });
    let Some(message) = plan.context.partial.as_ref().and_then(spoken) else {
        let cost = model::shown_cost(plan);
        plan.event(Event::ModelFailed(ModelFailed {
            call,
            code: "turn_ended".to_owned(),
            message: "the turn ended before the model replied".to_owned(),
            retryable: false,
            retry_after_ms: None,
            usage: Usage::default(),
            cost,
        }));
        return;
    };
    let usage =
        Usage { input: model::shown_tokens(plan), output: size::tokens(size::message(&message)), ..Usage::default() };
    let stop_reason = match outcome {
        TurnOutcome::MaxTokens => StopReason::MaxTokens,
        _ => StopReason::EndTurn,
    };
    plan.event(Event::ModelReplied(ModelReplied {
        call,
        message: Arc::new(message),
        stop_reason,
        usage,
        cost: plan.context.price.map_or(0, |price| price.cost(&usage)),
        model: String::new(),
        took_ms: 0,
        partial: true,
    }));
}

/// Returns the words of a partial message. Its calls may be incomplete and its reasoning unsigned: neither is kept.
fn spoken(partial: &Message) -> Option<Message> {
    let said = |block: &&ContentBlock| matches!(block, ContentBlock::Text { text } if !text.trim().is_empty());
    let content: Vec<ContentBlock> = partial.content.iter().filter(said).cloned().collect();
    (!content.is_empty()).then_some(Message { role: Role::Assistant, content })
}

/// Requests and closes the calls of a reply that ends the turn, so that each has its result.
fn close_unrequested(plan: &mut Plan<'_>, outcome: TurnOutcome) {
    let Some(reply) = &plan.turn.reply else { return };
    let requested: Vec<CallId> = (0_u32..)
        .zip(reply.message.tool_uses())
        .map(|(index, tool_use)| reply::request(plan, reply, index, tool_use, None))
        .collect();
    for call in requested {
        plan.close(call, not_run(outcome), say::not_run(outcome), 0);
    }
}

fn close_call(plan: &mut Plan<'_>, call: &Call, outcome: TurnOutcome) {
    let (how, output): (ToolOutcome, ToolOutput) = match &call.phase {
        Phase::Closed { .. } => return,
        Phase::Looking | Phase::Prepared { .. } => (not_run(outcome), say::not_run(outcome)),
        Phase::Asking { question, .. } => unanswered(question.kind, call, outcome),
        Phase::Answered { kind, .. } => unanswered(*kind, call, outcome),
        Phase::Performing { .. } if plan.repeatable(&call.name) => (ToolOutcome::Cancelled, say::stopped()),
        Phase::Performing { .. } => (ToolOutcome::OutcomeUnknown, say::outcome_unknown(None)),
    };
    if matches!(call.phase, Phase::Looking | Phase::Performing { .. }) {
        plan.intent(Intent::Abandon { call: call.id });
    }
    plan.close(call.id, how, output, 0);
}

fn unanswered(kind: QuestionKind, call: &Call, outcome: TurnOutcome) -> (ToolOutcome, ToolOutput) {
    match kind {
        QuestionKind::Approval => (not_run(outcome), say::not_run(outcome)),
        QuestionKind::OutcomeUnknown => (ToolOutcome::OutcomeUnknown, say::outcome_unknown(call.note.as_deref())),
    }
}

/// Returns how a call closes that did not run when its turn ended like this.
fn not_run(outcome: TurnOutcome) -> ToolOutcome {
    match outcome {
        TurnOutcome::MaxIterations
        | TurnOutcome::MaxToolCalls
        | TurnOutcome::MaxTurnTokens
        | TurnOutcome::MaxCost
        | TurnOutcome::Timeout => ToolOutcome::LimitReached,
        TurnOutcome::Completed
        | TurnOutcome::MaxTokens
        | TurnOutcome::Refused
        | TurnOutcome::ContextExceeded
        | TurnOutcome::Cancelled
        | TurnOutcome::Interrupted
        | TurnOutcome::ModelFailed => ToolOutcome::Cancelled,
    }
}
