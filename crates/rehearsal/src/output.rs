//! A reply in the form that the request asks for: a JSON value that obeys a schema, filled from what the tools answered,
//! from the words of the question, and where both are silent from the answer in words.

use crate::{
    fill::{
        self, Scope,
        value::{json_number, plainest},
    },
    read::Reading,
    schema::{Kind, Param, Tool},
    turn::Turn,
};
use bedplate_core::{port::model::OutputFormat, time::Timestamp, tool::ToolSpec};
use serde_json::{Map, Value, json};

/// The name under which a schema that is no object is filled.
const WHOLE: &str = "reply";

/// How deep results of tools are searched for a property.
const MAX_DEPTH: usize = 6;

/// Returns the text of a reply that says `answer` in the form of `format`.
#[must_use]
pub fn compose(format: &OutputFormat, turn: &Turn, answer: &str, now: Timestamp) -> String {
    let OutputFormat::Schema(output) = format else { return json!({"answer": answer}).to_string() };
    // A schema that is no object is filled as the property of one, where its references still lead to its definitions.
    let mut schema = json!({"type": "object", "properties": {(WHOLE): output.schema}, "required": [WHOLE]});
    for definitions in ["$defs", "definitions"] {
        if let Some(own) = output.schema.get(definitions) {
            schema[definitions] = own.clone();
        }
    }
    let spec = |input_schema| ToolSpec {
        name: output.name.clone(),
        description: output.description.clone().unwrap_or_default(),
        input_schema,
    };
    let outer = Tool::read(&spec(schema));
    let tool = match outer.params.first() {
        Some(Param { kind: Kind::Object, .. }) => Tool::read(&spec(output.schema.clone())),
        _ => outer,
    };
    let reading = Reading::new(&turn.question, now);
    let mut scope = Scope::new(&reading, (0, reading.tokens.len().saturating_sub(1)), &tool);
    let mut filled = fill::fill(&tool, &mut scope).args;
    let object: Map<String, Value> = tool
        .params
        .iter()
        .filter_map(|param| {
            let told = turn.steps.iter().rev().find_map(|step| found(&step.output.as_ref()?.value, param, 0));
            let value = told.or_else(|| filled.shift_remove(&param.name)).filter(|value| param.accepts(value));
            let value = value.or_else(|| param.required.then(|| some(param, answer)))?;
            Some((param.name.clone(), value))
        })
        .collect();
    match object.get(WHOLE) {
        Some(whole) if tool.params.len() == 1 && output.schema["properties"].get(WHOLE).is_none() => whole.to_string(),
        _ => Value::Object(object).to_string(),
    }
}

/// Finds a property in what a tool answered, by its name.
fn found(value: &Value, param: &Param, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    match value {
        Value::Object(map) => {
            let same = |name: &String| name.eq_ignore_ascii_case(&param.name);
            let own = map.iter().find(|(name, value)| same(name) && param.accepts(value));
            own.map(|(_, value)| value.clone())
                .or_else(|| map.values().find_map(|value| found(value, param, depth + 1)))
        }
        Value::Array(list) => list.iter().find_map(|value| found(value, param, depth + 1)),
        _ => None,
    }
}

/// Returns some value that the schema allows.
fn some(param: &Param, answer: &str) -> Value {
    if let Some(example) = [param.default.clone(), Some(plainest(param, answer))]
        .into_iter()
        .flatten()
        .chain(param.examples.iter().map(|(text, _)| Value::String(text.clone())))
        .chain([param.limits.minimum, param.limits.maximum].into_iter().flatten().map(json_number))
        .chain(formatted(param).map(|text| Value::String(text.to_owned())))
        .find(|value| param.accepts(value))
    {
        return example;
    }
    let least = usize::try_from(param.limits.shortest.unwrap_or(1)).unwrap_or(1).clamp(1, 1_000);
    match (param.kind, &param.items) {
        (Kind::List, Some(item)) => Value::Array(vec![some(item, answer); least]),
        (Kind::Object, _) => {
            let own = param.properties.iter().filter(|own| own.required);
            Value::Object(own.map(|own| (own.name.clone(), some(own, answer))).collect())
        }
        (Kind::Text, _) => Value::String("x".repeat(least)),
        _ => plainest(param, answer),
    }
}

/// Returns a text of the format that the schema asks for.
fn formatted(param: &Param) -> Option<&'static str> {
    Some(match param.format.as_deref()? {
        "date" => "2000-01-01",
        "date-time" => "2000-01-01T00:00:00Z",
        "time" => "00:00:00Z",
        "email" => "nobody@example.com",
        "uri" | "url" => "https://example.com/",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        _ => return None,
    })
}
