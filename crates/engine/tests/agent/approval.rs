//! Approvals: each call has its own, with its own deadline.

use crate::bench::{Bench, agent, shown};
use bedplate_core::{
    event::{Preparation, QuestionKind, ToolOutcome},
    port::{
        journal::RunStatus,
        tools::{ToolError, ToolErrorKind},
    },
    tool::ToolOutput,
};
use bedplate_engine::{
    agent::Agent,
    machine::{Input, Machine},
};
use std::time::Duration;

#[test]
fn a_call_that_needs_approval_is_looked_at_asked_about_and_then_runs() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["refund"])[0];
    assert_eq!(bench.intended(), [format!("look {call} refund")]);
    bench.ask(call, "Refund 50?");
    assert_eq!(bench.names(), ["tool_prepared", "question_asked"]);
    assert!(bench.intents.is_empty());
    assert_eq!(Agent::status(&bench.state), RunStatus::Waiting);
    let question = bench.state.open_questions().next().unwrap();
    assert_eq!((question.call, question.kind, question.tool.as_str()), (call, QuestionKind::Approval, "refund"));
    assert_eq!(question.preview["amount"], 50);
    assert_eq!(question.input["order"], "a");
    bench.answer(call, true);
    assert_eq!(bench.names(), ["question_answered", "tool_begun"]);
    assert_eq!(bench.intended(), [format!("call {call} refund")]);
    bench.returns(call, "refunded");
    assert_eq!(shown(bench.request())[2], "user (a: refunded)");
}

#[test]
fn a_look_that_finds_no_need_to_ask_lets_the_call_run() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["refund"])[0];
    bench.step(Input::Prepared { call, result: Ok(Preparation::Run) });
    assert_eq!(bench.names(), ["tool_prepared", "tool_begun"]);
    assert_eq!(bench.intended(), [format!("call {call} refund")]);
}

#[test]
fn a_look_that_refuses_or_fails_closes_the_call_unrun() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let calls = bench.call(&["refund", "refund", "refund"]);
    let refuse = Preparation::Refuse(ToolOutput::error("too late to return"));
    bench.step(Input::Prepared { call: calls[0], result: Ok(refuse) });
    assert_eq!(bench.closed(calls[0]), (ToolOutcome::Failed, "too late to return".to_owned()));
    for (call, kind, outcome) in [
        (calls[1], ToolErrorKind::InvalidInput, ToolOutcome::InvalidInput),
        (calls[2], ToolErrorKind::OutcomeUnknown, ToolOutcome::Failed),
    ] {
        let error = ToolError { kind, message: "no facts".to_owned() };
        bench.step(Input::Prepared { call, result: Err(error) });
        assert_eq!(bench.closed(call), (outcome, "no facts".to_owned()));
    }
    assert_eq!(bench.intended().len(), 1, "the model is asked again");
}

#[test]
fn a_refusal_reaches_the_model_with_what_the_person_said() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["refund"])[0];
    bench.ask(call, "Refund 50?").answer_with(call, false, Some("offer a voucher"));
    let (outcome, said) = bench.closed(call);
    assert_eq!(outcome, ToolOutcome::Refused);
    assert!(said.contains("refused") && said.contains("offer a voucher"), "{said}");
}

#[test]
fn a_note_that_comes_with_a_yes_reaches_the_model_beside_the_result() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["refund"])[0];
    bench.ask(call, "Refund 50?").answer_with(call, true, Some("be quick")).returns(call, "done");
    assert!(bench.closed(call).1.contains("be quick"));
}

#[test]
fn silence_is_a_no_at_the_deadline_and_a_late_yes_is_stale() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["refund"])[0];
    bench.ask(call, "Refund 50?");
    bench.pass(Duration::from_secs(3_599));
    assert!(bench.names().is_empty(), "it waits to the deadline");
    bench.now = bench.now.after(Duration::from_secs(1));
    bench.answer(call, true);
    let (outcome, said) = bench.closed(call);
    assert_eq!(outcome, ToolOutcome::Refused);
    assert!(said.contains("in time"), "{said}");
    assert!(bench.intended().iter().all(|intent| !intent.starts_with("call")), "nothing runs");
}

#[test]
fn the_deadline_alone_refuses() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["refund"])[0];
    bench.ask(call, "Refund 50?").sleep();
    assert_eq!(bench.names(), ["question_answered", "tool_returned", "model_called"]);
    assert_eq!(bench.closed(call).0, ToolOutcome::Refused);
}

#[test]
fn waiting_for_a_person_does_not_count_as_the_turns_time() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["refund"])[0];
    bench.ask(call, "Refund 50?").pass(Duration::from_secs(3_000));
    bench.answer(call, true);
    assert_eq!(bench.intended(), [format!("call {call} refund")], "300 seconds of work are left");
    bench.returns(call, "done");
    assert_eq!(bench.names(), ["tool_returned", "model_called"]);
}

#[test]
fn a_result_of_a_call_that_is_not_performed_is_stale() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let calls = bench.call(&["refund", "refund"]);
    bench.ask(calls[0], "Refund 50?");
    for call in calls {
        bench.returns(call, "done by whom?");
        assert!(bench.names().is_empty(), "it waits for its look or its answer still");
    }
}
