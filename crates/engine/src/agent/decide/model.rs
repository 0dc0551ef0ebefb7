//! Calling the model, for the first time at a point of the conversation and again after a failure.

use super::end;
use crate::agent::{
    limits::{self, Ending},
    plan::Plan,
    request,
    state::Failure,
    window::Window,
};
use crate::machine::Intent;
use bedplate_core::{
    event::{Event, ModelCalled, ModelFailed, TurnOutcome},
    id::CallId,
    message::Usage,
    port::model::ModelErrorKind,
    time::Timestamp,
};
use std::{sync::Arc, time::Duration};

/// How often a model call may fail at one point of the conversation.
const FAILURES: u32 = 3;

/// How often crashes may lose a model call at one point of the conversation.
const LOSSES: u32 = 10;

/// How long one model call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(300);

/// The longest pause before the first retry; it doubles with each, and the pause is drawn between 0 and it.
const FIRST_PAUSE_MS: u64 = 1_000;

/// The longest pause that doubling reaches.
const LONGEST_PAUSE_MS: u64 = 20_000;

/// Calls the model at a new point of the conversation.
pub(super) fn ask(plan: &mut Plan<'_>) {
    let Some(definition) = plan.definition else { return };
    match limits::iterations_up(plan.turn, definition) {
        Some(ending) => end::end(plan, &ending),
        None => call(plan, 1, None),
    }
}

/// Calls the model again after a failure, or ends the turn.
pub(super) fn again(plan: &mut Plan<'_>, failure: &Failure) {
    let tries = plan.turn.tries;
    let why = &failure.message;
    let hopeless = if !failure.retryable {
        Some(format!("The model call failed: {why}"))
    } else if tries.failures >= FAILURES {
        Some(format!("The model call failed {} times: {why}", tries.failures))
    } else if tries.lost >= LOSSES {
        Some(format!("The model call was lost {} times: {why}", tries.lost))
    } else {
        None
    };
    if let Some(message) = hopeless {
        return end::end(plan, &Ending::new(TurnOutcome::ModelFailed, message));
    }
    let pause_ms = pause_ms(plan, failure);
    let left = plan.definition.map_or(0, |definition| limits::remaining_ms(plan.turn, definition, plan.context.now));
    if pause_ms >= left {
        let message =
            format!("The model asks to be called again after {pause_ms} ms, when the turn's time is up: {why}");
        return end::end(plan, &Ending::new(TurnOutcome::ModelFailed, message));
    }
    let not_before = (pause_ms > 0).then(|| plan.context.now.after(Duration::from_millis(pause_ms)));
    call(plan, tries.attempts + 1, not_before);
}

/// Returns how long to wait before the next attempt: as the provider asked, or exponential backoff with full jitter.
fn pause_ms(plan: &Plan<'_>, failure: &Failure) -> u64 {
    if let Some(asked) = failure.retry_after_ms {
        let passed = u64::try_from(plan.context.now.since(failure.at).as_millis()).unwrap_or(u64::MAX);
        return asked.saturating_sub(passed);
    }
    if failure.lost {
        return 0;
    }
    let doublings = plan.turn.tries.failures.saturating_sub(1).min(16);
    let longest = (FIRST_PAUSE_MS << doublings).min(LONGEST_PAUSE_MS);
    let [a, b, c, d, e, f, g, h, ..] = plan.context.entropy;
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) % (longest + 1)
}

/// Gives up a call whose result never came.
pub(super) fn overdue(plan: &mut Plan<'_>, call: CallId) {
    let cost = shown_cost(plan);
    plan.intent(Intent::Abandon { call });
    plan.event(Event::ModelFailed(ModelFailed {
        call,
        code: ModelErrorKind::Timeout.code().to_owned(),
        message: "the model did not reply in time".to_owned(),
        retryable: true,
        retry_after_ms: None,
        usage: Usage::default(),
        cost,
    }));
}

fn call(plan: &mut Plan<'_>, attempt: u32, not_before: Option<Timestamp>) {
    let Some(definition) = plan.definition else { return };
    let (state, turn, context) = (plan.state, plan.turn, plan.context);
    let conversation = &state.conversation;
    let Some(window) = Window::of(conversation, turn.question, definition.truncation) else { return };
    let input = limits::input_tokens(state, definition, &window);
    let allowance = match limits::allowance(turn, definition, input, context.price.as_ref()) {
        Ok(allowance) => allowance,
        Err(ending) => return end::end(plan, &ending),
    };
    let left = Duration::from_millis(limits::remaining_ms(turn, definition, context.now));
    let deadline = not_before.unwrap_or(context.now).after(CALL_TIMEOUT).min(context.now.after(left));
    let call = plan.event(Event::ModelCalled(ModelCalled {
        route: definition.model.clone(),
        from: window.from(conversation),
        attempt,
        max_tokens: allowance.max_tokens,
        reserved: allowance.reserved,
        deadline,
        not_before,
    }));
    let tools = Arc::clone(definition.specs());
    let until = conversation.parts().len();
    let request = request::build(state, definition, tools, &window, until, allowance.max_tokens);
    plan.intent(Intent::CallModel { call, request, deadline, not_before });
}

/// Returns what the input of a call at the present point is assumed to cost, in millionths of a US dollar.
pub(in crate::agent) fn shown_cost(plan: &Plan<'_>) -> u64 {
    limits::input_cost(plan.context.price.as_ref(), shown_tokens(plan))
}

/// Returns the estimated input tokens of a call at the present point.
pub(super) fn shown_tokens(plan: &Plan<'_>) -> u64 {
    let shown = plan.definition.and_then(|definition| {
        let window = Window::of(&plan.state.conversation, plan.turn.question, definition.truncation)?;
        Some(limits::input_tokens(plan.state, definition, &window))
    });
    shown.unwrap_or(0)
}
