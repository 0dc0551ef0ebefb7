//! `agents/<name>.md`: YAML front matter, and the system prompt below it.

use crate::{config::Config, fields::Fields, front_matter::Document, parse, problem::Source, template};
use bedplate_core::{
    agent::{AgentDefinition, Limits, SessionPolicy, Truncation},
    tool::ToolDefinition,
};
use std::collections::BTreeMap;

/// The variables of a system prompt.
pub const VARIABLES: [&str; 3] = ["user", "now", "project"];

/// Reads the agent called `name` from the `text` of its file. `broken` are tools whose own files say what is wrong.
pub fn read(
    source: Source<'_>,
    name: &str,
    text: &str,
    config: &Config,
    tools: &BTreeMap<String, ToolDefinition>,
    broken: &[String],
) -> Option<AgentDefinition> {
    let document = Document::split(text);
    let Some(front) = document.front else {
        let hint = "begin the file with a line --- , then keys such as `description: …`, then a line ---";
        source.error_with(crate::problem::Place::START, "syntax", "the front matter is missing or not closed", hint);
        return None;
    };
    let mut fields = Fields::of(source, parse::yaml(source, front, 2)?)?;
    let description = fields.required_text("description").map(|text| text.value).unwrap_or_default();
    let model = fields.text("model");
    if let Some(model) = &model
        && !config.routes.contains_key(&model.value)
    {
        source.unknown(model.place, "unknown_route", "route", &model.value, config.routes.keys().map(String::as_str));
    }
    let tools = tools_of(&mut fields, tools, broken);
    let limits = limits(&mut fields);
    let truncation = truncation(&mut fields);
    let session_policy = match fields.word("session_policy", &["enqueue", "reject", "interrupt"]) {
        Some("reject") => SessionPolicy::Reject,
        Some("interrupt") => SessionPolicy::Interrupt,
        _ => SessionPolicy::Enqueue,
    };
    let temperature = fields.number("temperature", 0.0..=2.0);
    fields.finish();
    let body = document.body.trim_end();
    if body.trim().is_empty() {
        source.error(document.body_place, "missing_key", "the system prompt below the front matter is empty");
    }
    template::check(source, document.body_place, body, |path| template::one_of(&VARIABLES, path));
    Some(AgentDefinition {
        name: name.to_owned(),
        description,
        model: model.map_or_else(|| "default".to_owned(), |model| model.value),
        system: body.to_owned(),
        tools,
        limits,
        truncation,
        session_policy,
        temperature,
    })
}

fn tools_of(
    fields: &mut Fields<'_>,
    known: &BTreeMap<String, ToolDefinition>,
    broken: &[String],
) -> Vec<ToolDefinition> {
    let source = fields.source;
    let mut tools: Vec<ToolDefinition> = Vec::new();
    for name in fields.texts("tools") {
        match known.get(&name.value) {
            _ if tools.iter().any(|tool| tool.spec.name == name.value) => {
                source.error(name.place, "duplicate", format!("the tool {:?} is listed twice", name.value));
            }
            Some(tool) => tools.push(tool.clone()),
            None if broken.contains(&name.value) => {}
            None => source.unknown(name.place, "unknown_tool", "tool", &name.value, known.keys().map(String::as_str)),
        }
    }
    tools
}

fn limits(fields: &mut Fields<'_>) -> Limits {
    let mut limits = Limits::default();
    let small = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
    if let Some(value) = small(fields.integer("max_iterations", 1..=1_000)) {
        limits.max_iterations = value;
    }
    if let Some(value) = small(fields.integer("max_tokens", 1..=1_000_000)) {
        limits.max_tokens = value;
    }
    limits.max_turn_tokens = fields.integer("max_turn_tokens", 1..=1_000_000_000).map(i64::unsigned_abs);
    if let Some(value) = small(fields.integer("max_tool_calls", 0..=10_000)) {
        limits.max_tool_calls = value;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
    let micros = |dollars: f64| (dollars * 1_000_000.0).round() as u64;
    limits.max_cost_micros = fields.number("max_cost_usd", 0.0..=1_000_000.0).map(micros);
    if let Some(value) = fields.integer("timeout_seconds", 1..=604_800) {
        limits.timeout_seconds = value.unsigned_abs();
    }
    limits
}

fn truncation(fields: &mut Fields<'_>) -> Truncation {
    let Some(mut table) = fields.table("truncation") else { return Truncation::None };
    let source = table.source;
    if !table.has("strategy") {
        source.error(table.place, "missing_key", "the key \"strategy\" is missing");
    }
    let strategy = table.word("strategy", &["sliding_window", "none"]);
    let truncation = match strategy {
        Some("sliding_window") => {
            let has_count = table.has("messages");
            let messages = table.integer("messages", 2..=100_000);
            if !has_count {
                source.error(table.place, "missing_key", "sliding_window needs the key \"messages\"");
            }
            let messages = messages.and_then(|count| usize::try_from(count).ok());
            messages.map_or(Truncation::None, |messages| Truncation::SlidingWindow { messages })
        }
        Some(_) => Truncation::None,
        None => {
            // The key belongs to a strategy that could not be read; it is not the problem.
            drop(table.take("messages"));
            Truncation::None
        }
    };
    table.finish();
    truncation
}
