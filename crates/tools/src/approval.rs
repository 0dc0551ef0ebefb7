//! The look before a call: the preview, whether a person is asked, and the question.

use crate::{
    kind::{config_problem, section, time_left},
    output::bounded,
    sqlite::{Databases, Parameters, preview_row},
    template,
};
use bedplate_core::{
    event::Preparation,
    port::tools::{ToolCall, ToolError},
    tool::{ApprovalMode, ToolDefinition, ToolOutput},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The most bytes of a question.
const MAX_QUESTION_BYTES: usize = 2_000;

/// The `preview` part of a tool's configuration: a read-only query whose first row is the facts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// The database that is asked.
    pub database: String,
    /// The query.
    pub query: String,
    /// What the model is told when there is no row: the call is refused.
    #[serde(default)]
    pub empty: Option<String>,
}

/// Returns what is wrong with the tool's rule of approval.
pub fn check(tool: &ToolDefinition, databases: &Databases) -> Vec<String> {
    let mut problems = Vec::new();
    if let ApprovalMode::When(expression) = &tool.approval.mode {
        problems.extend(template::expression_problem(expression).map(|problem| format!("approval.when: {problem}")));
    }
    if let Some(question) = &tool.approval.question {
        problems.extend(template::template_problem(question).map(|problem| format!("approval.question: {problem}")));
    }
    match preview_of(tool) {
        Ok(Some(preview)) => {
            let found = databases.check_query(&preview.database, &preview.query, tool);
            problems.extend(found.err().map(|problem| format!("approval.preview: {problem}")));
        }
        Ok(None) => {}
        Err(problem) => problems.push(problem),
    }
    problems
}

/// Looks before `call`, whose arguments fit the schema. A tool without a rule runs at once, but a preview without a
/// row refuses whatever the rule says.
///
/// # Errors
/// When the preview could not be had.
pub async fn prepare(call: &ToolCall, databases: &Arc<Databases>) -> Result<Preparation, ToolError> {
    let tool = &call.tool;
    let mut facts = Value::Null;
    if let Some(preview) = preview_of(tool).map_err(config_problem)? {
        let parameters = Parameters::of(call);
        let row = preview_row(databases, &preview.database, preview.query, parameters, time_left(call)).await?;
        let Some(row) = row else {
            let text = preview.empty.unwrap_or_else(|| "There is nothing that this could be done to.".to_owned());
            return Ok(Preparation::Refuse(bounded(ToolOutput::error(text), tool.max_result_bytes)));
        };
        facts = row;
    }
    let context = json!({ "input": call.input, "preview": facts });
    let doubt = match &tool.approval.mode {
        ApprovalMode::Never => return Ok(Preparation::Run),
        ApprovalMode::Always => None,
        ApprovalMode::When(expression) => match template::is_true(expression, &context) {
            Ok(false) => return Ok(Preparation::Run),
            Ok(true) => None,
            // Whether it may run is not known, so a person decides.
            Err(error) => Some(format!("The rule of approval could not be evaluated ({error}).")),
        },
    };
    Ok(Preparation::Ask { question: question(tool, &context, doubt), preview: facts })
}

fn question(tool: &ToolDefinition, context: &Value, doubt: Option<String>) -> String {
    let rendered = tool.approval.question.as_deref().map(|template| template::render(template, context));
    let plain = || format!("Allow {} with {}?", tool.spec.name, context["input"]);
    let mut text = match rendered {
        Some(Ok(text)) => text,
        Some(Err(error)) => format!("{} (The question's own text could not be rendered: {error}.)", plain()),
        None => plain(),
    };
    if let Some(doubt) = doubt {
        text = format!("{text} {doubt}");
    }
    text.truncate(text.floor_char_boundary(MAX_QUESTION_BYTES));
    text
}

fn preview_of(tool: &ToolDefinition) -> Result<Option<Preview>, String> {
    match tool.config.get("preview") {
        None | Some(Value::Null) => Ok(None),
        Some(_) => section(tool, "preview").map(Some),
    }
}
