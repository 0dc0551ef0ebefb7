//! A call that failed on its arguments, tried once more with better ones.

use super::Call;
use crate::{
    choose::Toolbox,
    schema::{Kind, Param},
    turn::{Step, Turn},
    words,
};
use serde_json::{Map, Value};

/// Returns the corrected calls for the last failures of a turn; none when nothing can be corrected.
#[must_use]
pub fn calls(toolbox: &Toolbox, turn: &Turn) -> Option<Vec<Call>> {
    let last = turn.steps.last()?;
    let output = last.output.as_ref().filter(|output| output.failed)?;
    // One attempt: the tool failed exactly once in this turn.
    let failures = turn
        .steps
        .iter()
        .filter(|step| step.name == last.name && step.output.as_ref().is_some_and(|output| output.failed))
        .count();
    if failures > 1 {
        return None;
    }
    let tool = toolbox.tools.iter().find(|tool| tool.name == last.name)?;
    let fixed = fix(&tool.params, last, &output.text)?;
    let seen = turn.steps.iter().any(|step| step.name == last.name && step.input.as_object() == Some(&fixed));
    (!seen).then(|| vec![Call { name: last.name.clone(), args: fixed }])
}

fn fix(params: &[Param], step: &Step, error: &str) -> Option<Map<String, Value>> {
    let mut args = step.input.as_object()?.clone();
    let lower = words::clip(error).to_lowercase();
    let mut changed = false;
    // Fields the tool does not know go first.
    if lower.contains("additional propert") || lower.contains("unknown field") || lower.contains("unexpected") {
        let before = args.len();
        args.retain(|name, _| {
            params.iter().any(|param| param.name == *name) && !lower.contains(&format!("'{}'", name.to_lowercase()))
        });
        changed |= args.len() != before;
    }
    for param in params {
        let Some(value) = args.get(&param.name).cloned() else { continue };
        let blamed = lower.contains(&param.name.to_lowercase())
            || !param.accepts(&value)
            || lower.contains(&value.to_string().to_lowercase());
        if !blamed {
            continue;
        }
        if let Some(better) = reshape(param, &value, error) {
            changed |= better != value;
            args.insert(param.name.clone(), better);
        } else if !param.required && lower.contains(&param.name.to_lowercase()) {
            args.remove(&param.name);
            changed = true;
        }
    }
    changed.then_some(args)
}

/// Returns a value of the kind that the schema or the error asks for.
fn reshape(param: &Param, value: &Value, error: &str) -> Option<Value> {
    if let Value::String(text) = value {
        let offered = quoted(error);
        let near =
            offered.iter().filter(|offer| !offer.eq_ignore_ascii_case(&param.name) && *offer != text).find(|offer| {
                let (a, b) = (offer.to_lowercase(), text.to_lowercase());
                a.starts_with(&b) || b.starts_with(&a) || words::stem(&a) == words::stem(&b)
            });
        if let Some(near) = near {
            return Some(Value::String((*near).to_owned()));
        }
        let lower = error.to_lowercase();
        if (matches!(param.kind, Kind::Integer | Kind::Number | Kind::Any)
            || lower.contains("integer")
            || lower.contains("type \"number\"")
            || lower.contains("type 'number'"))
            && let Some(number) = text.trim().parse::<f64>().ok().map(crate::fill::value::json_number)
        {
            return Some(number);
        }
        if lower.contains("upper") {
            return Some(Value::String(text.to_uppercase()));
        }
        if lower.contains("lower") {
            return Some(Value::String(text.to_lowercase()));
        }
    }
    match (param.kind, value) {
        (Kind::Text | Kind::Any, Value::Number(number)) if error.to_lowercase().contains("string") => {
            Some(Value::String(number.to_string()))
        }
        (Kind::List, other) if !other.is_array() => Some(Value::Array(vec![other.clone()])),
        _ => None,
    }
}

fn quoted(text: &str) -> Vec<&str> {
    let text = words::clip(text);
    ["\"", "'", "`"]
        .iter()
        .flat_map(|quote| text.split(quote).skip(1).step_by(2))
        .filter(|part| !part.is_empty() && part.len() < 60)
        .take(40)
        .collect()
}
