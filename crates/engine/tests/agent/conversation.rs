//! The conversation as others read it, and what earlier calls saw of it.

use crate::bench::{Bench, agent, words};
use bedplate_core::port::model::ModelErrorKind;

#[test]
fn a_failed_turns_question_and_the_next_are_one_message_but_two_entries() {
    let mut bench = Bench::new(agent());
    bench.start("one").fail(ModelErrorKind::Unauthorized);
    bench.start("two").fail(ModelErrorKind::Unauthorized);
    bench.start("three");
    assert_eq!(bench.request().messages.len(), 1);
    assert_eq!(words(&bench.request().messages[0]), "user one two three");
    let kept: Vec<String> = bench.state.messages().map(|(_, message)| words(&message)).collect();
    assert_eq!(kept, ["user one", "user two", "user three"]);
    let third = bench.state.turn_of_key("three").unwrap();
    assert_eq!(bench.state.message_at(third).unwrap().text(), "three");
}

#[test]
fn what_an_earlier_call_saw_does_not_grow_with_the_conversation() {
    let mut bench = Bench::new(agent());
    bench.start("one");
    let first = bench.model_call();
    bench.fail(ModelErrorKind::Unauthorized).start("two");
    let second = bench.model_call();
    bench.say("2").start("three").say("3");
    let definition = bench.context().definition.unwrap();
    let saw = |call| {
        let request = bench.state.request_of(call, &definition).unwrap();
        request.messages.iter().map(|message| words(message)).collect::<Vec<_>>()
    };
    assert_eq!(saw(first), ["user one"]);
    assert_eq!(saw(second), ["user one two"]);
    assert!(bench.state.request_of(999, &definition).is_none());
}

#[test]
fn messages_are_shared_and_not_copied_into_requests() {
    let mut bench = Bench::new(agent());
    bench.start("one").say("1").start("two").say("2").start("three");
    let kept: Vec<_> = bench.state.messages().map(|(_, message)| message).collect();
    for (message, shown) in kept.iter().zip(&bench.request().messages) {
        assert!(std::sync::Arc::ptr_eq(message, shown));
    }
}
