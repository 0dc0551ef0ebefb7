//! What holds for every input.

use crate::{
    converse,
    support::{assert_well_formed, decode, encode, envelope, render, reply_of, whole},
};
use bedplate_core::{
    message::{
        ContentBlock, Message, Reasoning, Role, Source, StopReason, ToolResult, ToolResultContent, ToolUse, Usage,
    },
    port::model::{ModelParams, ModelReply, ModelRequest, ToolChoice},
    tool::ToolSpec,
};
use bedplate_dialects::{
    NameMap, UpstreamFault, anthropic_messages, bedrock_converse, events_of, normalise, openai_chat, openai_responses,
};
use proptest::{collection::vec, option, prelude::*};
use serde_json::{Value, json};
use std::sync::Arc;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{0,8}[a-zäöü🌊\"\\\\\n]", Just("data: [DONE]".to_owned()), Just("{\"a\":1}".to_owned())]
}

fn object() -> impl Strategy<Value = Value> {
    vec(
        (
            "[a-z]{1,3}",
            prop_oneof![
                any::<i32>().prop_map(Value::from),
                text().prop_map(Value::from),
                any::<bool>().prop_map(Value::from),
                Just(json!([1, {"x": null}]))
            ],
        ),
        0..3,
    )
    .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

fn tool_use(malformed: bool) -> impl Strategy<Value = ContentBlock> {
    let broken = if malformed { option::of("[a-z{\\[]{1,5}").boxed() } else { Just(None).boxed() };
    ("[a-z0-9]{1,6}", tool_name(), object(), broken).prop_map(|(id, name, input, malformed)| {
        let input = if malformed.is_some() { json!({}) } else { input };
        ContentBlock::ToolUse(ToolUse { id, name, input, malformed })
    })
}

fn tool_name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_.-]{1,70}"
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![Just("iVBORw==".to_owned()), Just("/9j/4AAQ".to_owned())].prop_map(Source::Base64)
}

fn image() -> impl Strategy<Value = (String, Source)> {
    (prop_oneof![Just("image/png".to_owned()), Just("image/webp".to_owned())], source())
}

fn reasoning() -> impl Strategy<Value = ContentBlock> {
    prop_oneof![
        ("[ a-z]{0,9}", "[A-Za-z0-9+/]{1,9}").prop_map(|(text, signature)| Reasoning {
            text,
            signature: Some(signature),
            redacted: None,
            family: Some("anthropic".into())
        }),
        "[A-Za-z0-9+/]{1,9}".prop_map(|data| Reasoning {
            text: String::new(),
            signature: None,
            redacted: Some(data),
            family: Some("anthropic".into())
        }),
    ]
    .prop_map(ContentBlock::Reasoning)
}

fn result(flags: bool) -> impl Strategy<Value = ContentBlock> {
    let part = text().prop_map(|text| ToolResultContent::Text { text });
    let failed = if flags { any::<bool>().boxed() } else { Just(false).boxed() };
    ("[a-z0-9]{1,6}", vec(part, 0..3), failed).prop_map(|(tool_use_id, content, is_error)| {
        ContentBlock::ToolResult(ToolResult { tool_use_id, content, is_error })
    })
}

fn user_words() -> impl Strategy<Value = ContentBlock> {
    prop_oneof![
        3 => text().prop_map(|text| ContentBlock::Text { text }),
        1 => image().prop_map(|(media_type, source)| ContentBlock::Image { media_type, source }),
        1 => source().prop_map(|source| ContentBlock::Document { name: "a.pdf".into(), media_type: "application/pdf".into(), source }),
    ]
}

/// Conversations that a dialect can say whole. `rich`: with what only Messages can say.
fn conversation(rich: bool) -> impl Strategy<Value = Vec<Arc<Message>>> {
    let user = (vec(result(rich), 0..3), vec(user_words(), 1..3), any::<bool>()).prop_map(
        move |(mut content, words, mark)| {
            content.extend(words);
            if rich && mark {
                content.push(ContentBlock::CachePoint);
            }
            Message { role: Role::User, content }
        },
    );
    let thoughts = vec(reasoning(), 0..3);
    let assistant =
        (thoughts, vec(text(), 1..3), vec(tool_use(!rich), 0..3)).prop_map(move |(thoughts, texts, calls)| {
            let mut content = if rich { thoughts } else { Vec::new() };
            content.extend(texts.into_iter().map(ContentBlock::text));
            content.extend(calls);
            Message { role: Role::Assistant, content }
        });
    (user, vec((assistant, text()), 0..3)).prop_map(|(first, rest)| {
        let mut out = vec![Arc::new(first)];
        for (assistant, next) in rest {
            out.extend([Arc::new(assistant), Arc::new(Message::user(next))]);
        }
        out
    })
}

fn request(rich: bool) -> impl Strategy<Value = ModelRequest> {
    let tools = vec((tool_name(), text(), object()), 0..3);
    let params = (
        option::of(1..9999_u32),
        option::of(0..=10_u32),
        option::of(0..=10_u32),
        vec("[a-z]{1,3}", 0..3),
        option::of(any::<bool>()),
        any::<bool>(),
    );
    (conversation(rich), vec(text(), 0..3), tools, 0..4_usize, params, any::<bool>()).prop_map(
        move |(
            messages,
            system,
            tools,
            choice,
            (max_tokens, temperature, top_p, stop_sequences, parallel, extra),
            mark,
        )| {
            let tools: Vec<ToolSpec> = tools
                .into_iter()
                .enumerate()
                .map(|(index, (name, description, input_schema))| ToolSpec {
                    name: format!("{index}{name}"),
                    description,
                    input_schema,
                })
                .collect();
            let mut system: Vec<ContentBlock> = system.into_iter().map(ContentBlock::text).collect();
            if rich && mark && !tools.is_empty() {
                system.insert(0, ContentBlock::CachePoint);
            }
            let tool_choice = match (choice, tools.first()) {
                (1, Some(_)) => ToolChoice::Any,
                (2, Some(tool)) => ToolChoice::Tool(tool.name.clone()),
                (3, Some(_)) => ToolChoice::None,
                _ => ToolChoice::Auto,
            };
            let parallel_tool_calls = parallel.filter(|_| !tools.is_empty() && tool_choice != ToolChoice::None);
            let dialect = if rich { anthropic_messages::NAME } else { openai_chat::NAME };
            let extra = if extra {
                json!({dialect: {"metadata": {"k": "v"}}}).as_object().unwrap().clone()
            } else {
                Default::default()
            };
            ModelRequest {
                model: "m".into(),
                system,
                messages,
                tools: tools.into(),
                tool_choice,
                params: ModelParams {
                    max_tokens: if rich { max_tokens.or(Some(5)) } else { max_tokens },
                    temperature: temperature.map(|tenths| f64::from(tenths) / 10.0),
                    top_p: top_p.map(|tenths| f64::from(tenths) / 10.0),
                    stop_sequences,
                    parallel_tool_calls,
                    output: None,
                    extra,
                },
            }
        },
    )
}

fn reply(rich: bool) -> impl Strategy<Value = ModelReply> {
    let blocks = (vec(reasoning(), 0..3), option::of(text()), vec(tool_use(!rich), 0..3));
    let usage = (0..1000_u64, 0..1000_u64, 0..1000_u64, 0..1000_u64);
    (blocks, usage, any::<bool>()).prop_map(
        |((mut content, text, calls), (input, output, cache_read, cache_write), full)| {
            let stop_reason = if full {
                StopReason::MaxTokens
            } else if calls.is_empty() {
                StopReason::EndTurn
            } else {
                StopReason::ToolUse
            };
            content.extend(text.map(ContentBlock::text));
            content.extend(calls);
            ModelReply {
                message: Message { role: Role::Assistant, content },
                stop_reason,
                stop_sequence: None,
                usage: Usage { input, output, cache_read, cache_write },
                cost: None,
                model: envelope().model,
                provider: String::new(),
            }
        },
    )
}

/// Names come back through the map of the request that they went out with.
fn restore(request: &mut ModelRequest, names: &NameMap) {
    let tools: Vec<ToolSpec> =
        request.tools.iter().map(|tool| ToolSpec { name: names.core(&tool.name).to_owned(), ..tool.clone() }).collect();
    request.tools = tools.into();
    if let ToolChoice::Tool(name) = &mut request.tool_choice {
        *name = names.core(name).to_owned();
    }
    for message in &mut request.messages {
        for block in &mut Arc::make_mut(message).content {
            if let ContentBlock::ToolUse(call) = block {
                call.name = names.core(&call.name).to_owned();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_request_survives_chat_completions(request in request(false), newer in any::<bool>()) {
        let max_tokens_field = if newer { openai_chat::MaxTokensField::MaxCompletionTokens } else { openai_chat::MaxTokensField::MaxTokens };
        let options = openai_chat::EncodeOptions { max_tokens_field, stream: true, extensions: false };
        let (body, names) = openai_chat::encode_request(&request, options).unwrap();
        let mut back = openai_chat::decode_request(&body.to_json()).unwrap();
        restore(&mut back.request, &names);
        prop_assert_eq!(back.request, request);
        prop_assert!(back.stream && back.include_usage);
    }

    #[test]
    fn a_request_survives_responses(mut request in request(false)) {
        // The API has neither several instructions nor stop sequences, and no place for fields of other dialects.
        request.system.truncate(1);
        request.params.stop_sequences.clear();
        request.params.extra.clear();
        let (body, names) = openai_responses::encode_request(&request, false).unwrap();
        let mut back = openai_responses::decode_request(&body.to_json()).unwrap();
        restore(&mut back, &names);
        prop_assert_eq!(back, request);
    }

    #[test]
    fn a_request_survives_messages(request in request(true), bedrock in any::<bool>()) {
        let options = anthropic_messages::EncodeOptions { stream: true, bedrock, ..Default::default() };
        // Blank texts are refused by these models and left out on purpose.
        let blank = |block: &ContentBlock| matches!(block, ContentBlock::Text { text } if text.trim().is_empty());
        prop_assume!(!request.system.iter().chain(request.messages.iter().flat_map(|message| &message.content)).any(blank));
        prop_assume!(!request.tools.is_empty() || !request.messages.iter().flat_map(|message| &message.content).any(|block| matches!(block, ContentBlock::ToolUse(_) | ContentBlock::ToolResult(_))));
        let (body, names) = anthropic_messages::encode_request(&request, options).unwrap();
        let mut back = if bedrock {
            anthropic_messages::decode_invoke(&body.to_json(), "m").unwrap()
        } else {
            anthropic_messages::decode_request(&body.to_json()).unwrap().request
        };
        restore(&mut back, &names);
        prop_assert_eq!(back, request);
    }

    #[test]
    fn a_request_survives_converse(request in request(true)) {
        // What Converse cannot say is said in the module's words: no tool at all, a permission that is the rule anyway,
        // blank texts, and a history with calls and no tools.
        let blank = |block: &ContentBlock| matches!(block, ContentBlock::Text { text } if text.trim().is_empty());
        prop_assume!(!request.system.iter().chain(request.messages.iter().flat_map(|message| &message.content)).any(blank));
        prop_assume!(!request.tools.is_empty() || !request.messages.iter().flat_map(|message| &message.content).any(|block| matches!(block, ContentBlock::ToolUse(_) | ContentBlock::ToolResult(_))));
        prop_assume!(request.tool_choice != ToolChoice::None && request.params.parallel_tool_calls != Some(true));
        let mut request = ModelRequest { model: converse::MODEL.into(), ..request };
        for block in request.messages.iter_mut().flat_map(|message| &mut Arc::make_mut(message).content) {
            if let ContentBlock::Document { name, .. } = block {
                *name = "a pdf".into();
            }
        }
        let (body, names) = bedrock_converse::encode_request(&request).unwrap();
        let mut back = bedrock_converse::decode_request(&body.to_json(), converse::MODEL).unwrap();
        restore(&mut back, &names);
        prop_assert_eq!(back, request);
    }

    #[test]
    fn a_reply_survives_converse_whole_and_streamed(reply in reply(true)) {
        prop_assert_eq!(&converse::whole(&converse::render(&reply)), &reply);
        let frames = converse::encode(&events_of(reply.clone()));
        let events = converse::decode(&frames).unwrap();
        assert_well_formed(&events);
        prop_assert_eq!(&reply_of(&events), &reply);
        let end = events_of(reply.clone()).split_off(events_of(reply.clone()).len() - 1);
        prop_assert_eq!(converse::encode(&end), frames);
    }

    #[test]
    fn a_reply_survives_every_dialect_whole_and_streamed(reply in reply(false), rich in reply(true), cut in 1..40_usize) {
        for (dialect, reply) in [("openai", &reply), ("anthropic", &rich), ("responses", &reply)] {
            prop_assert_eq!(&whole(dialect, &render(dialect, reply)), reply, "{} whole", dialect);
            let stream = encode(dialect, &events_of(reply.clone()));
            let pieces: Vec<&[u8]> = stream.chunks(cut).collect();
            let events = decode(dialect, &pieces).unwrap();
            assert_well_formed(&events);
            prop_assert_eq!(&reply_of(&events), reply, "{} streamed", dialect);
            // A reply that comes at once, without deltas, is streamed to a client all the same.
            let at_once = encode(dialect, &events_of(reply.clone())[events_of(reply.clone()).len() - 1..]);
            prop_assert_eq!(at_once, stream);
        }
    }

    #[test]
    fn normalising_twice_changes_nothing(messages in conversation(true)) {
        let once = normalise(&messages);
        prop_assert_eq!(normalise(&once), once.clone());
        prop_assert!(once.windows(2).all(|pair| pair[0].role != pair[1].role));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), status in 100..600_u16) {
        let _ = openai_chat::decode_request(&bytes);
        let _ = anthropic_messages::decode_request(&bytes);
        let _ = openai_chat::decode_reply(&bytes, &NameMap::default());
        let _ = anthropic_messages::decode_reply(&bytes, &NameMap::default());
        let _ = openai_responses::decode_request(&bytes);
        let _ = openai_responses::decode_reply(&bytes, &NameMap::default());
        let _ = decode("openai", &[&bytes]);
        let _ = decode("responses", &[&bytes]);
        let _ = decode("anthropic", &[&bytes]);
        let _ = UpstreamFault::of_response(status, &bytes);
        let _ = bedrock_converse::decode_request(&bytes, "m");
        let _ = bedrock_converse::decode_reply(&bytes, &NameMap::default(), "m");
        let mut decoder = bedrock_converse::Decoder::default();
        for kind in ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "new"] {
            let _ = decoder.event(kind, &bytes, &mut Vec::new());
            let _ = bedrock_converse::Decoder::exception(kind, &bytes);
        }
    }

    #[test]
    fn a_stream_with_lost_repeated_or_swapped_pieces_never_panics(
        pieces in vec((0..60_usize, 0..12_usize), 0..30),
        which in 0..3_usize,
    ) {
        let streams: [(&str, &[u8]); 3] = [
            ("openai", include_bytes!("../fixtures/streams/openai-text-and-tools.sse")),
            ("anthropic", include_bytes!("../fixtures/streams/anthropic-thinking-and-tools.sse")),
            ("responses", include_bytes!("../fixtures/streams/responses-reasoning-and-tools.sse")),
        ];
        let (dialect, stream) = streams[which];
        let lines: Vec<&[u8]> = stream.split_inclusive(|byte| *byte == b'\n').collect();
        let mut broken = Vec::new();
        for (at, count) in pieces {
            let at = at % lines.len();
            broken.extend(lines[at..(at + count).min(lines.len())].concat());
        }
        if let Ok(events) = decode(dialect, &[&broken]) {
            assert_well_formed(&events);
        }
    }
}
