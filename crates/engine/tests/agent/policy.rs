//! Starting turns: keys, and what a second turn does while one is under way.

use crate::bench::{Bench, agent, shown};
use bedplate_core::{
    agent::SessionPolicy,
    event::{ToolOutcome, TurnOutcome},
    id::ContentHash,
    message::Message,
    port::journal::RunStatus,
};
use bedplate_engine::{
    agent::{Admission, Agent, admit},
    machine::Machine,
};

fn hash(text: &str) -> ContentHash {
    ContentHash::of(text.as_bytes())
}

#[test]
fn a_repeated_start_joins_its_turn_for_ever() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    bench.start("hi");
    assert!(bench.names().is_empty());
    bench.say("hello");
    bench.checked = false;
    for n in 0..300 {
        bench.start(&format!("{n}")).say("yes");
    }
    assert_eq!(admit(&bench.state, "hi", hash("hi"), SessionPolicy::Reject), Admission::Join { turn: 1 });
    assert!(bench.state.turn(1).is_none(), "its figures are forgotten");
    bench.check();
}

#[test]
fn another_request_under_a_known_key_is_refused() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    assert_eq!(admit(&bench.state, "hi", hash("bye"), SessionPolicy::Enqueue), Admission::KeyReused { turn: 1 });
    let mut input = bench.input("hi", "bye");
    input.key = "hi".to_owned();
    bench.step(bedplate_engine::machine::Input::Signal(bedplate_engine::agent::AgentSignal::StartTurn {
        input,
        policy: SessionPolicy::Enqueue,
    }));
    assert!(bench.names().is_empty());
}

#[test]
fn enqueue_waits_for_its_turn_and_says_behind_which() {
    let mut bench = Bench::new(agent());
    bench.start("one");
    assert_eq!(admit(&bench.state, "two", hash("two"), SessionPolicy::Enqueue), Admission::Queue { behind: 1 });
    bench.start("two");
    assert_eq!(bench.names(), ["turn_queued"]);
    assert_eq!(admit(&bench.state, "three", hash("three"), SessionPolicy::Enqueue), Admission::Queue { behind: 3 });
    bench.start("three");
    assert_eq!(bench.state.queued_turns().collect::<Vec<_>>(), [3, 4]);
    bench.say("1");
    assert_eq!(bench.names(), ["model_replied", "turn_ended", "queued_turn_started", "model_called"]);
    assert_eq!(bench.state.current_turn(), Some(3), "the turn keeps the id that the start was told");
    assert_eq!(shown(bench.request()), ["user one", "assistant 1", "user two"]);
    bench.say("2").say("3");
    assert_eq!(Agent::status(&bench.state), RunStatus::Idle);
    let texts: Vec<String> = bench.state.messages().map(|(_, message)| message.text()).collect();
    assert_eq!(texts, ["one", "1", "two", "2", "three", "3"]);
    let positions: Vec<_> = bench.state.messages().map(|(seq, _)| seq).collect();
    assert!(positions.is_sorted(), "{positions:?}");
}

#[test]
fn reject_refuses_only_while_a_turn_is_under_way() {
    let mut bench = Bench::new(agent());
    bench.start("one");
    assert_eq!(admit(&bench.state, "two", hash("two"), SessionPolicy::Reject), Admission::Busy { turn: 1 });
    bench.start_with("two", SessionPolicy::Reject);
    assert!(bench.names().is_empty());
    bench.say("1").start_with("two", SessionPolicy::Reject);
    assert_eq!(bench.names(), ["turn_started", "model_called"]);
}

#[test]
fn interrupt_cuts_the_reply_keeps_its_words_and_goes_on_with_the_new_turn() {
    let mut bench = Bench::new(agent());
    bench.start("one").start("waiting");
    bench.partial = Some(Message::assistant("As I was"));
    assert_eq!(admit(&bench.state, "stop", hash("stop"), SessionPolicy::Interrupt), Admission::Interrupt { turn: 1 });
    bench.start_with("stop", SessionPolicy::Interrupt);
    assert_eq!(bench.ended().outcome, TurnOutcome::Interrupted);
    assert_eq!(shown(bench.request()), ["user one", "assistant As I was", "user stop"], "before those that waited");
    bench.partial = None;
    bench.say("stopped");
    assert_eq!(shown(bench.request()).last().unwrap(), "user waiting");
}

#[test]
fn interrupt_lets_a_begun_unrepeatable_call_finish() {
    let mut bench = Bench::new(agent());
    bench.start("one");
    let calls = bench.call(&["pay", "look", "refund"]);
    bench.start_with("stop", SessionPolicy::Interrupt);
    assert_eq!(bench.closed(calls[1]).0, ToolOutcome::Cancelled);
    assert_eq!(bench.closed(calls[2]).0, ToolOutcome::Cancelled);
    assert_eq!(bench.state.open_tool_calls().collect::<Vec<_>>(), [calls[0]]);
    bench.start_with("really", SessionPolicy::Interrupt);
    assert_eq!(bench.names(), ["turn_queued"], "a turn that ends already is not interrupted twice");
    bench.returns(calls[0], "paid");
    assert_eq!(bench.ended().outcome, TurnOutcome::Interrupted);
    let results = shown(bench.request())[2].clone();
    assert!(results.starts_with("user (a: paid) (b: ") && results.ends_with("stop"), "{results}");
    bench.say("ok");
    assert_eq!(shown(bench.request()).last().unwrap(), "user really");
}

#[test]
fn interrupt_waits_for_a_begun_call_only_to_its_deadline() {
    let mut bench = Bench::new(agent());
    bench.start("one");
    let call = bench.call(&["pay"])[0];
    bench.start_with("stop", SessionPolicy::Interrupt);
    assert!(bench.names().ends_with(&["cancel_requested".to_owned()]));
    bench.sleep();
    assert_eq!(bench.closed(call).0, ToolOutcome::OutcomeUnknown);
    assert_eq!(bench.ended().outcome, TurnOutcome::Interrupted);
    assert_eq!(bench.intended()[0], format!("abandon {call}"));
}

#[test]
fn an_interrupted_call_that_a_crash_lost_is_not_asked_about() {
    let mut bench = Bench::new(agent());
    bench.start("one");
    let call = bench.call(&["pay"])[0];
    bench.start_with("stop", SessionPolicy::Interrupt).recover();
    assert_eq!(bench.closed(call).0, ToolOutcome::OutcomeUnknown);
    assert_eq!(bench.state.turn(1).unwrap().outcome, Some(TurnOutcome::Interrupted));
}

#[test]
fn each_turn_is_pinned_to_its_own_definition() {
    let mut bench = Bench::new(agent());
    bench.start("one");
    let mut other = agent();
    other.model = "better".to_owned();
    bench.pin(other);
    bench.start("two");
    let call = bench.call(&["look"])[0];
    bench.returns(call, "x");
    assert_eq!(bench.request().model, "default", "a deploy does not change a turn under way");
    bench.say("1");
    assert_eq!(bench.request().model, "better");
}

#[test]
fn a_queued_turn_carries_the_prompt_that_was_in_force_when_it_was_asked() {
    let mut bench = Bench::new(agent());
    let start = |bench: &mut Bench, key: &str, system: Option<&str>| {
        let mut input = bench.input(key, key);
        input.system = system.map(Into::into);
        let policy = SessionPolicy::Enqueue;
        bench.step(bedplate_engine::machine::Input::Signal(bedplate_engine::agent::AgentSignal::StartTurn {
            input,
            policy,
        }));
    };
    start(&mut bench, "one", Some("monday"));
    start(&mut bench, "two", Some("tuesday"));
    start(&mut bench, "three", None);
    bench.say("1").say("2");
    assert_eq!(bench.request().system, [bedplate_core::message::ContentBlock::text("monday")]);
}
