//! Required values that the question does not hold: from earlier turns, from results, from another tool's call.

use super::{Call, Task};
use crate::{
    choose::Toolbox,
    fill::{self, Filled, Scope, value},
    read::{Reading, What},
    schema::{Kind, Param, Tool},
    turn::{Step, Turn},
    words::{self, number, stop, synonyms},
};
use bedplate_core::time::Timestamp;
use serde_json::{Map, Value};

/// How many turns back a value is looked for.
const TURNS_BACK: usize = 12;

/// All that a missing value may come from.
pub struct Situation<'a> {
    /// The tools.
    pub toolbox: &'a Toolbox,
    /// The conversation.
    pub turns: &'a [Turn],
    /// The question.
    pub reading: &'a Reading,
    /// The tasks before this one.
    pub before: &'a [Task],
    /// This task.
    pub task: &'a Task,
    /// The time.
    pub now: Timestamp,
}

/// What became of a call that lacked values.
#[derive(Clone, Debug, PartialEq)]
pub enum Completed {
    /// It has them all.
    Ready(Map<String, Value>),
    /// Another call must come first.
    First(Call),
    /// It waits for the result of a call before it.
    Later,
    /// These parameters are nowhere.
    Missing(Vec<String>),
}

/// Looks for the missing values.
#[must_use]
pub fn complete(at: &Situation<'_>, mut filled: Filled) -> Completed {
    let tool = &at.toolbox.tools[at.task.tool];
    let Some(turn) = at.turns.last() else { return Completed::Missing(filled.missing) };
    let mut left = Vec::new();
    let mut later = false;
    for name in std::mem::take(&mut filled.missing) {
        let Some(param) = tool.params.iter().find(|param| param.name == name) else { continue };
        let result = if !at.before.is_empty() && points_back(at.reading, at.task.window) {
            // "… and multiply that by three": the value is the result of the call before.
            let from = &at.toolbox.tools[at.before[at.before.len() - 1].tool].name;
            match turn.steps.iter().rev().find(|step| step.name == *from) {
                Some(step) => from_result(param, step, at.reading),
                None => {
                    later = true;
                    None
                }
            }
        } else {
            turn.steps.iter().rev().find_map(|step| from_result(param, step, at.reading))
        };
        match result.or_else(|| from_earlier(param, at)) {
            Some(value) => {
                filled.args.insert(name, value);
            }
            None => left.push(name),
        }
    }
    if left.is_empty() {
        return Completed::Ready(filled.args);
    }
    if later {
        return Completed::Later;
    }
    // Nobody looks up one value of a change while the person has to be asked for others.
    if left.len() > 1 && !reads_only(tool) {
        return Completed::Missing(left);
    }
    if let Some(call) = left
        .iter()
        .find_map(|name| tool.params.iter().find(|param| param.name == *name))
        .and_then(|param| provider(at, tool, param))
    {
        let made = turn.steps.iter().any(|step| step.name == call.name);
        if !made {
            return Completed::First(call);
        }
    }
    Completed::Missing(left)
}

/// Returns whether a clause speaks of something before it.
fn points_back(reading: &Reading, window: (usize, usize)) -> bool {
    reading.tokens[window.0..=window.1.min(reading.tokens.len() - 1)].iter().any(|token| {
        matches!(
            token.lower.as_str(),
            "that" | "it" | "this" | "result" | "answer" | "them" | "those" | "its" | "sum" | "total" | "product"
        )
    })
}

/// Takes a parameter's value out of a result: a member of its name, or the one number that the result is.
#[must_use]
pub fn from_result(param: &Param, step: &Step, reading: &Reading) -> Option<Value> {
    let output = step.output.as_ref().filter(|output| !output.failed)?;
    if let Some(value) = member(param, &output.value, reading) {
        return Some(value);
    }
    if matches!(param.kind, Kind::Integer | Kind::Number) {
        let number = single_number(&output.value)?;
        let value = value::json_number(number);
        return param.accepts(&value).then_some(value);
    }
    None
}

/// Returns the one number that a result is.
#[must_use]
pub fn single_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let tokens = words::tokens(text);
            let numbers = number::numbers(&tokens);
            match numbers.as_slice() {
                [one] => Some(one.value),
                [.., last] if text.contains('=') => Some(last.value),
                _ => None,
            }
        }
        Value::Object(map) => ["result", "value", "answer", "output"]
            .iter()
            .find_map(|key| map.get(*key))
            .and_then(single_number)
            .or_else(|| {
                let mut numbers = map.values().filter(|value| value.is_number());
                numbers.next().filter(|_| numbers.next().is_none()).and_then(single_number)
            }),
        _ => None,
    }
}

fn member(param: &Param, value: &Value, reading: &Reading) -> Option<Value> {
    match value {
        Value::Object(map) => {
            let own = map.get(&param.name).or_else(|| {
                // `order_id` meets `orderId`, and plain `id` in a list of orders.
                map.iter().find(|(key, _)| words::stems(key) == param.name_stems).map(|(_, value)| value)
            });
            let own = own.or_else(|| {
                if param.name_stems.last().is_some_and(|last| last == "id") { map.get("id") } else { None }
            });
            match own.and_then(|value| fits(param, value)) {
                Some(value) => Some(value),
                None => map
                    .values()
                    .filter(|value| value.is_array() || value.is_object())
                    .find_map(|value| member(param, value, reading)),
            }
        }
        Value::Array(rows) => pick(rows, reading)
            .and_then(|row| member(param, row, reading))
            .or_else(|| rows.first().and_then(|row| fits(param, row).filter(|_| param.strict))),
        _ => None,
    }
}

fn fits(param: &Param, value: &Value) -> Option<Value> {
    if param.accepts(value) {
        return Some(value.clone());
    }
    let shaped = match (param.kind, value) {
        (Kind::Text, Value::Number(number)) => Value::String(number.to_string()),
        (Kind::Integer | Kind::Number, Value::String(text)) => value::json_number(text.parse().ok()?),
        _ => return None,
    };
    param.accepts(&shaped).then_some(shaped)
}

/// Picks the row that the question means: by its words, by "last" or "second", else the first.
fn pick<'a>(rows: &'a [Value], reading: &Reading) -> Option<&'a Value> {
    let asked: Vec<&str> = reading
        .tokens
        .iter()
        .filter(|token| token.word && !stop::is_stop(&token.lower))
        .map(|token| token.stem.as_str())
        .collect();
    let said =
        |row: &Value| words::stems(&row.to_string()).iter().filter(|stem| asked.contains(&stem.as_str())).count();
    let most = rows.iter().map(said).max()?;
    let least = rows.iter().map(said).min()?;
    if most > least {
        return rows.iter().find(|row| said(row) == most);
    }
    let ordinal =
        reading.spans.iter().filter_map(|span| span.number()).find(|number| number.ordinal && number.value >= 1.0);
    if let Some(ordinal) = ordinal {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive ordinal")]
        return rows.get(ordinal.value.min(1e6) as usize - 1);
    }
    if reading.tokens.iter().any(|token| token.lower == "second") {
        return rows.get(1);
    }
    if reading.tokens.iter().any(|token| matches!(token.lower.as_str(), "last" | "oldest")) {
        return rows.last();
    }
    rows.first()
}

/// Looks for a value in what was said and found before; only for values that are unmistakable.
fn from_earlier(param: &Param, at: &Situation<'_>) -> Option<Value> {
    let earlier = &at.turns[..at.turns.len() - 1];
    let identity = param.strict
        || param.format.as_deref() == Some("email")
        || param
            .name_stems
            .last()
            .is_some_and(|last| matches!(last.as_str(), "id" | "number" | "numb" | "email" | "cod"));
    if !identity {
        return None;
    }
    for turn in earlier.iter().rev().take(TURNS_BACK) {
        let reading = Reading::new(&turn.question, at.now);
        for span in reading.spans.iter().rev() {
            let kind =
                matches!(span.what, What::Code | What::Email) || (param.strict && matches!(span.what, What::Number(_)));
            if let Some(value) = Some(span).filter(|_| kind).and_then(|span| value::of(param, span))
                && (param.strict || span.what == What::Email || near_name(param, &reading, span.tokens.0))
            {
                return Some(value);
            }
        }
        for step in turn.steps.iter().rev() {
            if let Some(value) = step.input.get(&param.name).and_then(|value| fits(param, value)) {
                return Some(value);
            }
            if let Some(value) = step
                .output
                .as_ref()
                .filter(|output| !output.failed)
                .and_then(|output| member(param, &output.value, at.reading))
            {
                return Some(value);
            }
        }
    }
    None
}

fn near_name(param: &Param, reading: &Reading, at: usize) -> bool {
    reading.tokens[at.saturating_sub(5)..at].iter().any(|token| param.name_stems.contains(&token.stem))
}

/// Finds a tool that can be called now and whose result should hold a missing id: "my order" → the tool that lists
/// orders.
fn provider(at: &Situation<'_>, tool: &Tool, param: &Param) -> Option<Call> {
    let nouns: Vec<&String> = param
        .name_stems
        .iter()
        .filter(|stem| !matches!(stem.as_str(), "id" | "number" | "numb" | "cod" | "code" | "name"))
        .collect();
    let id = param.strict
        || param.name_stems.iter().any(|stem| matches!(stem.as_str(), "id" | "numb" | "number" | "cod" | "code"));
    if !id || nouns.is_empty() {
        return None;
    }
    let mut best: Option<(f64, Call)> = None;
    for other in at.toolbox.tools.iter().filter(|other| other.name != tool.name && reads_only(other)) {
        let speaks = |stem: &String| nouns.iter().any(|noun| *noun == stem || synonyms::alike(noun, stem));
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let about = 2.0 * other.name_stems.iter().filter(|stem| speaks(stem)).count() as f64
            + 0.5 * other.stems.iter().filter(|stem| speaks(stem)).count() as f64;
        let needs_it = other.required().any(|own| own.name == param.name);
        if about < 1.0 || needs_it {
            continue;
        }
        let mut scope = Scope::new(at.reading, at.task.window, other);
        let filled = fill::fill(other, &mut scope);
        if filled.missing.is_empty() && best.as_ref().is_none_or(|(most, _)| about > *most) {
            best = Some((about, Call { name: other.name.clone(), args: filled.args }));
        }
    }
    best.map(|(_, call)| call)
}

/// Returns whether a tool's name or description begins with a verb that changes nothing.
#[must_use]
pub fn reads_only(tool: &Tool) -> bool {
    let first = tool.stems.first().map_or("", String::as_str);
    !CHANGES.contains(&first) && !tool.name_stems.first().is_some_and(|stem| CHANGES.contains(&stem.as_str()))
}

/// Returns whether a tool's name begins with a verb that changes something.
#[must_use]
pub fn changes(name: &str) -> bool {
    let first = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    CHANGES.contains(&words::stem(&first.to_lowercase()).as_str())
}

const CHANGES: &[&str] = &[
    "creat", "updat", "delet", "remov", "cancel", "chang", "send", "book", "start", "buy", "purchas", "plac", "set",
    "add", "modify", "modifi", "transf", "pay", "refund", "submit", "reserv", "return", "open", "clos", "writ",
    "insert", "execut", "run",
];
