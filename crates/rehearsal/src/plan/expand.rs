//! One clause that asks for several things of one kind: as many calls.

use crate::{
    fill::{self, Filled, Scope, choice, value},
    read::Reading,
    schema::{Kind, Param, Tool},
};
use serde_json::Value;

/// How many calls one clause may become.
const MAX_CALLS: usize = 8;

/// Fills a tool from a clause, once for each thing that the clause lists.
#[must_use]
pub fn expand(tool: &Tool, reading: &Reading, window: (usize, usize)) -> Vec<Filled> {
    if let Some(parts) = segments(tool, reading, window) {
        let all: Vec<Filled> = parts.iter().map(|part| with_context(tool, reading, *part, window)).collect();
        if all.iter().all(|filled| filled.missing.is_empty()) {
            return dedupe(all);
        }
    }
    if let Some(groups) = super::again::groups(tool, reading, window) {
        let mut all: Vec<Filled> = Vec::new();
        for group in groups {
            let mut scope = Scope::new(reading, group, tool);
            for index in 0..reading.spans.len() {
                scope.blocked[index] = !scope.inside(index);
            }
            let filled = fill::fill(tool, &mut scope);
            for one in distribute(tool, filled, &scope) {
                all.push(super::again::inherit(tool, one, all.last()));
            }
        }
        super::again::complete_first(tool, &mut all);
        if all.iter().all(|filled| filled.missing.is_empty()) {
            all.truncate(MAX_CALLS);
            return dedupe(all);
        }
    }
    let mut scope = Scope::new(reading, window, tool);
    let filled = fill::fill(tool, &mut scope);
    dedupe(distribute(tool, filled, &scope))
}

/// Makes one call for each member of the lists that a clause gives to scalar parameters.
fn distribute(tool: &Tool, filled: Filled, scope: &Scope<'_>) -> Vec<Filled> {
    let reading = scope.reading;
    let lists = listed(tool, &filled, scope);
    if lists.is_empty() {
        return vec![filled];
    }
    let respectively = reading.tokens.iter().any(|token| token.stem == "respectiv");
    let lengths: Vec<usize> = lists.iter().map(|(_, values)| values.len()).collect();
    let zip = lists.len() > 1
        && lengths.iter().all(|length| *length == lengths[0])
        && (respectively
            || lists.iter().all(|(param, _)| {
                tool.params.iter().any(|own| own.name == *param && matches!(own.kind, Kind::Integer | Kind::Number))
            }));
    let mut out = vec![filled.clone()];
    if zip {
        out = (0..lengths[0])
            .map(|row| {
                let mut one = filled.clone();
                for (param, values) in &lists {
                    one.args.insert(param.clone(), values[row].clone());
                }
                one
            })
            .collect();
    } else {
        for (param, values) in &lists {
            let mut next = Vec::new();
            for one in &out {
                for value in values {
                    let mut another = one.clone();
                    another.args.insert(param.clone(), value.clone());
                    next.push(another);
                }
            }
            out = next;
        }
    }
    out.truncate(MAX_CALLS);
    out
}

/// Fills from one segment; what it lacks comes from the rest of the clause.
fn with_context(tool: &Tool, reading: &Reading, part: (usize, usize), window: (usize, usize)) -> Filled {
    let mut scope = Scope::new(reading, part, tool);
    let mut filled = fill::fill(tool, &mut scope);
    // Optional values that the clause says once hold for all its parts.
    let mut whole = Scope::new(reading, window, tool);
    let shared = fill::fill(tool, &mut whole);
    for (name, value) in shared.args {
        let constant = tool.params.iter().any(|param| {
            param.name == name
                && (!param.required || !param.choices.is_empty())
                && (!param.choices.is_empty() || param.kind == Kind::Boolean)
        });
        if constant && !filled.args.contains_key(&name) {
            filled.args.insert(name, value);
        }
    }
    filled
}

/// Returns the scalar parameters whose value stands in a list that nothing else uses, with all the values.
fn listed(tool: &Tool, filled: &Filled, scope: &Scope<'_>) -> Vec<(String, Vec<Value>)> {
    let mut out: Vec<(String, Vec<Value>)> = Vec::new();
    for (name, span) in &filled.sources {
        let Some(param) = tool.params.iter().find(|param| param.name == *name) else { continue };
        let Some(list) = scope.reading.lists.iter().find(|list| list.contains(span)) else { continue };
        let others_use =
            list.iter().any(|member| member != span && filled.sources.iter().any(|(_, used)| used == member));
        let phrases = matches!(scope.reading.spans[*span].what, crate::read::What::Phrase);
        let plain = |member: &usize| {
            let tokens = scope.reading.spans[*member].tokens;
            tokens.1 - tokens.0 < 2
                && !scope.reading.tokens[tokens.0..=tokens.1].iter().any(|token| scope.task.contains(&token.stem))
        };
        if phrases
            && (!list.iter().all(plain)
                || tool.required().filter(|param| param.kind == Kind::Text && param.choices.is_empty()).count() > 2)
        {
            continue;
        }
        if others_use || !list.iter().all(|member| scope.inside(*member)) {
            continue;
        }
        let values: Vec<Value> = list
            .iter()
            .filter(|member| **member == *span || scope.free(**member))
            .filter_map(|member| value::of(param, &scope.reading.spans[*member]))
            .collect();
        if values.len() > 1 {
            out.push((name.clone(), values));
        }
    }
    for param in tool
        .params
        .iter()
        .filter(|param| !param.choices.is_empty() && param.kind == Kind::Text && filled.args.contains_key(&param.name))
    {
        let values = several_choices(param, scope);
        if values.len() > 1 {
            out.push((param.name.clone(), values));
        }
    }
    // "search for A and B": two searches for names, one for anything else.
    for param in tool.required().filter(|param| fill::query::is_query(param)) {
        let Some(Value::String(text)) = filled.args.get(&param.name) else { continue };
        let names = scope.reading.lists.iter().find(|list| {
            list.iter().all(|member| {
                scope.inside(*member)
                    && matches!(scope.reading.spans[*member].what, crate::read::What::Name | crate::read::What::Quoted)
            })
        });
        let Some(names) = names else { continue };
        let members: Vec<&str> = names.iter().map(|member| scope.reading.spans[*member].text.as_str()).collect();
        let glue = members.iter().fold(text.clone(), |rest, member| rest.replacen(member, " ", 1));
        if glue.split(|c: char| !c.is_alphanumeric()).all(|word| matches!(word, "" | "and" | "or" | "also")) {
            out.push((param.name.clone(), members.into_iter().map(Value::from).collect()));
        }
    }
    out.truncate(3);
    out
}

/// Returns the values of an enumeration that a clause joins with "and".
fn several_choices(param: &Param, scope: &Scope<'_>) -> Vec<Value> {
    let values: Vec<Value> = choice::all(param, &scope.untouched());
    let joined = |left: &Value, right: &Value| {
        let at = |value: &Value| {
            scope.reading.tokens.iter().position(|token| {
                value.as_str().is_some_and(|text| crate::words::stems(text).first() == Some(&token.stem))
            })
        };
        match (at(left), at(right)) {
            (Some(a), Some(b)) if b > a && b - a <= 4 => scope.reading.tokens[a..b]
                .iter()
                .any(|token| matches!(token.lower.as_str(), "and" | "," | "&" | "both")),
            _ => false,
        }
    };
    if values.windows(2).all(|pair| joined(&pair[0], &pair[1])) { values } else { Vec::new() }
}

/// Cuts a clause that names the required values several times over.
fn segments(tool: &Tool, reading: &Reading, window: (usize, usize)) -> Option<Vec<(usize, usize)>> {
    let required: Vec<&Param> = tool
        .required()
        .filter(|param| {
            param.choices.is_empty()
                && matches!(param.kind, Kind::Integer | Kind::Number | Kind::Text)
                && !fill::query::is_query(param)
        })
        .collect();
    let scope = Scope::new(reading, window, tool);
    let kind_of = |index: usize| -> Option<bool> {
        let span = &reading.spans[index];
        if !scope.inside(index) {
            return None;
        }
        match span.what {
            crate::read::What::Number(_) => Some(true),
            crate::read::What::Name
            | crate::read::What::Quoted
            | crate::read::What::Formula
            | crate::read::What::Code => Some(false),
            _ => None,
        }
    };
    let numbers = required.iter().filter(|param| param.kind != Kind::Text).count();
    let texts = required.len() - numbers;
    if required.len() < 2 || tool.params.iter().any(|param| param.kind == Kind::List && param.required) {
        return None;
    }
    let mut out: Vec<(usize, usize)> = Vec::new();
    let mut start = window.0;
    let (mut seen_numbers, mut seen_texts) = (0, 0);
    let mut last_end = window.0;
    for index in 0..reading.spans.len() {
        let Some(number) = kind_of(index) else { continue };
        let (first, last) = reading.spans[index].tokens;
        let full = seen_numbers >= numbers && seen_texts >= texts;
        if full {
            let cut = (last_end + 1..first)
                .rev()
                .find(|at| matches!(reading.lower(*at), "and" | "," | "." | ";" | "?" | "then" | "also"));
            if let Some(cut) = cut {
                out.push((start, cut - 1));
                start = cut;
                (seen_numbers, seen_texts) = (0, 0);
            }
        }
        if number {
            seen_numbers += 1;
        } else {
            seen_texts += 1;
        }
        last_end = last;
    }
    if out.is_empty() || seen_numbers < numbers || seen_texts < texts {
        return None;
    }
    out.push((start, window.1));
    (out.len() <= MAX_CALLS).then_some(out)
}

fn dedupe(all: Vec<Filled>) -> Vec<Filled> {
    let mut out: Vec<Filled> = Vec::new();
    for one in all {
        if !out.iter().any(|other| other.args == one.args) {
            out.push(one);
        }
    }
    out
}
