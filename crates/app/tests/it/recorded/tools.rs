//! The tools of a recording: each call is answered with what was recorded for it.

use super::case::Case;
use bedplate_core::{
    event::Preparation,
    port::{
        BoxFuture,
        tools::{ToolCall, ToolError, Tools},
    },
    tool::ToolOutput,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Answers from a recording. It is the outside world, so it remembers across crashes which key asked for what.
pub struct RecordedTools {
    /// For each tool and arguments the recorded results, in order.
    results: BTreeMap<String, Vec<String>>,
    seen: Mutex<BTreeMap<String, Effect>>,
}

/// What one idempotency key did.
struct Effect {
    call: String,
    occurrence: usize,
}

impl RecordedTools {
    pub fn new(case: &Case) -> Arc<Self> {
        let mut results: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (index, message) in case.messages.iter().enumerate() {
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
                let arguments: Value = serde_json::from_str(arguments).expect("recorded arguments are JSON");
                let answer = case.messages[index + 1..].iter().find(|later| later["tool_call_id"] == call["id"]);
                if let Some(answer) = answer {
                    let name = call["function"]["name"].as_str().unwrap_or_default();
                    let text = answer["content"].as_str().unwrap_or_default().to_owned();
                    results.entry(name_of(name, &arguments)).or_default().push(text);
                }
            }
        }
        Arc::new(Self { results, seen: Mutex::default() })
    }

    /// Asserts that no two keys did the work of one recorded call.
    pub fn assert_nothing_doubled(&self) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (call, results) in &self.results {
            let effects = seen.values().filter(|effect| effect.call == *call).count();
            assert_eq!(effects, results.len(), "{call}");
        }
    }

    fn answer(&self, call: &ToolCall) -> ToolOutput {
        let name = name_of(&call.tool.spec.name, &call.input);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let next = seen.values().filter(|effect| effect.call == name).count();
        let effect =
            seen.entry(call.idempotency_key.clone()).or_insert_with(|| Effect { call: name.clone(), occurrence: next });
        assert_eq!(effect.call, name, "one key, two calls");
        match self.results.get(&name).and_then(|results| results.get(effect.occurrence)) {
            Some(text) => ToolOutput::text(text.clone()),
            None => ToolOutput::error(format!("the recording has no further answer to {name}")),
        }
    }
}

fn name_of(tool: &str, arguments: &Value) -> String {
    format!("{tool} {arguments}")
}

impl Tools for RecordedTools {
    fn prepare(&self, _: ToolCall) -> BoxFuture<'static, Result<Preparation, ToolError>> {
        Box::pin(std::future::ready(Ok(Preparation::Run)))
    }

    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
        Box::pin(std::future::ready(Ok(self.answer(&call))))
    }
}
