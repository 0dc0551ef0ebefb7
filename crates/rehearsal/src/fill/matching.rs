//! Spans given to scalar parameters so that the sum of the evidence is largest.

use super::{Filled, Scope, score, value};
use crate::{
    read::{Span, What},
    schema::{Kind, Param},
    words::stop,
};
use serde_json::Value;

/// How many parameters and spans are weighed against each other.
const MAX_PARAMS: usize = 8;
const MAX_SPANS: usize = 24;
/// What an optional parameter needs before it is filled.
const OPTIONAL: f64 = 1.3;
/// What a required parameter is worth beside an optional one.
const REQUIRED: f64 = 4.0;
/// From where on a text is said to name a parameter's value.
const TOLD: f64 = 1.4;

/// Assigns free spans to the scalar parameters that have no value yet.
pub fn assign(params: &[Param], scope: &mut Scope<'_>, found: &mut [Option<Value>], filled: &mut Filled) {
    let mut open: Vec<usize> = (0..params.len())
        .filter(|index| {
            found[*index].is_none()
                && params[*index].choices.is_empty()
                && matches!(params[*index].kind, Kind::Integer | Kind::Number | Kind::Text | Kind::Any)
        })
        .filter(|index| !super::query::is_query(&params[*index]) || params[*index].kind != Kind::Text)
        .collect();
    open.sort_by_key(|index| !params[*index].required);
    open.truncate(MAX_PARAMS);
    open.sort_unstable();
    let spans: Vec<usize> = (0..scope.reading.spans.len()).filter(|index| scope.free(*index)).take(MAX_SPANS).collect();
    let spans = without_followers(params, &open, spans, scope);
    let listed = in_order(params, &open, scope);
    let trimmed: Vec<Span> = spans.iter().map(|span| trim(&scope.reading.spans[*span], scope)).collect();
    let scores: Vec<Vec<Option<f64>>> = spans
        .iter()
        .map(|span| {
            open.iter()
                .enumerate()
                .map(|(rank, index)| {
                    let param = &params[*index];
                    let item = &trimmed[spans.iter().position(|own| own == span)?];
                    if param.kind == Kind::Text
                        && super::expression::wanted(param)
                        && !matches!(item.what, What::Formula | What::Quoted)
                    {
                        return None;
                    }
                    value::of(param, item)?;
                    let inside = scope.inside(*span);
                    if !inside && !param.required {
                        return None;
                    }
                    let mut weight = score::score(param, item, scope) - if inside { 0.0 } else { 2.0 };
                    let before = spans
                        .iter()
                        .filter(|other| {
                            **other < *span
                                && scope.inside(**other) == inside
                                && scope.reading.spans[**other].same_kind(item)
                        })
                        .count();
                    #[expect(clippy::cast_precision_loss, reason = "small counts")]
                    let distance = (rank as f64 - before as f64).abs();
                    weight -= 0.12 * distance.min(4.0);
                    match listed.iter().find(|(_, member)| member == span) {
                        Some((own, _)) if own == index => weight = weight.max(3.0) + 1.0,
                        Some(_) => weight -= 2.0,
                        None => {}
                    }
                    if param.required {
                        (weight > -1.5).then_some(weight + REQUIRED)
                    } else {
                        (weight >= OPTIONAL).then_some(weight)
                    }
                })
                .collect()
        })
        .collect();
    for (column, row) in best(&scores, open.len()) {
        let param = &params[open[column]];
        let item = &whole_address(param, &trimmed[row], scope);
        if let Some(found_value) = value::of(param, item) {
            let strength = scores[row][column].unwrap_or(0.0) - if param.required { REQUIRED } else { 0.0 };
            filled.evidence += strength.clamp(-0.5, 3.0) / 2.0;
            let found_value = match city_and_region(params, open[column], item, found) {
                Some((city, region, other)) => {
                    found[other] = Some(region);
                    city
                }
                None => found_value,
            };
            filled.sources.push((param.name.clone(), spans[row]));
            if strength >= TOLD {
                filled.told.push(param.name.clone());
            }
            found[open[column]] = Some(found_value);
        }
    }
    for (_, span) in &filled.sources {
        scope.take(*span);
    }
}

/// Leaves out all but the first of names that a text lists, unless the tool takes such names in pairs: "in Rome and
/// Oslo" names two cities and not a city and something else.
fn without_followers(params: &[Param], open: &[usize], spans: Vec<usize>, scope: &Scope<'_>) -> Vec<usize> {
    const ENDS: &[&str] = &[
        "from",
        "to",
        "start",
        "end",
        "origin",
        "destination",
        "first",
        "second",
        "source",
        "target",
        "team",
        "player",
    ];
    let texts: Vec<&Param> =
        open.iter().map(|index| &params[*index]).filter(|param| param.kind == Kind::Text).collect();
    let paired = texts.iter().enumerate().any(|(index, left)| {
        texts[index + 1..].iter().any(|right| {
            let shared = left
                .name_words
                .iter()
                .any(|word| right.name_words.contains(word) && !matches!(word.as_str(), "name" | "type" | "id"));
            shared || left.named(ENDS) && right.named(ENDS)
        })
    });
    if paired || texts.is_empty() {
        return spans;
    }
    let follows = |span: usize| {
        matches!(scope.reading.spans[span].what, What::Name | What::Phrase)
            && scope.reading.lists.iter().any(|list| {
                list.contains(&span)
                    && list[0] != span
                    && scope.inside(list[0])
                    && (scope.reading.spans[span].what == What::Name)
            })
    };
    spans.into_iter().filter(|span| !follows(*span)).collect()
}

/// Adds city and region to a street for a parameter that takes a whole address, and marks them as used.
fn whole_address(param: &Param, span: &Span, scope: &mut Scope<'_>) -> Span {
    if span.what != What::Address || param.named(&["street"]) {
        return span.clone();
    }
    let mut last = span.tokens.1;
    while let Some(next) = scope
        .reading
        .spans
        .iter()
        .find(|next| next.tokens.0 == last + 2 && scope.reading.lower(last + 1) == "," && next.what == What::Name)
    {
        last = next.tokens.1;
    }
    scope.used[span.tokens.0..=last].fill(true);
    Span {
        tokens: (span.tokens.0, last),
        text: scope.reading.slice(span.tokens.0, last).to_owned(),
        what: What::Address,
    }
}

/// Splits "Seattle, WA" where a tool takes city and region apart; returns both and the index of the other parameter.
fn city_and_region(params: &[Param], at: usize, span: &Span, found: &[Option<Value>]) -> Option<(Value, Value, usize)> {
    const REGIONS: &[&str] = &["region", "state", "province", "country"];
    let (city, region) =
        span.text.split_once(", ").filter(|_| span.what == What::Name && params[at].named(&["city", "town"]))?;
    let region = Value::from(region);
    let other = (0..params.len()).find(|other| {
        *other != at && found[*other].is_none() && params[*other].named(REGIONS) && params[*other].accepts(&region)
    })?;
    Some((Value::from(city), region, other)).filter(|(city, ..)| params[at].accepts(city))
}

/// Reads "the base and height as 6 and 10": as many parameters named in a row as numbers follow in a list.
fn in_order(params: &[Param], open: &[usize], scope: &Scope<'_>) -> Vec<(usize, usize)> {
    let tokens = &scope.reading.tokens;
    let mut out = Vec::new();
    for list in &scope.reading.lists {
        let first = scope.reading.spans[list[0]].tokens.0;
        if scope.reading.spans[list[0]].number().is_none() {
            continue;
        }
        let mut named: Vec<usize> = Vec::new();
        for at in (scope.window.0..first).rev().take(10) {
            if tokens[at].digit() {
                break;
            }
            let owner = open.iter().find(|index| {
                params[**index].name_stems.contains(&tokens[at].stem) && !stop::is_stop(&tokens[at].lower)
            });
            if let Some(owner) = owner.filter(|owner| !named.contains(owner)) {
                named.insert(0, *owner);
            }
        }
        if named.len() == list.len() {
            out.extend(named.into_iter().zip(list.iter().copied()));
        }
    }
    out
}

/// Returns a phrase without the tool's own words at its ends: "classical" of "classical concert".
fn trim(span: &Span, scope: &Scope<'_>) -> Span {
    if span.what != What::Phrase {
        return span.clone();
    }
    let tokens = &scope.reading.tokens;
    let (mut first, mut last) = span.tokens;
    let own = |at: usize| {
        scope.task.contains(&tokens[at].stem)
            || stop::is_command(&tokens[at].lower)
            || matches!(
                tokens[at].lower.as_str(),
                "upcoming" | "current" | "latest" | "specific" | "detailed" | "following"
            )
    };
    while first < last && own(first) {
        first += 1;
    }
    while last > first && own(last) {
        last -= 1;
    }
    if own(first) {
        return span.clone();
    }
    Span { tokens: (first, last), text: scope.reading.slice(first, last).to_owned(), what: What::Phrase }
}

/// Returns the pairs (parameter, span) of the best assignment, by dynamic programming over sets of parameters.
fn best(scores: &[Vec<Option<f64>>], params: usize) -> Vec<(usize, usize)> {
    let sets = 1_usize << params;
    let mut value = vec![f64::NEG_INFINITY; sets];
    let mut from: Vec<Vec<u8>> = Vec::with_capacity(scores.len());
    value[0] = 0.0;
    for row in scores {
        let mut choice = vec![u8::MAX; sets];
        for set in (0..sets).rev() {
            for (column, score) in row.iter().enumerate() {
                if let Some(score) = score.filter(|_| set & (1 << column) != 0) {
                    let candidate = value[set & !(1 << column)] + score;
                    if candidate > value[set] + 1e-9 {
                        value[set] = candidate;
                        choice[set] = u8::try_from(column).unwrap_or(u8::MAX);
                    }
                }
            }
        }
        from.push(choice);
    }
    let mut set = (0..sets).fold(0, |best, set| if value[set] > value[best] { set } else { best });
    let mut out = Vec::new();
    for row in (0..scores.len()).rev() {
        let column = from[row][set];
        if column != u8::MAX {
            out.push((usize::from(column), row));
            set &= !(1 << usize::from(column));
        }
    }
    out
}
