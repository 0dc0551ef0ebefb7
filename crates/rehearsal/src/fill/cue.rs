//! How much the words around a span speak for a parameter.

use super::Scope;
use crate::{
    read::Span,
    schema::Param,
    words::{Token, stop, synonyms},
};

/// Returns the strength of the words before and after a span: about 3 when the parameter's name stands next to it.
#[must_use]
pub fn around(param: &Param, span: &Span, scope: &Scope<'_>) -> f64 {
    let tokens = &scope.reading.tokens;
    let mut name: f64 = 0.0;
    let mut about: f64 = 0.0;
    let mut weight = 1.0;
    let same: Vec<(usize, usize)> = scope
        .reading
        .spans
        .iter()
        .filter(|other| other.same_kind(span) && other.tokens != span.tokens)
        .map(|other| other.tokens)
        .collect();
    let mut look = |at: usize, weight: f64| {
        let (by_name, by_description) = word(param, &tokens[at]);
        name = name.max(by_name * weight);
        about = about.max(by_description * weight);
    };
    for step in 1..=8 {
        let Some(at) = span.tokens.0.checked_sub(step) else { break };
        if at < scope.window.0 || same.iter().any(|other| other.1 == at) {
            break;
        }
        if matches!(tokens[at].text.as_str(), "." | "?" | "!" | ";") && tokens[at].end < tokens[at + 1].start {
            break;
        }
        if matches!(tokens[at].lower.as_str(), "," | "and") {
            weight *= 0.6;
        }
        look(at, weight);
        weight *= if tokens[at].word && !stop::is_stop(&tokens[at].lower) { 0.78 } else { 0.95 };
    }
    weight = 0.95;
    for step in 1..=4 {
        let at = span.tokens.1 + step;
        if at >= tokens.len() || at > scope.window.1 || same.iter().any(|other| other.0 == at) {
            break;
        }
        if !tokens[at].word && !matches!(tokens[at].text.as_str(), "-" | "/" | "$" | "%") {
            break;
        }
        if matches!(tokens[at].lower.as_str(), "and" | "with" | "from" | "to" | "for" | "in" | "by") {
            weight *= 0.45;
        }
        look(at, weight);
        weight *= 0.75;
    }
    name + about * 0.6
}

/// Returns the strength of the preposition that governs a span: positive when it fits the parameter, negative when it
/// fits another kind.
#[must_use]
pub fn role(param: &Param, span: &Span, scope: &Scope<'_>) -> f64 {
    let Some((preposition, distance)) = preposition(span, scope) else { return 0.0 };
    let decay = if distance == 1 { 1.0 } else { 0.7 };
    let Some(words) = expects(&preposition) else { return 0.0 };
    if param.named(words) {
        2.0 * decay
    } else if param.mentions(words) {
        1.0 * decay
    } else if matches!(preposition.as_str(), "from" | "to") && clashes(param, &preposition) {
        -1.5
    } else {
        0.0
    }
}

/// Returns how a stem of the text meets a parameter: by its name and by its description.
#[must_use]
pub fn word(param: &Param, token: &Token) -> (f64, f64) {
    let (token_stem, lower) = (token.stem.as_str(), token.lower.as_str());
    if stop::is_stop(lower) && lower.len() > 1 || lower.is_empty() {
        return (0.0, 0.0);
    }
    let exact = param.name_stems.iter().any(|own| own == token_stem || stripped(own) == token_stem)
        || param.name.eq_ignore_ascii_case(lower);
    let name = if exact {
        3.0
    } else if lower.len() > 1 && synonyms::share(&param.name_groups, token.groups) {
        1.7
    } else if lower.len() > 3
        && param
            .name_stems
            .iter()
            .any(|own| own.len() >= 3 && (token_stem.starts_with(own.as_str()) || own.starts_with(token_stem)))
    {
        1.8
    } else {
        0.0
    };
    let own = param.stems.iter().any(|own| own == token_stem);
    let about = if own && lower.len() > 1 {
        1.6
    } else if lower.len() > 1 && synonyms::share(&param.about_groups, token.groups) {
        0.7
    } else {
        0.0
    };
    (name, about)
}

/// Returns the preposition before a span and how many tokens lie between.
#[must_use]
pub fn preposition(span: &Span, scope: &Scope<'_>) -> Option<(String, usize)> {
    let tokens = &scope.reading.tokens;
    for step in 1..=4 {
        let at = span.tokens.0.checked_sub(step)?;
        let token = &tokens[at];
        if is_preposition(&token.lower) {
            return Some((token.lower.clone(), step));
        }
        if !token.word && token.text != "=" {
            return None;
        }
    }
    None
}

/// Returns whether a lower-case word is a preposition that gives a role.
#[must_use]
pub fn is_preposition(word: &str) -> bool {
    expects(word).is_some() || matches!(word, "of" | "between" | "with" | "and" | "as" | "than")
}

fn stripped(own: &str) -> &str {
    own.trim_end_matches(|c: char| c.is_ascii_digit())
}

fn clashes(param: &Param, preposition: &str) -> bool {
    let other = expects(if preposition == "from" { "to" } else { "from" }).unwrap_or(&[]);
    param.named(&other[..other.len().min(9)])
}

fn expects(preposition: &str) -> Option<&'static [&'static str]> {
    Some(match preposition {
        "in" | "at" | "near" | "around" | "nearby" | "inside" => &[
            "location",
            "city",
            "place",
            "country",
            "region",
            "state",
            "area",
            "address",
            "venue",
            "market",
            "town",
            "loc",
            "where",
            "jurisdiction",
            "store",
            "museum",
            "restaurant",
            "hotel",
            "university",
            "institution",
            "language",
            "geography",
        ],
        "from" => &[
            "from",
            "start",
            "origin",
            "source",
            "departure",
            "begin",
            "starting",
            "departing",
            "first",
            "company",
            "pickup",
            "restaurant",
            "sender",
            "author",
            "bank",
            "institution",
        ],
        "to" => &[
            "to",
            "end",
            "destination",
            "target",
            "arrival",
            "ending",
            "recipient",
            "receiver",
            "second",
            "dropoff",
            "until",
            "language",
        ],
        "by" => &[
            "by",
            "author",
            "artist",
            "creator",
            "director",
            "company",
            "method",
            "writer",
            "composer",
            "brand",
            "player",
            "sculptor",
            "manufacturer",
            "factor",
            "rate",
        ],
        "about" | "regarding" | "concerning" => {
            &["topic", "query", "subject", "keyword", "term", "event", "theme", "question"]
        }
        "on" => &["date", "day", "topic", "subject", "platform", "when", "book"],
        "for" => &[
            "name", "query", "item", "product", "purpose", "duration", "days", "person", "patient", "company", "years",
            "function", "event", "title", "color", "team", "size",
        ],
        "named" | "called" | "titled" | "entitled" | "name" => &["name", "title"],
        "via" | "using" | "through" => &["method", "mode", "type", "tool", "algorithm", "transportation", "platform"],
        "under" | "below" | "than" | "most" | "within" => {
            &["max", "maximum", "limit", "budget", "highest", "upper", "max_price"]
        }
        "over" | "above" | "least" => &["min", "minimum", "lowest", "lower"],
        "during" | "since" | "until" => &["year", "period", "date", "start", "era"],
        _ => return None,
    })
}
