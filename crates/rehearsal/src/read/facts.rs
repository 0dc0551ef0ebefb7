//! What people say of themselves, and questions for it.

use crate::words::{self, Token, stop, synonyms};

/// Something a person said of themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about.
    pub about: About,
    /// The value, where one stands alone ("Alice", "Hanoi").
    pub value: Option<String>,
    /// The statement turned to the person ("You live in Hanoi").
    pub told: String,
    /// Stems of what the value belongs to ("favourite colour"), without the value.
    pub stems: Vec<String>,
}

/// What a fact or a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The person's own name.
    Name,
    /// How old they are.
    Age,
    /// Where they live or come from.
    Place,
    /// What they do for a living.
    Work,
    /// Something else.
    Other,
}

/// Reads the facts of a text; sentences that ask are skipped.
#[must_use]
pub fn facts(text: &str) -> Vec<Fact> {
    sentences(text).into_iter().filter(|(_, asks)| !asks).flat_map(|(part, _)| statements(&part)).collect()
}

/// Returns whether a text says nothing but facts.
#[must_use]
pub fn only_facts(text: &str) -> bool {
    let parts = sentences(text);
    !parts.is_empty() && parts.iter().all(|(part, asks)| !asks && (!statements(part).is_empty() || pleasantry(part)))
}

/// Returns what a question about the person asks for; none when it is no such question.
#[must_use]
pub fn asked(text: &str) -> Option<(About, Vec<String>)> {
    let tokens = words::tokens(text);
    let lower: Vec<&str> = tokens.iter().map(|token| token.lower.as_str()).collect();
    let own = lower.iter().any(|word| matches!(*word, "i" | "my" | "me" | "mine" | "i'm" | "am"));
    let first = lower.iter().find(|word| {
        !matches!(
            **word,
            "so" | "and" | "ok" | "okay" | "," | "please" | "hey" | "hi" | "again" | "now" | "then" | "well" | "but"
        )
    })?;
    let question = text.contains('?')
        || stop::is_question(first)
        || matches!(*first, "remind" | "recall" | "remember" | "tell" | "say" | "repeat" | "name" | "guess");
    if !own || !question || tokens.len() > 24 {
        return None;
    }
    let has = |word: &str| lower.contains(&word);
    let pair = |a: &str, b: &str| lower.windows(2).any(|pair| pair[0] == a && pair[1] == b);
    let about = if (has("name") && !has("names") && pair("my", "name"))
        || pair("who", "am")
        || pair("call", "me") && has("what")
        || pair("who", "i")
        || pair("i", "called")
        || pair("i'm", "called")
        || pair("i’m", "called")
        || pair("my", "nickname")
        || pair("i", "named")
        || pair("am", "called")
    {
        About::Name
    } else if pair("how", "old") || pair("my", "age") {
        About::Age
    } else if has("where") && (has("live") || has("from") || has("living") || has("based") || has("reside"))
        || pair("my", "city")
        || pair("my", "hometown")
        || pair("my", "home")
    {
        About::Place
    } else if pair("my", "job")
        || pair("my", "profession")
        || pair("my", "occupation")
        || has("living") && has("for")
        || pair("i", "work")
    {
        About::Work
    } else {
        About::Other
    };
    let stems: Vec<String> = tokens
        .iter()
        .filter(|token| {
            token.word
                && !stop::is_stop(&token.lower)
                && !matches!(
                    token.lower.as_str(),
                    "remember" | "remind" | "recall" | "told" | "said" | "mention" | "mentioned" | "again" | "guess"
                )
        })
        .map(|token| token.stem.clone())
        .collect();
    Some((about, stems))
}

/// Finds the fact that answers a question; the newest wins.
#[must_use]
pub fn find<'a>(facts: &'a [Fact], about: About, stems: &[String]) -> Option<&'a Fact> {
    if about != About::Other {
        return facts.iter().rev().find(|fact| fact.about == about);
    }
    let score = |fact: &Fact| {
        let hits =
            stems.iter().filter(|stem| fact.stems.iter().any(|own| own == *stem || synonyms::alike(own, stem))).count();
        (hits, fact.stems.len())
    };
    let best = facts.iter().rev().max_by_key(|fact| score(fact).0)?;
    let (hits, _) = score(best);
    (hits > 0 && hits * 2 >= stems.len()).then_some(best)
}

/// Turns first person to second.
#[must_use]
pub fn turned(text: &str) -> String {
    let mut out = String::new();
    let mut last = 0;
    let tokens = words::tokens(text);
    for (at, token) in tokens.iter().enumerate() {
        let after_i = at > 0 && matches!(tokens[at - 1].lower.as_str(), "i");
        let word = match token.lower.as_str() {
            "i" => "you",
            "i'm" | "im" | "i’m" => "you are",
            "i've" | "i’ve" => "you have",
            "i'd" => "you would",
            "i'll" => "you will",
            "am" => "are",
            "was" if after_i => "were",
            "my" => "your",
            "mine" => "yours",
            "me" => "you",
            "myself" => "yourself",
            "we" => "you",
            "our" => "your",
            _ => token.text.as_str(),
        };
        out.push_str(&text[last..token.start]);
        out.push_str(word);
        last = token.end;
    }
    out.push_str(&text[last..]);
    out
}

/// Splits a text into sentences and says of each whether it asks or orders.
fn sentences(text: &str) -> Vec<(String, bool)> {
    let mut out = Vec::new();
    let mut start = 0;
    let text = words::clip(text);
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        let last = matches!(c, '.' | '!' | '?' | '\n')
            && (c == '\n' || text[end..].chars().next().is_none_or(char::is_whitespace));
        if last {
            out.push((start, end));
            start = end;
        }
    }
    out.push((start, text.len()));
    out.into_iter()
        .map(|(from, to)| text[from..to].trim())
        .filter(|part| part.chars().any(char::is_alphanumeric))
        .map(|part| {
            let tokens = words::tokens(part);
            let first = tokens.first().map_or("", |token| token.lower.as_str());
            let second = tokens.get(1).map_or("", |token| token.lower.as_str());
            let orders = stop::is_command(first) && !matches!((first, second), ("call", "me"));
            (
                part.to_owned(),
                part.ends_with('?')
                    || stop::is_question(first) && !matches!(first, "can" | "will")
                    || orders
                    || matches!(first, "remind"),
            )
        })
        .collect()
}

fn pleasantry(part: &str) -> bool {
    words::tokens(part).iter().filter(|token| token.word).all(|token| {
        stop::is_stop(&token.lower)
            || matches!(
                token.lower.as_str(),
                "hi" | "hello"
                    | "hey"
                    | "there"
                    | "nice"
                    | "meet"
                    | "greetings"
                    | "good"
                    | "morning"
                    | "evening"
                    | "afternoon"
                    | "remember"
                    | "thanks"
                    | "way"
            )
    })
}

fn statements(part: &str) -> Vec<Fact> {
    let tokens = words::tokens(part);
    let mut cuts: Vec<usize> = Vec::new();
    for at in 0..tokens.len() {
        let here = tokens[at].lower.as_str();
        let mine = matches!(here, "i" | "my" | "i'm" | "i’m" | "im" | "i've" | "call" | "name's" | "this");
        let joined = at == 0
            || matches!(
                tokens[at - 1].lower.as_str(),
                "," | "and"
                    | "but"
                    | "that"
                    | ";"
                    | ":"
                    | "-"
                    | "hi"
                    | "hello"
                    | "hey"
                    | "because"
                    | "also"
                    | "so"
                    | "well"
                    | "remember"
                    | "please"
                    | "can"
                    | "—"
                    | "you"
                    | "way"
                    | "actually"
            );
        if mine && joined {
            cuts.push(at);
        }
    }
    let mut out = Vec::new();
    for (index, from) in cuts.iter().enumerate() {
        let to = cuts.get(index + 1).copied().unwrap_or(tokens.len());
        let mut last = to;
        while last > *from
            && (!tokens[last - 1].word
                || matches!(
                    tokens[last - 1].lower.as_str(),
                    "and"
                        | "but"
                        | "so"
                        | "because"
                        | "also"
                        | "please"
                        | "remember"
                        | "by"
                        | "btw"
                        | "that"
                        | "now"
                        | "can"
                        | "you"
                ))
        {
            last -= 1;
        }
        out.extend(listed(part, &tokens[*from..last]));
    }
    out
}

/// Reads "I'm 31, allergic to peanuts" as two statements with one beginning.
fn listed(part: &str, tokens: &[Token]) -> Vec<Fact> {
    let verb = usize::from(tokens.first().is_some_and(|token| token.lower == "i"));
    let am = match tokens.first().map(|token| token.lower.as_str()) {
        Some("i'm" | "im" | "i’m") => true,
        Some("i") => tokens.get(1).is_some_and(|token| token.lower == "am"),
        _ => false,
    };
    let whole = || statement(part, tokens).into_iter().collect::<Vec<_>>();
    let cut = (verb + 2..tokens.len()).find(|at| {
        let goes_on = tokens.get(at + 1).is_some_and(|next| {
            let goes = !stop::is_stop(&next.lower) && !stop::is_command(&next.lower);
            next.word && !next.capital() && (goes || matches!(next.lower.as_str(), "a" | "an" | "not"))
        });
        am && matches!(tokens[*at].lower.as_str(), "," | "and") && at - verb <= 5 && goes_on
    });
    let Some(cut) = cut else { return whole() };
    let mut second = cut + 1;
    while tokens.get(second).is_some_and(|token| token.lower == "and") {
        second += 1;
    }
    let (Some(one), Some(first), Some(last)) = (statement(part, &tokens[..cut]), tokens.get(second), tokens.last())
    else {
        return whole();
    };
    let rest = format!("I am {}", &part[first.start..last.end]);
    let rest_tokens = words::tokens(&rest);
    std::iter::once(one).chain(listed(&rest, &rest_tokens)).collect()
}

fn statement(part: &str, tokens: &[Token]) -> Option<Fact> {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let slice = |from: usize| -> Option<String> {
        let (first, last) = (tokens.get(from)?, tokens.last()?);
        Some(part[first.start..last.end].trim().to_owned())
    };
    let whole = slice(0)?;
    let told = turned(&whole);
    let fact = |about: About, value: Option<String>, stems: Vec<String>, told: String| {
        Some(Fact { about, value, told, stems })
    };
    let stems_of = |range: std::ops::Range<usize>| -> Vec<String> {
        tokens
            .get(range)
            .unwrap_or(&[])
            .iter()
            .filter(|token| token.word && !stop::is_stop(&token.lower))
            .map(|token| token.stem.clone())
            .collect()
    };
    let named = |from: usize| {
        let end = (from..tokens.len())
            .take(4)
            .take_while(|at| {
                tokens[*at].word
                    && !matches!(tokens[*at].lower.as_str(), "and" | "from" | "who" | "but" | "please" | "i" | "by")
            })
            .last()?;
        let value = part[tokens[from].start..tokens[end].end].to_owned();
        fact(About::Name, Some(value.clone()), vec!["nam".into(), "name".into()], format!("Your name is {value}"))
    };
    match (word(0), word(1)) {
        ("call", "me") if tokens.len() > 2 => return named(2),
        ("name's", _) if tokens.len() > 1 => return named(1),
        ("this", "is") if tokens.get(2).is_some_and(Token::capital) && tokens.len() <= 5 => return named(2),
        ("my", "name's") if tokens.len() > 2 => return named(2),
        ("my", "name") if matches!(word(2), "is" | "=" | ":") && tokens.len() > 3 => return named(3),
        ("i", "go") if word(2) == "by" && tokens.len() > 3 => return named(3),
        _ => {}
    }
    if word(0) == "my" || word(0) == "our" {
        let is = (2..tokens.len().min(10))
            .find(|at| matches!(word(*at), "is" | "are" | "was" | "were" | "=" | ":" | "equals" | "will"))?;
        let value = slice(is + 1)?;
        let stems = stems_of(1..is);
        let about = match stems.first().map(String::as_str) {
            Some("age") => About::Age,
            Some("job" | "profess" | "occup") => About::Work,
            Some("city" | "home" | "hometown") if stems.len() == 1 => About::Place,
            _ => About::Other,
        };
        return fact(about, Some(value), stems, told);
    }
    let (verb, at) = match (word(0), word(1)) {
        ("i'm" | "im" | "i’m", _) => ("am", 1),
        ("i've", _) => ("have", 1),
        ("i", "really" | "also" | "always" | "usually" | "currently" | "just" | "absolutely") => (word(2), 3),
        ("i", verb) => (verb, 2),
        _ => return None,
    };
    if at >= tokens.len() {
        return None;
    }
    let rest = slice(at)?;
    match verb {
        "am" => {
            let digits = tokens
                .get(at)
                .is_some_and(|token| token.digit() || !words::number::numbers(&tokens[at..=at]).is_empty());
            if digits && (tokens.len() == at + 1 || matches!(word(at + 1), "years" | "yrs" | "year" | "y")) {
                return fact(About::Age, Some(tokens[at].text.clone()), vec!["old".into(), "age".into()], told);
            }
            if matches!(word(at), "from" | "in" | "based" | "living" | "at") {
                return fact(About::Place, Some(rest), stems_of(at..tokens.len()), told);
            }
            if matches!(word(at), "called" | "named") {
                return named(at + 1);
            }
            if tokens[at].capital() && tokens.len() <= at + 3 {
                return named(at);
            }
            if matches!(word(at), "a" | "an" | "the") && tokens.len() <= at + 6 {
                return fact(About::Work, Some(rest), vec!["job".into()], told);
            }
            let wish = matches!(
                word(at),
                "looking"
                    | "trying"
                    | "interested"
                    | "wondering"
                    | "going"
                    | "planning"
                    | "having"
                    | "not"
                    | "after"
                    | "searching"
                    | "curious"
                    | "thinking"
            );
            if wish { None } else { fact(About::Other, None, stems_of(at..tokens.len()), told) }
        }
        "live" | "reside" | "come" | "moved" | "stay" => fact(
            About::Place,
            Some(rest.trim_start_matches("in ").trim_start_matches("from ").to_owned()),
            stems_of(1..tokens.len()),
            told,
        ),
        "work" | "teach" => fact(About::Work, Some(rest), stems_of(1..tokens.len()), told),
        "was" if matches!(word(at), "born" | "raised") => {
            fact(About::Other, Some(rest), stems_of(at..tokens.len()), told)
        }
        "like" | "love" | "enjoy" | "prefer" | "hate" | "dislike" | "have" | "own" | "study" | "speak" | "play"
        | "drive" | "collect" | "read" | "weigh" | "grew" | "adore" | "got" | "use" | "eat" | "drink" => {
            let mut stems = stems_of(1..tokens.len());
            if matches!(verb, "like" | "love" | "enjoy" | "prefer" | "adore") {
                stems.extend(
                    ["lik", "lov", "prefer", "enjoy", "favourit", "favorit", "like", "love"].map(str::to_owned),
                );
            }
            fact(About::Other, Some(rest), stems, told)
        }
        _ => None,
    }
}
