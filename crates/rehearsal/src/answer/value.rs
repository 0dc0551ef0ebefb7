//! Values of results in readable writing.

use crate::words::date;
use serde_json::Value;

/// How many members of an inner list are shown.
const MAX_INNER: usize = 6;

/// Returns the rows of a result: a list, or the one list of objects inside an object.
#[must_use]
pub fn rows(result: &Value) -> Option<(Option<&str>, Vec<&Value>)> {
    match result {
        Value::Array(list) => Some((None, list.iter().collect())),
        Value::Object(map) => {
            let mut lists = map.iter().filter_map(|(key, value)| value.as_array().map(|list| (key, list)));
            let (key, list) = lists.next()?;
            let single = lists.next().is_none() && list.iter().all(Value::is_object) && map.len() <= 5;
            let wrapper = map.iter().all(|(own, value)| {
                own == key
                    || matches!(
                        own.as_str(),
                        "count"
                            | "total"
                            | "cursor"
                            | "truncated"
                            | "page"
                            | "limit"
                            | "query"
                            | "next"
                            | "offset"
                            | "note"
                            | "status"
                            | "ok"
                            | "success"
                    )
                    || value.is_null()
            });
            (single && wrapper).then(|| (Some(key.as_str()), list.iter().collect()))
        }
        _ => None,
    }
}

/// Returns a value as words, with regard to its key: money, dates, yes and no.
#[must_use]
pub fn show(key: &str, value: &Value) -> String {
    let lower = key.to_lowercase();
    match value {
        Value::Number(number) => {
            let Some(amount) = number.as_f64() else { return number.to_string() };
            if lower.ends_with("_cents") {
                return format!("{:.2}", amount / 100.0);
            }
            if lower.ends_with("_usd") {
                return format!("${amount:.2}");
            }
            let money =
                ["price", "cost", "fee", "refund", "subtotal", "amount"].iter().any(|word| lower.contains(word));
            if money && amount.fract() != 0.0 { format!("{amount:.2}") } else { number.to_string() }
        }
        Value::Bool(yes) => {
            if *yes {
                "yes".into()
            } else {
                "no".into()
            }
        }
        Value::String(text) => {
            let text = text.trim();
            if lower.contains("age") && text == "all" {
                return "all ages".into();
            }
            if lower.contains("genre")
                && let Some((head, last)) = text.rsplit_once(", ")
            {
                return format!("{head} and {last}");
            }
            day(text).or_else(|| unnumbered(text)).unwrap_or_else(|| text.replace("\n\n", "\n"))
        }
        Value::Null => "unknown".into(),
        Value::Array(list) => {
            let shown: Vec<String> = list.iter().take(MAX_INNER).map(|value| show(key, value)).collect();
            let more = list.len().saturating_sub(MAX_INNER);
            let text = if list.is_empty() { "none".into() } else { shown.join(", ") };
            if more > 0 { format!("{text} and {more} more") } else { text }
        }
        Value::Object(map) => {
            let parts: Vec<String> = map
                .iter()
                .filter(|(_, value)| !value.is_null())
                .take(MAX_INNER)
                .map(|(key, value)| format!("{} {}", super::field::label(key), show(key, value)))
                .collect();
            parts.join(", ")
        }
    }
}

/// Returns whether a value is nothing but a date or a time.
#[must_use]
pub fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| day(text.trim()).is_some())
}

/// Returns a scalar without quotes.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns the name of a day's month.
#[must_use]
pub fn month_name(day: date::Day) -> Option<&'static str> {
    MONTHS.get(usize::try_from(day.month - 1).ok()?).copied()
}

/// Returns the name of a day of the week.
#[must_use]
pub fn weekday_name(day: date::Day) -> &'static str {
    const NAMES: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    usize::try_from(day.weekday()).ok().and_then(|index| NAMES.get(index)).copied().unwrap_or("")
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Leaves out the numbers of a list that is written in one text: "1: a; 2: b" becomes "a; b".
fn unnumbered(text: &str) -> Option<String> {
    let parts: Option<Vec<&str>> =
        text.split("; ").enumerate().map(|(index, part)| part.strip_prefix(&format!("{}: ", index + 1))).collect();
    parts.map(|parts| parts.join("; "))
}

/// Returns an ISO date or time as people write it.
fn day(text: &str) -> Option<String> {
    if !(10..=40).contains(&text.len()) || !text.is_ascii() || text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    let (head, tail) = text.split_at(10);
    let day = date::parse_day(head)?;
    let month = month_name(day)?;
    let date = format!("{} {month} {}", day.day, day.year);
    let clock =
        tail.strip_prefix(['T', ' ']).and_then(|rest| rest.get(..5)).filter(|clock| clock.as_bytes()[2] == b':');
    match (tail, clock) {
        ("", _) => Some(date),
        (_, Some(clock)) => {
            let zone = &tail[6..];
            let zone = zone.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':' || c == '.');
            let zone = match zone {
                "" => String::new(),
                "Z" => " UTC".into(),
                other => format!(" {}", other.trim()),
            };
            Some(format!("{date}, {clock}{zone}"))
        }
        _ => None,
    }
}
