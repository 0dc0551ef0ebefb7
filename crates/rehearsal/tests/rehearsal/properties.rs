//! What holds for any conversation and any schema: no panic, bounded, valid arguments, the same reply twice.

use super::support::{NOW, calls, request, spec};
use bedplate_core::{
    message::{ContentBlock, Message, Role, ToolResult, ToolResultContent, ToolUse},
    port::model::ToolChoice,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("find".to_owned()),
        Just("order".into()),
        Just("the".into()),
        Just("price".into()),
        Just("of".into()),
        Just("and".into()),
        Just("between".into()),
        Just("Paris,".into()),
        Just("France".into()),
        Just("25".into()),
        Just("1,000".into()),
        Just("-3.5".into()),
        Just("5%".into()),
        Just("$12".into()),
        Just("x^2".into()),
        Just("tomorrow".into()),
        Just("next friday".into()),
        Just("'quoted text'".into()),
        Just("MA-10023".into()),
        Just("a@b.io".into()),
        Just("twenty-five".into()),
        Just("divided by".into()),
        Just("my name is".into()),
        Just("Ada".into()),
        Just("what about".into()),
        Just("without".into()),
        Just("[1, 2]".into()),
        Just("3rd".into()),
        Just("12:30 pm".into()),
        Just("?".into()),
        Just(".".into()),
        ".{0,12}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(word(), 0..24).prop_map(|words| words.join(" "))
}

fn simple() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"type": "string"})),
        Just(json!({"type": "integer", "minimum": 1, "maximum": 50})),
        Just(json!({"type": "number", "description": "a price in dollars"})),
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "string", "enum": ["red", "green", "dark blue"]})),
        Just(json!({"type": "string", "pattern": "^MA-[0-9]{5}$"})),
        Just(json!({"type": "string", "format": "date"})),
        Just(json!({"type": "string", "minLength": 3, "maxLength": 8})),
        Just(json!({"type": "array", "items": {"type": "integer"}})),
        Just(json!({"type": "array", "items": {"type": "string", "enum": ["price", "order"]}, "maxItems": 2})),
        Just(
            json!({"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}, "count": {"type": "integer"}}})
        ),
        Just(json!({"anyOf": [{"type": "null"}, {"type": "integer"}]})),
    ]
}

fn schema() -> impl Strategy<Value = Value> {
    prop::collection::vec(
        (
            prop_oneof![
                Just("query".to_owned()),
                Just("price".into()),
                Just("order_id".into()),
                Just("expression".into()),
                Just("city".into()),
                "[a-z_]{1,10}"
            ],
            simple(),
            any::<bool>(),
        ),
        0..6,
    )
    .prop_map(|params| {
        let required: Vec<&String> = params.iter().filter(|(.., required)| *required).map(|(name, ..)| name).collect();
        let properties: serde_json::Map<String, Value> =
            params.iter().map(|(name, schema, _)| (name.clone(), schema.clone())).collect();
        json!({"type": "object", "properties": properties, "required": required})
    })
}

/// Any JSON at all in the place of a schema.
fn wild() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!({"$ref": "#"})),
        Just(json!({"type": "object"}))
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(
                prop_oneof![
                    Just("type".to_owned()),
                    Just("properties".into()),
                    Just("items".into()),
                    Just("required".into()),
                    Just("enum".into()),
                    Just("anyOf".into()),
                    Just("pattern".into()),
                    ".{0,4}"
                ],
                inner,
                0..5
            )
            .prop_map(|map| Value::Object(map.into_iter().collect()))
        ]
    })
}

fn block() -> impl Strategy<Value = ContentBlock> {
    prop_oneof![
        3 => text().prop_map(ContentBlock::text),
        1 => (0..4_u8, wild()).prop_map(|(id, input)| ContentBlock::ToolUse(ToolUse { id: format!("call_{id}"), name: "tool".into(), input, malformed: None })),
        1 => (0..4_u8, wild(), any::<bool>()).prop_map(|(id, json, is_error)| ContentBlock::ToolResult(ToolResult { tool_use_id: format!("call_{id}"), content: vec![ToolResultContent::Json { json }], is_error })),
        1 => (0..4_u8, ".{0,30}").prop_map(|(id, text)| ContentBlock::ToolResult(ToolResult { tool_use_id: format!("call_{id}"), content: vec![ToolResultContent::text(text)], is_error: false })),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    (any::<bool>(), prop::collection::vec(block(), 0..4))
        .prop_map(|(user, content)| Message { role: if user { Role::User } else { Role::Assistant }, content })
}

/// Checks the part of JSON Schema that the strategies above use; written apart from the crate's own reading of it.
fn valid(schema: &Value, value: &Value) -> bool {
    if let Some(list) = schema["anyOf"].as_array() {
        return list.iter().any(|one| valid(one, value));
    }
    if schema["enum"].as_array().is_some_and(|list| !list.contains(value)) {
        return false;
    }
    let text = value.as_str().unwrap_or_default();
    let length = text.chars().count() as u64;
    match schema["type"].as_str() {
        Some("string") => {
            let order =
                text.len() == 8 && text.starts_with("MA-") && text[3..].bytes().all(|byte| byte.is_ascii_digit());
            let date = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
            value.is_string()
                && (schema["pattern"].is_null() || order)
                && (schema["format"].is_null() || date)
                && schema["minLength"].as_u64().is_none_or(|least| length >= least)
                && schema["maxLength"].as_u64().is_none_or(|most| length <= most)
        }
        Some("integer") => {
            value.is_i64()
                && schema["minimum"].as_i64().is_none_or(|least| value.as_i64().unwrap() >= least)
                && schema["maximum"].as_i64().is_none_or(|most| value.as_i64().unwrap() <= most)
        }
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("array") => value.as_array().is_some_and(|list| {
            list.iter().all(|one| valid(&schema["items"], one))
                && schema["maxItems"].as_u64().is_none_or(|most| list.len() as u64 <= most)
        }),
        Some("object") => value.as_object().is_some_and(|map| {
            let known = schema["properties"].as_object().unwrap();
            map.iter().all(|(key, value)| known.get(key).is_some_and(|schema| valid(schema, value)))
                && schema["required"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .all(|key| map.contains_key(key.as_str().unwrap()))
        }),
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arguments_always_obey_the_schema(question in text(), schemas in prop::collection::vec(schema(), 1..4)) {
        let tools: Vec<_> = schemas.iter().enumerate().map(|(index, schema)| spec(&format!("find_order_{index}"), "Finds orders, prices and cities", schema.clone())).collect();
        let reply = bedplate_rehearsal::reply(&request(&[Message::user(question)], &tools, ToolChoice::Auto), NOW);
        for call in calls(&reply) {
            let tool = tools.iter().find(|tool| tool.name == call.name).unwrap();
            prop_assert!(valid(&tool.input_schema, &call.input), "{} does not obey {}", call.input, tool.input_schema);
        }
    }

    #[test]
    fn any_conversation_gets_a_reply(messages in prop::collection::vec(message(), 0..8), schemas in prop::collection::vec(wild(), 0..3), forced in 0..4_u8) {
        let tools: Vec<_> = schemas.into_iter().map(|schema| spec("tool", "A tool that finds things", schema)).collect();
        let choice = match forced { 0 => ToolChoice::Auto, 1 => ToolChoice::Any, 2 => ToolChoice::None, _ => ToolChoice::Tool("tool".into()) };
        let request = request(&messages, &tools, choice);
        let reply = bedplate_rehearsal::reply(&request, NOW);
        prop_assert!(!reply.message.content.is_empty());
        prop_assert_eq!(reply, bedplate_rehearsal::reply(&request, NOW));
    }
}

#[test]
fn a_huge_question_takes_bounded_time() {
    let question = "find the price of order MA-10023 and 25 times x^2 + 3, 'quoted', Paris, France. ".repeat(20_000);
    let tools = super::support::assistant_tools();
    let start = std::time::Instant::now();
    let reply = bedplate_rehearsal::reply(&request(&[Message::user(question)], &tools, ToolChoice::Auto), NOW);
    assert!(!reply.message.content.is_empty());
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}
