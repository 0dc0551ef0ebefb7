//! Values of an enumeration, and yes or no.

use super::{Scope, cue};
use crate::{
    schema::{Kind, Param},
    words::{self, stem, stop, synonyms},
};
use serde_json::Value;

/// Returns the allowed value that the clause names, and how surely. Marks the words that named it.
#[must_use]
pub fn choose(param: &Param, scope: &mut Scope<'_>) -> Option<(Value, f64)> {
    let (value, score, at) = rank(param, scope).into_iter().next()?;
    if score < 1.0 {
        return None;
    }
    if let Some((first, last)) = at {
        scope.used[first..=last].fill(true);
    }
    let value = if param.kind == Kind::List { Value::Array(vec![value]) } else { value };
    Some((value, score.min(2.0) / 2.0))
}

/// Returns all values that the clause names, in the order of the text.
#[must_use]
pub fn all(param: &Param, scope: &Scope<'_>) -> Vec<Value> {
    let mut found: Vec<(Value, f64, Option<(usize, usize)>)> =
        rank(param, scope).into_iter().filter(|(_, score, at)| *score >= 1.5 && at.is_some()).collect();
    found.sort_by_key(|(_, _, at)| at.map(|range| range.0));
    found.into_iter().map(|(value, _, _)| value).collect()
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
        .filter(|value| !value.is_null())
        .map(|value| {
            let (score, at) = match value {
                Value::String(text) => text_score(
                    text,
                    param,
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

fn text_score(text: &str, param: &Param, scope: &Scope<'_>, hint: Option<&[String]>) -> (f64, Option<(usize, usize)>) {
    let wanted: Vec<String> = words::stems(text);
    let tokens = &scope.reading.tokens;
    if wanted.is_empty() || tokens.is_empty() {
        return (0.0, None);
    }
    let mut best = (0.0, None);
    for at in scope.window.0..=scope.window.1.min(tokens.len() - 1) {
        // The whole value, word by word.
        let parts: Vec<String> =
            tokens[at..].iter().filter(|t| t.word).take(wanted.len()).flat_map(|t| words::stems(&t.text)).collect();
        if parts.len() >= wanted.len() && parts[..wanted.len()] == wanted[..] {
            let common = wanted.len() == 1 && stop::is_stop(&tokens[at].lower);
            let score = if common {
                0.9
            } else if scope.used[at] {
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
        let short = token.lower.len() >= 3
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
    if best.0 < 1.0 {
        if let Some(hint) = hint {
            let hits = (scope.window.0..=scope.window.1.min(tokens.len() - 1))
                .filter(|at| hint.contains(&tokens[*at].stem) && !stop::is_stop(&tokens[*at].lower))
                .count();
            if hits > 0 {
                #[expect(clippy::cast_precision_loss, reason = "small counts")]
                let score = 0.9 + 0.2 * hits as f64;
                best = (score, None);
            }
        }
    }
    let _ = param;
    best
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
                .map(|at| (at, text.to_owned()))
        })
        .collect();
    marks.sort();
    let mut out = Vec::new();
    for (index, (at, text)) in marks.iter().enumerate() {
        let end = marks.get(index + 1).map_or(about.len(), |next| next.0);
        let part = &about[(*at + text.len() + 2).min(end)..end];
        let stems: Vec<String> =
            words::content_stems(part).into_iter().filter(|own| !stop::is_faint(own)).take(8).collect();
        out.push((text.clone(), stems));
    }
    let _ = stem;
    out
}
