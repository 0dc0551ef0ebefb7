//! An answer worded from results; it never says more than they do.

pub mod clock;
pub mod field;
pub mod value;
pub mod wording;

use crate::{
    chat,
    plan::{chain, narrow},
    read::Reading,
    schema::spoken,
    turn::{Output, Step, Turn},
    words::{self, superlative},
};
use bedplate_core::time::Timestamp;
use serde_json::{Map, Value};

/// How many rows a list shows.
const MAX_ROWS: usize = 5;
/// How many more texts are named beside the one that is said.
const MAX_OTHERS: usize = 3;
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
            let vain = |step: &Step| failed(step) || narrow::found_nothing(step);
            let mended = vain(step) && later.iter().any(|other| other.name == step.name && !vain(other));
            // A look-up that was tried in other words and in vain again is told of once.
            let again = narrow::found_nothing(step)
                && done[..*index].iter().any(|other| other.name == step.name && narrow::found_nothing(other));
            let fed = !failed(step) && later.iter().any(|other| !failed(other) && feeds(step, other));
            !mended && !fed && !again
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
        scalar => single(step, scalar, reading, several),
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

fn single(step: &Step, scalar: &Value, reading: &Reading, several: bool) -> String {
    if let Some(text) = scalar.as_str().and_then(|text| clock::answer(step, text, reading)) {
        return text;
    }
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
        return single(step, result, reading, false);
    }
    if let Some(message) = map.get("message").and_then(Value::as_str).filter(|_| map.len() <= 3) {
        return chat::sentence(message);
    }
    if let Some(text) = field::sentence(map, reading).filter(|_| map.len() > 2) {
        return text;
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
    let mut out = wording::paragraph(&flat);
    for (key, list) in inner {
        out.push_str(&format!(
            "\n\n{}:\n{}",
            chat::sentence(&field::label(key)).trim_end_matches('.'),
            lines(&list.iter().collect::<Vec<_>>(), MAX_ROWS)
        ));
    }
    out
}

fn many(step: &Step, name: Option<&str>, list: &[&Value], reading: &Reading) -> String {
    if list.is_empty() {
        return nothing(step);
    }
    // A question for one member of one row gets that, and no list.
    let counts = reading.tokens.windows(2).any(|pair| pair[0].lower == "how" && pair[1].lower == "many");
    if let ([Value::Object(row)], true) = (list, chain::changes(&step.name)) {
        // What was changed is told whole: the person asked for the change, and not for one member of its receipt.
        return wording::paragraph(row);
    }
    if let Some(row) = field::meant(list, reading).filter(|_| !(counts && list.len() > 1)) {
        let text = field::sentence(row, reading).filter(|_| row.len() > 2);
        return text.unwrap_or_else(|| wording::paragraph(row));
    }
    let texts: Vec<(String, String)> = list
        .iter()
        .filter_map(|value| value.as_object())
        .filter_map(|row| Some((field::headline(row)?.1, wording::only_text(row)?)))
        .collect();
    if let ([(head, text), others @ ..], true) = (texts.as_slice(), texts.len() == list.len()) {
        // The first is the best match; the others are offered by name.
        let others: Vec<String> = others.iter().take(MAX_OTHERS).map(|(head, _)| format!("“{head}”")).collect();
        return format!("**{head}**: {text}\n\nThere is also something under {}.", chat::and(&others));
    }
    let noun = noun(name, list);
    if let Some(open) = under_way(list, reading) {
        return match open.as_slice() {
            [Value::Object(map)] => wording::whereabouts(map),
            open => format!("{} {noun} are under way:\n\n{}", open.len(), lines(open, MAX_ROWS)),
        };
    }
    if let Some((word, sorted)) = ranked(list, reading) {
        let first = sorted[0].as_object().map(wording::line).unwrap_or_default();
        let rest = &sorted[1..];
        return format!(
            "The {word} of the {} {noun} I found:\n\n- {first}\n\nAfter that:\n\n{}",
            list.len(),
            lines(rest, MAX_ROWS - 2)
        );
    }
    if counts {
        return format!("I found {} {noun}.\n\n{}", list.len(), lines(list, MAX_ROWS));
    }
    format!("I found {} {noun}:\n\n{}", list.len(), lines(list, MAX_ROWS))
}

/// Returns the rows that are not over yet, when the question asks where something is and others are over.
fn under_way<'a>(list: &[&'a Value], reading: &Reading) -> Option<Vec<&'a Value>> {
    const OVER: &[&str] =
        &["delivered", "cancelled", "canceled", "returned", "complete", "completed", "closed", "done"];
    let asks = reading.tokens.iter().any(|token| matches!(token.lower.as_str(), "where" | "where's" | "track"));
    let state = |row: &Value| row.get("status").or_else(|| row.get("state")).map(value::plain);
    if !asks || !list.iter().all(|row| state(row).is_some()) {
        return None;
    }
    let open: Vec<&Value> =
        list.iter().copied().filter(|row| !state(row).is_some_and(|state| OVER.contains(&state.as_str()))).collect();
    (!open.is_empty() && open.len() < list.len()).then_some(open)
}

/// Returns what the rows are called.
fn noun(name: Option<&str>, list: &[&Value]) -> String {
    let named =
        name.map(spoken).filter(|name| !matches!(name.as_str(), "rows" | "items" | "data" | "results" | "count"));
    named.unwrap_or_else(|| {
        let key = list.first().and_then(|row| row.as_object()).and_then(field::headline).map(|(key, _)| key.as_str());
        match key {
            Some("title") => "titles".into(),
            Some(key) if key.ends_with("_id") => format!("{}s", spoken(key.trim_end_matches("_id"))),
            _ => "results".into(),
        }
    })
}

/// Returns the rows in the order that the question asks for ("cheapest"), with the word for the first one.
fn ranked<'a>(list: &[&'a Value], reading: &Reading) -> Option<(&'static str, Vec<&'a Value>)> {
    let ranking = superlative::ranking(&reading.tokens)?;
    let key = ranking.keys.iter().find_map(|word| {
        list.first()?
            .as_object()?
            .keys()
            .find(|key| key.contains(word) && !key.contains("of_which") && !key.contains("age_"))
    })?;
    let number = |row: &Value| row.get(key).and_then(Value::as_f64);
    let text = |row: &Value| row.get(key).map(value::plain).unwrap_or_default();
    let mut sorted: Vec<&Value> = list.to_vec();
    sorted.sort_by(|a, b| {
        let order = match (number(a), number(b)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => text(a).cmp(&text(b)),
        };
        if ranking.ascending { order } else { order.reverse() }
    });
    (sorted.len() > 1).then_some((ranking.word, sorted))
}

fn lines(list: &[&Value], most: usize) -> String {
    let mut lines: Vec<String> = list
        .iter()
        .take(most)
        .map(|value| match value {
            Value::Object(map) => format!("- {}", wording::line(map)),
            other => format!("- {}", value::show("", other)),
        })
        .collect();
    if list.len() > most {
        lines.push(format!("- … and {} more", list.len() - most));
    }
    lines.join("\n")
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
