//! The time, and how long it is until a day.

use super::value;
use crate::{
    chat,
    read::{Reading, What},
    turn::Step,
    words::{self, date},
};

/// How long a result may be that tells nothing but the time.
const MAX_TEXT: usize = 120;

/// Returns a sentence for a result that is a point in time; none when it is something else.
#[must_use]
pub fn answer(step: &Step, text: &str, reading: &Reading) -> Option<String> {
    let text = text.trim();
    let told = ["time", "date", "clock", "now", "day"].map(words::stem);
    if text.len() > MAX_TEXT || text.contains('\n') || !words::stems(&step.name).iter().any(|own| told.contains(own)) {
        return None;
    }
    let head = text.split(" (").next()?;
    let tokens = words::tokens(head);
    let days = date::written(&tokens)?;
    let rest = tokens.iter().filter(|token| token.word).count();
    if rest > 8 {
        return None;
    }
    let clock = date::times(&tokens).into_iter().next();
    let day = format!("{} {} {}", days.day, value::month_name(days)?, days.year);
    let place = step
        .input
        .as_object()
        .and_then(|map| map.values().find_map(serde_json::Value::as_str))
        .map(|zone| zone.rsplit('/').next().unwrap_or(zone).replace('_', " "))
        .filter(|place| !place.is_empty())
        .filter(|place| !place.eq_ignore_ascii_case("utc"))
        .map_or_else(String::new, |place| {
            let words: Vec<String> = place.split(' ').map(chat::capital).collect();
            format!(" in {}", words.join(" "))
        });
    if let Some(target) = until(reading) {
        let left = days.days_until(target);
        let to = format!("{} {} {}", target.day, value::month_name(target)?, target.year);
        return Some(match left {
            0 => format!("That is today, {to}."),
            1 => format!("One day: today is {day}, and it is {to} tomorrow."),
            left => format!("There are {left} days from today, {day}, until {to}."),
        });
    }
    let has = |set: &[&str]| reading.tokens.iter().any(|token| set.contains(&token.lower.as_str()));
    for (word, name, days) in [("tomorrow", "Tomorrow is", days.plus(1)), ("yesterday", "Yesterday was", days.plus(-1))]
    {
        if has(&[word]) && has(&["day", "date", "weekday"]) {
            let month = value::month_name(days)?;
            return Some(format!("{name} {}, {} {month} {}.", value::weekday_name(days), days.day, days.year));
        }
    }
    if has(&["day", "date", "today", "today's", "weekday"]) && !has(&["time", "hour", "clock"]) || clock.is_none() {
        return Some(format!("Today is {}, {day}.", value::weekday_name(days)));
    }
    let clock = clock?;
    let zone = if place.is_empty() && (text.contains("UTC") || text.ends_with('Z')) { " UTC" } else { "" };
    Some(format!("It is {:02}:{:02}{zone} on {day}{place}.", clock.hour, clock.minute))
}

/// Returns the day up to which the question counts.
fn until(reading: &Reading) -> Option<date::Day> {
    let counts = reading.tokens.windows(2).any(|pair| {
        matches!(pair[0].lower.as_str(), "many" | "long" | "days")
            && matches!(pair[1].lower.as_str(), "days" | "until" | "till" | "is" | "to" | "before")
    });
    if !counts {
        return None;
    }
    reading.spans.iter().find_map(|span| match span.what {
        What::Day(day) => Some(day),
        _ => None,
    })
}
