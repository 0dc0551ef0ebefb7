//! Real exchanges over TCP with upstreams of both dialects.

use crate::support::{
    Act, Upstream, answer, asked, events, gateway, gateway_with, hello, options, remote, reply, stream,
};
use bedplate_core::{
    message::{StopReason, Usage},
    port::model::{Model, ModelErrorKind, ModelEvent},
};
use bedplate_gateway::{Options, Timeouts};
use futures::StreamExt;
use serde_json::json;
use std::time::Duration;

const OPENAI: &str = include_str!("../../../dialects/tests/fixtures/streams/openai-text-and-tools.sse");
const ANTHROPIC: &str = include_str!("../../../dialects/tests/fixtures/streams/anthropic-thinking-and-tools.sse");

#[tokio::test]
async fn a_chat_completions_stream_becomes_a_reply_with_provider_and_cost() {
    let mut upstream = Upstream::start(vec![Act::Send(stream(OPENAI))]).await;
    let gateway = gateway(remote(true, &upstream.base));
    let mut call = hello();
    asked(&mut call).params.max_tokens = Some(9);
    let events = events(&gateway, call).await.unwrap();
    assert!(
        events.iter().filter(|event| matches!(event, ModelEvent::TextDelta { .. })).count() == 2,
        "text comes in pieces"
    );
    let Some(ModelEvent::End(reply)) = events.last() else { panic!("no end") };
    assert_eq!((reply.message.text().as_str(), reply.message.tool_uses().count()), ("Let me löök.", 2));
    assert_eq!((reply.provider.as_str(), reply.model.as_str()), ("openai", "gpt-4.1-2025-04-14"));
    // 20 × 2.50 + 30 × 10 + 100 × 1.25 millionths of a dollar, at the price of the model that was asked for.
    assert_eq!((reply.stop_reason, reply.cost), (StopReason::ToolUse, Some(50 + 300 + 125)));
    let (head, body) = upstream.requests.recv().await.unwrap();
    assert!(
        head.starts_with("POST /v1/chat/completions ") && head.contains("authorization: Bearer top-secret-key"),
        "{head}"
    );
    assert_eq!(body["model"], "gpt-4o");
    assert_eq!((&body["stream_options"], &body["max_tokens"]), (&json!({"include_usage": true}), &json!(9)));
}

#[tokio::test]
async fn a_messages_stream_becomes_a_reply_with_its_reasoning_sealed() {
    let mut upstream = Upstream::start(vec![Act::Send(stream(ANTHROPIC))]).await;
    let reply = reply(&gateway(remote(false, &upstream.base)), hello()).await.unwrap();
    assert_eq!(reply.message.content.len(), 6);
    assert_eq!((reply.provider.as_str(), reply.cost), ("anthropic", Some((25 * 3 + 89 * 15) + 1000 * 3 / 10 + 38)));
    let (head, body) = upstream.requests.recv().await.unwrap();
    assert!(head.starts_with("POST /v1/messages "), "{head}");
    assert!(head.contains("x-api-key: top-secret-key") && head.contains("anthropic-version: 2023-06-01"), "{head}");
    assert_eq!((&body["stream"], &body["max_tokens"]), (&json!(true), &json!(4096)));
}

#[tokio::test]
async fn an_address_without_a_path_means_the_first_version() {
    for (base, path) in
        [("", "/v1/messages"), ("/", "/v1/messages"), ("/v1/", "/v1/messages"), ("/claude/v1", "/claude/v1/messages")]
    {
        let mut upstream = Upstream::start(vec![Act::Send(stream(ANTHROPIC))]).await;
        let host = upstream.base.trim_end_matches("/v1").to_owned();
        reply(&gateway(remote(false, &format!("{host}{base}"))), hello()).await.unwrap();
        assert!(upstream.requests.recv().await.unwrap().0.starts_with(&format!("POST {path} ")), "{base}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood_all_the_same() {
    let body = json!({"model": "m", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}).to_string();
    let upstream = Upstream::start(vec![Act::Send(answer("200 OK", "content-type: application/json\r\n", body))]).await;
    assert_eq!(reply(&gateway(remote(true, &upstream.base)), hello()).await.unwrap().message.text(), "hi");
    let upstream =
        Upstream::start(vec![Act::Send(answer("200 OK", "content-type: application/json\r\n", "{\"model\""))]).await;
    let error = reply(&gateway(remote(true, &upstream.base)), hello()).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::InvalidReply);
}

#[tokio::test]
async fn pain_23_a_stream_that_is_cut_or_garbled_is_a_broken_stream_and_keeps_what_it_cost() {
    let cases = [
        (true, OPENAI.split_once("\"finish_reason\":\"tool_calls\"").unwrap().0.to_owned(), 0),
        (true, format!("data: {{\"model\":\n\n{OPENAI}"), 0),
        (false, ANTHROPIC.split_once("event: message_stop").unwrap().0.to_owned(), 89),
        (false, ANTHROPIC.split_once("-1\\\"}").unwrap().0.to_owned(), 1),
    ];
    for (openai, body, output) in cases {
        let upstream = Upstream::start(vec![Act::Send(stream(&body))]).await;
        let error = reply(&gateway(remote(openai, &upstream.base)), hello()).await.unwrap_err();
        assert_eq!((error.kind, error.usage.output), (ModelErrorKind::BrokenStream, output), "{error}");
        assert!(error.kind.retryable());
    }
}

#[tokio::test]
async fn an_error_inside_a_stream_has_its_own_kind() {
    let body = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let upstream = Upstream::start(vec![Act::Send(stream(body))]).await;
    let error = reply(&gateway(remote(false, &upstream.base)), hello()).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ModelErrorKind::Unavailable, "Overloaded"));
}

#[tokio::test]
async fn pain_25_retry_after_is_obeyed_in_all_its_forms() {
    let clock_now = u64::try_from(options().clock.now().0).unwrap();
    let date =
        httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_millis(clock_now) + Duration::from_secs(30));
    for (headers, low, high) in [
        ("retry-after: 7\r\n".to_owned(), 7_000, 7_000),
        ("retry-after: 0.5\r\n".to_owned(), 500, 500),
        ("retry-after-ms: 40\r\nretry-after: 7\r\n".to_owned(), 40, 40),
        (format!("retry-after: {date}\r\n"), 25_000, 30_000),
    ] {
        let body = json!({"error": {"message": "slow down", "type": "rate_limit_error"}}).to_string();
        let upstream = Upstream::start(vec![Act::Send(answer("429 Too Many Requests", &headers, body))]).await;
        let error = reply(&gateway(remote(true, &upstream.base)), hello()).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ModelErrorKind::RateLimited, "slow down"));
        let wait = error.retry_after.unwrap().as_millis();
        assert!((low..=high).contains(&wait), "{headers}: {wait}");
    }
    for nonsense in ["retry-after: soon\r\n", "retry-after: -3\r\n", "retry-after: 1e300\r\n"] {
        let upstream = Upstream::start(vec![Act::Send(answer("503 Nope", nonsense, ""))]).await;
        let error = reply(&gateway(remote(true, &upstream.base)), hello()).await.unwrap_err();
        assert_eq!((error.kind, error.retry_after), (ModelErrorKind::Unavailable, None), "{nonsense}");
    }
}

#[tokio::test]
async fn an_error_text_is_cut_and_never_shows_a_key() {
    let text = format!("bad key top-secret-key or sk-abcdefghijklmnop {}", "ü".repeat(5_000_000));
    let body = json!({"error": {"message": text}}).to_string();
    let upstream = Upstream::start(vec![Act::Send(answer("401 Unauthorized", "", body))]).await;
    let error = reply(&gateway(remote(true, &upstream.base)), hello()).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::Unauthorized);
    assert!(error.message.chars().count() <= 501 && error.message.contains("[redacted]"), "{}", error.message);
    assert!(!error.message.contains("top-secret") && !error.message.contains("sk-"), "{}", error.message);
    let config = format!("{:?}", remote(true, "http://x"));
    assert!(!config.contains("top-secret"), "{config}");
}

#[tokio::test]
async fn a_provider_that_is_silent_first_or_in_the_middle_times_out() {
    let silent = vec![Act::AwaitClose];
    let head_only = vec![Act::Send(stream("")), Act::AwaitClose];
    let middle =
        vec![Act::Send(stream(OPENAI.split_once("\n\n").unwrap().0)), Act::Send(b"\n\n".to_vec()), Act::AwaitClose];
    let (short, long) = (Duration::from_millis(150), Duration::from_secs(20));
    let cases =
        [(silent, short, "did not begin"), (head_only, short, "did not begin"), (middle, long, "in the middle")];
    for (acts, first_byte, words) in cases {
        let mut upstream = Upstream::start(acts).await;
        let timeouts = Timeouts { first_byte, idle: short, ..Timeouts::default() };
        let gateway = gateway_with(remote(true, &upstream.base), Options { timeouts, ..options() });
        let error = reply(&gateway, hello()).await.unwrap_err();
        assert!(error.kind == ModelErrorKind::Timeout && error.message.contains(words), "{error}");
        upstream.closed.recv().await.unwrap();
    }
}

#[tokio::test]
async fn the_calls_own_deadline_ends_it_wherever_it_is() {
    for acts in [vec![Act::AwaitClose], vec![Act::Send(stream(": hi\n\n")), Act::AwaitClose]] {
        let mut upstream = Upstream::start(acts).await;
        let mut call = hello();
        call.deadline = Some(options().clock.now().after(Duration::from_millis(60)));
        let error = reply(&gateway(remote(true, &upstream.base)), call).await.unwrap_err();
        assert!(error.kind == ModelErrorKind::Timeout && error.message.contains("deadline"), "{error}");
        upstream.closed.recv().await.unwrap();
    }
}

#[tokio::test]
async fn pain_27_a_caller_that_drops_its_stream_or_its_call_cancels_upstream() {
    let first = OPENAI.split_inclusive("\n\n").next().unwrap();
    let mut upstream = Upstream::start(vec![Act::Send(stream(first)), Act::AwaitClose]).await;
    let gateway = gateway(remote(true, &upstream.base));
    let mut stream = gateway.call(hello()).await.unwrap().answer.into_events().unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    drop(stream);
    upstream.closed.recv().await.unwrap();

    let mut upstream = Upstream::start(vec![Act::AwaitClose]).await;
    gateway.set_auto(&remote(true, &upstream.base)).unwrap();
    let mut call = hello();
    asked(&mut call).model = "auto".into();
    let call = gateway.call(call);
    let waiting = tokio::spawn(call);
    upstream.requests.recv().await.unwrap();
    waiting.abort();
    upstream.closed.recv().await.unwrap();
}

#[tokio::test]
async fn a_reply_without_end_is_given_up_at_its_bound() {
    let line = format!(": {}\n", "x".repeat(1 << 20));
    let acts = std::iter::once(stream("")).chain(std::iter::repeat_n(line.into_bytes(), 70)).map(Act::Send).collect();
    let upstream = Upstream::start(acts).await;
    let error = reply(&gateway(remote(true, &upstream.base)), hello()).await.unwrap_err();
    assert!(error.kind == ModelErrorKind::InvalidReply && error.message.contains("64 MiB"), "{error}");
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_unavailable_and_its_address_stays_private() {
    let upstream = Upstream::start(vec![]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for base in [format!("http://127.0.0.1:{port}/v1"), upstream.base] {
        let error = reply(&gateway(remote(true, &base)), hello()).await.unwrap_err();
        assert_eq!((error.kind, error.usage), (ModelErrorKind::Unavailable, Usage::default()));
        assert!(!error.message.contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test]
async fn connections_serve_call_after_call() {
    let mut out = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    out.extend(format!("{:x}\r\n{OPENAI}\r\n0\r\n\r\n", OPENAI.len()).into_bytes());
    let mut upstream = Upstream::start(vec![Act::Send(out), Act::AwaitNext]).await;
    let gateway = gateway(remote(true, &upstream.base));
    for _ in 0..20 {
        assert!(reply(&gateway, hello()).await.is_ok());
        upstream.requests.recv().await.unwrap();
    }
    // A call that begins before the last one's connection is back in the pool opens another; most find one there.
    let connections = upstream.connections.load(std::sync::atomic::Ordering::SeqCst);
    assert!(connections <= 5, "{connections} connections for 20 calls");
}
