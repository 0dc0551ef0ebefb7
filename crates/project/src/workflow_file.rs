//! `workflows/<name>.asl.json`: a definition in the States Language, kept as it is written, and what is wrong with it.

use crate::{
    config::{Config, WorkflowConfig},
    json_place::place_of,
    problem::{Place, Problem, Severity, Source, clamp},
};
use bedplate_core::{
    id::ContentHash,
    port::definitions::{ProjectWorkflow, WorkflowMocks},
};
use bedplate_engine::workflow::definition::{self, MachineType, Resource};
use serde_json::Value;
use std::sync::Arc;

/// The ending of the files.
pub const ENDING: &str = "asl.json";

/// The ending of the files of prepared answers.
pub const MOCKS_ENDING: &str = "mocks.json";

/// A problem of a definition: where, how bad, and in whose words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionProblem {
    /// What the engine says.
    pub diagnostic: definition::Diagnostic,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Returns everything that is wrong or odd with the definition `text`, each with line and column.
#[must_use]
pub fn check_definition(text: &str, express: bool) -> Vec<DefinitionProblem> {
    let kind = if express { MachineType::Express } else { MachineType::Standard };
    let found = definition::check(text, kind).into_iter().map(|diagnostic| {
        let place = match (diagnostic.code, serde_json::from_str::<Value>(text)) {
            (definition::Code::InvalidJsonDescription, Err(error)) => {
                Place { line: clamp(error.line().max(1)), column: clamp(error.column().max(1)) }
            }
            _ => place_of(text, diagnostic.location.as_deref().unwrap_or_default()),
        };
        let hint = diagnostic.hint.map(ToOwned::to_owned).or_else(|| hint(&diagnostic));
        DefinitionProblem { line: place.line, column: place.column, hint, diagnostic }
    });
    found.collect()
}

/// Returns what to do about a problem whose words alone do not say it.
fn hint(diagnostic: &definition::Diagnostic) -> Option<String> {
    let message = diagnostic.message.as_str();
    let at = diagnostic.location.as_deref().unwrap_or_default();
    let hint = match diagnostic.code {
        definition::Code::InvalidJsonDescription => "a definition is JSON: look for a missing comma, quote or bracket",
        definition::Code::MissingTransitionTarget => {
            "`Next`, `Default` and `StartAt` name a state of the same level; every state must be reached"
        }
        definition::Code::DuplicateStateName => "each state of a definition, nested ones too, has a name of its own",
        definition::Code::SchemaValidationFailed if at.ends_with("/Resource") => {
            "for example arn:aws:states:::lambda:invoke, arn:aws:states:::bedplate:tool:NAME, \
             arn:aws:lambda:REGION:ACCOUNT:function:NAME"
        }
        definition::Code::SchemaValidationFailed if message.contains("[Next, End]") => {
            "a state says either \"Next\": \"STATE\" or \"End\": true"
        }
        definition::Code::SchemaValidationFailed if message.contains("is not supported") => {
            "is it misspelt, or a field of another kind of state or query language?"
        }
        definition::Code::SchemaValidationFailed => return None,
    };
    Some(hint.to_owned())
}

/// What the resources of a definition may name.
pub struct Names<'a> {
    pub config: &'a Config,
    pub tools: &'a [String],
    pub agents: &'a [String],
}

/// Reads the workflow called `name`; none, reported, when its definition cannot be used.
pub fn read(source: Source<'_>, name: &str, text: &str, options: &WorkflowConfig) -> Option<ProjectWorkflow> {
    let mut usable = true;
    for found in check_definition(text, options.express) {
        let place = Place { line: found.line, column: found.column };
        let message = match found.diagnostic.location.as_deref() {
            Some(at) if at != "/" => format!("{} ({at})", found.diagnostic.message),
            _ => found.diagnostic.message.clone(),
        };
        let severity = match found.diagnostic.severity {
            definition::Severity::Error => Severity::Error,
            definition::Severity::Warning => Severity::Warning,
        };
        usable &= severity == Severity::Warning;
        source.report.add(Problem {
            file: source.file.to_owned(),
            line: place.line,
            column: place.column,
            code: code(found.diagnostic.code),
            message,
            hint: found.hint,
            severity,
        });
    }
    usable.then(|| ProjectWorkflow {
        name: name.into(),
        hash: ContentHash::of(text.as_bytes()),
        text: text.into(),
        express: options.express,
        role: options.role.as_deref().map(Into::into),
        logging: options.logging.clone().map(Arc::new),
        file: source.file.into(),
        mocks: Arc::new(WorkflowMocks::new()),
    })
}

/// Returns the project's word for a kind of problem.
const fn code(code: definition::Code) -> &'static str {
    match code {
        definition::Code::InvalidJsonDescription => "syntax",
        definition::Code::SchemaValidationFailed => "definition_invalid",
        definition::Code::MissingTransitionTarget => "missing_transition_target",
        definition::Code::DuplicateStateName => "duplicate_state_name",
    }
}

/// Reports resources that nothing in the project answers: such a task fails when it comes to it.
pub fn check_resources(source: Source<'_>, text: &str, names: &Names<'_>) {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    let mut found = Vec::new();
    collect(&value, "", &mut |pointer, field, value| {
        if field == "Resource"
            && let Some(arn) = value.as_str()
        {
            found.push((pointer.to_owned(), arn.to_owned()));
        }
    });
    for (pointer, arn) in found {
        let place = place_of(text, &pointer);
        if let Some(tool) = tool_of(&arn) {
            if !names.tools.iter().any(|known| known == tool) {
                source.unknown(place, "unknown_tool", "tool", tool, names.tools.iter().map(String::as_str));
            }
        } else if let Some(function) = function_of(&arn)
            && !names.config.has_function(function)
            && !names.agents.iter().any(|agent| agent == function)
        {
            let hint = format!("add [functions.{function}] to bedplate.toml, with url, command or agent");
            let message = format!("nothing answers for the function {function:?}: the task will fail");
            source.warning(place, "unconfigured_function", message, hint);
        }
    }
}

/// Returns the tool that a resource names.
pub fn tool_of(arn: &str) -> Option<&str> {
    let rest = arn.strip_prefix("arn:aws:states:::bedplate:tool:")?;
    Some(rest.strip_suffix(".waitForTaskToken").unwrap_or(rest))
}

/// Returns whether a task of the definition `text` is the tool called `name`.
pub fn uses_tool(text: &str, name: &str) -> bool {
    let mut used = false;
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        collect(&value, "", &mut |_, field, value| {
            used |= field == "Resource" && value.as_str().and_then(tool_of) == Some(name);
        });
    }
    used
}

/// Returns the function that the ARN of a function names.
fn function_of(arn: &str) -> Option<&str> {
    Resource::parse(arn)?;
    let rest = arn.splitn(7, ':').nth(6).filter(|_| arn.split(':').nth(2) == Some("lambda"))?;
    let name = rest.strip_prefix("function:").unwrap_or(rest);
    Some(name.split(':').next().unwrap_or(name))
}

/// Returns the names of all states of a definition, nested ones too.
pub fn states_of(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        collect(&value, "", &mut |_, field, value| {
            if field == "States"
                && let Some(states) = value.as_object()
            {
                names.extend(states.keys().cloned());
            }
        });
    }
    names
}

/// Calls `see` with the pointer, name and value of each field, at every depth.
fn collect(value: &Value, pointer: &str, see: &mut impl FnMut(&str, &str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let pointer = format!("{pointer}/{name}");
                see(&pointer, name, value);
                collect(value, &pointer, see);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                collect(value, &format!("{pointer}[{index}]"), see);
            }
        }
        _ => {}
    }
}
