//! How much speaks for a span as the value of a parameter.

use super::{Scope, cue};
use crate::{
    read::{Span, What},
    schema::{Kind, Param},
    words::{number, places, synonyms, units},
};

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
            let year = dated && (1500.0..=2100.0).contains(&number.value) || param.named(&["year"]);
            if coded || year {
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
