//! Failed model calls and lost tool calls: what is tried again, when, and how often.

use crate::bench::{Bench, START, agent, reader};
use bedplate_core::{
    event::{Event, ToolOutcome, TurnOutcome},
    port::{
        model::{ModelError, ModelErrorKind},
        tools::ToolErrorKind,
    },
    time::Timestamp,
};
use std::time::Duration;

fn not_before(bench: &Bench) -> Option<Timestamp> {
    bench.events().iter().find_map(|event| match event {
        Event::ModelCalled(called) => called.not_before,
        _ => None,
    })
}

#[test]
fn a_retryable_failure_is_tried_three_times_with_growing_pauses_and_then_ends_the_turn() {
    let mut bench = Bench::new(agent());
    bench.entropy = u64::MAX.to_le_bytes().repeat(2).try_into().unwrap();
    bench.start("hi").fail(ModelErrorKind::Unavailable);
    assert_eq!(bench.names(), ["model_failed", "model_called"]);
    let first = not_before(&bench).unwrap();
    assert!(first > START && first <= START.after(Duration::from_secs(1)), "{first:?}");
    bench.fail(ModelErrorKind::RateLimited);
    assert!(not_before(&bench).unwrap() <= START.after(Duration::from_secs(2)));
    bench.fail(ModelErrorKind::BrokenStream);
    assert_eq!(bench.names(), ["model_failed", "turn_ended"]);
    assert_eq!(bench.ended().outcome, TurnOutcome::ModelFailed);
    assert!(bench.ended().message.as_ref().unwrap().contains("3 times: it failed"));
    assert_eq!(bench.state.turn(1).unwrap().iterations, 1, "attempts at one point are one iteration");
}

#[test]
fn the_jitter_comes_from_the_entropy_and_is_kept_in_the_event() {
    let pause = |entropy: u8| {
        let mut bench = Bench::new(agent());
        bench.entropy = [entropy; 16];
        bench.start("hi").fail(ModelErrorKind::Unavailable);
        not_before(&bench)
    };
    assert_eq!(pause(7), pause(7));
    assert_ne!(pause(7), pause(9));
    assert_eq!(pause(0), None, "full jitter begins at no pause at all");
}

#[test]
fn the_providers_retry_after_is_obeyed() {
    let mut bench = Bench::new(agent());
    let mut error = ModelError::new(ModelErrorKind::RateLimited, "slow down");
    error.retry_after = Some(Duration::from_secs(42));
    bench.start("hi").model(Err(error));
    assert_eq!(not_before(&bench), Some(START.after(Duration::from_secs(42))));
}

#[test]
fn a_retry_after_beyond_the_turns_time_ends_the_turn_at_once() {
    let mut bench = Bench::new(agent());
    let mut error = ModelError::new(ModelErrorKind::RateLimited, "slow down");
    error.retry_after = Some(Duration::from_secs(301));
    bench.start("hi").model(Err(error));
    assert_eq!(bench.ended().outcome, TurnOutcome::ModelFailed);
}

#[test]
fn a_failure_that_will_never_succeed_is_not_tried_again() {
    for kind in [ModelErrorKind::InvalidRequest, ModelErrorKind::Unauthorized, ModelErrorKind::InvalidReply] {
        let mut bench = Bench::new(agent());
        bench.start("hi").fail(kind);
        assert_eq!(bench.ended().outcome, TurnOutcome::ModelFailed, "{kind:?}");
    }
}

#[test]
fn a_reply_makes_the_next_point_start_afresh() {
    let mut bench = Bench::new(agent());
    bench.start("hi").fail(ModelErrorKind::Unavailable).fail(ModelErrorKind::Unavailable);
    let call = bench.call(&["look"])[0];
    bench.returns(call, "x").fail(ModelErrorKind::Unavailable).fail(ModelErrorKind::Unavailable).say("done");
    assert_eq!(bench.ended().outcome, TurnOutcome::Completed);
}

#[test]
fn a_model_call_whose_result_never_comes_is_a_failure_that_is_tried_again() {
    let mut bench = Bench::new(agent());
    let mut definition = agent();
    definition.limits.timeout_seconds = 10_000;
    bench.pin(definition);
    bench.start("hi").sleep();
    assert_eq!(bench.names(), ["model_failed", "model_called"]);
    assert_eq!(bench.intended()[0], "abandon 2");
}

#[test]
fn a_repeatable_call_without_outcome_is_tried_three_times_and_then_failed() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["look"])[0];
    for _ in 0..2 {
        bench.tool_fails(call, ToolErrorKind::OutcomeUnknown);
        assert_eq!(bench.names(), ["tool_begun"]);
        assert_eq!(bench.intended(), [format!("call {call} look")], "under the same id, so the same key");
    }
    bench.tool_fails(call, ToolErrorKind::OutcomeUnknown);
    assert_eq!(bench.closed(call).0, ToolOutcome::Failed);
}

#[test]
fn an_idempotent_call_is_repeatable_too() {
    let mut definition = agent();
    let mut tool = reader("put");
    tool.annotations.read_only = false;
    tool.annotations.idempotent = true;
    definition.tools.push(tool);
    let mut bench = Bench::new(definition);
    bench.start("hi");
    let call = bench.call(&["put"])[0];
    bench.tool_fails(call, ToolErrorKind::OutcomeUnknown);
    assert_eq!(bench.intended(), [format!("call {call} put")]);
}

#[test]
fn an_unrepeatable_call_without_outcome_is_asked_about() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["pay"])[0];
    bench.tool_fails(call, ToolErrorKind::OutcomeUnknown);
    assert_eq!(bench.names(), ["question_asked"]);
    bench.answer(call, true);
    assert_eq!(bench.intended(), [format!("call {call} pay")]);
    bench.tool_fails(call, ToolErrorKind::OutcomeUnknown);
    assert_eq!(bench.names(), ["question_asked"], "one yes permits one more attempt");
    bench.answer(call, false);
    let (outcome, said) = bench.closed(call);
    assert_eq!(outcome, ToolOutcome::OutcomeUnknown);
    assert!(said.contains("Do not assume"), "{said}");
}
