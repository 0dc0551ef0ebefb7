//! A crash: what was performed is lost, and the machine decides what may be done again.

use crate::bench::{Bench, agent, shown};
use bedplate_core::{
    agent::{AgentDefinition, Limits, Price},
    event::{Event, QuestionKind, ToolOutcome, TurnOutcome},
};
use std::time::Duration;

#[test]
fn a_lost_model_call_is_charged_at_its_input_and_made_again_at_once() {
    let mut bench = Bench::new(agent());
    bench.price = Some(Price { input: 3_000_000, output: 15_000_000, cache_read: 0, cache_write: 0 });
    bench.start("hi").recover();
    assert_eq!(bench.names(), ["model_failed", "model_called"]);
    assert_eq!(bench.intended(), ["model 4"]);
    let events = bench.events();
    let Event::ModelFailed(failed) = events[0] else { panic!("the call failed") };
    assert_eq!(failed.code, "attempt_lost");
    assert!(failed.cost > 0, "a call that was perhaps made was perhaps billed");
    let Event::ModelCalled(called) = events[1] else { panic!("it is made again") };
    assert_eq!((called.attempt, called.not_before), (2, None));
}

#[test]
fn the_late_reply_of_a_lost_call_is_stale() {
    let mut bench = Bench::new(agent());
    bench.start("hi").recover();
    let late = crate::bench::reply(bedplate_core::message::StopReason::EndTurn, vec![]);
    bench.step(bedplate_engine::machine::Input::Model { call: 2, result: Ok(late), took_ms: 1 });
    assert!(bench.names().is_empty());
}

#[test]
fn crashes_are_no_failures_of_the_model_but_do_not_go_on_for_ever() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    for _ in 0..9 {
        bench.recover();
        assert_eq!(bench.names(), ["model_failed", "model_called"]);
    }
    bench.recover();
    assert_eq!(bench.ended().outcome, TurnOutcome::ModelFailed);
}

#[test]
fn after_a_crash_repeatable_calls_run_again_and_the_others_are_asked_about() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let calls = bench.call(&["look", "pay", "refund", "refund"]);
    bench.ask(calls[3], "Refund 50?").recover();
    assert_eq!(bench.intended(), [format!("call {} look", calls[0]), format!("look {} refund", calls[2])]);
    assert_eq!(bench.names(), ["tool_begun", "question_asked"]);
    let open: Vec<_> = bench.state.open_questions().map(|question| (question.call, question.kind)).collect();
    assert_eq!(open, [(calls[1], QuestionKind::OutcomeUnknown), (calls[3], QuestionKind::Approval)]);
    bench.ask(calls[2], "Refund 70?");
    assert_eq!(bench.state.open_questions().count(), 3, "a look after a crash counts like the first");
}

#[test]
fn a_poisonous_call_does_not_crash_the_process_for_ever() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["look"])[0];
    for _ in 0..9 {
        bench.recover();
        assert_eq!(bench.names(), ["tool_begun"]);
    }
    bench.recover();
    assert_eq!(bench.closed(call).0, ToolOutcome::Failed);
}

#[test]
fn recorded_results_are_never_computed_again() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let calls = bench.call(&["pay", "look"]);
    bench.returns(calls[0], "paid").recover();
    assert_eq!(bench.intended(), [format!("call {} look", calls[1])]);
    bench.returns(calls[1], "seen");
    assert_eq!(shown(bench.request())[2], "user (a: paid) (b: seen)");
}

#[test]
fn an_idle_run_recovers_to_nothing() {
    let mut bench = Bench::new(agent());
    bench.start("hi").say("hello").recover();
    assert!(bench.names().is_empty() && bench.intents.is_empty());
}

#[test]
fn a_turn_whose_time_passed_while_the_process_was_gone_begins_nothing_again() {
    let limits = Limits { timeout_seconds: 5, ..Limits::default() };
    let mut bench = Bench::new(AgentDefinition { limits, ..agent() });
    bench.start("hi");
    let call = bench.call(&["look"])[0];
    // Nobody asks the machine while its process is gone.
    bench.now = bench.now.after(Duration::from_secs(6));
    bench.recover();
    assert_eq!(bench.names(), ["tool_returned", "turn_ended"]);
    assert_eq!((bench.closed(call).0, bench.ended().outcome), (ToolOutcome::Cancelled, TurnOutcome::Timeout));
    assert!(bench.intents.is_empty());
}
