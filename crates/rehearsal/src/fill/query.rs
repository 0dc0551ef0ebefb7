//! Free texts: search queries, messages, reasons.

use super::Scope;
use crate::{
    schema::Param,
    words::{Token, stop, superlative, synonyms},
};

/// Returns whether a parameter takes the words of the question themselves.
#[must_use]
pub fn is_query(param: &Param) -> bool {
    let last = param.name_stems.last().map_or("", String::as_str);
    const NAMES: &[&str] = &[
        "query",
        "q",
        "search",
        "keyword",
        "keywords",
        "question",
        "prompt",
        "term",
        "terms",
        "topic",
        "text",
        "input",
        "message",
        "content",
        "subject",
        "reason",
        "description",
        "note",
        "comment",
    ];
    NAMES.iter().any(|name| crate::words::stem(name) == last) && param.choices.is_empty() && param.pattern.is_none()
}

/// Returns the words of the clause that a free text parameter should take.
#[must_use]
pub fn read(param: &Param, scope: &mut Scope<'_>, siblings: usize) -> Option<(String, f64)> {
    if !is_query(param) {
        return if param.required { last_resort(param, scope) } else { None };
    }
    if param.named(&["reason"]) {
        return reason(scope);
    }
    if let Some(quote) = (0..scope.reading.spans.len()).find(|index| {
        scope.inside(*index) && scope.free(*index) && scope.reading.spans[*index].what == crate::read::What::Quoted
    }) {
        scope.take(quote);
        return Some((scope.reading.spans[quote].text.clone(), 1.0));
    }
    let (first, last) = object(scope)?;
    let ranked = (first..=last).any(|at| superlative::covers(&scope.reading.tokens, at));
    let untouched = !ranked && !scope.used[first..=last].iter().any(|used| *used);
    let text = if untouched && (siblings == 1 || last - first < 8) {
        joined(scope, first, last, siblings > 1 || last - first > 8)
    } else {
        joined(scope, first, last, true)
    };
    if text.is_empty() || (!param.required && siblings > 3 && !names_content(scope, first, last)) {
        return None;
    }
    scope.used[first..=last].fill(true);
    Some((text, 0.8))
}

/// Returns the range of the clause's object: what stands after the words that only ask.
fn object(scope: &Scope<'_>) -> Option<(usize, usize)> {
    let tokens = &scope.reading.tokens;
    let end = scope.window.1.min(tokens.len().checked_sub(1)?);
    let filler = |at: usize| {
        let lower = tokens[at].lower.as_str();
        !tokens[at].word
            || stop::is_stop(lower)
            || stop::is_command(lower) && !topic_verb(tokens, at)
            || stop::is_question(lower)
            || at > 0 && tokens[at - 1].lower == "how" && matches!(lower, "long" | "often" | "soon" | "late" | "early")
    };
    let mut first = scope.window.0;
    let about = (first..end.min(first + 9)).find(|at| tokens[*at].lower == "about");
    if let Some(about) = about.filter(|about| {
        !(scope.window.0 + 1..*about).any(|at| tokens[at].capital() || tokens[at].digit() || qualifies(scope, at))
    }) {
        first = about + 1;
    }
    while first <= end && (filler(first) || lead(scope, first) && !topic_verb(tokens, first)) {
        first += 1;
    }
    let mut last = end;
    while last > first
        && (!tokens[last].word
            || stop::is_stop(&tokens[last].lower) && !matches!(tokens[last].lower.as_str(), "it" | "us"))
    {
        last -= 1;
    }
    // "what does X mean" asks for X.
    if last > first && matches!(tokens[last].lower.as_str(), "mean" | "means") {
        last -= 1;
    }
    if first > end {
        // Nothing but small words: take them as they are.
        let first = (scope.window.0..=end).find(|at| {
            tokens[*at].word && !stop::is_question(&tokens[*at].lower) && !stop::is_command(&tokens[*at].lower)
        })?;
        return (first <= last.max(first)).then_some((first, last.max(first)));
    }
    Some((first, last))
}

/// Returns whether a word before "about" says of what kind the things should be: "something funny about cats".
fn qualifies(scope: &Scope<'_>, at: usize) -> bool {
    const OPEN: &[&str] = &["something", "anything", "stuff", "story", "stories", "things"];
    let token = &scope.reading.tokens[at];
    let near = (at + 1..=at + 2).any(|next| {
        scope.reading.lower(next) == "about" && (next == at + 1 || OPEN.contains(&scope.reading.lower(at + 1)))
    });
    let before = at.checked_sub(1).map_or("", |at| scope.reading.lower(at));
    near && token.word
        && !stop::is_stop(&token.lower)
        && !stop::is_command(&token.lower)
        && !stop::is_question(&token.lower)
        && !scope.task.contains(&token.stem)
        && (OPEN.contains(&before) || OPEN.contains(&scope.reading.lower(at + 1)))
}

/// Returns whether a word that may be an order is a thing or a matter here: "your return policy", "can I return …".
fn topic_verb(tokens: &[Token], at: usize) -> bool {
    const MATTERS: &[&str] = &[
        "return", "book", "order", "buy", "cancel", "change", "send", "track", "purchase", "reserve", "rent", "place",
    ];
    let before = at.checked_sub(1).map_or("", |at| tokens[at].lower.as_str());
    matches!(before, "a" | "an" | "the" | "your" | "my" | "our" | "their")
        || matches!(before, "i" | "you" | "we" | "to") && MATTERS.contains(&tokens[at].lower.as_str())
}

/// Returns whether a word introduces the object ("information about X", "meaning of X", "articles on X").
fn lead(scope: &Scope<'_>, at: usize) -> bool {
    let next = scope.reading.lower(at + 1);
    let word = &scope.reading.tokens[at];
    if word.capital() && at > scope.window.0 {
        return false;
    }
    let tied = scope.task.contains(&word.stem)
        || matches!(
            word.lower.as_str(),
            "information"
                | "info"
                | "details"
                | "facts"
                | "anything"
                | "something"
                | "everything"
                | "curious"
                | "interested"
                | "wondering"
                | "explanation"
                | "definition"
                | "meaning"
                | "overview"
                | "latest"
                | "web"
                | "internet"
                | "online"
        );
    tied && (matches!(next, "about" | "on" | "of" | "for" | "regarding" | "in" | "the" | "by")
        || word.lower.ends_with("ed")
        || stop::is_command(&word.lower)
        || scope.reading.tokens.get(at + 1).is_some_and(|t| scope.task.contains(&t.stem) && lead(scope, at + 1)))
}

fn names_content(scope: &Scope<'_>, first: usize, last: usize) -> bool {
    (first..=last).any(|at| {
        let token = &scope.reading.tokens[at];
        token.word
            && !scope.used[at]
            && !stop::is_stop(&token.lower)
            && !superlative::covers(&scope.reading.tokens, at)
            && (token.capital() && at > first || !scope.task.iter().any(|own| synonyms::alike(own, &token.stem)))
    })
}

fn joined(scope: &Scope<'_>, first: usize, last: usize, tidy: bool) -> String {
    let tokens = &scope.reading.tokens;
    if !tidy {
        return scope.reading.slice(first, last).to_owned();
    }
    // The tool's own words say what is searched, not what for; they stay only when nothing else does.
    let currency = |at: usize| {
        matches!(tokens[at].lower.as_str(), "dollar" | "dollars" | "usd" | "euro" | "euros" | "pounds" | "cents")
            && at > 0
            && scope.used[at - 1]
    };
    let kept: Vec<usize> = (first..=last)
        .filter(|at| tokens[*at].word && !scope.used[*at] && !currency(*at) && !superlative::covers(tokens, *at))
        .collect();
    let content: Vec<usize> = kept.iter().copied().filter(|at| !stop::is_stop(&tokens[*at].lower)).collect();
    let own: Vec<usize> = content
        .iter()
        .copied()
        .filter(|at| tokens[*at].capital() || !scope.task.iter().any(|task| *task == tokens[*at].stem))
        .collect();
    let chosen = if own.is_empty() { content } else { own };
    let (Some(from), Some(to)) = (chosen.first().copied(), chosen.last().copied()) else { return String::new() };
    // Small words between two kept ones stay when nothing was taken out between them.
    if (from..=to).all(|at| chosen.contains(&at) || stop::is_stop(&tokens[at].lower) && !scope.used[at]) {
        return scope.reading.slice(from, to).to_owned();
    }
    chosen.iter().map(|at| tokens[*at].text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Returns what stands after "because", or the last part of the text that names no other value.
fn reason(scope: &mut Scope<'_>) -> Option<(String, f64)> {
    let tokens = &scope.reading.tokens;
    let end = tokens.len().checked_sub(1)?;
    let cut = |last: usize| {
        let mut last = last;
        while last > 0 && !tokens[last].word {
            last -= 1;
        }
        last
    };
    let marked = (0..=end)
        .find(|at| matches!(tokens[*at].lower.as_str(), "because" | "since" | "cause" | "reason"))
        .map(|at| at + 1 + usize::from(matches!(scope.reading.lower(at + 1), "is" | ":" | "of")));
    let start = marked.or_else(|| {
        // The clause after the last comma or full stop, when no value was read from it.
        let comma = (0..end).rev().find(|at| matches!(tokens[*at].text.as_str(), "," | "." | ";" | "-" | ":"))?;
        let rest = comma + 1..=end;
        (!scope.used[rest.clone()].iter().any(|used| *used) && rest.clone().filter(|at| tokens[*at].word).count() >= 2)
            .then_some(comma + 1)
    })?;
    let last = cut(end);
    if start > last {
        return None;
    }
    scope.used[start..=last].fill(true);
    Some((scope.reading.slice(start, last).to_owned(), 0.7))
}

/// Finds something for a required text that nothing else fits: the words of the clause that the tool does not explain.
fn last_resort(param: &Param, scope: &mut Scope<'_>) -> Option<(String, f64)> {
    if super::expression::wanted(param)
        || param.pattern.is_some()
        || param.format.is_some()
        || param.named(&[
            "id", "code", "date", "time", "email", "phone", "zip", "password", "token", "key", "number", "url",
            "address", "location", "city",
        ])
    {
        return None;
    }
    let tokens = &scope.reading.tokens;
    let end = scope.window.1.min(tokens.len().checked_sub(1)?);
    let fits: Vec<usize> = (scope.window.0..=end)
        .filter(|at| {
            let token = &tokens[*at];
            token.word
                && !token.digit()
                && !scope.used[*at]
                && !stop::is_stop(&token.lower)
                && !stop::is_command(&token.lower)
                && !stop::is_question(&token.lower)
                && !stop::is_faint(&token.stem)
                && !scope.task.contains(&token.stem)
        })
        .collect();
    let last = *fits.last()?;
    let mut first = last;
    while first > scope.window.0 && fits.contains(&(first - 1)) {
        first -= 1;
    }
    let text = scope.reading.slice(first, last).trim_end_matches("'s").to_owned();
    scope.used[first..=last].fill(true);
    Some((text, 0.1))
}
