//! Tool calls: in parallel, in order, and every way in which one can fail.

use crate::bench::{Bench, agent, reply, shown, text, tool_use};
use bedplate_core::{
    event::{Event, ToolOutcome},
    message::{ContentBlock, StopReason, ToolUse},
    port::tools::ToolErrorKind,
};
use serde_json::json;

#[test]
fn parallel_calls_are_requested_together_and_answered_in_call_order() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let calls = bench.call(&["look", "pay", "look"]);
    assert_eq!(bench.names(), ["model_replied", "tool_requested", "tool_requested", "tool_requested"]);
    assert_eq!(bench.intended(), ["call 4 look", "call 5 pay", "call 6 look"]);
    bench.returns(calls[2], "third");
    assert_eq!(bench.names(), ["tool_returned"]);
    bench.returns(calls[0], "first");
    assert!(bench.intents.is_empty(), "the model waits for all results");
    bench.returns(calls[1], "second");
    assert_eq!(bench.names(), ["tool_returned", "model_called"]);
    assert_eq!(shown(bench.request()), ["user hi", "assistant [a] [b] [c]", "user (a: first) (b: second) (c: third)"]);
}

#[test]
fn a_failed_tool_is_told_to_the_model_and_ends_nothing() {
    let table = [
        (ToolErrorKind::InvalidInput, ToolOutcome::InvalidInput),
        (ToolErrorKind::Misconfigured, ToolOutcome::Failed),
        (ToolErrorKind::Failed, ToolOutcome::Failed),
    ];
    for (kind, outcome) in table {
        let mut bench = Bench::new(agent());
        bench.start("hi");
        let call = bench.call(&["pay"])[0];
        bench.tool_fails(call, kind);
        assert_eq!(bench.closed(call), (outcome, "it broke".to_owned()));
        let results: Vec<bool> = bench.request().messages[2].tool_results().map(|result| result.is_error).collect();
        assert_eq!(results, [true]);
    }
}

#[test]
fn an_unknown_tool_is_an_error_that_names_the_known_ones() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let calls = bench.call(&["launch", "look"]);
    assert_eq!(bench.intended(), ["call 5 look"], "the other call runs");
    let (outcome, said) = bench.closed(calls[0]);
    assert_eq!(outcome, ToolOutcome::UnknownTool);
    assert!(said.contains("launch") && said.contains("look, pay, refund"), "{said}");
    bench.returns(calls[1], "x");
    assert_eq!(bench.request().messages.len(), 3);
}

#[test]
fn a_reply_of_nothing_but_unknown_tools_asks_the_model_at_once() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    bench.call(&["launch"]);
    assert_eq!(bench.names(), ["model_replied", "tool_requested", "tool_returned", "model_called"]);
}

#[test]
fn arguments_that_are_no_object_never_reach_a_tool() {
    let wrong = [
        ToolUse { id: "a".into(), name: "pay".into(), input: json!({}), malformed: Some("{\"order\": ".into()) },
        ToolUse { id: "a".into(), name: "pay".into(), input: json!("50"), malformed: None },
    ];
    for tool_use in wrong {
        let mut bench = Bench::new(agent());
        bench.start("hi").model(Ok(reply(StopReason::ToolUse, vec![ContentBlock::ToolUse(tool_use)])));
        let (outcome, said) = bench.closed(4);
        assert_eq!(outcome, ToolOutcome::InvalidInput);
        assert!(said.contains("\"properties\""), "the schema comes back: {said}");
        assert_eq!(bench.intended(), ["model 6"]);
    }
}

#[test]
fn a_model_that_repeats_its_ids_still_gets_each_result_beside_its_call() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    bench
        .model(Ok(reply(StopReason::ToolUse, vec![tool_use("x", "look"), tool_use("x", "pay"), tool_use("", "look")])));
    let calls = bench.requested();
    bench.returns(calls[1], "paid").returns(calls[0], "seen").returns(calls[2], "more");
    let results = &bench.request().messages[2];
    let said: Vec<String> = results.tool_results().map(bedplate_core::message::ToolResult::text).collect();
    assert_eq!(said, ["seen", "paid", "more"]);
}

#[test]
fn a_second_result_of_a_call_changes_nothing() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let calls = bench.call(&["look", "look"]);
    bench.returns(calls[0], "first").returns(calls[0], "again");
    assert!(bench.names().is_empty());
    bench.returns(calls[1], "x");
    assert_eq!(shown(bench.request())[2], "user (a: first) (b: x)");
}

#[test]
fn a_call_whose_result_never_comes_is_given_up_after_its_deadline() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["look"])[0];
    bench.sleep();
    assert_eq!(bench.names(), ["tool_begun"]);
    assert_eq!(bench.intended(), [format!("abandon {call}"), format!("call {call} look")], "it may be repeated");
    bench.sleep().sleep();
    assert_eq!(bench.closed(call).0, ToolOutcome::Failed);
    assert_eq!(bench.names(), ["tool_returned", "model_called"]);
}

#[test]
fn results_are_stored_once_in_the_journal() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["look"])[0];
    bench.returns(call, "the result of looking");
    bench.say("done");
    let journal = serde_json::to_string(&bench.entries).unwrap();
    assert_eq!(journal.matches("the result of looking").count(), 1);
    let Some(Event::ToolReturned(returned)) = bench.entries.iter().map(|entry| &entry.event).nth(4) else {
        panic!("the fifth event is the result")
    };
    assert_eq!(text(&returned.output), "the result of looking");
}
