//! Requests and replies of the provider's own dialect: they pass as they are.

use crate::support::{Act, Upstream, answer, gateway, gateway_with, options, remote, stream};
use bedplate_core::{
    agent::Price,
    port::{
        Caller,
        model::{
            Answer, Answered, Asked, Model, ModelCall, ModelError, ModelErrorKind, ModelEvent, RawBody, RawEnd,
            RawPiece, RawReply, RawRequest,
        },
    },
};
use bedplate_dialects::{anthropic_messages, bedrock_converse, openai_chat, raw};
use bedplate_gateway::ModelConfig;
use futures::StreamExt;

pub fn raw_call(dialect: &'static str, body: &str) -> ModelCall {
    let body = bytes::Bytes::copy_from_slice(body.as_bytes());
    let head = raw::head(&body).unwrap();
    let request = RawRequest { dialect, model: "default".into(), body, model_at: head.model_at, headers: Vec::new() };
    let caller = Caller { user: "ann".into(), ..Caller::default() };
    ModelCall { caller, asked: Asked::Raw(request), stream: head.stream, deadline: None }
}

/// Reads a raw answer to its end.
pub async fn passed(answered: Result<Answered, ModelError>) -> Result<(String, Vec<u8>, RawEnd), ModelError> {
    let Answer::Raw(RawReply { content_type, body }) = answered?.answer else { panic!("the answer was translated") };
    match body {
        RawBody::Whole(bytes, end) => Ok((content_type, bytes.to_vec(), end)),
        RawBody::Stream(mut pieces) => {
            let mut out = Vec::new();
            while let Some(piece) = pieces.next().await {
                match piece? {
                    RawPiece::Bytes(bytes) => out.extend_from_slice(&bytes),
                    RawPiece::End(end) => {
                        assert!(pieces.next().await.is_none(), "nothing follows the end");
                        return Ok((content_type, out, end));
                    }
                }
            }
            panic!("the stream has no end")
        }
    }
}

const CHUNKS: &str = concat!(
    "data: {\"id\":\"x\",\"odd\":{\"a\":[1e400]},\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4,\"total_tokens\":14}}\n\n",
    "data: [DONE]\n\n",
);

fn priced(base: &str) -> ModelConfig {
    let price = Price { input: 1_000_000, output: 2_000_000, cache_read: 0, cache_write: 0 };
    ModelConfig { price: Some(price), ..remote(true, base) }
}

#[tokio::test]
async fn a_whole_reply_and_its_request_pass_byte_for_byte() {
    let said = "{ \"id\":\"x\", \"new_field\": {\"b\":1e400},\"choices\":[], \"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4,\"total_tokens\":14}}\n";
    let head = format!("content-type: application/json\r\ncontent-length: {}\r\n", said.len());
    let mut upstream = Upstream::start(vec![Act::Send(answer("200 OK", &head, said))]).await;
    let gateway = gateway(priced(&upstream.base));
    let asked = "{\"messages\":[{\"role\":\"alien\"}],\t\"model\":\"default\",\"future\":{\"x\":[ ]},\"n\":3}";
    let answered = gateway.call(raw_call(openai_chat::NAME, asked)).await;
    let notes = answered.as_ref().unwrap().notes.read();
    let (kind, body, end) = passed(answered).await.unwrap();
    assert_eq!(String::from_utf8(body).unwrap(), said);
    assert_eq!(upstream.bodies.recv().await.unwrap(), asked.replace("\"default\"", "\"gpt-4o\""));
    assert_eq!((kind.as_str(), end.usage.input, end.usage.output, end.cost), ("application/json", 10, 4, Some(18)));
    assert_eq!((notes.route.as_deref(), notes.target.as_deref(), notes.attempts), (Some("default"), Some("it"), 1));
    let (head, _) = upstream.requests.recv().await.unwrap();
    assert!(head.to_lowercase().contains("authorization: bearer top-secret-key"), "{head}");
}

#[tokio::test]
async fn a_stream_passes_and_its_usage_is_counted_but_not_shown_to_who_did_not_ask() {
    let mut upstream = Upstream::start(vec![Act::Send(stream(CHUNKS))]).await;
    let gateway = gateway(priced(&upstream.base));
    let (kind, body, end) =
        passed(gateway.call(raw_call(openai_chat::NAME, r#"{"model":"default","stream":true}"#)).await).await.unwrap();
    let body = String::from_utf8(body).unwrap();
    assert!(kind == "text/event-stream" && body.contains("1e400") && !body.contains("prompt_tokens"), "{body}");
    assert!(body.ends_with("data: [DONE]\n\n"));
    assert_eq!((end.usage.input, end.usage.output, end.cost), (10, 4, Some(18)));
    assert_eq!(
        upstream.bodies.recv().await.unwrap(),
        r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true}}"#
    );
    let asked = r#"{"model":"default","stream":true,"stream_options":{"include_usage":true}}"#;
    let (_, body, _) = passed(gateway.call(raw_call(openai_chat::NAME, asked)).await).await.unwrap();
    assert_eq!(String::from_utf8(body).unwrap(), CHUNKS);
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_an_error_with_what_it_cost_so_far() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n";
    let upstream = Upstream::start(vec![Act::Send(stream(start))]).await;
    let asked = r#"{"model":"default","stream":true,"max_tokens":5}"#;
    let answered = gateway(remote(false, &upstream.base)).call(raw_call(anthropic_messages::NAME, asked)).await;
    let error = passed(answered).await.unwrap_err();
    assert_eq!((error.kind, error.usage.input), (ModelErrorKind::BrokenStream, 9));
}

#[tokio::test]
async fn a_refusal_keeps_its_kind_and_when_to_come_again() {
    let said =
        answer("429 Too Many Requests", "retry-after: 7\r\n", r#"{"error":{"message":"slow","type":"requests"}}"#);
    let upstream = Upstream::start(vec![Act::Send(said)]).await;
    let call = raw_call(openai_chat::NAME, r#"{"model":"default"}"#);
    let error = gateway(remote(true, &upstream.base)).call(call).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::RateLimited);
    assert_eq!(error.retry_after.map(|wait| wait.as_secs()), Some(7));
}

#[tokio::test]
async fn another_dialect_is_translated_and_a_whole_reply_is_asked_for_whole() {
    let said = r#"{"id":"x","model":"gpt-4o-1","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;
    let head = format!("content-type: application/json\r\ncontent-length: {}\r\n", said.len());
    let mut upstream = Upstream::start(vec![Act::Send(answer("200 OK", &head, said))]).await;
    let asked = r#"{"model":"default","max_tokens":5,"thinking":{"type":"enabled"},"messages":[{"role":"user","content":"hi"}]}"#;
    let answered = gateway(remote(true, &upstream.base)).call(raw_call(anthropic_messages::NAME, asked)).await.unwrap();
    assert_eq!(answered.notes.read().untranslated, ["anthropic_messages.thinking"]);
    let events: Vec<ModelEvent> = answered.answer.into_events().unwrap().map(Result::unwrap).collect().await;
    let [ModelEvent::End(reply)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((reply.message.text().as_str(), reply.provider.as_str()), ("hello", "openai"));
    let (_, body) = upstream.requests.recv().await.unwrap();
    assert!(body.get("stream").is_none() && body.get("thinking").is_none() && body["model"] == "gpt-4o", "{body}");
}

#[tokio::test]
async fn a_clamp_holds_for_what_passes_too() {
    let mut upstream = Upstream::start(vec![Act::Send(stream(CHUNKS))]).await;
    let clamped = ModelConfig { max_tokens: Some(50), ..remote(true, &upstream.base) };
    let gateway = gateway_with(clamped, options());
    let asked = r#"{"model":"default","stream":true,"max_tokens":90,"messages":[]}"#;
    passed(gateway.call(raw_call(openai_chat::NAME, asked)).await).await.unwrap();
    let (_, body) = upstream.requests.recv().await.unwrap();
    assert_eq!(body["max_tokens"], 50);
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused_before_anything_is_sent() {
    let mut upstream = Upstream::start(vec![]).await;
    let gateway = gateway(remote(true, &upstream.base));
    let error = gateway.call(raw_call(bedrock_converse::NAME, r#"{"messages":"none"}"#)).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::InvalidRequest);
    assert!(upstream.requests.try_recv().is_err());
}
