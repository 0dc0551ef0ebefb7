//! Spans turned into values of a parameter's type.

use super::Scope;
use crate::{
    read::{Span, What},
    schema::{Kind, Param},
    words::number,
};
use serde_json::{Map, Number, Value};

/// Returns a span as a value of a parameter; none when it cannot be one.
#[must_use]
pub fn of(param: &Param, span: &Span) -> Option<Value> {
    let value = match param.kind {
        Kind::Integer | Kind::Number => numeric(param, span)?,
        Kind::Text => Value::String(text(param, span)?),
        Kind::Any => match span.number() {
            Some(_) => numeric(param, span)?,
            None => Value::String(text(param, span)?),
        },
        Kind::Boolean | Kind::List | Kind::Object => return None,
    };
    param.accepts(&value).then_some(value)
}

/// Returns the default that a description states ("Default is 5", "defaults to 'cm'").
#[must_use]
pub fn stated_default(param: &Param) -> Option<Value> {
    let lower = param.description.to_lowercase();
    let at = lower.find("default")?;
    let rest = param.description.get(at..)?;
    let rest = rest.trim_start_matches(|c: char| c.is_alphabetic()).trim_start();
    let rest = rest.strip_prefix("value").unwrap_or(rest).trim_start();
    let rest = ["is set to", "is", "to", ":", "="]
        .iter()
        .find_map(|lead| rest.strip_prefix(lead))
        .unwrap_or(rest)
        .trim_start();
    let quoted = rest.chars().next().filter(|c| matches!(c, '\'' | '"' | '`'));
    let word = match quoted {
        Some(quote) => rest[1..].split(quote).next()?,
        None => rest.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ')')).next()?.trim_end_matches('.'),
    };
    match param.kind {
        Kind::Integer => word.parse::<i64>().ok().map(Value::from),
        Kind::Number => word.parse::<f64>().ok().and_then(float),
        Kind::Text if quoted.is_some() => Some(Value::String(word.to_owned())),
        Kind::Boolean => word.to_lowercase().parse::<bool>().ok().map(Value::Bool),
        _ => None,
    }
}

/// Returns the `key: value` and `key=value` pairs of a clause.
#[must_use]
pub fn pairs(scope: &Scope<'_>) -> Map<String, Value> {
    let tokens = &scope.reading.tokens;
    let mut map = Map::new();
    for (index, span) in scope.reading.spans.iter().enumerate() {
        if !scope.inside(index) {
            continue;
        }
        // The key stands before the sign, perhaps in quotes of its own.
        let mut at = span.tokens.0;
        let mut sign = false;
        let mut key = None;
        while let Some(before) = at.checked_sub(1) {
            let token = &tokens[before];
            match token.text.as_str() {
                ":" | "=" if !sign => sign = true,
                "'" | "\"" | "`" => {}
                _ if sign && token.word => {
                    key = Some(token.text.clone());
                    break;
                }
                _ => break,
            }
            at = before;
        }
        if let Some(key) = key {
            let value = match span.number() {
                Some(number) => json_number(number.value),
                None => Value::String(span.text.clone()),
            };
            map.insert(key, value);
        }
    }
    map
}

/// Returns some value of a parameter's kind, for a call that has to be made: the question itself for a text.
#[must_use]
pub fn plainest(param: &Param, question: &str) -> Value {
    if let Some(first) = param.choices.first() {
        return first.clone();
    }
    match param.kind {
        Kind::Integer | Kind::Number => json_number(param.limits.minimum.unwrap_or(0.0).ceil()),
        Kind::Text | Kind::Any => {
            let most = usize::try_from(param.limits.longest.unwrap_or(200)).unwrap_or(200).min(200);
            Value::String(question.trim().chars().take(most).collect())
        }
        Kind::Boolean => Value::Bool(false),
        Kind::List => Value::Array(Vec::new()),
        Kind::Object => Value::Object(
            param
                .properties
                .iter()
                .filter(|own| own.required)
                .map(|own| (own.name.clone(), plainest(own, question)))
                .collect(),
        ),
    }
}

/// Returns a number as JSON, whole where it is whole.
#[must_use]
pub fn json_number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        #[expect(clippy::cast_possible_truncation, reason = "the value is whole and below 2^53")]
        let whole = value as i64;
        return Value::from(whole);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn float(value: f64) -> Option<Value> {
    value.is_finite().then(|| json_number(value))
}

fn numeric(param: &Param, span: &Span) -> Option<Value> {
    let number = match &span.what {
        What::Number(number) => number,
        What::Day(day) if param.named(&["year"]) && !param.name.to_lowercase().contains("years") => {
            return Some(Value::from(day.year));
        }
        What::Day(day) if param.named(&["month"]) => return Some(Value::from(day.month)),
        What::Day(day) if param.named(&["day"]) => return Some(Value::from(day.day)),
        What::Time(hour, _) if param.named(&["hour"]) => return Some(Value::from(*hour)),
        What::Time(_, minute) if param.named(&["minute"]) => return Some(Value::from(*minute)),
        _ => return None,
    };
    if param.kind == Kind::Integer {
        return (number.value.fract() == 0.0 && number.value.abs() < 9e15).then(|| json_number(number.value));
    }
    let about = param.description.to_lowercase();
    let percent_wanted = (about.contains("percent") || param.named(&["percent", "percentage", "pct"]))
        && !about.contains("decimal")
        || param.limits.maximum == Some(100.0);
    let value = if percent_wanted { number.value } else { number.scaled() };
    float(number::round_if_close(value))
}

fn text(param: &Param, span: &Span) -> Option<String> {
    let format = param.format.as_deref().unwrap_or("");
    let about = param.description.to_lowercase();
    let date = format == "date"
        || format == "date-time"
        || param.named(&["date", "day", "when", "checkin", "checkout", "deadline"])
        || about.contains("yyyy");
    let text = match &span.what {
        What::Day(day) if date || param.pattern.is_some() => shape_date(*day, &about, format),
        What::Time(hour, minute) => shape_time(*hour, *minute, format, &span.text),
        What::Number(number) if number.worded && !number.ordinal => number::show(number.value),
        _ => span.text.clone(),
    };
    match format {
        "date" | "date-time" if !matches!(span.what, What::Day(_)) => return None,
        "email" if span.what != What::Email => return None,
        "uri" | "url" if span.what != What::Url => return None,
        "time" if !matches!(span.what, What::Time(..)) => return None,
        "uuid" if span.text.len() != 36 => return None,
        _ => {}
    }
    match &param.pattern {
        Some(pattern) if !pattern.is_match(&text) => {
            [text.to_uppercase(), text.to_lowercase(), text.replace([' ', '-'], "")]
                .into_iter()
                .find(|shape| pattern.is_match(shape))
        }
        _ => Some(text),
    }
}

fn shape_date(day: crate::words::date::Day, about: &str, format: &str) -> String {
    if format == "date-time" {
        format!("{}T00:00:00Z", day.iso())
    } else if about.contains("mm/dd/yyyy") {
        format!("{:02}/{:02}/{:04}", day.month, day.day, day.year)
    } else if about.contains("dd/mm/yyyy") {
        format!("{:02}/{:02}/{:04}", day.day, day.month, day.year)
    } else if about.contains("mm-dd-yyyy") {
        format!("{:02}-{:02}-{:04}", day.month, day.day, day.year)
    } else if about.contains("dd-mm-yyyy") {
        format!("{:02}-{:02}-{:04}", day.day, day.month, day.year)
    } else {
        day.iso()
    }
}

fn shape_time(hour: i64, minute: i64, format: &str, _written: &str) -> String {
    if format == "time" { format!("{hour:02}:{minute:02}:00") } else { format!("{hour:02}:{minute:02}") }
}
