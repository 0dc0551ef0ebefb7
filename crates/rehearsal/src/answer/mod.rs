//! An answer worded from results; it never says more than they do.

pub mod field;
pub mod value;

use crate::{
    chat,
    read::Reading,
    schema::spoken,
    turn::{Output, Step, Turn},
    words,
};
use bedplate_core::time::Timestamp;
use serde_json::{Map, Value};

/// How many rows a list shows.
const MAX_ROWS: usize = 8;
/// How many members of a row are shown.
const MAX_MEMBERS: usize = 7;
/// How many characters of a plain text result are repeated.
const MAX_TEXT: usize = 3_000;

/// Words the answer of a turn from the results of its calls.
#[must_use]
pub fn compose(turn: &Turn, now: Timestamp) -> String {
    let reading = Reading::new(&turn.question, now);
    let done: Vec<&Step> = turn.steps.iter().filter(|step| step.output.is_some()).collect();
    // A failure that a later call of the same tool made good is not worth a word, nor is a look-up that only fed the next call.
    let shown: Vec<&Step> = done
        .iter()
        .enumerate()
        .filter(|(index, step)| {
            let later = &done[index + 1..];
            let mended = failed(step) && later.iter().any(|other| other.name == step.name && !failed(other));
            let fed = !failed(step) && later.iter().any(|other| !failed(other) && feeds(step, other));
            !mended && !fed
        })
        .map(|(_, step)| *step)
        .collect();
    let several = shown.len() > 1;
    let parts: Vec<String> = shown
        .iter()
        .filter_map(|step| step.output.as_ref().map(|output| one(step, output, &reading, several)))
        .collect();
    let text = if parts.iter().all(|part| part.len() < 160 && !part.contains('\n')) {
        parts.join(" ")
    } else {
        parts.join("\n\n")
    };
    if text.trim().is_empty() {
        return "The tool gave no answer.".into();
    }
    shortened(text, &reading)
}

fn failed(step: &Step) -> bool {
    step.output.as_ref().is_some_and(|output| output.failed)
}

/// Returns whether a later call took one of its arguments out of this result.
fn feeds(step: &Step, later: &Step) -> bool {
    let Some(output) = step.output.as_ref() else { return false };
    let Some(args) = later.input.as_object() else { return false };
    let known: Vec<String> =
        step.input.as_object().into_iter().flatten().map(|(_, value)| value::plain(value)).collect();
    step.name != later.name
        && args
            .values()
            .filter(|value| value.is_string() || value.is_number())
            .map(value::plain)
            .any(|text| text.len() > 1 && output.text.contains(&text) && !known.contains(&text))
}

fn one(step: &Step, output: &Output, reading: &Reading, several: bool) -> String {
    if output.failed {
        let said = match output.value.get("error") {
            Some(error) => error.get("message").map_or_else(|| value::plain(error), value::plain),
            None => output.text.clone(),
        };
        let said = words::clip(&said).trim().to_owned();
        return if said.is_empty() {
            format!("The tool {} failed and did not say why.", spoken(&step.name))
        } else {
            format!("I could not do that. {}", chat::sentence(&said))
        };
    }
    if let Some((name, list)) = value::rows(&output.value) {
        return many(step, name, &list, reading);
    }
    match &output.value {
        Value::Object(map) if map.is_empty() => "Done; the tool reported nothing more.".into(),
        Value::Object(map) => object(step, map, reading),
        Value::Null => nothing(step),
        Value::String(text) if text.trim().is_empty() => nothing(step),
        scalar => single(step, scalar, several),
    }
}

fn nothing(step: &Step) -> String {
    let about = subject(step);
    if about.is_empty() { "I found nothing.".into() } else { format!("I found nothing for {about}.") }
}

/// Returns the texts of a call's arguments, as what was asked for.
fn subject(step: &Step) -> String {
    let texts: Vec<String> = step
        .input
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| value.is_string())
        .map(|(_, value)| format!("“{}”", value::plain(value)))
        .take(3)
        .collect();
    chat::and(&texts)
}

fn single(step: &Step, scalar: &Value, several: bool) -> String {
    let text = value::show("", scalar);
    if scalar.as_str().is_some_and(|written| written.trim() != text) && value::is_time(scalar) {
        return format!("It is {}.", text.trim());
    }
    let expression = step
        .input
        .as_object()
        .and_then(|map| if map.len() == 1 { map.values().next().and_then(Value::as_str) } else { None })
        .filter(|text| {
            text.bytes().any(|byte| byte.is_ascii_digit()) && text.bytes().any(|byte| b"+-*/^(".contains(&byte))
        });
    let numeric = text.trim().parse::<f64>().is_ok();
    if let (Some(expression), true) = (expression, numeric) {
        return format!("{expression} = {}.", text.trim());
    }
    let words = text.split_whitespace().count();
    if numeric || (words <= 3 && !text.ends_with(['.', '!'])) {
        let args: Vec<String> = step
            .input
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_object())
            .map(|(key, value)| format!("{} {}", field::label(key), value::show(key, value)))
            .take(4)
            .collect();
        let verbs = ["get", "calculate", "compute", "fetch", "find", "calc", "retrieve", "lookup", "search", "current"];
        let name: Vec<String> = spoken(&step.name)
            .split_whitespace()
            .filter(|word| !verbs.contains(&word.to_lowercase().as_str()) || *word == "current")
            .map(str::to_owned)
            .collect();
        let name = if name.is_empty() { "result".to_owned() } else { name.join(" ") };
        let context = if args.is_empty() || !several && args.len() > 3 {
            String::new()
        } else {
            format!(" ({})", args.join(", "))
        };
        return chat::sentence(&format!("The {}{context} is {}", name, text.trim()));
    }
    cut(&text)
}

fn object(step: &Step, map: &Map<String, Value>, reading: &Reading) -> String {
    // A calculator's {"expression", "result"} and the like: one number that matters.
    if let Some(result) = ["result", "answer", "value"]
        .iter()
        .find_map(|key| map.get(*key))
        .filter(|value| value.is_number() || value.is_string())
        && map.len() <= 3
        && map.values().all(|value| !value.is_object() && !value.is_array())
    {
        return single(step, result, false);
    }
    if let Some(message) = map.get("message").and_then(Value::as_str).filter(|_| map.len() <= 3) {
        return chat::sentence(message);
    }
    if let Some(text) = field::answer(&Value::Object(map.clone()), reading).filter(|_| map.len() > 2) {
        let rest = row(map, true);
        return if map.len() <= 4 || rest.len() > 500 { text } else { format!("{text}\n\n{rest}") };
    }
    let inner: Vec<(&String, &Vec<Value>)> = map
        .iter()
        .filter_map(|(key, value)| {
            value.as_array().filter(|list| list.iter().any(Value::is_object)).map(|list| (key, list))
        })
        .collect();
    let flat: Map<String, Value> = map
        .iter()
        .filter(|(key, _)| !inner.iter().any(|(own, _)| own == key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let mut out = row(&flat, true);
    for (key, list) in inner {
        out.push_str(&format!(
            "\n\n{}:\n{}",
            chat::sentence(&field::label(key)).trim_end_matches('.'),
            lines(&list.iter().collect::<Vec<_>>())
        ));
    }
    out
}

fn many(step: &Step, name: Option<&str>, list: &[&Value], reading: &Reading) -> String {
    match list {
        [] => nothing(step),
        [Value::Object(map)] => {
            let text = field::answer(&Value::Object((*map).clone()), reading).filter(|_| map.len() > 2);
            match text {
                Some(text) => format!("{text}\n\n{}", row(map, true)),
                None => row(map, true),
            }
        }
        _ => {
            let noun = name
                .map(spoken)
                .filter(|name| !matches!(name.as_str(), "rows" | "items" | "data" | "results"))
                .unwrap_or_else(|| "results".into());
            format!("I found {} {noun}:\n\n{}", list.len(), lines(list))
        }
    }
}

fn lines(list: &[&Value]) -> String {
    let mut lines: Vec<String> = list
        .iter()
        .take(MAX_ROWS)
        .map(|value| match value {
            Value::Object(map) => format!("- {}", row(map, false)),
            other => format!("- {}", value::show("", other)),
        })
        .collect();
    if list.len() > MAX_ROWS {
        lines.push(format!("- … and {} more", list.len() - MAX_ROWS));
    }
    lines.join("\n")
}

/// Writes a row as its headline and its members, as a line or as a short paragraph.
fn row(map: &Map<String, Value>, alone: bool) -> String {
    let head = field::headline(map);
    let author = map
        .iter()
        .find(|(key, value)| matches!(key.as_str(), "author" | "authors" | "artist" | "by") && value.is_string());
    let shown: Vec<String> = map
        .iter()
        .filter(|(key, value)| {
            head.as_ref().is_none_or(|(own, _)| own != key)
                && author.is_none_or(|(own, _)| own != *key)
                && !value.is_null()
                && !matches!(value, Value::String(text) if text.is_empty())
        })
        .filter(|(key, _)| {
            !(head.is_some() && !alone && (key.as_str() == "id" || key.ends_with("_id")) && map.len() > 4)
        })
        .take(if alone { 24 } else { MAX_MEMBERS })
        .map(|(key, value)| format!("{}: {}", field::label(key), value::show(key, value)))
        .collect();
    let by = author.map(|(_, value)| format!(" by {}", value::plain(value))).unwrap_or_default();
    match head {
        Some((_, head)) if shown.is_empty() => format!("**{head}**{by}"),
        Some((_, head)) if alone => format!(
            "**{head}**{by}\n\n{}",
            shown.iter().map(|part| format!("- {}", capital(part))).collect::<Vec<_>>().join("\n")
        ),
        Some((_, head)) => format!("**{head}**{by} — {}", shown.join("; ")),
        None if alone && shown.len() > 1 => {
            shown.iter().map(|part| format!("- {}", capital(part))).collect::<Vec<_>>().join("\n")
        }
        None => capital(&shown.join("; ")),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default() + chars.as_str()
}

fn cut(text: &str) -> String {
    let text = text.trim();
    if text.chars().count() <= MAX_TEXT {
        return text.to_owned();
    }
    let head: String = text.chars().take(MAX_TEXT).collect();
    format!("{head}…")
}

/// Keeps to one sentence when that is asked for.
fn shortened(text: String, reading: &Reading) -> String {
    let lower = reading.text.to_lowercase();
    let brief = ["one sentence", "a single sentence", "in a sentence", "briefly", "in short"]
        .iter()
        .any(|wish| lower.contains(wish));
    if !brief {
        return text;
    }
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or(&text);
    match first.find(". ") {
        Some(end) => first[..=end].to_owned(),
        None => first.trim_end_matches(':').to_owned(),
    }
}
