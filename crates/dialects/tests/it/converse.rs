//! Converse: what other tests need of it, and what holds for it alone.

use crate::support::{assert_well_formed, envelope, reply_of};
use bedplate_core::{
    message::{ContentBlock, Message, Reasoning, Role, StopReason, ToolResult, ToolUse, Usage},
    port::model::{BlockKind, ModelErrorKind, ModelEvent, ModelParams, ModelReply, ModelRequest, ToolChoice},
    tool::ToolSpec,
};
use bedplate_dialects::{
    EncodeError, Fault, NameMap, StreamError,
    bedrock_converse::{self, Decoder, Encoder, Frame},
    events_of,
};
use serde_json::{Value, json};
use std::sync::Arc;

pub const MODEL: &str = "anthropic.claude-3-5-sonnet-20240620-v1:0";

pub fn encode(events: &[ModelEvent]) -> Vec<Frame> {
    let (mut encoder, mut out) = (Encoder::default(), Vec::new());
    events.iter().for_each(|event| encoder.event(event, 7, &mut out));
    out
}

pub fn decode(frames: &[Frame]) -> Result<Vec<ModelEvent>, StreamError> {
    let (mut decoder, mut out) = (Decoder::new(NameMap::default(), envelope().model), Vec::new());
    for frame in frames {
        if frame.exception {
            return Err(Decoder::exception(frame.kind, &frame.payload));
        }
        decoder.event(frame.kind, &frame.payload, &mut out)?;
    }
    decoder.finish(&mut out)?;
    Ok(out)
}

/// Decodes a stream whose frames are a kind and a JSON text each.
pub fn decode_lines(frames: &[(String, String)]) -> Result<Vec<ModelEvent>, StreamError> {
    let (mut decoder, mut out) = (Decoder::new(NameMap::default(), envelope().model), Vec::new());
    for (kind, json) in frames {
        decoder.event(kind, json.as_bytes(), &mut out)?;
    }
    decoder.finish(&mut out)?;
    Ok(out)
}

pub fn render(reply: &ModelReply) -> Vec<u8> {
    bedrock_converse::encode_reply(reply, 7).to_json()
}

pub fn whole(body: &[u8]) -> ModelReply {
    bedrock_converse::decode_reply(body, &NameMap::default(), &envelope().model).unwrap()
}

/// Returns the frames as a reader sees them best: one line each.
pub fn lines(frames: &[Frame]) -> String {
    let line = |frame: &Frame| format!("{} {}", frame.kind, String::from_utf8_lossy(&frame.payload));
    frames.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn request(messages: Vec<Message>) -> ModelRequest {
    ModelRequest {
        model: MODEL.into(),
        system: vec![],
        messages: messages.into_iter().map(Arc::new).collect(),
        tools: Arc::new([]),
        tool_choice: ToolChoice::Auto,
        params: ModelParams::default(),
    }
}

fn body(request: &ModelRequest) -> Value {
    let (body, _) = bedrock_converse::encode_request(request).unwrap();
    serde_json::from_slice(&body.to_json()).unwrap()
}

fn tool(name: &str) -> ToolSpec {
    ToolSpec { name: name.into(), description: String::new(), input_schema: json!({"type": "object"}) }
}

fn history() -> Vec<Message> {
    let call = ToolUse { id: "a".into(), name: "f".into(), input: json!({}), malformed: None };
    let result = ToolResult { tool_use_id: "a".into(), content: vec![], is_error: true };
    vec![
        Message::user("q"),
        Message { role: Role::Assistant, content: vec![ContentBlock::ToolUse(call)] },
        Message { role: Role::User, content: vec![ContentBlock::ToolResult(result)] },
    ]
}

#[test]
fn no_tool_at_all_is_said_by_leaving_them_out_and_a_history_with_calls_gets_a_placeholder() {
    let none = ModelRequest {
        tools: Arc::new([tool("f")]),
        tool_choice: ToolChoice::None,
        ..request(vec![Message::user("q")])
    };
    assert_eq!(body(&none).get("toolConfig"), None);
    for request in [ModelRequest { messages: request(history()).messages, ..none.clone() }, request(history())] {
        let body = body(&request);
        assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["name"], "no_tool");
        assert_eq!(body["messages"][2]["content"][0]["toolResult"]["status"], "error");
    }
}

#[test]
fn what_models_refuse_is_refused_here_with_the_reason() {
    let encode = |request: &ModelRequest| bedrock_converse::encode_request(request).map(|_| ());
    let params = ModelParams {
        extra: json!({"anthropic_messages": {"thinking": {"type": "enabled"}}}).as_object().unwrap().clone(),
        ..ModelParams::default()
    };
    let thinking = ModelRequest {
        tools: Arc::new([tool("f")]),
        tool_choice: ToolChoice::Any,
        params,
        ..request(vec![Message::user("q")])
    };
    assert_eq!(encode(&thinking), Err(EncodeError::ForcedChoiceWithReasoning));
    assert_eq!(encode(&request(vec![Message::assistant("hi")])), Err(EncodeError::NoUserMessageFirst));
    let unknown = ModelRequest { tool_choice: ToolChoice::Tool("g".into()), ..thinking.clone() };
    let unknown = ModelRequest { params: ModelParams::default(), ..unknown };
    assert_eq!(encode(&unknown), Err(EncodeError::UnknownTool("g".into())));
    let source = bedplate_core::message::Source::Base64("AA==".into());
    let picture = ContentBlock::Image { media_type: "image/tiff".into(), source };
    let picture = request(vec![Message { role: Role::User, content: vec![picture] }]);
    assert_eq!(encode(&picture), Err(EncodeError::UnknownMedia("image/tiff".into())));
}

#[test]
fn pain_21_reasoning_goes_to_the_models_of_its_family_only() {
    let sealed = |family: &str| {
        ContentBlock::Reasoning(Reasoning {
            text: " two  spaces\n".into(),
            signature: Some("c2ln+/=".into()),
            redacted: None,
            family: Some(family.into()),
        })
    };
    let thoughts = vec![sealed("anthropic"), sealed("other"), ContentBlock::text("words")];
    let messages = vec![Message::user("q"), Message { role: Role::Assistant, content: thoughts }, Message::user("r")];
    let own = body(&request(messages.clone()));
    let reasoning = json!({"reasoningContent": {"reasoningText": {"text": " two  spaces\n", "signature": "c2ln+/="}}});
    assert_eq!(own["messages"][1]["content"], json!([reasoning, {"text": "words"}]));
    let nova = body(&ModelRequest { model: "amazon.nova-pro-v1:0".into(), ..request(messages) });
    assert_eq!(nova["messages"][1]["content"], json!([{"text": "words"}]));
}

#[test]
fn pain_21_a_client_carries_every_seal_and_gives_it_back() {
    let redacted = |data: &str, family: &str| {
        ContentBlock::Reasoning(Reasoning {
            text: String::new(),
            signature: None,
            redacted: Some(data.into()),
            family: Some(family.into()),
        })
    };
    // The last one is no base64, which the AWS SDKs would not take.
    let content = vec![redacted("EmwK", "anthropic"), redacted("EmwK", "other"), redacted("a:b", "anthropic")];
    let reply = ModelReply {
        message: Message { role: Role::Assistant, content: content.clone() },
        stop_reason: StopReason::EndTurn,
        stop_sequence: None,
        usage: Usage::default(),
        cost: None,
        model: envelope().model,
        provider: String::new(),
    };
    assert_eq!(whole(&render(&reply)).message.content, content);
    assert_eq!(reply_of(&decode(&encode(&events_of(reply))).unwrap()).message.content, content);
}

#[test]
fn fields_of_a_model_stay_with_models_of_its_family() {
    let fields = json!({"messages": [{"role": "user", "content": [{"text": "q"}]}],
        "additionalModelRequestFields": {"top_k": 5}, "requestMetadata": {"a": "b"}, "guardrailConfig": null});
    let read = |model: &str| bedrock_converse::decode_request(fields.to_string().as_bytes(), model).unwrap();
    let claude = read(MODEL);
    let kept = json!({"bedrock_converse": {"requestMetadata": {"a": "b"}}, "anthropic_messages": {"top_k": 5}});
    assert_eq!(Value::Object(claude.params.extra.clone()), kept);
    assert_eq!(body(&claude)["additionalModelRequestFields"], json!({"top_k": 5}));
    let nova = read("amazon.nova-pro-v1:0");
    assert_eq!(
        bedplate_dialects::untranslated(&nova.params, "anthropic_messages"),
        ["bedrock_converse.requestMetadata", "bedrock_converse.additionalModelRequestFields"]
    );
    assert_eq!(body(&nova)["additionalModelRequestFields"], json!({"top_k": 5}));
}

#[test]
fn bad_requests_say_where_and_what() {
    let user = json!({"role": "user", "content": [{"text": "q"}]});
    let content = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
    let cases = [
        (json!({}), "messages: at least one message"),
        (json!({"messages": 7}), "messages: invalid type"),
        (json!({"messages": [{"role": "wizard", "content": []}]}), "messages[0].role: unknown role `wizard`"),
        (content(json!({"video": {}})), "unknown variant `video`"),
        (
            content(json!({"image": {"format": "tiff", "source": {"bytes": "AA=="}}})),
            "messages[0].content[0].image.format: unknown format `tiff`",
        ),
        (
            content(json!({"image": {"format": "png", "source": {"bytes": "***"}}})),
            "messages[0].content[0].image.source.bytes: not base64",
        ),
        (
            content(json!({"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k"}}}})),
            "objects of S3 are not fetched",
        ),
        (
            content(json!({"document": {"format": "exe", "name": "n", "source": {"text": "t"}}})),
            "document.format: unknown format `exe`",
        ),
        (content(json!({"toolUse": {"toolUseId": "a", "name": ""}})), "the tool call has no name"),
        (
            content(json!({"toolResult": {"toolUseId": "a", "content": [], "status": "odd"}})),
            "toolResult.status: unknown status `odd`",
        ),
        (json!({"messages": [user], "guardrailConfig": {"guardrailIdentifier": "g"}}), "guardrailConfig: guardrails"),
        (json!({"messages": [user], "inferenceConfig": {"maxTokens": -1}}), "inferenceConfig.maxTokens"),
    ];
    for (request, expected) in cases {
        let error = bedrock_converse::decode_request(request.to_string().as_bytes(), MODEL).unwrap_err().to_string();
        assert!(error.contains(expected), "{request}: {error}");
    }
}

fn frame(kind: &'static str, payload: Value) -> Frame {
    Frame { kind, exception: false, payload: payload.to_string().into_bytes() }
}

#[test]
fn a_stream_of_bedrock_gives_whole_blocks_and_the_usage_that_comes_after_the_stop() {
    let delta = |index: u32, delta: Value| {
        frame("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta, "p": "abc"}))
    };
    let stop = |index: u32| frame("contentBlockStop", json!({"contentBlockIndex": index}));
    let frames = [
        frame("messageStart", json!({"role": "assistant"})),
        delta(0, json!({"reasoningContent": {"text": "Hm"}})),
        delta(0, json!({"reasoningContent": {"signature": "c2ln"}})),
        stop(0),
        delta(1, json!({"text": "Let"})),
        delta(1, json!({"text": " me see."})),
        stop(1),
        frame(
            "contentBlockStart",
            json!({"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "a", "name": "f"}}}),
        ),
        delta(2, json!({"toolUse": {"input": "{\"x\""}})),
        delta(2, json!({"toolUse": {"input": ":1}"}})),
        stop(2),
        frame("messageStop", json!({"stopReason": "tool_use"})),
        frame("somethingNew", json!({"a": 1})),
        frame(
            "metadata",
            json!({"usage": {"inputTokens": 5, "outputTokens": 6, "totalTokens": 11, "cacheReadInputTokens": 7}, "metrics": {"latencyMs": 9}}),
        ),
    ];
    let events = decode(&frames).unwrap();
    assert_well_formed(&events);
    let reply = reply_of(&events);
    assert_eq!(reply.usage, Usage { input: 5, output: 6, cache_read: 7, cache_write: 0 });
    assert_eq!((reply.stop_reason, reply.message.text().as_str()), (StopReason::ToolUse, "Let me see."));
    assert_eq!(reply.message.tool_uses().next().unwrap().input, json!({"x": 1}));
    assert!(
        matches!(&reply.message.content[0], ContentBlock::Reasoning(reasoning) if reasoning.signature.as_deref() == Some("c2ln"))
    );
    // Where the usage never comes, the reply is whole all the same; where the stop never comes, it is cut.
    assert_eq!(reply_of(&decode(&frames[..12]).unwrap()).usage, Usage::default());
    for end in 0..12 {
        assert_eq!(decode(&frames[..end]), Err(StreamError::Cut), "{end} frames");
    }
}

#[test]
fn pain_23_an_exception_is_an_error_and_a_client_of_a_broken_stream_gets_one() {
    for (fault, kind, upstream) in [
        (Fault::RateLimited, "throttlingException", ModelErrorKind::RateLimited),
        (Fault::InvalidRequest, "validationException", ModelErrorKind::InvalidRequest),
        (Fault::Overloaded, "serviceUnavailableException", ModelErrorKind::Unavailable),
        (Fault::Timeout, "modelStreamErrorException", ModelErrorKind::Unavailable),
    ] {
        let (mut encoder, mut out) = (Encoder::default(), Vec::new());
        encoder.event(&ModelEvent::BlockStart { index: 0, kind: BlockKind::Text }, 1, &mut out);
        encoder.event(&ModelEvent::TextDelta { index: 0, text: "half".into() }, 1, &mut out);
        encoder.fail(fault, "gone", &mut out);
        encoder.fail(fault, "gone", &mut out);
        assert!(encoder.is_over());
        let kinds: Vec<&str> = out.iter().map(|frame| frame.kind).collect();
        assert_eq!(kinds, ["messageStart", "contentBlockDelta", kind]);
        match decode(&out) {
            Err(StreamError::Upstream(fault)) => assert_eq!((fault.kind, fault.message.as_str()), (upstream, "gone")),
            other => panic!("{other:?}"),
        }
    }
    let (mut encoder, mut out) = (Encoder::default(), Vec::new());
    encoder.event(&ModelEvent::Restart, 1, &mut out);
    assert!(out.is_empty(), "a client that saw nothing need not know of another attempt");
}
