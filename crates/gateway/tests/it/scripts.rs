//! Scripted models: the same place in a conversation always gets the same reply.

use crate::support::{call_of, events, gateway, hello, options, reply};
use bedplate_core::{
    id::RunId,
    message::{ContentBlock, Message, Role, StopReason, ToolResult},
    port::model::{Model, ModelCall, ModelErrorKind, ModelEvent},
};
use bedplate_gateway::{
    ModelConfig,
    script::{Order, Script, ScriptError, Step},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

const REFUND: &str = r#"
[[turn]]
[[turn.step]]
expect = "refund"
expect_tools = ["refund"]
text = "Let me look."
reasoning = "They want money."
tool_use = [{ name = "refund", input = { order_id = "MA-1" } }, { id = "own", name = "refund", malformed = "{" }]
usage = { input = 12, output = 5 }
[[turn.step]]
text = "Done, and more words."
[[turn]]
[[turn.step]]
text = "You are welcome."
stop_reason = "max_tokens"
"#;

fn model(script: Script) -> ModelConfig {
    ModelConfig::scripted(Arc::new(script))
}

fn results(ids: &[&str]) -> Message {
    let result = |id: &&str| {
        ContentBlock::ToolResult(ToolResult { tool_use_id: (*id).into(), content: vec![], is_error: false })
    };
    Message { role: Role::User, content: ids.iter().map(result).collect() }
}

fn of_run(run: u8, call: ModelCall) -> ModelCall {
    let mut call = call;
    call.caller.run = Some(RunId([run; 16]));
    call
}

#[tokio::test]
async fn a_recovered_run_gets_the_same_reply_at_the_same_place() {
    let script = Script::from_toml(REFUND).unwrap();
    let mut messages = vec![Message::user("a refund please")];
    let mut texts = Vec::new();
    for next in [Some(results(&["call_1_1_1", "own"])), Some(Message::user("thanks")), None] {
        // A new gateway each time is what a crash leaves: nothing but the conversation.
        let call = call_of(messages.clone(), &["refund"]);
        let first = reply(&gateway(model(script.clone())), call.clone()).await.unwrap();
        let same = gateway(model(script.clone()));
        assert_eq!(reply(&same, call.clone()).await.unwrap(), first);
        assert_eq!(reply(&same, call).await.unwrap(), first);
        texts.push(first.message.text());
        messages.push(first.message);
        messages.extend(next);
    }
    assert_eq!(texts, ["Let me look.", "Done, and more words.", "You are welcome."]);
    let calls: Vec<_> = messages[1].tool_uses().collect();
    assert_eq!((calls[0].id.as_str(), &calls[0].input), ("call_1_1_1", &json!({"order_id": "MA-1"})));
    assert_eq!((calls[1].id.as_str(), calls[1].malformed.as_deref()), ("own", Some("{")));
}

#[tokio::test]
async fn another_conversation_than_the_scripted_one_is_a_loud_error() {
    let gateway = gateway(model(Script::from_toml(REFUND).unwrap()));
    let cases = [
        (
            call_of(vec![Message::user("hello")], &["refund"]),
            "expects a user who says \"refund\"; the user said \"hello\"",
        ),
        (call_of(vec![Message::user("refund")], &["a", "b"]), "expects the tool `refund`; on offer are [a, b]"),
        (
            call_of(
                vec![
                    Message::user("1"),
                    Message::assistant("2"),
                    Message::user("3"),
                    Message::assistant("4"),
                    Message::user("5"),
                ],
                &[],
            ),
            "no step 1 for turn 3; the user said \"5\"",
        ),
    ];
    for (call, words) in cases {
        let error = reply(&gateway, call).await.unwrap_err();
        assert_eq!(error.kind, ModelErrorKind::InvalidReply);
        assert!(error.message.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_reply_streams_in_words_or_comes_at_once() {
    let script = Script::from_toml("[[step]]\ntext = \"one two three\"\n").unwrap();
    let events_of = events(&gateway(model(script)), hello()).await.unwrap();
    assert_eq!(events_of.iter().filter(|event| matches!(event, ModelEvent::TextDelta { .. })).count(), 3);
    let script = Script::from_toml("stream = false\n[[step]]\ntext = \"one two three\"\n").unwrap();
    let at_once = events(&gateway(model(script)), hello()).await.unwrap();
    assert_eq!(at_once, events_of[events_of.len() - 1..]);
}

#[tokio::test]
async fn failures_come_as_often_as_the_script_says_for_each_run() {
    let text = "[[step]]\ntext = \"ok then\"\nfail = { kind = \"rate_limited\", message = \"slow\", retry_after_ms = 5, times = 2 }\n";
    let gateway = gateway(model(Script::from_toml(text).unwrap()));
    for run in [1, 2] {
        for _ in 0..2 {
            let error = reply(&gateway, of_run(run, hello())).await.unwrap_err();
            assert_eq!((error.kind, error.message.as_str()), (ModelErrorKind::RateLimited, "slow"));
            assert_eq!(error.retry_after, Some(Duration::from_millis(5)));
            // Before that time the gateway itself turns callers away.
            tokio::time::sleep(Duration::from_millis(6)).await;
        }
        assert_eq!(reply(&gateway, of_run(run, hello())).await.unwrap().message.text(), "ok then");
    }
}

#[tokio::test]
async fn a_failure_midway_comes_after_half_of_the_reply() {
    let text = "[[step]]\ntext = \"a b c d e f\"\nfail = { kind = \"broken_stream\", midway = true }\n";
    let gateway = gateway(model(Script::from_toml(text).unwrap()));
    let mut stream = gateway.call(hello()).await.unwrap().answer.into_events().unwrap();
    let mut deltas = 0;
    let error = loop {
        match futures::StreamExt::next(&mut stream).await.unwrap() {
            Ok(ModelEvent::TextDelta { .. }) => deltas += 1,
            Ok(ModelEvent::End(_)) => panic!("it ended well"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(deltas > 0 && error.kind == ModelErrorKind::BrokenStream);
    assert!(futures::StreamExt::next(&mut stream).await.is_none());
}

#[tokio::test]
async fn a_model_that_hangs_is_ended_by_the_deadline() {
    let gateway = gateway(model(Script::from_toml("[[step]]\nhang = true\n").unwrap()));
    let mut call = hello();
    call.deadline = Some(options().clock.now().after(Duration::from_millis(30)));
    assert_eq!(reply(&gateway, call).await.unwrap_err().kind, ModelErrorKind::Timeout);
}

#[tokio::test]
async fn a_model_that_thinks_and_writes_slowly_takes_its_time() {
    let text = "[[step]]\ntext = \"a b\"\ndelay_ms = 20\nchunk_delay_ms = 5\n";
    let gateway = gateway(model(Script::from_toml(text).unwrap()));
    let begun = std::time::Instant::now();
    assert_eq!(reply(&gateway, hello()).await.unwrap().message.text(), "a b");
    assert!(begun.elapsed() >= Duration::from_millis(20 + 5 * 5));
}

#[tokio::test]
async fn orders_and_loops_choose_the_step() {
    let steps = || ["a", "b"].map(Step::text).to_vec();
    let said = async |script: Script, runs: &[u8]| {
        let gateway = gateway(model(script));
        let mut out = Vec::new();
        for run in runs {
            out.push(
                reply(&gateway, of_run(*run, hello())).await.map_or_else(|_| "-".into(), |reply| reply.message.text()),
            );
        }
        out.concat()
    };
    assert_eq!(said(Script::flat(steps()), &[1, 1, 2]).await, "aaa");
    assert_eq!(said(Script { order: Order::Run, ..Script::flat(steps()) }, &[1, 2, 1, 2, 1]).await, "aabb-");
    assert_eq!(said(Script { order: Order::Global, ..Script::flat(steps()) }, &[1, 2, 1]).await, "ab-");
    assert_eq!(
        said(Script { order: Order::Run, repeat: true, ..Script::turns(vec![steps(), steps()]) }, &[1; 5]).await,
        "ababa"
    );

    let again = gateway(model(Script { repeat: true, ..Script::turns(vec![steps()]) }));
    let mut messages = Vec::new();
    for text in ["a", "a", "a"] {
        messages.push(Message::user("q"));
        let next = reply(&again, call_of(messages.clone(), &[])).await.unwrap().message;
        assert_eq!(next.text(), text);
        messages.push(next);
    }
}

#[tokio::test]
async fn json_lines_say_the_same_as_toml() {
    let lines = "{\"text\": \"a\", \"usage\": {\"input\": 3}}\n\n{\"tool_use\": [{\"name\": \"f\"}]}\n";
    let toml = "[[step]]\ntext = \"a\"\nusage = { input = 3 }\n[[step]]\ntool_use = [{ name = \"f\" }]\n";
    let script = Script::from_json_lines(lines).unwrap();
    assert_eq!(script, Script::from_toml(toml).unwrap());
    let call = call_of(vec![Message::user("q"), Message::assistant("a"), Message::user("q")], &[]);
    assert_eq!(reply(&gateway(model(script)), call).await.unwrap().stop_reason, StopReason::ToolUse);
    let turns = Script::from_json_lines("{\"step\": [{\"text\": \"a\"}]}").unwrap();
    assert_eq!(turns, Script::from_toml("[[turn]]\n[[turn.step]]\ntext = \"a\"\n").unwrap());
}

#[test]
fn a_script_that_cannot_be_read_says_why() {
    let mixed = "[[step]]\ntext = \"a\"\n[[turn]]\n[[turn.step]]\ntext = \"b\"\n";
    assert_eq!(Script::from_toml(mixed), Err(ScriptError::Mixed));
    assert_eq!(Script::from_toml(""), Err(ScriptError::Empty));
    assert_eq!(Script::from_json_lines("\n"), Err(ScriptError::Empty));
    let unknown = Script::from_toml("[[step]]\nfail = { kind = \"bored\" }\n");
    assert_eq!(unknown, Err(ScriptError::UnknownFailure("bored".into())));
    assert!(
        matches!(Script::from_toml("[[step]]\ntxet = \"a\"\n"), Err(ScriptError::Form(error)) if error.contains("txet"))
    );
    assert!(
        matches!(Script::from_json_lines("{\"text\": 1}"), Err(ScriptError::Form(error)) if error.contains("line 1"))
    );
}

/// Prints calls a second through the whole gateway: `cargo test -- --ignored --nocapture calls_a_second`.
#[tokio::test]
#[ignore = "a measurement"]
async fn calls_a_second() {
    let mut script = Script::turns(vec![vec![Step { stream: false, ..Step::text("x".repeat(200)) }]]);
    script.repeat = true;
    let gateway = gateway(model(script));
    let begun = std::time::Instant::now();
    for _ in 0..100_000 {
        reply(&gateway, hello()).await.unwrap();
    }
    println!("{:.0} calls a second", 100_000.0 / begun.elapsed().as_secs_f64());
}
