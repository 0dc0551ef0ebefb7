//! The recordings: reading them, and what is expected of one.

use bedplate_core::{
    agent::{AgentDefinition, Limits, SessionPolicy, Truncation},
    message::Message,
    port::model::{ModelParams, ModelRequest, ToolChoice},
    tool::{Annotations, Approval, ToolDefinition, ToolSpec},
};
use bedplate_dialects::openai_chat;
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc};

/// One recorded conversation in Chat Completions form.
pub struct Case {
    pub index: usize,
    pub system: String,
    /// All messages but the system's, up to the last one of the assistant or a tool.
    pub messages: Vec<Value>,
    tools: Arc<[Value]>,
}

/// Returns the recordings; none, with a word why, where they are absent.
pub fn load() -> Option<Vec<Case>> {
    let folder = std::env::var_os("BEDPLATE_CASES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases"), PathBuf::from);
    let folder = folder.join("tau-airline");
    let (Ok(lines), Ok(tools)) = (
        std::fs::read_to_string(folder.join("conversations.jsonl")),
        std::fs::read_to_string(folder.join("tools.json")),
    ) else {
        println!("skipped: no recorded conversations in {} (set BEDPLATE_CASES)", folder.display());
        return None;
    };
    let tools: Vec<Value> = serde_json::from_str(&tools).expect("tools.json is JSON");
    let tools: Arc<[Value]> = tools.into();
    let cases = lines.lines().enumerate().map(|(index, line)| {
        let line: Value = serde_json::from_str(line).expect("a recording is JSON");
        let mut messages = line["traj"].as_array().expect("a recording has messages").clone();
        let last = messages.iter().rposition(|message| message["role"] != "user").expect("somebody answered");
        messages.truncate(last + 1);
        let system = messages.remove(0)["content"].as_str().expect("a system prompt").to_owned();
        Case { index, system, messages, tools: Arc::clone(&tools) }
    });
    Some(cases.collect())
}

impl Case {
    /// Returns the name under which the upstream knows it as a model.
    pub fn name(&self) -> String {
        format!("conversation-{}", self.index)
    }

    /// Returns the user's messages with their places.
    pub fn turns(&self) -> impl Iterator<Item = (usize, String)> {
        let turns = self.messages.iter().enumerate().filter(|(_, message)| message["role"] == "user");
        turns.map(|(index, message)| (index, message["content"].as_str().unwrap_or_default().to_owned()))
    }

    /// Returns the place of the last user's message.
    pub fn last_turn(&self) -> usize {
        self.messages.iter().rposition(|message| message["role"] == "user").unwrap_or_default()
    }

    /// Returns what the conversation must be at its end.
    pub fn expected(&self) -> Vec<Value> {
        self.messages.iter().map(plain).collect()
    }

    /// Returns the agent that has the recording's prompt and tools.
    pub fn agent(&self) -> AgentDefinition {
        AgentDefinition {
            name: "recorded".into(),
            description: String::new(),
            model: "default".into(),
            system: self.system.clone(),
            tools: self.tools.iter().map(tool).collect(),
            limits: Limits { max_iterations: 100, max_tool_calls: 100, timeout_seconds: 3_600, ..Limits::default() },
            truncation: Truncation::None,
            session_policy: SessionPolicy::Enqueue,
            temperature: None,
        }
    }

    /// Returns a conversation in the recording's form.
    pub fn as_chat(&self, messages: Vec<Arc<Message>>) -> Vec<Value> {
        let request = ModelRequest {
            model: self.name(),
            system: Vec::new(),
            messages,
            tools: Arc::new([]),
            tool_choice: ToolChoice::Auto,
            params: ModelParams::default(),
        };
        let (wire, _) =
            openai_chat::encode_request(&request, openai_chat::EncodeOptions::default()).expect("it encodes");
        let wire = serde_json::to_value(wire).expect("it is JSON");
        wire["messages"].as_array().expect("it has messages").iter().map(plain).collect()
    }
}

/// Returns what counts of a message: who, what, which calls with which arguments, and which call is answered. The
/// arguments are compared as values, because their white space has no meaning.
pub fn plain(message: &Value) -> Value {
    let calls = message["tool_calls"].as_array().into_iter().flatten().map(|call| {
        let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
        let arguments: Value = serde_json::from_str(arguments).expect("recorded arguments are JSON");
        json!({ "id": call["id"], "name": call["function"]["name"], "arguments": arguments })
    });
    json!({
        "role": message["role"],
        "content": message["content"].as_str().unwrap_or_default(),
        "calls": calls.collect::<Vec<_>>(),
        "answers": message["tool_call_id"],
    })
}

/// Returns a tool of the recording; those that look only are told apart by their names.
fn tool(schema: &Value) -> ToolDefinition {
    let function = &schema["function"];
    let name = function["name"].as_str().expect("a tool has a name").to_owned();
    let looks = ["get_", "list_", "search_", "calculate", "think"].iter().any(|start| name.starts_with(start));
    ToolDefinition {
        spec: ToolSpec {
            description: function["description"].as_str().unwrap_or_default().to_owned(),
            input_schema: function["parameters"].clone(),
            name,
        },
        annotations: Annotations { read_only: looks, idempotent: !looks, ..Annotations::default() },
        approval: Approval::default(),
        kind: "recorded".into(),
        config: Value::Null,
        timeout_ms: 10_000,
        max_result_bytes: 1 << 20,
    }
}
