//! What a reply of the model leads to: calls of tools, another call of the model, or the end of the turn.

use super::{end, model};
use crate::agent::{
    limits::{self, Ending},
    plan::Plan,
    say,
    state::Reply,
};
use crate::machine::Intent;
use bedplate_core::{
    event::{Event, ToolOutcome, ToolRequested, TurnOutcome},
    id::CallId,
    message::{StopReason, ToolUse},
    time::Timestamp,
    tool::{ApprovalMode, ToolDefinition, ToolOutput},
};
use std::sync::Arc;

/// Returns whether a reply ends its turn, well or not.
pub(super) fn ends_turn(reply: &Reply) -> bool {
    match reply.stop_reason {
        // Some servers say `end_turn` beside tool calls: the calls are what counts.
        StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence => reply.uses == 0,
        StopReason::PauseTurn => false,
        StopReason::MaxTokens
        | StopReason::ContentFiltered
        | StopReason::GuardrailIntervened
        | StopReason::ModelContextWindowExceeded
        | StopReason::Refusal => true,
    }
}

/// Goes on after a reply.
pub(super) fn handle(plan: &mut Plan<'_>) {
    let Some(reply) = &plan.turn.reply else { return };
    if ends_turn(reply) {
        let ending = ending(plan, reply);
        end::end(plan, &ending);
    } else if reply.uses == 0 {
        model::ask(plan);
    } else {
        request_calls(plan, reply);
    }
}

fn ending(plan: &Plan<'_>, reply: &Reply) -> Ending {
    match reply.stop_reason {
        StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence | StopReason::PauseTurn => {
            Ending { outcome: TurnOutcome::Completed, message: None }
        }
        StopReason::MaxTokens => Ending::new(TurnOutcome::MaxTokens, cut_message(plan, reply)),
        StopReason::ContentFiltered => {
            Ending::new(TurnOutcome::Refused, "The provider's content filter cut or replaced the reply.")
        }
        StopReason::GuardrailIntervened => Ending::new(TurnOutcome::Refused, "A guardrail cut or replaced the reply."),
        StopReason::Refusal => Ending::new(TurnOutcome::Refused, "The model refused to answer."),
        StopReason::ModelContextWindowExceeded => {
            Ending::new(TurnOutcome::ContextExceeded, "The conversation is longer than the model can read.")
        }
    }
}

fn cut_message(plan: &Plan<'_>, reply: &Reply) -> String {
    let allowed = reply.max_tokens;
    let bounded = plan.definition.is_some_and(|definition| allowed < definition.limits.max_tokens);
    if bounded {
        format!("The reply was cut at {allowed} tokens, all that the turn's limits of tokens or money had left.")
    } else {
        format!("The reply was cut at {allowed} tokens (max_tokens).")
    }
}

/// What becomes of a tool use.
enum Verdict<'a> {
    Begin(&'a Arc<ToolDefinition>),
    Look(&'a Arc<ToolDefinition>),
    Close(ToolOutcome, ToolOutput),
}

/// Requests all calls of a reply together; those that cannot run are closed at once with what the model must know.
fn request_calls(plan: &mut Plan<'_>, reply: &Reply) {
    let Some(definition) = plan.definition else { return };
    if let Some(ending) = limits::tool_calls_up(plan.turn, definition, reply.uses) {
        return end::end(plan, &ending);
    }
    let mut closed = Vec::new();
    for (index, tool_use) in (0_u32..).zip(reply.message.tool_uses()) {
        let verdict = verdict(plan, tool_use);
        let deadline = match &verdict {
            Verdict::Begin(tool) => Some(plan.deadline(tool)),
            Verdict::Look(_) | Verdict::Close(..) => None,
        };
        let call = request(plan, reply, index, tool_use, deadline);
        match verdict {
            Verdict::Begin(tool) => plan.intent(Intent::CallTool {
                call,
                tool: Arc::clone(tool),
                input: tool_use.input.clone(),
                deadline: deadline.unwrap_or(plan.context.now),
            }),
            Verdict::Look(tool) => plan.look(call, tool, tool_use.input.clone()),
            Verdict::Close(outcome, output) => closed.push((call, outcome, output)),
        }
    }
    for (call, outcome, output) in closed {
        plan.close(call, outcome, output, 0);
    }
}

fn verdict<'a>(plan: &Plan<'a>, tool_use: &ToolUse) -> Verdict<'a> {
    let Some(tool) = plan.tool(&tool_use.name) else {
        let output = plan.definition.map_or_else(
            || ToolOutput::error("There are no tools."),
            |definition| say::unknown_tool(&tool_use.name, definition),
        );
        return Verdict::Close(ToolOutcome::UnknownTool, output);
    };
    if tool_use.malformed.is_some() || !tool_use.input.is_object() {
        return Verdict::Close(ToolOutcome::InvalidInput, say::malformed(tool_use, tool));
    }
    match tool.approval.mode {
        ApprovalMode::Never => Verdict::Begin(tool),
        ApprovalMode::Always | ApprovalMode::When(_) => Verdict::Look(tool),
    }
}

/// Adds the intent event of a tool use and returns its call.
pub(super) fn request(
    plan: &mut Plan<'_>,
    reply: &Reply,
    index: u32,
    tool_use: &ToolUse,
    deadline: Option<Timestamp>,
) -> CallId {
    let name = tool_use.name.clone();
    plan.event(Event::ToolRequested(ToolRequested { reply: reply.seq, index, name, deadline }))
}
