//! Names in a text: runs of capitalised words.

use crate::words::{Token, date, places, stop};

/// Returns the token ranges (inclusive) of names.
#[must_use]
pub fn names(tokens: &[Token], taken: &[bool]) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let shouting = tokens.iter().filter(|t| t.word && t.text.len() > 3).all(|t| t.text == t.text.to_uppercase());
    let mut at = 0;
    while at < tokens.len() {
        if !begins(tokens, taken, at) || shouting && tokens.len() > 3 {
            at += 1;
            continue;
        }
        let mut last = at;
        loop {
            let next = last + 1;
            if tokens[last].lower.ends_with("'s") || tokens[last].lower.ends_with("’s") {
                break;
            }
            let initial = tokens[last].text.chars().count() <= 2
                && tokens.get(next).is_some_and(|t| t.text == "." && t.start == tokens[last].end)
                && part(tokens, taken, next + 1);
            if part(tokens, taken, next) {
                last = next;
            } else if initial || linked(tokens, taken, next) {
                last = next + 1;
            } else if tokens.get(next).is_some_and(|t| t.lower == "of")
                && tokens.get(next + 1).is_some_and(|t| t.lower == "the")
                && part(tokens, taken, next + 2)
            {
                last = next + 2;
            } else {
                break;
            }
        }
        // A city takes its region along.
        if tokens.get(last + 1).is_some_and(|t| t.text == ",") {
            let mut end = last + 2;
            while part(tokens, taken, end + 1) {
                end += 1;
            }
            if end < tokens.len() && part(tokens, taken, last + 2) {
                let region: Vec<&str> = tokens[last + 2..=end].iter().map(|t| t.text.as_str()).collect();
                let after = |step: usize| tokens.get(end + step);
                let goes_on = after(1).is_some_and(|t| t.text == ",")
                    && after(2).is_some_and(|t| t.capital() && !stop::is_stop(&t.lower) && !stop::is_command(&t.lower));
                let joined = after(1).is_some_and(|t| matches!(t.lower.as_str(), "and" | "or" | "&"));
                let in_list = at > 0 && tokens[at - 1].text == ",";
                let region = region.join(" ");
                // A list of two has "and"; two names with nothing but a comma are one place.
                let place = places::is_region(&region) && (!goes_on || region.len() <= 3)
                    || !goes_on
                        && !joined
                        && !in_list
                        && at > 0
                        && matches!(
                            tokens[at - 1].lower.as_str(),
                            "in" | "at" | "near" | "from" | "to" | "for" | "of" | "visiting"
                        );
                if place {
                    last = end;
                }
            }
        }
        out.push((at, last));
        at = last + 1;
    }
    out
}

fn begins(tokens: &[Token], taken: &[bool], at: usize) -> bool {
    let Some(token) = tokens.get(at) else { return false };
    if taken[at] || !token.capital() || !token.word || token.lower == "i" || token.lower.starts_with("i'") {
        return false;
    }
    let first = at == 0 || matches!(tokens[at - 1].text.as_str(), "." | "?" | "!" | ":" | "\"" | "“");
    let common = stop::is_stop(&token.lower)
        || stop::is_command(&token.lower)
        || stop::is_question(&token.lower)
        || date::month(&token.lower).is_some();
    if first {
        return !common && (part(tokens, taken, at + 1) || !token.lower.ends_with("ing"));
    }
    !stop::is_stop(&token.lower) || part(tokens, taken, at + 1)
}

fn part(tokens: &[Token], taken: &[bool], at: usize) -> bool {
    tokens
        .get(at)
        .is_some_and(|t| !taken[at] && t.word && (t.capital() && t.lower != "i" && !t.lower.starts_with("i'")))
}

fn linked(tokens: &[Token], taken: &[bool], at: usize) -> bool {
    let link = tokens
        .get(at)
        .is_some_and(|t| matches!(t.lower.as_str(), "of" | "de" | "la" | "van" | "von" | "da" | "del" | "&"));
    link && part(tokens, taken, at + 1)
}
