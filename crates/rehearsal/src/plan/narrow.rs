//! A look-up that found nothing, tried once more with the word of its text that tells most.

use super::{Call, chain};
use crate::{
    choose::Toolbox,
    fill::query,
    turn::{Output, Step, Turn},
    words::stop,
};
use serde_json::Value;

/// Returns the narrower look-up for the last step of a turn; none when it found something or was tried already.
#[must_use]
pub fn call(toolbox: &Toolbox, turn: &Turn) -> Option<Call> {
    let last = turn.steps.last()?;
    if !found_nothing(last) || turn.steps.iter().filter(|step| step.name == last.name).count() > 1 {
        return None;
    }
    let tool = toolbox.tools.iter().find(|tool| tool.name == last.name).filter(|tool| chain::reads_only(tool))?;
    let param = tool.params.iter().find(|param| query::is_query(param))?;
    let mut args = last.input.as_object()?.clone();
    let narrower = telling(args.get(&param.name)?.as_str()?)?;
    args.insert(param.name.clone(), Value::String(narrower.to_owned()));
    Some(Call { name: last.name.clone(), args })
}

/// Returns whether a call came back with nothing.
#[must_use]
pub fn found_nothing(step: &Step) -> bool {
    step.output.as_ref().is_some_and(|output| !output.failed && says_nothing(output))
}

fn says_nothing(output: &Output) -> bool {
    /// A text that goes on at length tells something, however it begins.
    const SHORT: usize = 60;
    match &output.value {
        Value::Null => true,
        Value::Array(rows) => rows.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) if text.len() <= SHORT => {
            let text = text.to_lowercase();
            let words = ["information", "result", "match", "entry", "entries", "record", "data", "article"];
            text.contains("not found")
                || text.contains("nothing found")
                || text.strip_prefix("no ").is_some_and(|rest| words.iter().any(|word| rest.starts_with(word)))
        }
        _ => false,
    }
}

/// Returns the word of a text that names a thing most clearly: one with a capital or digit inside, else the last name,
/// else the longest word; none when there is nothing to leave out.
fn telling(text: &str) -> Option<&str> {
    let words: Vec<&str> =
        text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric())).collect();
    if words.len() < 2 {
        return None;
    }
    let inside = |word: &&&str| word.chars().skip(1).any(|c| c.is_uppercase() || c.is_ascii_digit());
    let named = |word: &&&str| word.chars().next().is_some_and(char::is_uppercase);
    let plain = |word: &&&str| !word.is_empty() && !stop::is_stop(&word.to_lowercase());
    words
        .iter()
        .filter(plain)
        .find(inside)
        .or_else(|| words.iter().filter(plain).rfind(named))
        .or_else(|| words.iter().filter(plain).max_by_key(|word| word.len()))
        .copied()
}
