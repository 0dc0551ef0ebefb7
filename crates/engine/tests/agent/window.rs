//! Truncation: what of a long conversation the model is shown.

use crate::bench::{Bench, agent, shown};
use bedplate_core::agent::{AgentDefinition, Truncation};

fn windowed(messages: usize) -> Bench {
    let mut definition = AgentDefinition { truncation: Truncation::SlidingWindow { messages }, ..agent() };
    definition.limits.max_iterations = 50;
    definition.limits.max_tool_calls = 50;
    Bench::new(definition)
}

#[test]
fn a_fresh_session_is_shown_whole() {
    for messages in 0..4 {
        let mut bench = windowed(messages);
        bench.start("hi");
        assert_eq!(shown(bench.request()), ["user hi"], "window of {messages}");
    }
}

#[test]
fn older_turns_leave_the_window_from_the_front() {
    let mut bench = windowed(4);
    for n in 1..4 {
        bench.start(&format!("q{n}")).say(&format!("a{n}"));
    }
    bench.start("q4");
    assert_eq!(shown(bench.request()), ["user q3", "assistant a3", "user q4"], "it begins with a question");
}

#[test]
fn results_never_lose_their_calls() {
    for messages in 1..8 {
        let mut bench = windowed(messages);
        for n in 0..3 {
            bench.start(&format!("q{n}"));
            let call = bench.call(&["look"])[0];
            bench.returns(call, "x");
            let shown = shown(bench.request());
            assert!(shown.iter().any(|words| words.ends_with(&format!("q{n}"))), "window of {messages}: {shown:?}");
            assert_eq!(shown.last().unwrap(), "user (a: x)");
            bench.say("done");
        }
    }
}

#[test]
fn a_long_tool_loop_keeps_its_question_and_the_newest_calls() {
    let mut bench = windowed(6);
    bench.start("old").say("answer");
    bench.start("q");
    for n in 0..9 {
        let call = bench.call(&["look"])[0];
        bench.returns(call, &format!("r{n}"));
        let shown = shown(bench.request());
        assert!(shown.len() <= 6, "{shown:?}");
        assert!(shown.contains(&"user q".to_owned()), "{shown:?}");
        assert_eq!(shown.last().unwrap(), &format!("user (a: r{n})"));
    }
    assert_eq!(shown(bench.request()), ["user q", "assistant [a]", "user (a: r7)", "assistant [a]", "user (a: r8)"]);
}

#[test]
fn the_newest_call_and_result_are_shown_however_narrow_the_window_is() {
    let mut bench = windowed(1);
    bench.start("q");
    for n in 0..3 {
        let call = bench.call(&["look"])[0];
        bench.returns(call, &format!("r{n}"));
        assert_eq!(
            shown(bench.request()),
            ["user q".to_owned(), "assistant [a]".to_owned(), format!("user (a: r{n})")]
        );
    }
}

#[test]
fn a_question_that_follows_orphaned_results_is_cut_free_of_them() {
    let mut bench = windowed(2);
    bench.start("q1");
    bench.call(&["pay"]);
    bench.cancel();
    bench.start("q2");
    assert_eq!(shown(bench.request()), ["user q2"], "the results belong to a call that is not shown");
    bench.say("a2");
    let call = bench.start("q3").call(&["look"])[0];
    bench.returns(call, "x");
    assert_eq!(shown(bench.request()), ["user q3", "assistant [a]", "user (a: x)"]);
}

#[test]
fn without_truncation_everything_is_shown() {
    let mut bench = Bench::new(agent());
    for n in 0..50 {
        bench.start(&format!("q{n}")).say("a");
    }
    bench.start("last");
    assert_eq!(bench.request().messages.len(), 101);
}
