//! A turn from its start to its end, by every stop reason.

use crate::bench::{Bench, agent, reply, shown, tool_use};
use bedplate_core::{
    event::TurnOutcome,
    message::{ContentBlock, Reasoning, StopReason},
};

#[test]
fn a_plain_turn_calls_the_model_once_and_ends() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    assert_eq!(bench.names(), ["turn_started", "model_called"]);
    assert_eq!(bench.intended(), ["model 2"]);
    assert_eq!(shown(bench.request()), ["user hi"]);
    bench.say("hello");
    assert_eq!(bench.names(), ["model_replied", "turn_ended"]);
    assert_eq!(bench.ended().outcome, TurnOutcome::Completed);
    let turn = bench.state.turn(1).unwrap();
    assert_eq!(bench.state.message_at(turn.answer.unwrap()).unwrap().text(), "hello");
    assert_eq!((turn.iterations, turn.tool_calls, turn.usage.total()), (1, 0, 120));
    assert_eq!(&*turn.model, "model-1");
    assert_eq!(bench.state.current_turn(), None);
}

#[test]
fn the_second_turn_shows_the_first() {
    let mut bench = Bench::new(agent());
    bench.start("my name is Alice").say("hello Alice");
    bench.start("what is my name?");
    assert_eq!(shown(bench.request()), ["user my name is Alice", "assistant hello Alice", "user what is my name?"]);
}

#[test]
fn the_answer_is_all_text_of_the_last_reply() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let thought = ContentBlock::Reasoning(Reasoning {
        text: "hm".to_owned(),
        signature: Some("s".to_owned()),
        redacted: None,
        family: None,
    });
    let content = vec![thought, ContentBlock::text("one"), ContentBlock::text("two")];
    bench.model(Ok(reply(StopReason::EndTurn, content)));
    let answer = bench.state.turn(1).unwrap().answer.unwrap();
    assert_eq!(bench.state.message_at(answer).unwrap().text(), "one\n\ntwo");
}

#[test]
fn every_stop_reason_without_calls_has_its_outcome() {
    let table = [
        (StopReason::EndTurn, TurnOutcome::Completed),
        (StopReason::ToolUse, TurnOutcome::Completed),
        (StopReason::StopSequence, TurnOutcome::Completed),
        (StopReason::MaxTokens, TurnOutcome::MaxTokens),
        (StopReason::ContentFiltered, TurnOutcome::Refused),
        (StopReason::GuardrailIntervened, TurnOutcome::Refused),
        (StopReason::Refusal, TurnOutcome::Refused),
        (StopReason::ModelContextWindowExceeded, TurnOutcome::ContextExceeded),
    ];
    for (stop_reason, outcome) in table {
        let mut bench = Bench::new(agent());
        bench.start("hi").model(Ok(reply(stop_reason, vec![ContentBlock::text("so")])));
        assert_eq!(bench.ended().outcome, outcome, "{stop_reason:?}");
        assert_eq!(bench.ended().message.is_none(), outcome == TurnOutcome::Completed, "{stop_reason:?}");
        bench.start("again");
        assert_eq!(shown(bench.request()), ["user hi", "assistant so", "user again"]);
    }
}

#[test]
fn every_stop_reason_with_calls_runs_them_or_closes_them() {
    let table = [
        (StopReason::EndTurn, None),
        (StopReason::ToolUse, None),
        (StopReason::StopSequence, None),
        (StopReason::PauseTurn, None),
        (StopReason::MaxTokens, Some(TurnOutcome::MaxTokens)),
        (StopReason::ContentFiltered, Some(TurnOutcome::Refused)),
        (StopReason::GuardrailIntervened, Some(TurnOutcome::Refused)),
        (StopReason::Refusal, Some(TurnOutcome::Refused)),
        (StopReason::ModelContextWindowExceeded, Some(TurnOutcome::ContextExceeded)),
    ];
    for (stop_reason, outcome) in table {
        let mut bench = Bench::new(agent());
        bench.start("hi").model(Ok(reply(stop_reason, vec![tool_use("a", "look"), tool_use("b", "pay")])));
        match outcome {
            None => assert_eq!(bench.intended(), ["call 4 look", "call 5 pay"], "{stop_reason:?}"),
            Some(outcome) => {
                assert_eq!(bench.ended().outcome, outcome, "{stop_reason:?}");
                assert!(bench.intended().is_empty(), "a call that may be cut never runs");
                bench.start("again");
                assert_eq!(bench.request().messages.len(), 3, "question, calls, results and question");
            }
        }
    }
}

#[test]
fn a_paused_turn_is_sent_again_and_its_parts_become_one_message() {
    let mut bench = Bench::new(agent());
    bench.start("hi").model(Ok(reply(StopReason::PauseTurn, vec![ContentBlock::text("first")])));
    assert_eq!(shown(bench.request()), ["user hi", "assistant first"]);
    bench.say("second");
    assert_eq!(bench.ended().outcome, TurnOutcome::Completed);
    bench.start("next");
    assert_eq!(shown(bench.request()), ["user hi", "assistant first second", "user next"]);
}

#[test]
fn an_endless_pause_meets_the_limit() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    for _ in 0..9 {
        bench.model(Ok(reply(StopReason::PauseTurn, Vec::new())));
        assert_eq!(shown(bench.request()), ["user hi"]);
    }
    bench.model(Ok(reply(StopReason::PauseTurn, Vec::new())));
    assert_eq!(bench.ended().outcome, TurnOutcome::MaxIterations);
}

#[test]
fn an_empty_reply_leaves_a_conversation_that_can_go_on() {
    let silent =
        ContentBlock::Reasoning(Reasoning { text: "hm".to_owned(), signature: None, redacted: None, family: None });
    for content in [vec![], vec![ContentBlock::text("")], vec![ContentBlock::text(" \n")], vec![silent]] {
        let mut bench = Bench::new(agent());
        bench.start("hi").model(Ok(reply(StopReason::EndTurn, content)));
        assert_eq!(bench.ended().outcome, TurnOutcome::Completed);
        assert_eq!(bench.state.turn(1).unwrap().answer, None);
        bench.start("again");
        assert_eq!(shown(bench.request()), ["user hi again"]);
    }
}

#[test]
fn a_question_without_text_still_makes_a_request() {
    let mut bench = Bench::new(agent());
    bench.start(" ");
    assert_eq!(shown(bench.request()), ["user (no text)"]);
}

#[test]
fn a_missing_definition_ends_the_turn_and_says_so() {
    let mut bench = Bench::new(agent());
    bench.definitions.clear();
    bench.start("hi");
    assert_eq!(bench.ended().outcome, TurnOutcome::ModelFailed);
    assert!(bench.ended().message.as_ref().unwrap().contains("is not available"));
}

#[test]
fn the_system_prompt_stays_until_it_changes() {
    let mut bench = Bench::new(agent());
    let mut input = bench.input("1", "hi");
    input.system = Some("Be kind.".into());
    bench.step(bedplate_engine::machine::Input::Signal(bedplate_engine::agent::AgentSignal::StartTurn {
        input,
        policy: bedplate_core::agent::SessionPolicy::Enqueue,
    }));
    assert_eq!(bench.request().system, [ContentBlock::text("Be kind.")]);
    bench.say("yes").start("more");
    assert_eq!(bench.request().system, [ContentBlock::text("Be kind.")]);
    assert_eq!(bench.state.system().as_deref(), Some("Be kind."));
}
