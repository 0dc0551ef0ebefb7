//! A question split into the things it asks for.

use crate::{
    read::{Reading, What},
    words::stop,
};

/// How many clauses are told apart; the last one takes the rest.
const MAX_CLAUSES: usize = 16;

/// Returns the token ranges (inclusive) of the clauses of a text.
#[must_use]
pub fn clauses(reading: &Reading) -> Vec<(usize, usize)> {
    let tokens = &reading.tokens;
    if tokens.is_empty() {
        return Vec::new();
    }
    let quoted = |at: usize| {
        reading.spans.iter().any(|span| {
            matches!(span.what, What::Quoted | What::Email | What::Url | What::Formula | What::Name)
                && span.tokens.0 < at
                && at <= span.tokens.1
        })
    };
    let mut cuts = vec![0];
    for at in 1..tokens.len() {
        if quoted(at) {
            continue;
        }
        let before = tokens[at - 1].lower.as_str();
        let sentence = matches!(before, "." | "?" | "!" | ";")
            && tokens[at - 1].end <= tokens[at].start
            && (tokens[at].start > tokens[at - 1].end || before == ";");
        let sentence = sentence && !abbreviation(reading, at - 1);
        if sentence || conjunction(reading, at) {
            cuts.push(at);
        }
    }
    cuts.truncate(MAX_CLAUSES);
    cuts.push(tokens.len());
    cuts.windows(2)
        .filter(|pair| pair[0] < pair[1])
        .map(|pair| (pair[0], pair[1] - 1))
        .filter(|range| tokens[range.0..=range.1].iter().any(|t| t.word))
        .collect()
}

/// Returns whether a clause begins at a conjunction: "and find", ", then tell me", "also what".
fn conjunction(reading: &Reading, at: usize) -> bool {
    let word = |at: usize| reading.lower(at);
    if !matches!(
        word(at),
        "and" | "then" | "also" | "plus" | "additionally" | "next" | "finally" | "after" | "afterwards" | ","
    ) {
        return false;
    }
    let mut next = at + 1;
    if word(at) == "after" {
        if word(next) != "that" {
            return false;
        }
        next += 1;
    }
    while matches!(
        word(next),
        "and"
            | "then"
            | "also"
            | "finally"
            | "please"
            | ","
            | "after"
            | "that"
            | "additionally"
            | "next"
            | "lastly"
            | "secondly"
            | "thirdly"
            | "afterwards"
            | "can"
            | "could"
            | "you"
            | "i"
            | "want"
            | "need"
            | "to"
            | "would"
            | "like"
            | "me"
            | "i'd"
            | "us"
            | "let"
            | "know"
    ) && next < at + 9
    {
        next += 1;
    }
    if matches!(word(at - 1), "," | "and" | "then")
        && at >= 1
        && word(at) != ","
        && !stop::is_stop(word(at - 1))
        && word(at - 1) != ","
    {
        return false;
    }
    // A cut stands once at the head of "… , and then also find".
    if at > 0 && matches!(word(at - 1), "," | "and" | "then" | "also") && conjunction_head(reading, at - 1) {
        return false;
    }
    let verb = word(next);
    let commands = stop::is_command(verb)
        && !matches!(verb, "order" | "place" | "play" | "return" | "book" | "plan" | "start" | "look" | "set" | "measure" | "change" | "run" | "add" | "call" if noun_follows_nothing(reading, next));
    let asks = matches!(
        verb,
        "what" | "what's" | "whats" | "how" | "who" | "where" | "when" | "which" | "why" | "is" | "are" | "does"
    );
    next > at && (commands || asks && next + 1 < reading.tokens.len())
}

fn conjunction_head(reading: &Reading, at: usize) -> bool {
    matches!(reading.lower(at), "," | "and" | "then" | "also")
}

/// Returns whether a word that may be a verb stands without an object, so that it is a noun here.
fn noun_follows_nothing(reading: &Reading, at: usize) -> bool {
    reading.tokens.get(at + 1).is_none_or(|t| !t.word)
}

fn abbreviation(reading: &Reading, dot: usize) -> bool {
    let Some(before) = dot.checked_sub(1).map(|at| &reading.tokens[at]) else { return false };
    before.end == reading.tokens[dot].start
        && reading.tokens[dot].text == "."
        && matches!(
            before.lower.as_str(),
            "mr" | "mrs"
                | "ms"
                | "dr"
                | "st"
                | "vs"
                | "no"
                | "e.g"
                | "i.e"
                | "etc"
                | "d.c"
                | "u.s"
                | "inc"
                | "ltd"
                | "jr"
        )
        || reading.tokens[dot].text == "." && before.digit() && dot < 3
}
