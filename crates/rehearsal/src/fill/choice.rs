//! Values of an enumeration, and yes or no.

use super::{Scope, cue};
use crate::{
    schema::{Kind, Param},
    words::{self, stop, synonyms},
};
use serde_json::Value;

/// The score of a value that is said word for word.
const EXACT: f64 = 3.0;

/// Returns the allowed value that the clause names, and how surely. Marks the words that named it.
#[must_use]
pub fn choose(param: &Param, scope: &mut Scope<'_>) -> Option<(Value, f64)> {
    let (value, score, at) = rank(param, scope).into_iter().next()?;
    // A word that is only like a value decides what must be said, not what may be left out.
    if score < if param.required { 1.0 } else { 1.5 } {
        return None;
    }
    if let Some((first, last)) = at {
        scope.used[first..=last].fill(true);
    }
    if score >= EXACT {
        mark(param, scope, EXACT);
    }
    let value = if param.kind == Kind::List { Value::Array(vec![value]) } else { value };
    Some((value, score.min(2.0) / 2.0))
}

/// Marks the words that name the values of an enumeration.
pub fn mark(param: &Param, scope: &mut Scope<'_>, least: f64) {
    let ranges: Vec<(usize, usize)> =
        rank(param, scope).into_iter().filter(|(_, score, _)| *score >= least).filter_map(|(_, _, at)| at).collect();
    for (first, last) in ranges {
        scope.used[first..=last].fill(true);
    }
}

/// Returns all values that the clause names, in the order of the text.
#[must_use]
pub fn all(param: &Param, scope: &Scope<'_>) -> Vec<Value> {
    let mut found: Vec<Ranked> =
        rank(param, scope).into_iter().filter(|(_, score, at)| *score >= 1.5 && at.is_some()).collect();
    found.sort_by_key(|(_, _, at)| at.map(|range| range.0));
    found.into_iter().map(|(value, _, _)| value).collect()
}

/// Returns the example of a description that the clause says word for word. Marks its words.
#[must_use]
pub fn example(param: &Param, scope: &mut Scope<'_>) -> Option<(String, f64)> {
    let tokens = &scope.reading.tokens;
    let end = scope.window.1.min(tokens.len().checked_sub(1)?);
    for (text, wanted) in &param.examples {
        let plain = wanted.len() == 1
            && (stop::is_stop(&text.to_lowercase())
                || param.name_stems.contains(&wanted[0])
                || stop::is_command(&text.to_lowercase()));
        if wanted.is_empty() || plain || text.contains(['{', '<']) {
            continue;
        }
        for at in scope.window.0..=end {
            let parts: Vec<String> =
                tokens[at..].iter().take(wanted.len()).flat_map(|token| token.parts.clone()).collect();
            let last = at + wanted.len() - 1;
            if tokens[at].parts.first() == wanted.first()
                && parts == *wanted
                && last <= end
                && !scope.used[at..=last].iter().any(|used| *used)
            {
                // A name in the text may be longer than the example in it.
                let inside_longer = scope.reading.spans.iter().any(|span| {
                    span.tokens.0 <= at
                        && span.tokens.1 >= last
                        && (span.tokens.1 - span.tokens.0) > last - at
                        && !matches!(span.what, crate::read::What::Phrase)
                });
                if !inside_longer {
                    scope.used[at..=last].fill(true);
                    return Some((text.clone(), 1.0));
                }
            }
        }
    }
    None
}

/// Returns whether the clause says yes or no to a parameter.
#[must_use]
pub fn boolean(param: &Param, scope: &Scope<'_>) -> Option<(bool, f64)> {
    let tokens = &scope.reading.tokens;
    let own: Vec<&String> = param
        .name_stems
        .iter()
        .filter(|own| {
            !matches!(
                own.as_str(),
                "is" | "has"
                    | "includ"
                    | "include"
                    | "allow"
                    | "us"
                    | "use"
                    | "get"
                    | "show"
                    | "enabl"
                    | "with"
                    | "return"
                    | "to"
            )
        })
        .collect();
    for at in scope.window.0..=scope.window.1.min(tokens.len().saturating_sub(1)) {
        let token = &tokens[at];
        let hit = own.iter().any(|own| **own == token.stem || own.len() > 4 && synonyms::alike(own, &token.stem));
        let spoken = own.len() < 2
            || own
                .iter()
                .filter(|own| {
                    tokens[scope.window.0..=scope.window.1.min(tokens.len() - 1)].iter().any(|t| t.stem == ***own)
                })
                .count()
                * 2
                >= own.len();
        if hit && spoken && !token.lower.is_empty() {
            let from = at.saturating_sub(5).max(scope.window.0);
            let no = tokens[from..at].iter().any(|t| stop::is_negation(&t.lower))
                || tokens
                    .get(at + 1)
                    .is_some_and(|t| matches!(t.lower.as_str(), "off" | "disabled" | "false" | "excluded"));
            return Some((!no, 1.0));
        }
    }
    None
}

/// A value, its score and the tokens that named it.
type Ranked = (Value, f64, Option<(usize, usize)>);

fn rank(param: &Param, scope: &Scope<'_>) -> Vec<Ranked> {
    let hints = hints(param);
    let mut out: Vec<Ranked> = param
        .choices
        .iter()
        .zip(&param.choice_stems)
        .filter(|(value, _)| !value.is_null())
        .map(|(value, wanted)| {
            let (score, at) = match value {
                Value::String(text) => text_score(
                    text,
                    wanted,
                    scope,
                    hints.iter().find(|(name, _)| name == text).map(|(_, stems)| stems.as_slice()),
                ),
                Value::Number(number) => number_score(number.as_f64().unwrap_or(f64::NAN), param, scope),
                _ => (0.0, None),
            };
            (value.clone(), score, at)
        })
        .collect();
    out.sort_by(|a, b| b.1.total_cmp(&a.1));
    out
}

fn text_score(
    text: &str,
    wanted: &[String],
    scope: &Scope<'_>,
    hint: Option<&[String]>,
) -> (f64, Option<(usize, usize)>) {
    let tokens = &scope.reading.tokens;
    if wanted.is_empty() || tokens.is_empty() {
        return (0.0, None);
    }
    let mut best = (0.0, None);
    for at in scope.window.0..=scope.window.1.min(tokens.len() - 1) {
        // The whole value, word by word.
        let parts = || tokens[at..].iter().filter(|t| t.word).take(wanted.len()).flat_map(|t| &t.parts);
        if tokens[at].word && parts().take(wanted.len()).eq(wanted.iter()) {
            let common = wanted.len() == 1 && stop::is_stop(&tokens[at].lower);
            let score = if common {
                0.9
            } else if scope.used[at] || other_form(&tokens[at].lower, text, wanted.len()) {
                1.2
            } else {
                3.0
            } + if wanted.len() > 1 { 0.5 } else { 0.0 };
            // A verb that also names the task says less than a value elsewhere.
            if score > best.0 {
                best = (score, Some((at, (at + wanted.len() - 1).min(tokens.len() - 1))));
            }
            continue;
        }
        let token = &tokens[at];
        if !token.word || stop::is_stop(&token.lower) || token.lower.len() < 3 {
            continue;
        }
        let lower = text.to_lowercase();
        let short = !other_form(&token.lower, text, wanted.len())
            && token.lower.len() >= 3
            && (lower.starts_with(&token.lower) || token.lower.starts_with(&lower) && lower.len() >= 4);
        let alike = wanted.iter().any(|own| synonyms::alike(own, &token.stem));
        let part = wanted.len() > 1 && wanted.iter().any(|own| own.len() > 3 && *own == token.stem);
        let score = if short {
            2.2
        } else if part {
            1.4
        } else if alike {
            1.1
        } else {
            0.0
        };
        if score > best.0 {
            best = (score, Some((at, at)));
        }
    }
    if best.0 < 1.0
        && let Some(hint) = hint
    {
        let hits = (scope.window.0..=scope.window.1.min(tokens.len() - 1))
            .filter(|at| hint.contains(&tokens[*at].stem) && !stop::is_stop(&tokens[*at].lower))
            .count();
        if hits > 0 {
            #[expect(clippy::cast_precision_loss, reason = "small counts")]
            let score = 0.9 + 0.2 * hits as f64;
            best = (score, None);
        }
    }
    best
}

/// Returns whether a word is another form of a value that is a state: "ship" and "shipping" of "shipped".
fn other_form(word: &str, value: &str, words: usize) -> bool {
    let value = value.to_lowercase();
    words == 1 && word != value && (value.ends_with("ed") || word.ends_with("ing") && !value.ends_with("ing"))
}

fn number_score(wanted: f64, param: &Param, scope: &Scope<'_>) -> (f64, Option<(usize, usize)>) {
    for (index, span) in scope.reading.spans.iter().enumerate() {
        if let Some(number) = span.number().filter(|_| scope.inside(index)) {
            #[expect(clippy::float_cmp, reason = "both come from decimal writing")]
            if number.value == wanted {
                return (1.0 + cue::around(param, span, scope).min(2.0), Some(span.tokens));
            }
        }
    }
    (0.0, None)
}

/// Reads what a description says of each value: `'add' to add a new task, 'delete' to remove one`.
fn hints(param: &Param) -> Vec<(String, Vec<String>)> {
    let about = &param.description;
    let mut marks: Vec<(usize, String)> = param
        .choices
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|text| {
            ["'", "\"", "`"]
                .iter()
                .find_map(|quote| about.find(&format!("{quote}{text}{quote}")))
                .or_else(|| about.find(&format!("{text}: ")))
                .map(|at| (at, text.to_owned()))
        })
        .collect();
    marks.sort();
    let mut out = Vec::new();
    for (index, (at, text)) in marks.iter().enumerate() {
        let end = marks.get(index + 1).map_or(about.len(), |next| next.0);
        let part = about.get((*at + text.len() + 1).min(end)..end).unwrap_or_default();
        let stems: Vec<String> =
            words::content_stems(part).into_iter().filter(|own| !stop::is_faint(own)).take(8).collect();
        out.push((text.clone(), stems));
    }
    out
}
