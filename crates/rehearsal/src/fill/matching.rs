//! Spans given to scalar parameters so that the sum of the evidence is largest.

use super::{Filled, Scope, cue, value};
use crate::{
    read::{Span, What},
    schema::{Kind, Param},
    words::{number, places, stop, synonyms, units},
};
use serde_json::Value;

/// How many parameters and spans are weighed against each other.
const MAX_PARAMS: usize = 8;
const MAX_SPANS: usize = 24;
/// What an optional parameter needs before it is filled.
const OPTIONAL: f64 = 1.3;
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
                    let mut score = score(param, item, scope) - if inside { 0.0 } else { 2.0 };
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
                    score -= 0.12 * distance.min(4.0);
                    match listed.iter().find(|(_, member)| member == span) {
                        Some((own, _)) if own == index => score = score.max(3.0) + 1.0,
                        Some(_) => score -= 2.0,
                        None => {}
                    }
                    if param.required {
                        (score > -1.5).then_some(score + 4.0)
                    } else {
                        (score >= OPTIONAL).then_some(score)
                    }
                })
                .collect()
        })
        .collect();
    for (column, row) in best(&scores, open.len()) {
        let param = &params[open[column]];
        let item = &whole_address(param, &trimmed[row], scope);
        if let Some(found_value) = value::of(param, item) {
            let strength = scores[row][column].unwrap_or(0.0) - if param.required { 4.0 } else { 0.0 };
            filled.evidence += strength.clamp(-0.5, 3.0) / 2.0;
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

/// Returns how much speaks for a span as a parameter's value.
#[must_use]
pub fn score(param: &Param, span: &Span, scope: &Scope<'_>) -> f64 {
    let near = cue::around(param, span, scope) + cue::role(param, span, scope);
    let kin = if matches!(span.what, What::Phrase | What::Name) && span.tokens.0 == span.tokens.1 {
        kin(param, &scope.reading.tokens[span.tokens.0].stem)
    } else {
        0.0
    };
    near + kin
        + match param.kind {
            Kind::Integer | Kind::Number => numeric(param, span),
            _ => text(param, span, scope),
        }
}

fn numeric(param: &Param, span: &Span) -> f64 {
    let Some(number) = span.number() else { return 0.5 };
    let mut score = 0.0;
    let like = |words: &[&str]| param.mentions(words);
    let rate = like(&[
        "rate",
        "percent",
        "percentage",
        "interest",
        "ratio",
        "discount",
        "probability",
        "alpha",
        "yield",
        "margin",
        "level",
        "tax",
    ]);
    if number.percent {
        score += if rate { 1.6 } else { -1.0 };
    }
    if number.money {
        let money = like(&[
            "price",
            "amount",
            "cost",
            "budget",
            "principal",
            "investment",
            "income",
            "salary",
            "money",
            "value",
            "payment",
            "loan",
            "cash",
            "deposit",
            "revenue",
            "worth",
            "fee",
            "bet",
            "dividend",
        ]);
        score += if money { 1.3 } else { -0.6 };
    } else if number.percent && like(&["price", "amount", "cost"]) {
        score -= 0.5;
    }
    if number.ordinal {
        score -= 0.6;
    }
    if let Some(unit) = &number.unit {
        score += unit_fit(param, unit);
    }
    let yearish = number.value.fract() == 0.0
        && (1500.0..=2100.0).contains(&number.value)
        && number.unit.is_none()
        && !number.money
        && !number.percent;
    if param.named(&["year"]) && !param.named(&["years"])
        || param.name_stems.iter().any(|stem| stem == "year") && !param.name.contains("years")
    {
        score += if yearish { 1.5 } else { -1.0 };
    } else if yearish {
        score -= 0.3;
    }
    score
}

/// Returns how well a unit that stands at a number fits a parameter.
fn unit_fit(param: &Param, unit: &str) -> f64 {
    match unit {
        number::TIMES_A_YEAR => {
            return if param.named(&["n", "compound", "compounding", "frequency", "periods", "times", "compounds"]) {
                3.5
            } else {
                -6.0
            };
        }
        number::SPAN_OF_DAYS => {
            let days = param.name_stems.iter().chain(&param.stems).any(|own| own == "day");
            return if days { 2.5 } else { -6.0 };
        }
        number::AT_REST => {
            return if param.named(&["initial", "speed", "velocity", "start"]) && param.named(&["speed", "velocity"]) {
                3.5
            } else {
                -6.0
            };
        }
        _ => {}
    }
    let words = units::measures(unit);
    if param.named(words) {
        1.2
    } else if param.mentions(words) || param.mentions(&[unit]) {
        0.8
    } else {
        0.0
    }
}

/// Returns how much a word is an instance of what a parameter is named after ("red" is a colour).
fn kin(param: &Param, stem: &str) -> f64 {
    if param.name_stems.iter().any(|own| synonyms::is_a(stem, own)) { 1.8 } else { 0.0 }
}

fn text(param: &Param, span: &Span, scope: &Scope<'_>) -> f64 {
    let like = |words: &[&str]| param.mentions(words);
    let dated = param.named(&["date", "day", "when", "checkin", "checkout", "deadline"])
        || param.format.as_deref() == Some("date");
    let timed = param.named(&["time", "hour"]) || param.format.as_deref() == Some("time");
    let coded = param.named(&[
        "id",
        "code",
        "number",
        "no",
        "isbn",
        "sku",
        "zip",
        "zipcode",
        "postal",
        "phone",
        "account",
        "ticker",
        "reference",
    ]);
    let formula = param.named(&["function", "equation", "expression", "formula", "polynomial"])
        || like(&["function", "equation", "expression"]);
    let place = param.named(&[
        "location",
        "city",
        "place",
        "country",
        "region",
        "state",
        "area",
        "destination",
        "origin",
        "town",
        "loc",
        "from",
        "to",
    ]);
    let unit = param.named(&["unit", "units", "system", "method", "format", "mode", "language", "currency", "status"]);
    let patterned = if param.strict { 4.0 } else { 0.0 };
    let base = match &span.what {
        What::Quoted => 1.8,
        What::Email => {
            if param.named(&["email", "mail", "recipient", "to", "address"]) {
                3.0
            } else {
                -1.0
            }
        }
        What::Url => {
            if param.named(&["url", "link", "uri", "website", "repo", "site", "page"]) {
                3.0
            } else {
                -1.0
            }
        }
        What::Code => {
            if coded {
                2.2
            } else {
                0.2
            }
        }
        What::Formula => {
            if formula {
                3.0
            } else {
                -1.2
            }
        }
        What::Day(_) => {
            if dated {
                3.0
            } else if place {
                -4.0
            } else {
                -1.5
            }
        }
        What::Time(..) => {
            if timed {
                3.0
            } else if dated {
                0.2
            } else {
                -1.8
            }
        }
        What::Number(number) => {
            if coded {
                1.0
            } else if dated && (1500.0..=2100.0).contains(&number.value) || param.named(&["year"]) {
                1.0
            } else if param.named(&["name", "location", "city"]) {
                -3.0
            } else {
                -1.6
            }
        }
        What::Name => {
            let region = span.text.split(", ").any(places::is_region);
            if dated || timed || coded {
                -1.2
            } else if formula {
                -1.0
            } else if place && region {
                2.0
            } else if unit {
                -0.6
            } else {
                let after = scope.reading.lower(span.tokens.1 + 1);
                let modifies = !after.is_empty() && scope.task.contains(&scope.reading.tokens[span.tokens.1 + 1].stem);
                1.2 - if modifies { 0.5 } else { 0.0 }
            }
        }
        What::Address => {
            if param.named(&[
                "street",
                "address",
                "location",
                "loc",
                "pickup",
                "dropoff",
                "from",
                "to",
                "origin",
                "destination",
            ]) {
                3.2
            } else {
                -1.5
            }
        }
        What::Unit => {
            if param.named(&["unit", "units", "system", "scale"]) || like(&["unit"]) {
                2.8
            } else {
                -3.0
            }
        }
        What::Phrase => {
            let words: Vec<&crate::words::Token> = scope.reading.tokens[span.tokens.0..=span.tokens.1].iter().collect();
            let task = words
                .iter()
                .filter(|word| {
                    scope.task.iter().any(|own| own == &word.stem)
                        || param.name_stems.iter().any(|own| own == &word.stem)
                })
                .count();
            #[expect(clippy::cast_precision_loss, reason = "small counts")]
            let share = task as f64 / words.len().max(1) as f64;
            if dated || timed || coded {
                -2.5
            } else if place {
                -0.4 - share
            } else {
                0.2 - 2.2 * share
            }
        }
    };
    base + patterned
}
