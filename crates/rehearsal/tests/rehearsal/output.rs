//! Replies in the form that a request asks for.

use crate::support::{NOW, request};
use bedplate_core::{
    message::{ContentBlock, Message, Role, ToolResult, ToolResultContent, ToolUse},
    port::model::{OutputFormat, OutputSchema, ToolChoice},
};
use serde_json::{Value, json};

fn asked(messages: &[Message], schema: Value) -> Value {
    let mut request = request(messages, &[], ToolChoice::Auto);
    request.params.output = Some(OutputFormat::Schema(OutputSchema {
        name: "thing".into(),
        description: None,
        schema,
        strict: Some(true),
    }));
    let text = bedplate_rehearsal::reply(&request, NOW).message.text();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_schema_is_filled_from_the_words_of_the_question() {
    let schema = json!({
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 1},
            "unit": {"$ref": "#/$defs/Unit"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["city", "days", "unit", "note"],
        "additionalProperties": false,
        "$defs": {"Unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
    });
    let said = asked(&[Message::user("What is the weather in Paris for 3 days, in fahrenheit?")], schema);
    assert_eq!(
        (&said["city"], &said["days"], &said["unit"]),
        (&json!("Paris"), &json!(3), &json!("fahrenheit")),
        "{said}"
    );
    assert!(said["note"].is_string() && said.as_object().unwrap().len() == 4, "{said}");
}

#[test]
fn a_schema_is_filled_from_what_a_tool_answered() {
    let call = ToolUse { id: "1".into(), name: "look".into(), input: json!({}), malformed: None };
    let result = ToolResult {
        tool_use_id: "1".into(),
        content: vec![ToolResultContent::Json { json: json!({"order": {"status": "shipped", "total": 12.5}}) }],
        is_error: false,
    };
    let messages = [
        Message::user("Where is my order?"),
        Message { role: Role::Assistant, content: vec![ContentBlock::ToolUse(call)] },
        Message { role: Role::User, content: vec![ContentBlock::ToolResult(result)] },
    ];
    let schema = json!({
        "type": "object",
        "properties": {"status": {"type": "string"}, "total": {"type": "number"}},
        "required": ["status", "total"],
    });
    assert_eq!(asked(&messages, schema), json!({"status": "shipped", "total": 12.5}));
}

#[test]
fn what_nothing_speaks_for_is_still_what_the_schema_allows() {
    let schema = json!({
        "type": "object",
        "properties": {
            "steps": {"type": "array", "minItems": 2, "items": {
                "type": "object",
                "properties": {"explanation": {"type": "string"}, "sure": {"type": "boolean"}},
                "required": ["explanation", "sure"],
            }},
            "when": {"type": "string", "format": "date"},
            "mail": {"type": "string", "format": "email"},
            "kind": {"const": "plan"},
            "score": {"type": "number", "minimum": 0.5, "maximum": 0.75},
        },
        "required": ["steps", "when", "mail", "kind", "score"],
    });
    let said = asked(&[Message::user("Hmm.")], schema);
    assert_eq!(said["steps"].as_array().unwrap().len(), 2, "{said}");
    assert!(said["steps"][0]["explanation"].is_string() && said["steps"][0]["sure"].is_boolean(), "{said}");
    assert_eq!(said["kind"], "plan");
    assert!(said["score"].as_f64().is_some_and(|score| (0.5..=0.75).contains(&score)), "{said}");
    assert_eq!(said["when"].as_str().map(str::len), Some(10));
    assert_eq!(asked(&[Message::user("Hi")], json!({"type": "array", "items": {"type": "string"}})), json!([]));
}
