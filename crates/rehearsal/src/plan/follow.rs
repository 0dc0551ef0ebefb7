//! Questions that lean on the turn before: "and times two?", "what about volume 3?", "and its price?".

use super::{Call, Next};
use crate::{
    answer::{self, field},
    choose::Toolbox,
    fill::{self, Scope, expression},
    read::{Reading, What},
    turn::{Step, Turn},
    words::{self, number, stop},
};
use bedplate_core::time::Timestamp;
use serde_json::Value;

/// A longer question stands on its own.
const MAX_TOKENS: usize = 14;
/// How many turns back "it" may stand for something.
const TURNS_BACK: usize = 6;

/// Returns what a follow-up asks for; none when the question stands on its own.
#[must_use]
pub fn next(toolbox: &Toolbox, turns: &[Turn], reading: &Reading, now: Timestamp) -> Option<Next> {
    if turns.len() < 2 || reading.tokens.is_empty() || reading.tokens.len() > MAX_TOKENS {
        return None;
    }
    let before = &turns[turns.len() - 2];
    sum(toolbox, before, reading, now).or_else(|| again(toolbox, before, reading)).map(|call| Next::Calls(vec![call]))
}

/// Answers a question for a member of the last result ("and its price?"); none when that is not what is asked.
#[must_use]
pub fn member(turns: &[Turn], reading: &Reading) -> Option<String> {
    let (turn, earlier) = turns.split_last()?;
    if reading.tokens.len() > MAX_TOKENS || !turn.steps.is_empty() || !leans(reading) {
        return None;
    }
    let (value, _) = last_thing(earlier)?;
    field::answer(value, reading)
}

/// Returns the last question with what "it" stands for in place of the pronoun; none when no pronoun needs it.
#[must_use]
pub fn resolved(turns: &[Turn], now: Timestamp) -> Option<String> {
    /// Words with which "it" stands for nothing: "what time is it".
    const EMPTY: &[&str] = &[
        "time", "day", "date", "today", "weather", "raining", "going", "double", "triple", "halve", "multiply",
        "divide", "add", "subtract", "times", "plus", "minus", "possible", "true", "ok", "okay", "that", "take",
        "mean", "means",
    ];
    let (turn, earlier) = turns.split_last()?;
    if earlier.is_empty() || turn.question.len() > 200 {
        return None;
    }
    let reading = Reading::new(&turn.question, now);
    let named =
        reading.spans.iter().any(|span| matches!(span.what, What::Name | What::Code | What::Quoted | What::Url));
    if reading.tokens.len() > MAX_TOKENS
        || named
        || reading.tokens.iter().any(|token| EMPTY.contains(&token.lower.as_str()))
    {
        return None;
    }
    let at = reading.tokens.iter().position(|token| matches!(token.lower.as_str(), "it" | "its" | "it's" | "it’s"))?;
    let (_, name) = last_thing(earlier)?;
    let name = name?;
    let token = &reading.tokens[at];
    let said = match token.lower.as_str() {
        "it" => name,
        "its" => format!("{name}'s"),
        _ => format!("{name} is"),
    };
    Some(format!("{}{said}{}", &reading.text[..token.start], &reading.text[token.end..]))
}

/// Returns the last result of the turns before, and the name of the one thing that it is about.
fn last_thing(earlier: &[Turn]) -> Option<(&Value, Option<String>)> {
    let turn = earlier.iter().rev().take(TURNS_BACK).find(|turn| !turn.steps.is_empty())?;
    let step = turn.steps.iter().rev().find(|step| succeeded(step))?;
    let value = &step.output.as_ref()?.value;
    let row = match answer::value::rows(value) {
        Some((_, list)) => match list.as_slice() {
            [one] => one.as_object(),
            // Several rows, of which the call named one.
            list => {
                let asked: Vec<String> = step
                    .input
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter_map(|(_, value)| value.as_str().map(str::to_lowercase))
                    .collect();
                list.iter()
                    .filter_map(|row| row.as_object())
                    .find(|row| field::headline(row).is_some_and(|(_, head)| asked.contains(&head.to_lowercase())))
            }
        },
        None => value.as_object(),
    };
    Some((value, row.and_then(field::headline).map(|(_, head)| head)))
}

/// Goes on to reckon with a number of the last result: "the total of my last order plus 5".
#[must_use]
pub fn reckon(toolbox: &Toolbox, turn: &Turn, reading: &Reading, now: Timestamp) -> Option<Call> {
    let (tool, param) = toolbox
        .tools
        .iter()
        .find_map(|tool| tool.params.iter().find(|param| expression::wanted(param)).map(|param| (tool, param)))?;
    if turn.steps.iter().any(|step| step.name == tool.name) {
        return None;
    }
    let operates = |at: usize| {
        matches!(
            reading.lower(at),
            "plus" | "minus" | "times" | "divided" | "multiplied" | "+" | "-" | "*" | "/" | "×" | "doubled" | "halved"
        )
    };
    let at = (1..reading.tokens.len()).find(|at| operates(*at))?;
    if number::numbers(&reading.tokens[..at]).iter().any(|number| number.tokens.1 + 1 == at) {
        return None;
    }
    let step = turn.steps.iter().rev().find(|step| succeeded(step))?;
    let value = &step.output.as_ref()?.value;
    let row = match answer::value::rows(value) {
        Some((_, list)) => field::meant(&list, reading)?,
        None => value.as_object()?,
    };
    let key = field::asked(row, reading)?;
    let amount = row[key].as_f64()?;
    let combined =
        Reading::new(&format!("{} {}", number::show(amount), reading.slice(at, reading.tokens.len() - 1)), now);
    let (expression, _) =
        expression::arithmetic(&combined, (0, combined.tokens.len().checked_sub(1)?), &param.description)?;
    let mut args = serde_json::Map::new();
    args.insert(param.name.clone(), Value::String(expression));
    Some(Call { name: tool.name.clone(), args })
}

/// Returns whether a question speaks of something without naming it.
fn leans(reading: &Reading) -> bool {
    let pronoun = reading.tokens.iter().any(|token| {
        matches!(
            token.lower.as_str(),
            "it" | "its"
                | "it's"
                | "that"
                | "this"
                | "they"
                | "their"
                | "them"
                | "those"
                | "these"
                | "one"
                | "he"
                | "she"
                | "his"
                | "her"
        )
    });
    pronoun || matches!(reading.lower(0), "and" | "also" | "but" | "so")
}

fn succeeded(step: &Step) -> bool {
    step.output.as_ref().is_some_and(|output| !output.failed)
}

/// Continues a calculation with its result.
fn sum(toolbox: &Toolbox, before: &Turn, reading: &Reading, now: Timestamp) -> Option<Call> {
    let (tool, param) = toolbox
        .tools
        .iter()
        .find_map(|tool| tool.params.iter().find(|param| expression::wanted(param)).map(|param| (tool, param)))?;
    let result = before
        .steps
        .iter()
        .rev()
        .filter(|step| succeeded(step))
        .find_map(|step| super::chain::single_number(&step.output.as_ref()?.value))
        .or_else(|| {
            let tokens = words::tokens(&before.answer);
            number::numbers(&tokens).last().map(|number| number.value)
        })?;
    let shown = if result < 0.0 { format!("({})", number::show(result)) } else { number::show(result) };
    let pronoun = |lower: &str| matches!(lower, "that" | "it" | "this" | "result");
    let pointed = reading.tokens.iter().any(|token| pronoun(&token.lower));
    let numbers = number::numbers(&reading.tokens);
    let first_pronoun = reading.tokens.iter().position(|token| pronoun(&token.lower)).unwrap_or(0);
    if pointed && numbers.iter().any(|number| !number.ordinal && number.tokens.0 < first_pronoun) {
        // "100 divided by 4, then multiply that by 3" points at itself.
        return None;
    }
    let mut text = String::new();
    if !pointed {
        // Only a question that starts with an operation goes on from the number.
        let first = reading.tokens.iter().find(|token| {
            token.word
                && !matches!(
                    token.lower.as_str(),
                    "and" | "now" | "then" | "ok" | "okay" | "what" | "about" | "so" | "if" | "also"
                )
                || matches!(token.text.as_str(), "+" | "-" | "*" | "/" | "×" | "÷")
        })?;
        let operation = matches!(
            first.lower.as_str(),
            "times"
                | "plus"
                | "minus"
                | "divided"
                | "multiplied"
                | "squared"
                | "cubed"
                | "+"
                | "-"
                | "*"
                | "/"
                | "×"
                | "÷"
                | "to"
                | "x"
                | "add"
                | "subtract"
        );
        let verb = matches!(first.lower.as_str(), "add" | "subtract" | "to");
        if !operation || verb && numbers.len() != 1 {
            return None;
        }
        text.push_str(&shown);
        text.push(' ');
    }
    for token in &reading.tokens {
        let lower = token.lower.as_str();
        if pronoun(lower) {
            text.push_str(&shown);
        } else if !matches!(lower, "and" | "now" | "then" | "the" | "?" | "." | "!") {
            text.push_str(&token.text);
        }
        text.push(' ');
    }
    let combined = Reading::new(&text, now);
    let window = (0, combined.tokens.len().checked_sub(1)?);
    let (expression, _) = expression::arithmetic(&combined, window, &param.description)?;
    let mut args = serde_json::Map::new();
    args.insert(param.name.clone(), Value::String(expression));
    Some(Call { name: tool.name.clone(), args })
}

/// Makes the last call again with what the follow-up changes.
fn again(toolbox: &Toolbox, before: &Turn, reading: &Reading) -> Option<Call> {
    let lead = match (reading.lower(0), reading.lower(1)) {
        ("what" | "how", "about") => 2,
        ("and", "what" | "how") if reading.lower(2) == "about" => 3,
        ("and" | "or" | "now", "for" | "in" | "with" | "of") => 1,
        ("and" | "or", _) => 1,
        ("same", "for" | "with") | ("same", _) => 1,
        _ => return None,
    };
    let step = before.steps.iter().rev().find(|step| step.output.is_some())?;
    let tool = toolbox.tools.iter().find(|tool| tool.name == step.name)?;
    let window = (lead.min(reading.tokens.len() - 1), reading.tokens.len() - 1);
    let mut scope = Scope::new(reading, window, tool);
    let filled = fill::fill(tool, &mut scope);
    let mut args = step.input.as_object()?.clone();
    let mut changed = false;
    for (name, value) in filled.args {
        let param = tool.params.iter().find(|param| param.name == name)?;
        // A value that the schema supplies is no change.
        let told = filled.told.contains(&name)
            || filled.sources.iter().any(|(own, _)| *own == name)
            || !param.choices.is_empty()
            || fill::query::is_query(param)
            || param.kind == crate::schema::Kind::List;
        if told && args.get(&name) != Some(&value) {
            args.insert(name, value);
            changed = true;
        }
    }
    if !changed && !reading.tokens.iter().any(words::Token::digit) {
        // "what about Osaka" for the one text that the call had.
        let word = reading.tokens[window.0..=window.1]
            .iter()
            .filter(|token| token.word && !stop::is_stop(&token.lower))
            .map(|token| token.text.as_str())
            .collect::<Vec<_>>()
            .join(" ");
        let mut texts: Vec<&String> =
            args.iter().filter(|(_, value)| value.is_string()).map(|(name, _)| name).collect();
        if texts.len() == 1 && !word.is_empty() {
            let name = texts.remove(0).clone();
            let value = Value::String(word);
            if tool.params.iter().any(|param| param.name == name && param.accepts(&value)) {
                args.insert(name, value);
                changed = true;
            }
        }
    }
    changed.then(|| Call { name: step.name.clone(), args })
}
