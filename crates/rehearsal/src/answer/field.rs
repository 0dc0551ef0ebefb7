//! One member of a result, when the question asks for it.

use super::value::{self, rows};
use crate::{
    chat,
    read::Reading,
    schema::spoken,
    words::{self, stop, synonyms},
};
use serde_json::{Map, Value};

/// Returns a sentence with the members of a result that the question names; none when it names none.
#[must_use]
pub fn answer(result: &Value, reading: &Reading) -> Option<String> {
    let row = match rows(result) {
        Some((_, list)) => match list.as_slice() {
            [one] => one.as_object()?,
            _ => return None,
        },
        None => result.as_object()?,
    };
    let keys = asked(row, reading);
    if keys.is_empty() || keys.len() > 3 {
        return None;
    }
    if let [key] = keys.as_slice() {
        let label = label(key);
        if ["in ", "is ", "has ", "can "].iter().any(|lead| label.starts_with(lead)) {
            let head = headline(row).map(|(_, text)| format!("{text}, ")).unwrap_or_default();
            return Some(chat::sentence(&format!("{head}{label}: {}", value::show(key, &row[*key]))));
        }
    }
    let parts: Vec<String> =
        keys.iter().map(|key| format!("{} is {}", label(key), value::show(key, &row[*key]))).collect();
    let head =
        headline(row).filter(|(key, _)| !keys.contains(key)).map(|(_, text)| format!(" of {text}")).unwrap_or_default();
    let mut first = parts[0].clone();
    if let Some(at) = first.find(" is ") {
        first.insert_str(at, &head);
    }
    let all: Vec<String> =
        std::iter::once(format!("the {first}")).chain(parts.iter().skip(1).map(|part| format!("the {part}"))).collect();
    Some(chat::sentence(&chat::and(&all)))
}

/// Returns the keys of a row that the question names, best first.
#[must_use]
pub fn asked<'a>(row: &'a Map<String, Value>, reading: &Reading) -> Vec<&'a String> {
    let words: Vec<(&str, &str)> = reading
        .tokens
        .iter()
        .filter(|token| {
            token.word
                && (!stop::is_stop(&token.lower) || matches!(token.lower.as_str(), "much" | "many" | "where" | "when"))
        })
        .map(|token| (token.stem.as_str(), token.lower.as_str()))
        .collect();
    let score = |key: &str| -> u32 {
        let stems = words::stems(key);
        words
            .iter()
            .map(|(stem, lower)| {
                if stems.iter().any(|own| own == stem) {
                    3
                } else if stems.iter().any(|own| answers(lower, own)) {
                    2
                } else if stems.iter().any(|own| synonyms::alike(own, stem)) {
                    1
                } else {
                    0
                }
            })
            .max()
            .unwrap_or(0)
    };
    let scalar: Vec<(&String, u32)> = row
        .iter()
        .filter(|(_, value)| !value.is_object() && !value.is_null())
        // What the question says itself is not what it asks for.
        .filter(|(_, value)| !value.as_str().is_some_and(|text| !text.is_empty() && reading.text.contains(text)))
        .map(|(key, _)| (key, score(key)))
        .collect();
    let most = scalar.iter().map(|(_, score)| *score).max().unwrap_or(0);
    if most == 0 {
        Vec::new()
    } else {
        scalar.into_iter().filter(|(_, score)| *score == most).map(|(key, _)| key).collect()
    }
}

/// Returns whether a word of a question asks for members of such a name: "how much" for a price.
fn answers(word: &str, stem: &str) -> bool {
    match word {
        "much" => matches!(stem, "pric" | "price" | "cost" | "total"),
        "many" => matches!(stem, "stock" | "quant" | "quantity" | "count" | "volum" | "volume"),
        "when" => matches!(stem, "dat" | "date" | "arriv" | "eta" | "expect"),
        _ => false,
    }
}

/// Returns the member that names a row.
#[must_use]
pub fn headline(row: &Map<String, Value>) -> Option<(&String, String)> {
    ["title", "name", "label", "subject", "order_id", "id"]
        .iter()
        .find_map(|wanted| {
            row.iter().find(|(key, value)| key.eq_ignore_ascii_case(wanted) && (value.is_string() || value.is_number()))
        })
        .map(|(key, value)| (key, value::plain(value)))
}

/// Returns a key as words.
#[must_use]
pub fn label(key: &str) -> String {
    let spoken = spoken(key);
    spoken.strip_suffix(" cents").or_else(|| spoken.strip_suffix(" usd")).unwrap_or(&spoken).to_owned()
}
