//! Sentences and short lines about one row.

use super::{field, value};
use crate::{chat, schema::spoken, words};
use serde_json::{Map, Value};

/// Words of keys in the order in which people want to know them.
const USEFUL: &[&[&str]] = &[
    &["status", "state"],
    &["price", "total", "refund", "cost", "amount"],
    &["availability", "available", "stock"],
    &["arrival", "eta", "delivered", "due", "expected"],
    &["carrier"],
    &["items"],
    &["genres", "genre", "category"],
    &["volumes", "pages", "count"],
    &["rating"],
    &["placed", "date", "released", "year"],
    &["tracking"],
];
/// How many characters of a member a line shows.
const MAX_MEMBER: usize = 90;
/// From how many characters on a text is said without its label.
const PROSE: usize = 60;

/// Returns a sentence that says one member of a row.
#[must_use]
pub fn member(row: &Map<String, Value>, key: &str) -> String {
    chat::sentence(&clause(row, key))
}

/// Returns the same without the capital, for the middle of a sentence; it ends with a full stop.
#[must_use]
pub fn clause(row: &Map<String, Value>, key: &str) -> String {
    let shown = value::show(key, &row[key]);
    let Some(subject) = field::subject(row) else { return stopped(&format!("{}: {shown}", field::label(key))) };
    let label = field::label(key);
    let first = label.split(' ').next().unwrap_or("");
    let number = row[key].is_number();
    let plural = label.ends_with('s') && !label.ends_with("ss") && !matches!(first, "status" | "address");
    let text = match first {
        "author" | "writer" | "creator" => format!("{subject} is by {shown}"),
        "artist" | "illustrator" => format!("{subject} is drawn by {shown}"),
        "status" | "state" | "availability" => format!("{subject} is {shown}"),
        "price" | "cost" if label == first => format!("{subject} costs {shown}"),
        "items" | "contents" => format!("{subject} holds {shown}"),
        "ship" | "address" | "destination" => format!("{subject} goes to {shown}"),
        "description" | "summary" | "synopsis" | "text" | "policy" => shown,
        "can" | "in" | "is" | "has" => format!("{subject} {label} {shown}"),
        _ if label.contains("arrival") || matches!(first, "eta" | "expected") => {
            format!("{subject} is expected on {shown}")
        }
        _ if label.ends_with(" on") && first.ends_with("ed") => format!("{subject} was {label} {shown}"),
        _ if number && plural && !label.contains(' ') => format!("{subject} has {shown} {label}"),
        _ if row[key].as_str().is_some_and(|text| text.len() > PROSE) => shown,
        _ => {
            format!("the {label} of {subject} {} {shown}", if plural && !number { "are" } else { "is" })
        }
    };
    stopped(&text)
}

/// Says how things stand with something that is on its way.
#[must_use]
pub fn whereabouts(row: &Map<String, Value>) -> String {
    let state = row.keys().find(|key| matches!(key.as_str(), "status" | "state"));
    let mut out = state.map(|key| member(row, key)).unwrap_or_default();
    let arrived = row.iter().any(|(key, value)| key.contains("delivered") && !value.is_null());
    let details: Vec<String> = row
        .iter()
        .filter(|(key, value)| {
            let wanted = ["carrier", "tracking", "location", "delivered"].iter().any(|word| key.contains(word))
                || !arrived && ["arrival", "eta", "expected"].iter().any(|word| key.contains(word));
            wanted && !value.is_null()
        })
        .take(4)
        .map(|(key, value)| format!("{}: {}", field::label(key), value::show(key, value)))
        .collect();
    if !details.is_empty() {
        out.push_str(&format!(" {}", chat::sentence(&details.join("; "))));
    }
    out
}

/// Returns a row as one line: what it is called, then the few members that people want to know.
#[must_use]
pub fn line(row: &Map<String, Value>) -> String {
    let keys = useful(row);
    let most = if field::headline(row).is_some() { 5 } else { 6 };
    let shown: Vec<String> = keys.iter().take(most).map(|key| short(key, &row[*key])).collect();
    match (head(row), shown.is_empty()) {
        (Some(head), true) => head,
        (Some(head), false) => format!("{head} — {}", shown.join("; ")),
        (None, _) => chat::capital(&shown.join("; ")),
    }
}

/// Returns a row that stands alone: its name, its text, and the members that people want to know.
#[must_use]
pub fn paragraph(row: &Map<String, Value>) -> String {
    if let Some(text) = only_text(row) {
        return text;
    }
    let keys = useful(row);
    let prose: Vec<&&String> = keys.iter().filter(|key| is_prose(key, &row[**key])).collect();
    let facts: Vec<String> = keys
        .iter()
        .filter(|key| !is_prose(key, &row[**key]))
        .take(7)
        .map(|key| format!("- {}: {}", chat::capital(&field::label(key)), value::show(key, &row[*key])))
        .collect();
    let mut parts = Vec::new();
    parts.extend(head(row));
    parts.extend(prose.iter().take(1).map(|key| chat::sentence(&value::show(key, &row[**key]))));
    match facts.as_slice() {
        [] => {}
        [one] if parts.is_empty() => parts.push(one.trim_start_matches("- ").to_owned()),
        facts => parts.push(facts.join("\n")),
    }
    parts.join("\n\n")
}

/// Returns the text of a row that is nothing but a text with its name.
#[must_use]
pub fn only_text(row: &Map<String, Value>) -> Option<String> {
    let mut long = row.iter().filter(|(key, value)| is_prose(key, value));
    let (_, text) = long.next()?;
    (long.next().is_none() && row.values().filter(|value| !value.is_null()).count() <= 3 && head_is_short(row))
        .then(|| value::plain(text).trim().to_owned())
}

/// Returns a row's name in bold with its author.
#[must_use]
pub fn head(row: &Map<String, Value>) -> Option<String> {
    let (_, head) = field::headline(row)?;
    let by = author(row).map(|(_, name)| format!(" by {name}")).unwrap_or_default();
    Some(format!("**{head}**{by}"))
}

fn head_is_short(row: &Map<String, Value>) -> bool {
    field::headline(row).is_some_and(|(_, head)| head.len() <= PROSE)
}

fn is_prose(key: &str, value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() > PROSE && text.contains(' ') && !key.contains("items"))
        && value::plain(value).split(' ').count() > 8
        && !key.contains("ship_to")
}

fn author(row: &Map<String, Value>) -> Option<(&String, String)> {
    row.iter()
        .find(|(key, value)| matches!(key.as_str(), "author" | "authors" | "by" | "writer") && value.is_string())
        .map(|(key, value)| (key, value::plain(value)))
}

/// Returns the keys that are worth saying, most useful first; names, empty members and repetitions are left out.
fn useful(row: &Map<String, Value>) -> Vec<&String> {
    let head = field::headline(row).map(|(key, _)| key.clone());
    let author = author(row);
    let rank = |key: &str| {
        let label = key.to_lowercase();
        let derived =
            label.starts_with("of_") || label.contains("_all_") || label.contains("about") || label.contains("age_");
        let place = USEFUL.iter().position(|words| words.iter().any(|word| label.contains(word)));
        if derived { USEFUL.len() + 1 } else { place.unwrap_or(USEFUL.len()) }
    };
    let mut keys: Vec<&String> = row
        .iter()
        .filter(|(key, value)| {
            let repeated = author.as_ref().is_some_and(|(own, name)| *own == *key || value::plain(value) == *name);
            Some(*key) != head.as_ref() && !repeated && !value.is_null() && value.as_str() != Some("")
        })
        .map(|(key, _)| key)
        .collect();
    let arrived = keys.iter().any(|key| key.contains("delivered"));
    keys.retain(|key| !(arrived && (key.contains("arrival") || key.as_str() == "eta")));
    if head.is_some() {
        keys.retain(|key| !(key.as_str() == "id" || key.ends_with("_id") && row.len() > 6));
    }
    keys.sort_by_key(|key| rank(key));
    keys
}

/// Returns a member in as few words as it can be understood by.
fn short(key: &str, value: &Value) -> String {
    let label = field::label(key);
    let shown = clipped(&value::show(key, value));
    let plain = ["price", "total", "refund", "status", "availability", "genres", "items"]
        .iter()
        .any(|word| label.split(' ').next_back() == Some(word) || label.starts_with(word) && *word == "price")
        && (value.is_string() || shown.starts_with('$'));
    let first = spoken(key);
    if plain {
        shown
    } else if label.ends_with("rating") && value.is_number() {
        format!("rated {shown}")
    } else if value.is_number() && label.ends_with('s') && !label.contains(' ') {
        let label = if shown == "1" { label.trim_end_matches('s') } else { &label };
        format!("{shown} {label}")
    } else if first.ends_with(" on") || label.contains("arrival") {
        format!("{label} {shown}")
    } else {
        format!("{label}: {shown}")
    }
}

fn clipped(text: &str) -> String {
    if text.chars().count() <= MAX_MEMBER {
        return text.to_owned();
    }
    let head: String = text.chars().take(MAX_MEMBER).collect();
    let cut = head.rfind(' ').unwrap_or(head.len());
    format!("{}…", words::clip(&head[..cut]).trim_end_matches([',', ';']))
}

fn stopped(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?', ':']) { text.to_owned() } else { format!("{text}.") }
}
