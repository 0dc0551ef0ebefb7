//! Lists: bracketed, enumerated, or the two ends of a range.

use super::{Scope, choice, cue, score, value};
use crate::{
    read::What,
    schema::{Kind, Param},
};
use serde_json::Value;

/// Fills a parameter that takes a list; returns the value and how surely.
#[must_use]
pub fn fill(param: &Param, siblings: &[Param], scope: &mut Scope<'_>) -> Option<(Value, f64)> {
    let item = param.items.as_deref()?;
    if !item.choices.is_empty() {
        let values = choice::all(item, scope);
        choice::mark(item, scope, 1.5);
        return (!values.is_empty()).then_some((Value::Array(values), 1.0));
    }
    if item.kind == Kind::List {
        return nested(item, scope);
    }
    if item.kind == Kind::Object {
        let map = if item.properties.is_empty() { value::pairs(scope) } else { serde_json::Map::new() };
        return (!map.is_empty()).then_some((Value::Array(vec![Value::Object(map)]), 0.5));
    }
    let mut best: Option<(f64, Vec<usize>)> = None;
    for (members, bonus) in candidates(item, scope) {
        let first = &scope.reading.spans[members[0]];
        let inside = if scope.inside(members[0]) { 0.0 } else { -2.0 };
        let taste = if matches!(item.kind, Kind::Text | Kind::Any) {
            members
                .iter()
                .map(|member| score::score(item, &scope.reading.spans[*member], scope))
                .fold(f64::INFINITY, f64::min)
                .clamp(-2.0, 1.5)
        } else {
            0.0
        };
        let last = &scope.reading.spans[members[members.len() - 1]];
        let near = cue::around(param, first, scope).max(cue::around(param, last, scope)).min(3.5);
        let score = near + cue::role(param, first, scope) + taste + bonus + inside;
        // A list that stands nearer to a sibling's name is the sibling's.
        let rival = siblings
            .iter()
            .filter(|other| other.name != param.name && other.kind == Kind::List)
            .map(|other| cue::around(other, first, scope))
            .fold(0.0, f64::max);
        let score = if rival > near + 0.2 { score - 1.5 } else { score };
        if best.as_ref().is_none_or(|(most, _)| score > *most) {
            best = Some((score, members));
        }
    }
    let (score, members) = best?;
    let least = if param.required { -1.0 } else { 1.5 };
    if score < least {
        return None;
    }
    let values: Vec<Value> =
        members.iter().filter_map(|member| value::of(item, &scope.reading.spans[*member])).collect();
    for member in &members {
        scope.take(*member);
    }
    (!values.is_empty()).then_some((Value::Array(values), (score / 3.0).clamp(0.0, 1.5)))
}

/// Returns groups of spans that could be the list, each with a bonus for its shape.
fn candidates(item: &Param, scope: &Scope<'_>) -> Vec<(Vec<usize>, f64)> {
    let spans = &scope.reading.spans;
    let usable = |index: usize| scope.free(index) && value::of(item, &spans[index]).is_some();
    let mut out: Vec<(Vec<usize>, f64)> = Vec::new();
    for list in &scope.reading.lists {
        let members: Vec<usize> = list.iter().copied().filter(|index| usable(*index)).collect();
        if members.len() > 1 {
            let bracket = bracketed(scope, members[0]);
            out.push((members, if bracket { 2.0 } else { 1.0 }));
        }
    }
    if matches!(item.kind, Kind::Integer | Kind::Number) {
        for pair in (0..spans.len()).filter(|index| usable(*index)).collect::<Vec<_>>().windows(2) {
            let between = &scope.reading.tokens[spans[pair[0]].tokens.1 + 1..spans[pair[1]].tokens.0];
            if between.len() <= 4 && between.iter().any(|t| matches!(t.lower.as_str(), "to" | "and" | "until")) {
                out.push((pair.to_vec(), 0.6));
            }
        }
    }
    for index in (0..spans.len()).filter(|index| usable(*index)) {
        let quoted = if spans[index].what == What::Quoted { 0.4 } else { 0.0 };
        let bracket = if bracketed(scope, index) { 1.0 } else { 0.0 };
        out.push((vec![index], quoted + bracket - 0.3));
    }
    out
}

fn bracketed(scope: &Scope<'_>, index: usize) -> bool {
    let first = scope.reading.spans[index].tokens.0;
    (1..=2).any(|step| first.checked_sub(step).is_some_and(|at| scope.reading.tokens[at].text == "["))
}

/// Reads lists of lists from brackets: `[[1, 2], [3, 4]]` or `(1, 2) and (3, 4)`.
fn nested(item: &Param, scope: &mut Scope<'_>) -> Option<(Value, f64)> {
    let inner = item.items.as_deref()?;
    let mut rows: Vec<Value> = Vec::new();
    let mut row: Vec<Value> = Vec::new();
    let mut taken = Vec::new();
    let mut depth = 0_usize;
    for at in scope.window.0..=scope.window.1.min(scope.reading.tokens.len().saturating_sub(1)) {
        match scope.reading.tokens[at].text.as_str() {
            "[" | "(" => depth += 1,
            "]" | ")" => {
                depth = depth.saturating_sub(1);
                if !row.is_empty() {
                    rows.push(Value::Array(std::mem::take(&mut row)));
                }
            }
            _ if depth > 0 => {
                if let Some(index) =
                    scope.reading.spans.iter().position(|span| span.tokens.0 == at).filter(|index| scope.free(*index))
                    && let Some(value) = value::of(inner, &scope.reading.spans[index])
                {
                    row.push(value);
                    taken.push(index);
                }
            }
            _ => {}
        }
    }
    for index in taken {
        scope.take(index);
    }
    (!rows.is_empty()).then_some((Value::Array(rows), 1.0))
}
