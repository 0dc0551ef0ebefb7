//! The built-in tools: `current_time` and `calculate`. A project uses them by name, without a file.

mod current_time;

use crate::{
    calculate::calculate,
    kind::{Kind, config_problem},
};
use bedplate_core::{
    port::{
        BoxFuture,
        tools::{ToolCall, ToolError},
    },
    tool::{Annotations, Approval, ToolDefinition, ToolOutput, ToolSpec},
};
use serde_json::{Value, json};

/// The word for this kind in a tool's definition.
pub const KIND: &str = "builtin";

/// Returns the definitions of all built-in tools, sorted by name; the project loader takes them as its `builtins`.
#[must_use]
pub fn definitions() -> Vec<ToolDefinition> {
    let calculate = definition_of(
        "calculate",
        "Computes an arithmetic expression exactly, for example \"25 * 47\", \"15% of 80\" or \"round(19.99 * 1.08, 2)\". \
         Use it for every calculation instead of computing in your head. Operators + - * / % ^ and parentheses; functions \
         sqrt abs round floor ceil min max ln log10 exp sin cos tan; constants pi and e.",
        json!({
            "type": "object",
            "properties": {
                "expression": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": crate::calculate::MAX_LENGTH,
                    "description": "The expression, with numbers and operators only.",
                    "examples": ["25 * 47", "15% of 80", "(12.99 + 8.99) * 3"]
                }
            },
            "required": ["expression"],
            "additionalProperties": false
        }),
    );
    let current_time = definition_of(
        "current_time",
        "Tells the current date, weekday and time of day. Use it whenever an answer depends on today or now.",
        json!({
            "type": "object",
            "properties": {
                "timezone": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 64,
                    "description": "An IANA time zone such as \"Europe/Berlin\" or \"Asia/Tokyo\". Without one the time is in UTC.",
                    "examples": ["Europe/Berlin", "America/New_York", "Asia/Tokyo"]
                }
            },
            "additionalProperties": false
        }),
    );
    vec![calculate, current_time]
}

/// Returns the definition of the built-in tool called `name`.
#[must_use]
pub fn definition(name: &str) -> Option<ToolDefinition> {
    definitions().into_iter().find(|tool| tool.spec.name == name)
}

fn definition_of(name: &str, description: &str, input_schema: Value) -> ToolDefinition {
    ToolDefinition {
        spec: ToolSpec { name: name.to_owned(), description: description.to_owned(), input_schema },
        annotations: Annotations { read_only: true, destructive: false, idempotent: true, open_world: false },
        approval: Approval::default(),
        kind: KIND.to_owned(),
        config: Value::Null,
        timeout_ms: 5_000,
        max_result_bytes: 4_096,
    }
}

/// Runs the built-in tools. They are pure, so they need no thread of their own and no cancelling.
pub struct Builtin;

impl Kind for Builtin {
    fn check(&self, tool: &ToolDefinition) -> Vec<String> {
        match definition(&tool.spec.name) {
            Some(_) => Vec::new(),
            None => vec![format!("there is no built-in tool {:?}", tool.spec.name)],
        }
    }

    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
        Box::pin(std::future::ready(run(&call)))
    }
}

/// Runs a call of a built-in tool.
pub(crate) fn run(call: &ToolCall) -> Result<ToolOutput, ToolError> {
    match call.tool.spec.name.as_str() {
        "calculate" => Ok(run_calculate(&call.input)),
        "current_time" => Ok(current_time::run(&call.input, call.now)),
        name => Err(config_problem(format!("there is no built-in tool {name:?}"))),
    }
}

fn run_calculate(input: &Value) -> ToolOutput {
    let expression = input.get("expression").and_then(Value::as_str).unwrap_or_default();
    match calculate(expression) {
        Ok(value) => ToolOutput::text(value.to_string()),
        Err(error) => ToolOutput::error(format!("cannot calculate {expression:?}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Databases, HttpLimits, Options, ToolBox};
    use bedplate_core::{
        port::{
            Caller,
            tools::{ToolErrorKind, Tools},
        },
        time::Timestamp,
    };
    use std::sync::Arc;

    fn call(name: &str, input: Value) -> ToolCall {
        ToolCall {
            caller: Caller::default(),
            tool: Arc::new(definition(name).expect("it is built in")),
            input,
            idempotency_key: String::new(),
            deadline: Timestamp(5_000),
            now: Timestamp(0),
        }
    }

    #[test]
    fn what_touches_nothing_outside_is_known_at_once_and_checked_all_the_same() {
        let folder = std::env::temp_dir();
        let tools = ToolBox::new(Options {
            databases: Arc::new(Databases::open(&folder, &[]).expect("there is none to open")),
            secrets: Arc::new(|_| None),
            http: HttpLimits::default(),
            workflows: None,
        });
        let product = tools.at_once(&call("calculate", json!({ "expression": "25 * 47" })));
        assert_eq!(product.expect("it is pure").expect("it fits"), ToolOutput::text("1175"));
        let time = tools.at_once(&call("current_time", json!({})));
        assert!(time.expect("it hangs on the call's time").is_ok());
        let unfit = tools.at_once(&call("calculate", json!({ "expression": 25 })));
        assert_eq!(unfit.expect("it is known").expect_err("it does not fit").kind, ToolErrorKind::InvalidInput);

        let mut elsewhere = call("calculate", json!({}));
        Arc::make_mut(&mut elsewhere.tool).kind = "http".to_owned();
        assert!(tools.at_once(&elsewhere).is_none(), "what reaches outside is performed after its intent is durable");
    }
}
