//! Cancel: the turn ends at once, everything open is closed, and the next request is well formed.

use crate::bench::{Bench, agent, reply, shown, tool_use};
use bedplate_core::{
    event::{Event, ToolOutcome, TurnOutcome},
    message::{ContentBlock, Message, Role, StopReason},
};

#[test]
fn a_cancel_closes_each_call_by_how_far_it_was() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let calls = bench.call(&["look", "pay", "refund", "refund"]);
    bench.ask(calls[3], "Refund 50?").cancel();
    let outcomes: Vec<_> = calls.iter().map(|&call| bench.closed(call).0).collect();
    assert_eq!(
        outcomes,
        [ToolOutcome::Cancelled, ToolOutcome::OutcomeUnknown, ToolOutcome::Cancelled, ToolOutcome::Cancelled]
    );
    let abandoned: Vec<String> = calls[..3].iter().map(|call| format!("abandon {call}")).collect();
    assert_eq!(bench.intended(), abandoned, "a question needs no abandoning");
    assert_eq!(bench.ended().outcome, TurnOutcome::Cancelled);
    assert_eq!(bench.state.open_questions().count(), 0);
    bench.start("next");
    assert_eq!(bench.request().messages.len(), 3);
}

#[test]
fn a_cancelled_reply_keeps_its_words_and_says_that_they_are_not_whole() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let mut partial = Message { role: Role::Assistant, content: vec![ContentBlock::text("I was say")] };
    partial.content.push(tool_use("a", "pay"));
    bench.partial = Some(partial);
    bench.cancel();
    assert_eq!(bench.intended(), ["abandon 2"]);
    let replied = bench.events().into_iter().find_map(|event| match event {
        Event::ModelReplied(replied) => Some(replied),
        _ => None,
    });
    assert!(replied.unwrap().partial);
    let turn = bench.state.turn(1).unwrap();
    assert_eq!(bench.state.message_at(turn.answer.unwrap()).unwrap().text(), "I was say");
    assert!(turn.usage.total() > 0, "what was said was paid for");
    bench.partial = None;
    bench.start("next");
    assert_eq!(
        shown(bench.request()),
        ["user hi", "assistant I was say", "user next"],
        "an incomplete call is not kept"
    );
}

#[test]
fn a_cancel_without_any_words_leaves_the_question() {
    let mut bench = Bench::new(agent());
    bench.start("hi").cancel();
    assert_eq!(bench.names(), ["cancel_requested", "model_failed", "turn_ended"]);
    bench.start("next");
    assert_eq!(shown(bench.request()), ["user hi next"]);
}

#[test]
fn results_after_a_cancel_are_stale() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let call = bench.call(&["pay"])[0];
    bench.cancel().returns(call, "paid");
    assert!(bench.names().is_empty());
    bench.answer(call, true);
    assert!(bench.names().is_empty());
}

#[test]
fn cancelling_nothing_or_an_old_turn_does_nothing() {
    let mut bench = Bench::new(agent());
    bench.cancel();
    assert!(bench.names().is_empty());
    bench.start("hi").say("hello").start("more").cancel_turn(Some(1));
    assert!(bench.names().is_empty());
    assert!(bench.state.current_turn().is_some());
}

#[test]
fn a_queued_turn_that_is_cancelled_never_begins() {
    let mut bench = Bench::new(agent());
    bench.start("one").start("two").start("three");
    let two = bench.state.turn_of_key("two").unwrap();
    bench.cancel_turn(Some(two));
    assert_eq!(bench.state.turn(two).unwrap().outcome, Some(TurnOutcome::Cancelled));
    bench.say("1");
    assert_eq!(shown(bench.request()), ["user one", "assistant 1", "user three"]);
    bench.say("3");
    assert_eq!(bench.state.current_turn(), None);
}

#[test]
fn a_cancel_that_comes_with_a_reply_closes_its_calls() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    // An interrupt that waits for a begun call is followed by the person's own cancel.
    let calls = bench.call(&["pay", "refund"]);
    bench.start_with("stop", bedplate_core::agent::SessionPolicy::Interrupt);
    assert_eq!(bench.closed(calls[1]).0, ToolOutcome::Cancelled);
    assert_eq!(bench.state.current_turn(), Some(1), "the payment is awaited");
    bench.cancel();
    assert_eq!(bench.closed(calls[0]).0, ToolOutcome::OutcomeUnknown);
    assert_eq!(bench.state.turn(1).unwrap().outcome, Some(TurnOutcome::Cancelled));
    assert_eq!(bench.request().messages.len(), 3, "the interrupting turn begins");
    bench.model(Ok(reply(StopReason::EndTurn, vec![ContentBlock::text("ok")])));
}
