//! Limits: each is checked before the intent that would pass it, and each says in a sentence that it was it.

use crate::bench::{Bench, agent, reply, shown};
use bedplate_core::{
    agent::{AgentDefinition, Limits, Price},
    event::{Event, ModelCalled, ToolOutcome, TurnOutcome},
    message::{ContentBlock, StopReason},
};
use std::time::Duration;

fn limited(limits: Limits) -> AgentDefinition {
    AgentDefinition { limits, ..agent() }
}

fn called(bench: &Bench) -> &ModelCalled {
    let called = bench.events().into_iter().find_map(|event| match event {
        Event::ModelCalled(called) => Some(called),
        _ => None,
    });
    called.expect("the model is called")
}

const PRICE: Price = Price { input: 1_000_000, output: 2_000_000, cache_read: 0, cache_write: 0 };

#[test]
fn iterations_end_a_loop_of_calls() {
    let mut bench = Bench::new(limited(Limits { max_iterations: 2, ..Limits::default() }));
    bench.start("hi");
    let call = bench.call(&["look"])[0];
    bench.returns(call, "x");
    let call = bench.call(&["look"])[0];
    bench.returns(call, "y");
    assert_eq!(bench.ended().outcome, TurnOutcome::MaxIterations);
    assert!(bench.ended().message.as_ref().unwrap().contains("2 model calls (max_iterations)"));
    bench.start("go on");
    assert_eq!(shown(bench.request()).last().unwrap(), "user (a: y) go on", "results and question are one message");
}

#[test]
fn tool_calls_that_would_pass_the_limit_are_closed_and_none_of_them_runs() {
    let mut bench = Bench::new(limited(Limits { max_tool_calls: 2, ..Limits::default() }));
    bench.start("hi");
    let call = bench.call(&["look"])[0];
    bench.returns(call, "x");
    let calls = bench.call(&["pay", "look"]);
    assert!(bench.intents.is_empty());
    assert_eq!(bench.ended().outcome, TurnOutcome::MaxToolCalls);
    assert!(calls.iter().all(|&call| bench.closed(call).0 == ToolOutcome::LimitReached));
}

#[test]
fn a_reply_may_be_as_long_as_the_turns_tokens_allow() {
    let mut bench = Bench::new(limited(Limits { max_turn_tokens: Some(400), ..Limits::default() }));
    bench.start("hi");
    let first = called(&bench).max_tokens;
    assert!((100..400).contains(&first), "{first} of 400");
    let call = bench.call(&["look"])[0];
    bench.returns(call, "x");
    assert!(called(&bench).max_tokens <= 280, "120 are spent");
    bench.model(Ok(reply(StopReason::MaxTokens, vec![ContentBlock::text("half an ans")])));
    assert!(bench.ended().message.as_ref().unwrap().contains("limits of tokens or money"));
}

#[test]
fn tokens_of_a_turn_end_it() {
    let mut bench = Bench::new(limited(Limits { max_turn_tokens: Some(250), ..Limits::default() }));
    bench.start("hi");
    let call = bench.call(&["look"])[0];
    bench.returns(call, &"long ".repeat(100));
    assert_eq!(bench.ended().outcome, TurnOutcome::MaxTurnTokens);
    assert!(bench.ended().message.as_ref().unwrap().contains("120 of its 250 tokens"));
}

#[test]
fn money_is_reserved_before_a_call_and_settled_after_it() {
    let limits = Limits { max_cost_micros: Some(100_000), max_tokens: 100, ..Limits::default() };
    let mut bench = Bench::new(limited(limits));
    bench.price = Some(PRICE);
    bench.start("hi");
    let reserved = called(&bench).reserved;
    assert!(reserved > 200 && reserved < 500, "100 tokens of output cost 200: {reserved}");
    bench.say("x");
    assert_eq!(bench.state.turn(1).unwrap().cost, 140, "100 in and 20 out");
}

#[test]
fn a_turn_ends_before_the_call_that_its_money_cannot_pay() {
    let limits = Limits { max_cost_micros: Some(500), max_tokens: 100, ..Limits::default() };
    let mut bench = Bench::new(limited(limits));
    bench.price = Some(PRICE);
    bench.start("hi");
    let call = bench.call(&["look"])[0];
    bench.returns(call, &"word ".repeat(500));
    assert_eq!(bench.ended().outcome, TurnOutcome::MaxCost);
    assert!(bench.ended().message.as_ref().unwrap().contains("140 of its 500 millionths"));
    bench.start("and now?");
    assert_eq!(bench.ended().outcome, TurnOutcome::MaxCost, "the conversation alone costs more");
}

#[test]
fn the_price_of_the_day_counts_not_that_of_the_start() {
    let limits = Limits { max_cost_micros: Some(1_000), max_tokens: 100, ..Limits::default() };
    let mut bench = Bench::new(limited(limits));
    bench.start("hi");
    assert_eq!(called(&bench).reserved, 0, "no price is known");
    let call = bench.call(&["look"])[0];
    bench.price = Some(Price { input: 1_000_000_000, ..PRICE });
    bench.returns(call, "x");
    assert_eq!(bench.ended().outcome, TurnOutcome::MaxCost);
}

#[test]
fn time_ends_a_turn_and_closes_what_is_open() {
    let mut bench = Bench::new(limited(Limits { timeout_seconds: 4, ..Limits::default() }));
    bench.start("hi");
    let calls = bench.call(&["look", "pay", "refund"]);
    bench.ask(calls[2], "Refund?").answer(calls[2], true);
    bench.sleep();
    assert_eq!(bench.ended().outcome, TurnOutcome::Timeout);
    let outcomes: Vec<_> = calls.iter().map(|&call| bench.closed(call).0).collect();
    assert_eq!(outcomes, [ToolOutcome::Cancelled, ToolOutcome::OutcomeUnknown, ToolOutcome::OutcomeUnknown]);
    let abandoned: Vec<String> = calls.iter().map(|call| format!("abandon {call}")).collect();
    assert_eq!(bench.intended(), abandoned);
}

#[test]
fn time_cuts_a_model_call_and_keeps_its_words() {
    let mut bench = Bench::new(limited(Limits { timeout_seconds: 4, ..Limits::default() }));
    bench.start("hi");
    bench.partial = Some(bedplate_core::message::Message::assistant("half an ans"));
    bench.sleep();
    assert_eq!(bench.ended().outcome, TurnOutcome::Timeout);
    bench.partial = None;
    bench.start("go on");
    assert_eq!(shown(bench.request()), ["user hi", "assistant half an ans", "user go on"]);
}

#[test]
fn a_last_reply_that_comes_with_the_time_still_completes() {
    let mut bench = Bench::new(limited(Limits { timeout_seconds: 4, ..Limits::default() }));
    bench.start("hi");
    bench.now = bench.now.after(Duration::from_secs(4));
    bench.say("just so");
    assert_eq!(bench.ended().outcome, TurnOutcome::Completed);
}

#[test]
fn calls_are_not_begun_when_the_time_is_up() {
    let mut bench = Bench::new(limited(Limits { timeout_seconds: 4, ..Limits::default() }));
    bench.start("hi");
    bench.now = bench.now.after(Duration::from_secs(4));
    let call = bench.call(&["pay"])[0];
    assert_eq!(bench.closed(call).0, ToolOutcome::LimitReached);
    assert_eq!(bench.ended().outcome, TurnOutcome::Timeout);
}

#[test]
fn a_call_is_given_no_more_time_than_its_turn_has() {
    let mut bench = Bench::new(limited(Limits { timeout_seconds: 4, ..Limits::default() }));
    bench.start("hi");
    bench.now = bench.now.after(Duration::from_secs(3));
    bench.call(&["pay"]);
    let bedplate_engine::machine::Intent::CallTool { deadline, .. } = bench.intents[0] else { panic!("it runs") };
    assert_eq!(deadline, bench.now.after(Duration::from_secs(1)), "and not its own 10 seconds");
}
