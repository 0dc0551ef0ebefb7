//! One member of a row, when the question asks for it: which one, and the sentence that says it.

use super::{
    value::{self, rows},
    wording,
};
use crate::{
    read::Reading,
    schema::spoken,
    words::{self, stop, superlative, synonyms},
};
use serde_json::{Map, Value};

/// What a member needs to be said to be asked for.
const ASKED: f64 = 0.4;

/// Returns a sentence with the member of a result that the question asks for; none when it asks for none.
#[must_use]
pub fn answer(result: &Value, reading: &Reading) -> Option<String> {
    let row = match rows(result) {
        Some((_, list)) => meant(&list, reading)?,
        None => result.as_object()?,
    };
    sentence(row, reading)
}

/// Returns the row that a question means: the only one, the one that it names, or the last or first by date.
#[must_use]
pub fn meant<'a>(list: &[&'a Value], reading: &Reading) -> Option<&'a Map<String, Value>> {
    if let [one] = list {
        return one.as_object();
    }
    let maps: Vec<&Map<String, Value>> = list.iter().filter_map(|value| value.as_object()).collect();
    let lower = reading.text.to_lowercase();
    let mut named = maps
        .iter()
        .filter(|map| headline(map).is_some_and(|(_, head)| head.len() > 2 && lower.contains(&head.to_lowercase())));
    if let (Some(one), None) = (named.next(), named.next()) {
        return Some(*one);
    }
    let end = reading.tokens.iter().find_map(|token| match token.lower.as_str() {
        "last" | "latest" | "newest" | "recent" => Some(true),
        "first" | "oldest" | "earliest" => Some(false),
        _ => None,
    })?;
    let date = |map: &Map<String, Value>| {
        map.iter()
            .find(|(key, value)| {
                ["placed", "created", "ordered", "date"].iter().any(|word| key.contains(word)) && value::is_time(value)
            })
            .map(|(_, value)| value::plain(value))
    };
    let mut dated: Vec<(String, &Map<String, Value>)> =
        maps.iter().filter_map(|map| Some((date(map)?, *map))).collect();
    dated.sort_by(|a, b| a.0.cmp(&b.0));
    let row = if end { dated.last() } else { dated.first() };
    row.map(|(_, map)| *map)
}

/// Returns the sentence that answers the question from a row.
#[must_use]
pub fn sentence(row: &Map<String, Value>, reading: &Reading) -> Option<String> {
    if let Some(key) = confirmed(row, reading) {
        return Some(format!("Yes, {}", wording::clause(row, key)));
    }
    if whereabouts(row, reading) {
        return Some(wording::whereabouts(row));
    }
    let Some(key) = asked(row, reading) else { return unknown_yet(row, reading) };
    let text = wording::member(row, key);
    let yes_no = matches!(reading.lower(0), "is" | "are" | "does" | "do" | "has" | "have" | "can" | "was" | "did");
    let available = key.contains("avail") || key.contains("stock");
    if yes_no && available && !row[key].is_number() {
        let none = ["sold out", "out of stock", "unavailable", "false", "no"]
            .iter()
            .any(|word| value::plain(&row[key]).to_lowercase().starts_with(word));
        return Some(format!("{}, {}", if none { "No" } else { "Yes" }, wording::clause(row, key)));
    }
    let waiting = ["processing", "pending", "open", "new", "waiting", "queued"];
    if yes_no
        && reading.tokens.iter().any(|token| token.lower == "yet")
        && waiting.iter().any(|state| value::plain(&row[key]).eq_ignore_ascii_case(state))
    {
        return Some(format!("Not yet: {}", wording::clause(row, key)));
    }
    Some(text)
}

/// Returns the member whose short value a yes-or-no question says itself: "is it complete?".
fn confirmed<'a>(row: &'a Map<String, Value>, reading: &Reading) -> Option<&'a String> {
    if !matches!(reading.lower(0), "is" | "are" | "has" | "was" | "did" | "does" | "have") {
        return None;
    }
    let head = headline(row).map(|(key, _)| key.clone());
    let said: Vec<&str> = reading.tokens.iter().map(|token| token.stem.as_str()).collect();
    row.iter()
        .filter(|(key, value)| Some(*key) != head.as_ref() && value.is_string())
        .find(|(key, value)| {
            let stems = words::stems(&value::plain(value));
            let state =
                key.contains("status") || key.contains("state") || key.contains("avail") || key.contains("author");
            state && (1..=3).contains(&stems.len()) && stems.iter().all(|stem| said.contains(&stem.as_str()))
        })
        .map(|(key, _)| key)
}

/// Returns whether the question asks how things stand with something that is on its way.
fn whereabouts(row: &Map<String, Value>, reading: &Reading) -> bool {
    let has = |set: &[&str]| reading.tokens.iter().any(|token| set.contains(&token.lower.as_str()));
    let stands = row.keys().any(|key| matches!(key.as_str(), "status" | "state"));
    let place = row.keys().any(|key| matches!(key.as_str(), "location" | "place" | "address" | "city"));
    let target = has(&["to", "sent", "address", "going"]);
    stands
        && !place
        && (has(&["where", "where's", "track", "status", "dónde", "donde", "wo", "où"]) && !target
            || has(&["status", "track"]) && !has(&["number"]))
}

/// Says how things stand when what the question asks for is not there yet.
fn unknown_yet(row: &Map<String, Value>, reading: &Reading) -> Option<String> {
    let key = among(row, reading, true)?;
    let state = row.keys().find(|key| matches!(key.as_str(), "status" | "state"))?;
    Some(format!("{} There is no {} yet.", wording::member(row, state), label(key)))
}

/// Returns the key that the question asks for.
#[must_use]
pub fn asked<'a>(row: &'a Map<String, Value>, reading: &Reading) -> Option<&'a String> {
    among(row, reading, false)
}

/// Returns the key that the question asks for among those that have a value, or among those that have none.
fn among<'a>(row: &'a Map<String, Value>, reading: &Reading, empty: bool) -> Option<&'a String> {
    let hints = hints(reading);
    let head = headline(row).map(|(key, _)| key.clone());
    let said: Vec<(&str, &str)> = reading
        .tokens
        .iter()
        .filter(|token| token.word && (!stop::is_stop(&token.lower) || token.lower == "all"))
        .map(|token| (token.stem.as_str(), token.lower.as_str()))
        .collect();
    let score = |key: &str| -> f64 {
        let own: Vec<String> = words::stems(key)
            .into_iter()
            .filter(|stem| !stop::is_stop(stem) && !matches!(stem.as_str(), "usd" | "cent") || stem == "all")
            .collect();
        if own.is_empty() {
            return 0.0;
        }
        let direct: f64 = own
            .iter()
            .map(|own| {
                let exact = said.iter().any(|(stem, _)| stem == own);
                let like = said.iter().any(|(stem, lower)| stop_word_free(lower) && synonyms::alike(own, stem));
                if exact {
                    1.0
                } else if like {
                    0.4
                } else {
                    0.0
                }
            })
            .sum();
        #[expect(clippy::cast_precision_loss, reason = "a few words")]
        let length = own.len() as f64;
        let hinted = hints
            .iter()
            .enumerate()
            .find(|(_, hint)| {
                if hint.contains('_') { key.contains(**hint) } else { own.iter().any(|own| *own == words::stem(hint)) }
            })
            .map_or(0.0, |(rank, _)| 1.2 - 0.05 * f64::from(u8::try_from(rank).unwrap_or(20).min(20)));
        // Of two keys that say the same the shorter one is meant.
        hinted + 0.9 * direct / length - 0.03 * length - 0.001 * f64::from(u8::try_from(key.len()).unwrap_or(u8::MAX))
    };
    row.iter()
        .filter(|(key, value)| Some(*key) != head.as_ref() && !value.is_object() && value.is_null() == empty)
        .filter(|(key, value)| fits(key, value, reading))
        // What the question says itself is not what it asks for.
        .filter(|(_, value)| !value.as_str().is_some_and(|text| !text.is_empty() && reading.text.contains(text)))
        .map(|(key, _)| (key, score(key)))
        .filter(|(_, score)| *score >= ASKED)
        .fold(None::<(&'a String, f64)>, |best, (key, score)| match best {
            Some((_, most)) if most >= score => best,
            _ => Some((key, score)),
        })
        .map(|(key, _)| key)
}

/// Returns whether a value is of the kind that the question word asks for: "when" a time, "how much" a number.
fn fits(key: &str, value: &Value, reading: &Reading) -> bool {
    let pair = |a: &str, b: &[&str]| {
        reading.tokens.windows(2).any(|pair| pair[0].lower == a && b.contains(&pair[1].lower.as_str()))
    };
    if value.is_null() {
        return true;
    }
    if reading.tokens.iter().any(|token| token.lower == "when") {
        return value::is_time(value) || key.contains("year");
    }
    let counted = value.is_number() || value.as_str().is_some_and(|text| text.starts_with(['$', '€', '£']));
    !pair("how", &["much", "many"]) || counted
}

fn stop_word_free(word: &str) -> bool {
    !matches!(word, "many" | "much" | "order" | "title" | "book" | "manga" | "number" | "series")
}

/// Returns words of keys that a question's own words ask for, best first: "when … arrive" for an estimated arrival.
fn hints(reading: &Reading) -> Vec<&'static str> {
    let has = |set: &[&str]| reading.tokens.iter().any(|token| set.contains(&token.lower.as_str()));
    let pair = |a: &str, b: &str| reading.tokens.windows(2).any(|pair| pair[0].lower == a && pair[1].lower == b);
    let mut out: Vec<&'static str> = Vec::new();
    if has(&["drew", "draws", "drawn", "illustrated", "illustrator"]) {
        out.extend(["artist", "illustrator"]);
    }
    if has(&["wrote", "writes", "written", "author", "writer"])
        || pair("who", "is") && has(&["by"])
        || pair("who", "made")
    {
        out.extend(["author", "writer", "creator"]);
    }
    if has(&["when"]) || pair("how", "soon") || pair("what", "day") || pair("what", "date") {
        if has(&["ship", "shipped", "sent", "leave"]) {
            out.extend(["shipped", "ship"]);
        }
        if has(&["place", "placed", "ordered", "order", "bought"])
            && !has(&["arrive", "come", "get", "delivered", "here"])
        {
            out.extend(["placed", "ordered", "created"]);
        }
        if has(&["return", "returned"]) {
            out.extend(["returned", "return"]);
        }
        if has(&["released", "release", "published", "start", "started", "first"]) || pair("come", "out") {
            out.extend(["release", "published", "year"]);
        }
        out.extend(["delivered", "arrival", "eta", "expected"]);
        if !has(&["arrive", "arrives", "arriving", "come", "coming", "get", "here", "deliver", "delivered", "expect"]) {
            out.extend(["date", "placed"]);
        }
    }
    if pair("how", "long") && has(&["is", "are"]) {
        out.extend(["volumes", "pages", "length", "duration"]);
    }
    if pair("how", "long") && has(&["take", "until", "till"]) {
        out.extend(["arrival", "eta"]);
    }
    if has(&["where", "where's", "which", "what"]) && has(&["sent", "to", "address", "going"]) && !has(&["happened"]) {
        out.extend(["ship_to", "address", "destination"]);
    }
    if pair("how", "much") || has(&["cost", "costs", "price", "pay", "paid", "total", "expensive"]) {
        if has(&["shipping", "delivery", "postage"]) {
            out.push("shipping");
        }
        if has(&["refund", "back"]) {
            out.push("refund");
        }
        out.extend(["total", "price", "cost", "amount"]);
    }
    if has(&["where"]) && out.is_empty() {
        out.extend(["location", "place", "city", "address", "status"]);
    }
    if pair("in", "stock")
        || has(&["available", "availability", "buy"])
        || pair("sold", "out")
        || pair("do", "you") && has(&["have", "sell"])
    {
        out.extend(["availability", "available", "stock"]);
    }
    if has(&[
        "complete",
        "completed",
        "finished",
        "ongoing",
        "ended",
        "running",
        "shipped",
        "arrived",
        "arrive",
        "delivered",
        "cancelled",
    ]) && !has(&["when"])
    {
        out.extend(["status", "state"]);
    }
    let last = reading.tokens.iter().rev().find(|token| token.word).map_or("", |token| token.lower.as_str());
    if last == "about" || has(&["plot", "synopsis", "premise"]) || pair("happens", "in") {
        out.extend(["description", "summary", "synopsis", "plot"]);
    }
    if has(&["children", "kids", "child", "kid", "suitable", "age", "old", "family-friendly", "appropriate"]) {
        out.extend(["age", "rating"]);
    }
    if (pair("did", "i") || pair("have", "i")) && has(&["order", "ordered", "buy", "bought"]) && !has(&["when"])
        || has(&["what", "what's", "which"])
            && has(&["in", "contain", "contains", "items", "books"])
            && !has(&["stock", "year", "genre"])
    {
        out.extend(["items", "contents", "lines"]);
    }
    if has(&["good", "rated", "rating", "popular", "stars"]) {
        out.extend(["reader_rating", "rating", "score"]);
    }
    if superlative::ranking(&reading.tokens).is_some() {
        out.clear();
    }
    out
}

/// Returns the member that names a row.
#[must_use]
pub fn headline(row: &Map<String, Value>) -> Option<(&String, String)> {
    ["title", "name", "label", "subject", "topic", "term", "order_id", "id"]
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
    let spoken = spoken.strip_prefix("of which ").unwrap_or(&spoken);
    spoken.strip_suffix(" cents").or_else(|| spoken.strip_suffix(" usd")).unwrap_or(spoken).to_owned()
}

/// Returns how a sentence speaks of a row: its title, or what its id is an id of.
#[must_use]
pub fn subject(row: &Map<String, Value>) -> Option<String> {
    let (key, head) = headline(row)?;
    let kind = key.strip_suffix("_id").filter(|kind| !kind.is_empty());
    Some(kind.map_or(head.clone(), |kind| format!("{} {head}", spoken(kind))))
}
