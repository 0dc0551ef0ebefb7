//! What users of other systems suffer from, as cases; the numbers are those of the list of pains.

use crate::bench::{Bench, agent, reply, shown, tool_use};
use bedplate_core::{
    agent::{AgentDefinition, Limits, Price, SessionPolicy, Truncation},
    event::{Event, ToolOutcome, TurnOutcome},
    message::{ContentBlock, Reasoning, StopReason, ToolUse},
    port::tools::ToolErrorKind,
};
use serde_json::json;

#[test]
fn pain_01_an_interrupted_tool_call_never_poisons_the_session() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let calls = bench.call(&["pay", "refund"]);
    bench.ask(calls[1], "Refund?").recover();
    assert_eq!(bench.state.open_questions().count(), 2, "a call that waits for approval is no orphan");
    bench.cancel().start("next");
    let results = &bench.request().messages[2];
    assert_eq!(results.tool_results().count(), 2, "each call has its result in the next request");
}

#[test]
fn pain_02_a_call_that_is_tried_again_is_the_same_call() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["look"])[0];
    bench.tool_fails(call, ToolErrorKind::OutcomeUnknown);
    assert_eq!(bench.intended(), [format!("call {call} look")], "its idempotency key hangs on its id");
    bench.recover();
    assert_eq!(bench.intended(), [format!("call {call} look")]);
    // A payment is never repeated by itself, neither after an error nor after a crash.
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["pay"])[0];
    bench.tool_fails(call, ToolErrorKind::OutcomeUnknown).recover();
    assert!(bench.intents.is_empty());
    assert_eq!(bench.state.open_questions().count(), 1, "and is asked about once");
}

#[test]
fn pain_03_two_approvals_in_one_turn_are_two_questions() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let calls = bench.call(&["refund", "cancel_order", "pay"]);
    bench.ask(calls[0], "Refund 50?").ask(calls[1], "Cancel it?");
    assert_eq!(bench.state.open_questions().count(), 2);
    bench.returns(calls[2], "paid");
    bench.answer(calls[1], true);
    assert_eq!(bench.intended(), [format!("call {} cancel_order", calls[1])], "answering one runs that one only");
    bench.returns(calls[1], "cancelled").answer(calls[0], true);
    assert_eq!(bench.intended(), [format!("call {} refund", calls[0])], "the others do not run again");
    bench.answer(calls[0], true);
    assert!(bench.intents.is_empty(), "a second yes changes nothing");
    bench.returns(calls[0], "refunded");
    assert_eq!(shown(bench.request())[2], "user (a: refunded) (b: cancelled) (c: paid)");
}

#[test]
fn pain_05_two_turns_at_once_leave_one_clean_history() {
    let mut bench = Bench::new(agent());
    bench.start("one").start("two").start_with("three", SessionPolicy::Reject);
    let call = bench.call(&["look"])[0];
    bench.start("four").returns(call, "x").say("1").say("2").say("4");
    let roles: Vec<String> = bench.state.messages().map(|(_, message)| message.text()).collect();
    assert_eq!(roles, ["one", "", "", "1", "two", "2", "four", "4"]);
}

#[test]
fn pain_06_truncation_works_on_a_fresh_session_and_inside_a_long_tool_loop() {
    let limits = Limits { max_iterations: 50, max_tool_calls: 50, ..Limits::default() };
    let truncation = Truncation::SlidingWindow { messages: 5 };
    let mut bench = Bench::new(AgentDefinition { truncation, limits, ..agent() });
    bench.start("q");
    assert_eq!(shown(bench.request()), ["user q"]);
    for _ in 0..30 {
        let call = bench.call(&["look"])[0];
        bench.returns(call, "r");
        assert!(bench.request().messages.len() <= 5);
        assert_eq!(shown(bench.request())[0], "user q");
    }
}

#[test]
fn pain_09_malformed_arguments_come_back_with_the_schema_and_the_model_tries_again() {
    let mut bench = Bench::new(agent());
    let wrong = ToolUse {
        id: "a".to_owned(),
        name: "pay".to_owned(),
        input: json!({}),
        malformed: Some("{\"order\": \"A1\"".to_owned()),
    };
    bench.start("hi").model(Ok(reply(StopReason::ToolUse, vec![ContentBlock::ToolUse(wrong)])));
    let result = bench.request().messages[2].tool_results().next().unwrap().text();
    assert!(result.contains("{\"order\": \"A1\"") && result.contains("\"type\":\"object\""), "{result}");
    bench.model(Ok(reply(StopReason::ToolUse, vec![tool_use("b", "pay")])));
    assert_eq!(bench.intended().len(), 1, "the second try runs");
}

#[test]
fn pain_12_tools_stay_on_offer_in_every_request_of_a_turn() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    for _ in 0..3 {
        assert_eq!(bench.request().tools.len(), 4);
        assert_eq!(bench.request().tool_choice, bedplate_core::port::model::ToolChoice::Auto);
        let call = bench.call(&["look"])[0];
        bench.returns(call, "x");
    }
}

#[test]
fn pain_14_reasoning_goes_back_byte_for_byte_before_its_calls() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let signed = ContentBlock::Reasoning(Reasoning {
        text: String::new(),
        signature: Some("sig==".to_owned()),
        redacted: None,
        family: Some("anthropic".to_owned()),
    });
    let content = vec![signed, tool_use("a", "look")];
    bench.model(Ok(reply(StopReason::ToolUse, content.clone())));
    let call = bench.requested()[0];
    bench.returns(call, "x");
    assert_eq!(bench.request().messages[1].content, content, "an empty signed block is still a block");
}

#[test]
fn pain_15_money_stops_a_turn_in_the_middle_and_cancel_stops_the_work() {
    let limits = Limits { max_cost_micros: Some(1_000), max_tokens: 100, max_iterations: 1_000, ..Limits::default() };
    let mut bench = Bench::new(AgentDefinition { limits, ..agent() });
    bench.price = Some(Price { input: 1_000_000, output: 2_000_000, cache_read: 0, cache_write: 0 });
    bench.start("hi");
    let mut rounds = 0;
    while bench.state.current_turn().is_some() {
        let call = bench.call(&["look"])[0];
        bench.returns(call, "x");
        rounds += 1;
    }
    assert!(rounds < 10, "140 a round");
    assert_eq!(bench.ended().outcome, TurnOutcome::MaxCost);
    assert!(bench.state.turn(1).unwrap().cost <= 1_000);

    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["pay"])[0];
    bench.cancel();
    assert_eq!(bench.intended(), [format!("abandon {call}")], "the work is stopped, not the view of it");
    assert_eq!(bench.closed(call).0, ToolOutcome::OutcomeUnknown);
    assert!(matches!(bench.events().last(), Some(Event::TurnEnded(_))));
}
