//! Choice: a fork in the road.

use crate::workflow::{
    definition::{Choice, Comparison, Language, Operand, Operator, Relation, Test, Type},
    flow,
    plan::Plan,
    query::{Env, Problem, Template},
    step::Step,
    time,
};
use serde_json::Value;
use std::{borrow::Cow, cmp::Ordering, sync::Arc};

pub(super) fn begin(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan, choice: &Choice) -> Result<(), Problem> {
    let input = flow::input(step, env)?;
    let on = env.on(&input);
    for (at, rule) in choice.rules.iter().enumerate() {
        if !holds(&on, &rule.test, at)? {
            continue;
        }
        let language = step.state.language;
        let next = Some(Arc::clone(&rule.next));
        if rule.assign.is_none() && rule.output.is_none() {
            if language == Language::Jsonata {
                return leave_as_is(step, env, plan, next);
            }
            let output = flow::output(step, &on)?;
            return flow::leave(step, plan, output, None, next);
        }
        let assigned = flow::assign(&on, language, rule.assign.as_ref())?;
        let output = match &rule.output {
            Some(template) => template.fill(env, &format!("Choices[{at}]/Output"))?,
            None => flow::output(step, &on)?,
        };
        return flow::leave(step, plan, output, assigned, next);
    }
    match &choice.default {
        Some(next) => flow::pass_on(step, env, plan, Some(Arc::clone(next))),
        None => Err(Problem {
            error: "States.NoChoiceMatched".into(),
            ..Problem::runtime("The choice state does not have a default choice and no rule matched.")
        }),
    }
}

/// Leaves by a rule that says nothing of the output: then the state's own `Output` counts.
fn leave_as_is(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan, next: Option<Arc<str>>) -> Result<(), Problem> {
    let output = match &step.state.output {
        Some(template) => template.fill(env, "Output")?,
        None => Arc::clone(env.input),
    };
    flow::leave(step, plan, output, None, next)
}

fn holds(env: &Env<'_>, test: &Test, at: usize) -> Result<bool, Problem> {
    match test {
        Test::And(tests) => {
            for test in tests {
                if !holds(env, test, at)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Test::Or(tests) => {
            for test in tests {
                if holds(env, test, at)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Test::Not(test) => Ok(!holds(env, test, at)?),
        Test::Compare(comparison) => compare(env, comparison),
        Test::Condition(template) => {
            let field = format!("Choices[{at}]/Condition");
            let value = template.fill(env, &field)?;
            value.as_bool().ok_or_else(|| match template {
                Template::Jsonata(expression) => expression.unexpected(&field, "boolean", &value),
                _ => Problem::runtime(format_args!("The field '{field}' must be a boolean but was: {value}")),
            })
        }
    }
}

fn compare(env: &Env<'_>, comparison: &Comparison) -> Result<bool, Problem> {
    let found = comparison.variable.find(env);
    if comparison.operator == Operator::IsPresent {
        let yes = matches!(comparison.operand, Operand::Value(Value::Bool(true)));
        let empty = matches!(&found, Ok(Cow::Owned(Value::Array(items))) if items.is_empty());
        return Ok((found.is_ok() && !empty) == yes);
    }
    let value = found.map_err(|_| invalid(&comparison.variable.text))?;
    let operand = match &comparison.operand {
        Operand::Value(value) => Cow::Borrowed(value),
        Operand::Path(path) => path.find(env).map_err(|_| invalid(&path.text))?,
    };
    Ok(apply(comparison.operator, &value, &operand))
}

fn invalid(path: &str) -> Problem {
    Problem::runtime(format_args!(
        "Invalid path '{path}': The choice state's condition path references an invalid value."
    ))
}

fn apply(operator: Operator, value: &Value, operand: &Value) -> bool {
    let asked = |answer: bool| answer == operand.as_bool().unwrap_or(false);
    match operator {
        Operator::IsPresent => asked(true),
        Operator::IsNull => asked(value.is_null()),
        Operator::IsString => asked(value.is_string()),
        Operator::IsNumeric => asked(value.is_number()),
        Operator::IsBoolean => asked(value.is_boolean()),
        Operator::IsTimestamp => asked(value.as_str().is_some_and(|text| time::parse(text).is_some())),
        Operator::BooleanEquals => value.as_bool().is_some_and(|value| operand.as_bool() == Some(value)),
        Operator::StringMatches => match (value.as_str(), operand.as_str()) {
            (Some(value), Some(pattern)) => matches_pattern(value, pattern),
            _ => false,
        },
        Operator::Ordered(of, relation) => order(of, value, operand).is_some_and(|order| match relation {
            Relation::Equals => order == Ordering::Equal,
            Relation::LessThan => order == Ordering::Less,
            Relation::GreaterThan => order == Ordering::Greater,
            Relation::LessThanEquals => order != Ordering::Greater,
            Relation::GreaterThanEquals => order != Ordering::Less,
        }),
    }
}

fn order(of: Type, left: &Value, right: &Value) -> Option<Ordering> {
    match of {
        Type::String => Some(left.as_str()?.encode_utf16().cmp(right.as_str()?.encode_utf16())),
        Type::Numeric => left.as_f64()?.partial_cmp(&right.as_f64()?),
        Type::Timestamp => Some(time::parse(left.as_str()?)?.cmp(&time::parse(right.as_str()?)?)),
    }
}

/// Returns whether `text` matches a pattern in which `*` stands for any characters and `\*` for itself.
fn matches_pattern(text: &str, pattern: &str) -> bool {
    let mut parts: Vec<Option<char>> = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => parts.push(None),
            '\\' => parts.extend(chars.next().map(Some)),
            c => parts.push(Some(c)),
        }
    }
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut part) = (0, 0);
    // Where the last star stood, and how far its match reached: a mismatch lets it take one more.
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match parts.get(part) {
            Some(None) => {
                star = Some((part, at));
                part += 1;
            }
            Some(Some(c)) if *c == text[at] => {
                part += 1;
                at += 1;
            }
            _ => match star {
                Some((stood, reached)) => {
                    star = Some((stood, reached + 1));
                    part = stood + 1;
                    at = reached + 1;
                }
                None => return false,
            },
        }
    }
    parts[part..].iter().all(Option::is_none)
}

#[cfg(test)]
mod tests {
    use super::matches_pattern;

    #[test]
    fn a_star_stands_for_any_text_and_an_escaped_one_for_itself() {
        for (text, pattern, expected) in [
            ("log-2024.txt", "log-*.txt", true),
            ("log-2024.csv", "log-*.txt", false),
            ("", "*", true),
            ("a*b", "a\\*b", true),
            ("axb", "a\\*b", false),
            ("aXbXc", "a*b*c", true),
            ("abcb", "a*cb", true),
        ] {
            assert_eq!(matches_pattern(text, pattern), expected, "{text} {pattern}");
        }
    }
}
