//! The faults of other gateways, by the number that they have in the list of pains.

use crate::support::{assert_well_formed, decode, encode, reply_of, whole};
use bedplate_core::{
    message::{ContentBlock, Message, Reasoning, Role, StopReason, ToolResult, ToolUse, Usage},
    port::model::{ModelErrorKind, ModelEvent, ModelParams, ModelReply, ModelRequest, ToolChoice},
};
use bedplate_dialects::{EncodeError, StreamError, anthropic_messages, openai_chat, openai_responses};
use serde_json::{Value, json};
use std::sync::Arc;

fn chunk(delta: &Value, finish: Option<&str>) -> String {
    format!("data: {}\n\n", json!({"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))
}

fn request(messages: Vec<Message>) -> ModelRequest {
    ModelRequest {
        model: "m".into(),
        system: vec![],
        messages: messages.into_iter().map(Arc::new).collect(),
        tools: Arc::new([]),
        tool_choice: ToolChoice::Auto,
        params: ModelParams::default(),
    }
}

fn call(id: &str) -> ContentBlock {
    ContentBlock::ToolUse(ToolUse { id: id.into(), name: "f".into(), input: json!({}), malformed: None })
}

fn result(id: &str) -> ContentBlock {
    let content = vec![bedplate_core::message::ToolResultContent::text(id)];
    ContentBlock::ToolResult(ToolResult { tool_use_id: id.into(), content, is_error: false })
}

fn signed(family: &str, text: &str) -> ContentBlock {
    ContentBlock::Reasoning(Reasoning {
        text: text.into(),
        signature: Some("c2lnbmF0dXJl+/=".into()),
        redacted: None,
        family: Some(family.into()),
    })
}

fn anthropic_body(request: &ModelRequest) -> Value {
    let (body, _) = anthropic_messages::encode_request(request, Default::default()).unwrap();
    serde_json::to_value(body).unwrap()
}

#[test]
fn pain_9_streamed_arguments_that_are_no_json_are_kept_as_they_came() {
    let stream = [
        chunk(
            &json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\": "}}]}),
            None,
        ),
        chunk(&json!({"tool_calls": [{"index": 0, "function": {"arguments": "oops"}}]}), Some("tool_calls")),
        "data: [DONE]\n\n".into(),
    ]
    .concat();
    let reply = reply_of(&decode("openai", &[stream.as_bytes()]).unwrap());
    let call = reply.message.tool_uses().next().unwrap();
    assert_eq!((&call.input, call.malformed.as_deref()), (&json!({}), Some("{\"x\": oops")));
    assert_eq!(reply.stop_reason, StopReason::ToolUse);
}

#[test]
fn pain_14_and_21_reasoning_goes_back_byte_for_byte_and_to_its_own_family_only() {
    let own = [signed("anthropic", " two  spaces\n"), signed("anthropic", "")];
    let redacted = ContentBlock::Reasoning(Reasoning {
        text: String::new(),
        signature: None,
        redacted: Some("EmwK".into()),
        family: Some("anthropic".into()),
    });
    let mut content = own.to_vec();
    content.extend([redacted, signed("other", "secret thoughts"), call("a")]);
    let assistant = Message { role: Role::Assistant, content };
    let user = Message { role: Role::User, content: vec![result("a")] };
    let request = request(vec![Message::user("hi"), assistant, user]);
    let expected = json!([
        {"type": "thinking", "thinking": " two  spaces\n", "signature": "c2lnbmF0dXJl+/="},
        {"type": "thinking", "thinking": "", "signature": "c2lnbmF0dXJl+/="},
        {"type": "redacted_thinking", "data": "EmwK"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
    ]);
    assert_eq!(anthropic_body(&request)["messages"][1]["content"], expected);
    let (body, _) = openai_chat::encode_request(&request, Default::default()).unwrap();
    assert!(!String::from_utf8(body.to_json()).unwrap().contains("c2ln"));
}

#[test]
fn pain_21_a_client_of_either_dialect_carries_every_seal_and_gives_it_back() {
    let content = vec![signed("anthropic", "a"), signed("other", ""), ContentBlock::text("words")];
    let reply = ModelReply {
        message: Message { role: Role::Assistant, content: content.clone() },
        stop_reason: StopReason::EndTurn,
        stop_sequence: None,
        usage: Usage::default(),
        cost: None,
        model: "m".into(),
        provider: "p".into(),
    };
    let envelope = crate::support::envelope();
    let message = serde_json::to_value(openai_chat::encode_reply(&reply, &envelope)).unwrap();
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "q"}, message["choices"][0]["message"]]});
    let back = openai_chat::decode_request(body.to_string().as_bytes()).unwrap().request;
    assert_eq!(back.messages[1].content, content);

    let message = serde_json::to_value(anthropic_messages::encode_reply(&reply, &envelope)).unwrap();
    let turn = json!({"role": "assistant", "content": message["content"]});
    let body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "q"}, turn]});
    let back = anthropic_messages::decode_request(body.to_string().as_bytes()).unwrap().request;
    assert_eq!(back.messages[1].content, content);
    let response = openai_responses::encode_reply(&reply, &envelope, &openai_responses::About::default());
    let mut input = vec![json!({"role": "user", "content": "q"})];
    input.extend(response.output.iter().map(openai_responses::wire::Item::to_value));
    let body = json!({"model": "m", "input": input});
    let back = openai_responses::decode_request(body.to_string().as_bytes()).unwrap();
    assert_eq!(back.messages[1].content, content);
    for dialect in crate::support::DIALECTS {
        let events = bedplate_dialects::events_of(reply.clone());
        let again = reply_of(&decode(dialect, &[&encode(dialect, &events)]).unwrap());
        assert_eq!(again.message.content, content, "{dialect} streamed");
    }
}

#[test]
fn pain_20_text_beside_an_empty_list_of_calls_and_the_first_delta_are_kept() {
    let stream = [
        chunk(&json!({"role": "assistant", "content": "first", "tool_calls": []}), None),
        chunk(&json!({"content": " last", "tool_calls": []}), Some("stop")),
        "data: [DONE]\n\n".into(),
    ]
    .concat();
    let events = decode("openai", &[stream.as_bytes()]).unwrap();
    assert_well_formed(&events);
    assert_eq!(reply_of(&events).message.text(), "first last");
    let out = String::from_utf8(encode("anthropic", &events)).unwrap();
    assert!(out.contains("first") && out.contains(" last"));
}

#[test]
fn pain_20_arguments_that_come_only_at_the_end_are_one_delta() {
    let stream = [
        chunk(&json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}), None),
        chunk(&json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"x\":1}"}}]}), Some("tool_calls")),
    ]
    .concat();
    let anthropic = [
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        json!({"type": "message_stop"}),
    ]
    .map(|event| format!("data: {event}\n\n"))
    .concat();
    for (dialect, stream) in [("openai", stream), ("anthropic", anthropic)] {
        let events = decode(dialect, &[stream.as_bytes()]).unwrap();
        assert_well_formed(&events);
        let deltas: Vec<&ModelEvent> =
            events.iter().filter(|event| matches!(event, ModelEvent::InputDelta { .. })).collect();
        assert_eq!(deltas, [&ModelEvent::InputDelta { index: 0, json: "{\"x\":1}".into() }], "{dialect}");
        assert_eq!(reply_of(&events).message.tool_uses().next().unwrap().input, json!({"x": 1}));
    }
}

#[test]
fn pain_20_pieces_of_two_calls_that_alternate_stay_apart() {
    let piece =
        |index: u32, arguments: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]});
    let begin = |index: u32, id: &str| json!({"tool_calls": [{"index": index, "id": id, "function": {"name": "f", "arguments": ""}}]});
    let stream = [
        chunk(&begin(0, "a"), None),
        chunk(&begin(1, "b"), None),
        chunk(&piece(0, "{\"x\":"), None),
        chunk(&piece(1, "{\"x\":"), None),
        chunk(&piece(0, "1}"), None),
        chunk(&piece(1, "2}"), Some("tool_calls")),
    ]
    .concat();
    let events = decode("openai", &[stream.as_bytes()]).unwrap();
    assert_well_formed(&events);
    let reply = reply_of(&events);
    let inputs: Vec<&Value> = reply.message.tool_uses().map(|call| &call.input).collect();
    assert_eq!(inputs, [&json!({"x": 1}), &json!({"x": 2})]);
    for dialect in crate::support::DIALECTS {
        let again = reply_of(&decode(dialect, &[&encode(dialect, &events)]).unwrap());
        assert_eq!(again.message, reply.message, "{dialect}");
    }
}

#[test]
fn pain_22_cached_tokens_are_counted_once_in_every_dialect() {
    let openai = json!({"model": "m", "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 80}}});
    let reply = whole("openai", openai.to_string().as_bytes());
    assert_eq!(reply.usage, Usage { input: 20, output: 5, cache_read: 80, cache_write: 0 });
    let usage = Usage { input: 7, output: 5, cache_read: 80, cache_write: 13 };
    let reply = ModelReply { usage, ..reply };
    let body = serde_json::to_value(openai_chat::encode_reply(&reply, &crate::support::envelope())).unwrap();
    assert_eq!((&body["usage"]["prompt_tokens"], &body["usage"]["total_tokens"]), (&json!(100), &json!(105)));
    for dialect in crate::support::DIALECTS {
        let streamed =
            reply_of(&decode(dialect, &[&encode(dialect, &bedplate_dialects::events_of(reply.clone()))]).unwrap());
        assert_eq!(streamed.usage, usage, "{dialect} streamed");
        assert_eq!(whole(dialect, &crate::support::render(dialect, &reply)).usage, usage, "{dialect} whole");
    }
}

#[test]
fn pain_22_streamed_counts_replace_each_other() {
    let events = [
        json!({"type": "message_start", "message": {"model": "m", "content": [], "stop_reason": null, "usage": {"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 4}}}),
        json!({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 20}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 30}}),
        json!({"type": "message_stop"}),
    ]
    .map(|event| format!("data: {event}\n\n"))
    .concat();
    let reply = reply_of(&decode("anthropic", &[events.as_bytes()]).unwrap());
    assert_eq!(reply.usage, Usage { input: 10, output: 30, cache_read: 4, cache_write: 0 });
}

#[test]
fn pain_23_a_done_without_a_reason_and_errors_in_a_stream_are_errors() {
    let cut = [
        chunk(
            &json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\""}}]}),
            None,
        ),
        "data: [DONE]\n\n".into(),
    ]
    .concat();
    assert_eq!(decode("openai", &[cut.as_bytes()]), Err(StreamError::Cut));
    assert_eq!(decode("openai", &[b""]), Err(StreamError::Cut));
    assert_eq!(decode("anthropic", &[b"data: {\"type\":\"message_stop\"}\n\n"]), Err(StreamError::Cut));
    let cases: [(&str, &str, ModelErrorKind); 4] = [
        (
            "openai",
            "data: {\"error\":{\"message\":\"gone\",\"type\":\"server_error\"}}\n\n",
            ModelErrorKind::Unavailable,
        ),
        (
            "openai",
            "event: error\ndata: {\"error\":{\"message\":\"gone\",\"code\":429}}\n\n",
            ModelErrorKind::RateLimited,
        ),
        ("openai", "data: {\"error\":\"gone\"}\n\n", ModelErrorKind::Unavailable),
        (
            "anthropic",
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"gone\"}}\n\n",
            ModelErrorKind::Unavailable,
        ),
    ];
    for (dialect, stream, kind) in cases {
        match decode(dialect, &[stream.as_bytes()]) {
            Err(StreamError::Upstream(fault)) => {
                assert_eq!((fault.kind, fault.message.as_str()), (kind, "gone"), "{stream}")
            }
            other => panic!("{stream}: {other:?}"),
        }
    }
}

#[test]
fn pain_23_a_client_of_a_broken_stream_gets_an_error_and_no_made_up_finish() {
    let events = [
        ModelEvent::BlockStart { index: 0, kind: bedplate_core::port::model::BlockKind::Text },
        ModelEvent::TextDelta { index: 0, text: "half".into() },
    ];
    let mut out = Vec::new();
    let mut encoder = openai_chat::Encoder::new(crate::support::envelope(), true);
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.fail(bedplate_dialects::Fault::Overloaded, "gone", &mut out);
    encoder.fail(bedplate_dialects::Fault::Overloaded, "gone", &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(
        !text.contains("[DONE]") && text.matches("\"error\"").count() == 1 && !text.contains("\"finish_reason\":\"")
    );
    assert!(matches!(decode("openai", &[text.as_bytes()]), Err(StreamError::Upstream(_))));

    let mut out = Vec::new();
    let mut encoder = anthropic_messages::Encoder::new(crate::support::envelope());
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.event(&ModelEvent::Restart, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("event: error") && !text.contains("message_stop") && !text.contains("message_delta"));
}

#[test]
fn pain_24_results_of_parallel_calls_are_one_user_message() {
    let assistant = Message { role: Role::Assistant, content: vec![call("a"), call("b")] };
    let results = ["a", "b"].map(|id| Message { role: Role::User, content: vec![result(id)] });
    let [a, b] = results;
    let body = anthropic_body(&request(vec![Message::user("q"), assistant, a, b, Message::user("and?")]));
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3);
    let kinds: Vec<&str> =
        messages[2]["content"].as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["tool_result", "tool_result", "text"]);
}

#[test]
fn a_history_with_calls_and_no_tools_left_is_still_accepted() {
    let assistant = Message { role: Role::Assistant, content: vec![call("a")] };
    let user = Message { role: Role::User, content: vec![result("a")] };
    let body = anthropic_body(&request(vec![Message::user("q"), assistant, user]));
    assert_eq!((body["tools"].as_array().unwrap().len(), &body["tool_choice"]), (1, &json!({"type": "none"})));
    let plain = anthropic_body(&ModelRequest {
        params: ModelParams { parallel_tool_calls: Some(false), ..ModelParams::default() },
        tool_choice: ToolChoice::Any,
        ..request(vec![Message::user("q")])
    });
    assert!(
        plain.get("tools").is_none() && plain.get("tool_choice").is_none(),
        "both only ever go together with tools"
    );
}

#[test]
fn what_models_refuse_is_refused_here_with_the_reason() {
    let tools: Arc<[_]> = Arc::new([bedplate_core::tool::ToolSpec {
        name: "f".into(),
        description: String::new(),
        input_schema: json!({"type": "object"}),
    }]);
    let mut thinking = request(vec![Message::user("q")]);
    thinking.tools = tools;
    thinking.tool_choice = ToolChoice::Any;
    thinking.params.extra = json!({"anthropic_messages": {"thinking": {"type": "enabled", "budget_tokens": 1024}}})
        .as_object()
        .unwrap()
        .clone();
    let encode = |request: &ModelRequest| anthropic_messages::encode_request(request, Default::default()).map(|_| ());
    assert_eq!(encode(&thinking), Err(EncodeError::ForcedChoiceWithReasoning));
    assert_eq!(encode(&request(vec![Message::assistant("hi")])), Err(EncodeError::NoUserMessageFirst));
    assert_eq!(encode(&request(vec![Message::user("  ")])), Err(EncodeError::NoUserMessageFirst));
    let unknown = ModelRequest { tool_choice: ToolChoice::Tool("g".into()), ..request(vec![Message::user("q")]) };
    assert_eq!(encode(&unknown), Err(EncodeError::UnknownTool("g".into())));
}

#[test]
fn fields_of_one_dialect_never_reach_another_and_are_named() {
    let body = json!({"model": "m", "seed": 7, "messages": [{"role": "user", "content": "q"}]});
    let request = openai_chat::decode_request(body.to_string().as_bytes()).unwrap().request;
    let (again, _) = openai_chat::encode_request(&request, Default::default()).unwrap();
    assert_eq!(again.extra.get("seed"), Some(&json!(7)));
    assert_eq!(anthropic_body(&request).get("seed"), None);
    assert_eq!(bedplate_dialects::untranslated(&request.params, anthropic_messages::NAME), ["openai_chat.seed"]);
}

#[test]
fn bad_requests_say_where_and_what() {
    let user = json!({"role": "user", "content": "q"});
    let openai: [(Value, &str); 12] = [
        (json!({"messages": [user]}), "missing field `model`"),
        (json!({"model": "m"}), "missing field `messages`"),
        (json!({"model": "m", "messages": []}), "messages: at least one message"),
        (
            json!({"model": "m", "messages": [user, {"role": "function", "content": ""}]}),
            "messages[1].role: unknown role `function`",
        ),
        (json!({"model": "m", "messages": [{"content": "q"}]}), "messages[0]: missing field `role`"),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "video"}]}]}),
            "messages[0].content[0]",
        ),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}]}]}),
            "messages[0].content[0].image_url.url: remote addresses are not fetched",
        ),
        (
            json!({"model": "m", "messages": [{"role": "tool", "content": "x"}]}),
            "messages[0]: missing field `tool_call_id`",
        ),
        (json!({"model": "m", "messages": [user], "n": 2}), "n: only one choice"),
        (json!({"model": "m", "messages": [user], "functions": [{}]}), "functions: functions are not supported"),
        (json!({"model": "m", "messages": [user], "temperature": "hot"}), "temperature: invalid type"),
        (
            json!({"model": "m", "messages": [user], "tools": [{"type": "web_search"}]}),
            "tools[0]: a tool of type `web_search`",
        ),
    ];
    for (body, expected) in openai {
        let error = openai_chat::decode_request(body.to_string().as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{body}: {error}");
    }
    let anthropic: [(Value, &str); 7] = [
        (json!({"model": "m", "messages": [user]}), "missing field `max_tokens`"),
        (json!({"max_tokens": 1, "messages": [user]}), "missing field `model`"),
        (json!({"model": "m", "max_tokens": -1, "messages": [user]}), "max_tokens: invalid value"),
        (
            json!({"model": "m", "max_tokens": 1, "messages": [{"role": "system", "content": "x"}]}),
            "messages[0].role: unknown role `system`",
        ),
        (
            json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "http://x"}}]}]}),
            "messages[0].content[0].source.url: remote addresses are not fetched",
        ),
        (
            json!({"model": "m", "max_tokens": 1, "messages": [user], "tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            "tools[0].type: a tool of type",
        ),
        (
            json!({"model": "m", "max_tokens": 1, "messages": [user], "tool_choice": {"type": "tool"}}),
            "tool_choice: missing field `name`",
        ),
    ];
    for (body, expected) in anthropic {
        let error = anthropic_messages::decode_request(body.to_string().as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{body}: {error}");
    }
    let error =
        anthropic_messages::decode_invoke(json!({"max_tokens": 1, "messages": [user]}).to_string().as_bytes(), "m");
    assert_eq!(error.unwrap_err().to_string(), "missing field `anthropic_version`");
    assert!(openai_chat::decode_request(b"\xff\xfe").is_err() && openai_chat::decode_request(b"").is_err());
}
