//! Conversations of a real model, recorded in the form of Chat Completions (tau-bench, MIT): what goes in comes out.

use crate::support::{decode, encode, render, reply_of, whole};
use bedplate_core::{
    message::{Message, Role, StopReason, Usage},
    port::model::{ModelReply, ModelRequest},
};
use bedplate_dialects::{anthropic_messages, events_of, openai_chat};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, sync::Arc};

fn cases() -> Option<Vec<Value>> {
    let folder = std::env::var_os("BEDPLATE_CASES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases"), PathBuf::from);
    let text = fs::read_to_string(folder.join("tau-airline/conversations.jsonl")).ok()?;
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Returns a recorded message in one form: what says nothing is left out, and arguments are compared as JSON.
fn plain(message: &Value) -> Value {
    let calls: Vec<Value> = message["tool_calls"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|call| {
            let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
            json!([call["id"], call["function"]["name"], arguments])
        })
        .collect();
    let content = message["content"].as_str().unwrap_or_default();
    json!({"role": message["role"], "content": content, "calls": calls, "answers": message["tool_call_id"]})
}

fn openai(request: &ModelRequest) -> Value {
    serde_json::to_value(openai_chat::encode_request(request, Default::default()).unwrap().0).unwrap()
}

#[test]
fn recorded_conversations_come_out_as_they_went_in() {
    let Some(cases) = cases() else {
        eprintln!("skipped: tau-airline is not there (set BEDPLATE_CASES)");
        return;
    };
    let mut messages_seen = 0;
    for case in cases {
        let recorded = case["traj"].as_array().unwrap();
        let body = json!({"model": "m", "messages": recorded}).to_string();
        let request = openai_chat::decode_request(body.as_bytes()).unwrap().request;
        let expected: Vec<Value> = recorded.iter().map(plain).collect();
        let said = |request: &ModelRequest| -> Vec<Value> {
            openai(request)["messages"].as_array().unwrap().iter().map(plain).collect()
        };
        assert_eq!(said(&request), expected);

        // The same through the other dialect, which says everything that these conversations hold.
        let (body, _) = anthropic_messages::encode_request(&request, Default::default()).unwrap();
        let back = anthropic_messages::decode_request(&body.to_json()).unwrap().request;
        assert_eq!(said(&back), expected);
        messages_seen += recorded.len();

        for message in request.messages.iter().filter(|message| message.role == Role::Assistant) {
            assert_reply_survives(message);
        }
    }
    assert!(messages_seen > 1_000, "{messages_seen} messages");
}

fn assert_reply_survives(message: &Arc<Message>) {
    let reply = ModelReply {
        message: Message::clone(message),
        stop_reason: if message.tool_uses().next().is_some() { StopReason::ToolUse } else { StopReason::EndTurn },
        stop_sequence: None,
        usage: Usage { input: 5, output: 6, cache_read: 7, cache_write: 0 },
        cost: None,
        model: crate::support::envelope().model,
        provider: String::new(),
    };
    for dialect in crate::support::DIALECTS {
        assert_eq!(whole(dialect, &render(dialect, &reply)), reply);
        assert_eq!(reply_of(&decode(dialect, &[&encode(dialect, &events_of(reply.clone()))]).unwrap()), reply);
    }
}
