//! The fold: what each event changes. It evaluates nothing; an event that makes no sense changes only the position.

use super::{
    state::{
        AgentState, CALLS_KEPT, Call, CallRecord, Failure, KnownKey, Next, OpenModel, Phase, Queued, Reply, System,
        TURNS_KEPT, Tries, Turn,
    },
    view::TurnView,
};
use bedplate_core::{
    event::{
        CancelReason, CancelRequested, Event, ModelCalled, ModelFailed, ModelReplied, QuestionAnswered, QuestionAsked,
        ToolBegun, ToolPrepared, ToolRequested, ToolReturned, TurnEnded, TurnInput, TurnOutcome,
    },
    id::{CallId, Seq},
    time::Timestamp,
    tool::ToolOutput,
};
use std::sync::Arc;

/// The code of a model call whose process is gone.
pub(super) const ATTEMPT_LOST: &str = "attempt_lost";

/// Folds the event at `seq`, decided at `at`, into the state.
pub(super) fn apply(state: &mut AgentState, seq: Seq, at: Timestamp, event: &Event) {
    state.position = seq;
    match event {
        Event::RunStarted(_) | Event::Forked(_) => {}
        Event::TurnQueued(input) => turn_queued(state, seq, at, input),
        Event::TurnStarted(input) => turn_started(state, seq, at, input),
        Event::QueuedTurnStarted(started) => queued_turn_started(state, seq, at, started.queued),
        Event::ModelCalled(called) => model_called(state, seq, called),
        Event::ModelReplied(replied) => model_replied(state, seq, replied),
        Event::ModelFailed(failed) => model_failed(state, at, failed),
        Event::ToolRequested(requested) => tool_requested(state, seq, requested),
        Event::ToolPrepared(prepared) => tool_prepared(state, seq, prepared),
        Event::QuestionAsked(asked) => question_asked(state, seq, at, asked),
        Event::QuestionAnswered(answered) => question_answered(state, at, answered),
        Event::ToolBegun(begun) => tool_begun(state, at, begun),
        Event::ToolReturned(returned) => tool_returned(state, seq, at, returned),
        Event::CancelRequested(cancel) => cancel_requested(state, at, cancel),
        Event::TurnEnded(ended) => turn_ended(state, seq, at, ended),
        // It belongs to another kind of run.
        Event::Workflow(_) => {}
    }
}

fn turn_queued(state: &mut AgentState, seq: Seq, at: Timestamp, input: &TurnInput) {
    remember_key(state, seq, input);
    state.queue.push_back(Queued { view: TurnView::new(seq, at), input: input.clone() });
}

fn turn_started(state: &mut AgentState, seq: Seq, at: Timestamp, input: &TurnInput) {
    if state.turn.is_none() {
        remember_key(state, seq, input);
        begin(state, seq, seq, at, input);
    }
}

fn queued_turn_started(state: &mut AgentState, seq: Seq, at: Timestamp, queued: Seq) {
    if state.turn.is_some() {
        return;
    }
    if let Some(queued) = take_queued(state, queued) {
        begin(state, queued.view.id, seq, at, &queued.input);
    }
}

fn remember_key(state: &mut AgentState, turn: Seq, input: &TurnInput) {
    state.keys.insert(input.key.as_str().into(), KnownKey { turn, request_hash: input.request_hash });
}

fn take_queued(state: &mut AgentState, id: Seq) -> Option<Queued> {
    let index = state.queue.iter().position(|queued| queued.view.id == id)?;
    if state.interrupter == Some(id) {
        state.interrupter = None;
    }
    state.queue.remove(index)
}

fn begin(state: &mut AgentState, id: Seq, question: Seq, at: Timestamp, input: &TurnInput) {
    state.conversation.push_question(question, id, &input.message);
    let known = state.system.as_ref().map(|system| &system.text);
    if let Some(system) = input.system.as_ref().filter(|&system| Some(system) != known) {
        state.system = Some(System { at: id, text: Arc::clone(system) });
    }
    state.pinned = Some(input.definition);
    state.turn = Some(Turn {
        view: TurnView::new(id, at),
        definition: input.definition,
        timeout_seconds: input.timeout_seconds,
        billing: input.billing.clone(),
        question,
        cancel: None,
        waited_ms: 0,
        waiting_since: None,
        next: Next::AskModel,
        tries: Tries::default(),
        reply: None,
        calls: Vec::new(),
    });
}

fn model_called(state: &mut AgentState, seq: Seq, called: &ModelCalled) {
    let Some(turn) = &mut state.turn else { return };
    let calls_wait = turn.reply.as_ref().is_some_and(|reply| reply.uses > 0);
    if calls_wait || matches!(turn.next, Next::AwaitModel(_) | Next::AwaitCalls) {
        return;
    }
    turn.tries.attempts += 1;
    if turn.tries.attempts == 1 {
        turn.view.iterations += 1;
    }
    turn.next = Next::AwaitModel(OpenModel { call: seq, max_tokens: called.max_tokens, deadline: called.deadline });
    if state.calls.len() == CALLS_KEPT {
        state.calls.pop_front();
    }
    state.calls.push_back(CallRecord {
        call: seq,
        from: called.from,
        question: turn.question,
        system: state.system.as_ref().map(|system| system.at),
        max_tokens: called.max_tokens,
    });
}

/// Returns the turn and what its open model call allowed, when that call is `call`.
fn awaiting(turn: Option<&mut Turn>, call: CallId) -> Option<(&mut Turn, u32)> {
    let turn = turn?;
    match turn.next {
        Next::AwaitModel(ref open) if open.call == call => {
            let max_tokens = open.max_tokens;
            Some((turn, max_tokens))
        }
        _ => None,
    }
}

fn model_replied(state: &mut AgentState, seq: Seq, replied: &ModelReplied) {
    let Some((turn, max_tokens)) = awaiting(state.turn.as_mut(), replied.call) else { return };
    let message = state.conversation.push_reply(seq, &replied.message, replied.stop_reason);
    turn.view.usage += replied.usage;
    turn.view.cost = turn.view.cost.saturating_add(replied.cost);
    turn.view.answer = (!message.content.is_empty()).then_some(seq);
    if !replied.model.is_empty() && *turn.view.model != *replied.model {
        turn.view.model = replied.model.as_str().into();
    }
    turn.tries = Tries::default();
    let uses = message.tool_uses().count();
    turn.reply = Some(Reply { seq, message, stop_reason: replied.stop_reason, max_tokens, uses });
    turn.calls.clear();
    turn.next = Next::HandleReply;
}

fn model_failed(state: &mut AgentState, at: Timestamp, failed: &ModelFailed) {
    let Some((turn, _)) = awaiting(state.turn.as_mut(), failed.call) else { return };
    turn.view.usage += failed.usage;
    turn.view.cost = turn.view.cost.saturating_add(failed.cost);
    if failed.code == ATTEMPT_LOST {
        turn.tries.lost += 1;
    } else {
        turn.tries.failures += 1;
    }
    turn.next = Next::HandleFailure(Failure {
        message: failed.message.clone(),
        retryable: failed.retryable,
        retry_after_ms: failed.retry_after_ms,
        lost: failed.code == ATTEMPT_LOST,
        at,
    });
}

fn tool_requested(state: &mut AgentState, seq: Seq, requested: &ToolRequested) {
    let Some(turn) = &mut state.turn else { return };
    let current = turn.reply.as_ref().is_some_and(|reply| {
        reply.seq == requested.reply && turn.calls.len() < reply.uses && turn.calls.len() == requested.index as usize
    });
    if !current || !matches!(turn.next, Next::HandleReply | Next::AwaitCalls) {
        return;
    }
    turn.view.tool_calls += 1;
    turn.calls.push(Call {
        id: seq,
        index: requested.index,
        name: requested.name.clone(),
        attempts: u32::from(requested.deadline.is_some()),
        note: None,
        phase: requested.deadline.map_or(Phase::Looking, |deadline| Phase::Performing { deadline }),
    });
    turn.next = Next::AwaitCalls;
}

/// Returns the turn and the index of its open call `id`.
fn open_call(state: &mut AgentState, id: CallId) -> Option<(&mut Turn, usize)> {
    let turn = state.turn.as_mut()?;
    let index = turn.calls.iter().position(|call| call.id == id && !call.closed())?;
    Some((turn, index))
}

fn tool_prepared(state: &mut AgentState, seq: Seq, prepared: &ToolPrepared) {
    let Some((turn, index)) = open_call(state, prepared.call) else { return };
    let call = &mut turn.calls[index];
    if call.phase == Phase::Looking {
        call.phase = Phase::Prepared { at: seq, preparation: prepared.preparation.clone() };
    }
}

fn question_asked(state: &mut AgentState, seq: Seq, at: Timestamp, asked: &QuestionAsked) {
    let Some((turn, index)) = open_call(state, asked.call) else { return };
    turn.calls[index].phase = Phase::Asking { at: seq, question: Box::new(asked.clone()) };
    turn.waiting_since.get_or_insert(at);
}

fn question_answered(state: &mut AgentState, at: Timestamp, answered: &QuestionAnswered) {
    let Some((turn, index)) = open_call(state, answered.call) else { return };
    let call = &mut turn.calls[index];
    if let Phase::Asking { question, .. } = &call.phase {
        let (kind, expired) = (question.kind, at >= question.deadline);
        call.note.clone_from(&answered.note);
        call.phase = Phase::Answered { kind, approved: answered.approved, expired };
        settle_waiting(turn, at);
    }
}

fn tool_begun(state: &mut AgentState, at: Timestamp, begun: &ToolBegun) {
    let Some((turn, index)) = open_call(state, begun.call) else { return };
    let call = &mut turn.calls[index];
    call.attempts += 1;
    call.phase = Phase::Performing { deadline: begun.deadline };
    settle_waiting(turn, at);
}

fn tool_returned(state: &mut AgentState, seq: Seq, at: Timestamp, returned: &ToolReturned) {
    let Some((turn, index)) = open_call(state, returned.call) else { return };
    turn.calls[index].phase = Phase::Closed { at: seq, output: Arc::clone(&returned.output) };
    settle_waiting(turn, at);
    let complete = turn.reply.as_ref().is_some_and(|reply| turn.calls.len() == reply.uses);
    if complete && turn.calls.iter().all(Call::closed) {
        merge_results(state, seq);
    }
}

/// The clock of the turn goes on when nobody is being asked any more.
fn settle_waiting(turn: &mut Turn, at: Timestamp) {
    let Some(since) = turn.waiting_since else { return };
    if !turn.calls.iter().any(Call::asking) {
        turn.waited_ms += u64::try_from(at.since(since).as_millis()).unwrap_or(u64::MAX);
        turn.waiting_since = None;
    }
}

/// Adds the results of the present reply to the conversation, as one message in call order.
fn merge_results(state: &mut AgentState, seq: Seq) {
    let Some(turn) = &mut state.turn else { return };
    let Some(reply) = turn.reply.take() else { return };
    let mut results: Vec<Option<(Seq, Arc<ToolOutput>)>> = vec![None; reply.uses];
    for call in turn.calls.drain(..) {
        if let (Phase::Closed { at, output }, Some(slot)) = (call.phase, results.get_mut(call.index as usize)) {
            *slot = Some((at, output));
        }
    }
    state.conversation.push_results(seq, reply.seq, &reply.message, &results);
    turn.next = Next::AskModel;
}

fn cancel_requested(state: &mut AgentState, at: Timestamp, cancel: &CancelRequested) {
    if let Some(id) = cancel.turn {
        if let Some(queued) = take_queued(state, id) {
            let view = TurnView { outcome: Some(TurnOutcome::Cancelled), ended_at: Some(at), ..queued.view };
            finish(state, view);
        }
        return;
    }
    let Some(turn) = &mut state.turn else { return };
    match (turn.cancel, cancel.reason) {
        (None, CancelReason::Interrupted) => {
            turn.cancel = Some(CancelReason::Interrupted);
            state.interrupter = state.queue.back().map(|queued| queued.view.id);
        }
        (_, CancelReason::Requested) => turn.cancel = Some(CancelReason::Requested),
        (Some(_), CancelReason::Interrupted) => {}
    }
}

fn turn_ended(state: &mut AgentState, seq: Seq, at: Timestamp, ended: &TurnEnded) {
    // A decision closes what is open before it ends a turn; should a journal not do so, the conversation is still
    // well formed.
    let unanswered = state.turn.as_ref().and_then(|turn| turn.reply.as_ref()).is_some_and(|reply| reply.uses > 0);
    if unanswered {
        merge_results(state, seq);
    }
    if let Some(mut turn) = state.turn.take() {
        turn.view.outcome = Some(ended.outcome);
        turn.view.message.clone_from(&ended.message);
        turn.view.ended_at = Some(at);
        finish(state, turn.view);
    }
}

fn finish(state: &mut AgentState, view: TurnView) {
    if state.finished.len() == TURNS_KEPT {
        state.finished.pop_front();
    }
    state.finished.push_back(view);
}
