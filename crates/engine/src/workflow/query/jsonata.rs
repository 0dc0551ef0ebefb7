//! JSONata expressions between `{%` and `%}`.
//!
//! Values of the evaluator are not `Send`: they live within one call. Time and randomness come from the decision; depth,
//! time and length of what an expression makes are bounded.

use super::{Env, Problem, jsonata_functions};
use bedplate_core::time::Timestamp;
use jsonata_core::{
    ast::AstNode,
    evaluator::{Context, Evaluator, EvaluatorError, EvaluatorOptions},
    parser,
    value::JValue,
};
use serde_json::{Map, Number, Value};
use std::sync::Arc;

/// How long an expression may take, in milliseconds.
const MAX_MILLIS: u64 = 1_000;

/// How deep an evaluation may nest.
const MAX_DEPTH: usize = 500;

/// How long a sequence may get.
const MAX_SEQUENCE: usize = 1_000_000;

/// An expression, ready to be evaluated.
#[derive(Debug)]
pub struct Expression {
    source: Arc<str>,
    tree: AstNode,
    /// Whether the expression asks for `$states`; making that is the larger part of an evaluation.
    sees_states: bool,
}

impl Expression {
    /// Returns the expression in a text that is one as a whole; none for any other text.
    #[must_use]
    pub fn delimited(text: &str) -> Option<&str> {
        text.strip_prefix("{%")?.strip_suffix("%}")
    }

    /// Returns the expression that `source` says.
    ///
    /// # Errors
    /// What the parser says.
    pub fn parse(source: &str) -> Result<Self, String> {
        let source = source.trim();
        let tree = parser::parse(source).map_err(|error| {
            format!("The JSONata expression could not be parsed: {}", coded(&error.display_message()))
        })?;
        Ok(Self { source: source.into(), tree, sees_states: source.contains("$states") || source.contains("$eval") })
    }

    /// Returns the expression as it is written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns what the expression gives; `field` is its place in messages.
    ///
    /// # Errors
    /// [`Problem`] when the evaluation fails or gives nothing.
    pub fn evaluate(&self, env: &Env<'_>, field: &str) -> Result<Value, Problem> {
        let mut context = Context::new();
        for (name, value) in env.variables {
            if self.source.contains(&**name) || self.sees_states {
                context.bind(name.to_string(), from_json(value));
            }
        }
        if self.sees_states {
            context.bind("states".into(), states(env));
        }
        let mut evaluator = Evaluator::with_options(context, options());
        let failed = |error: EvaluatorError| {
            Problem::query(
                format_args!(
                    "The JSONata expression '{}' specified for the field '{field}' threw an error during evaluation. {}",
                    self.source,
                    message(&error)
                ),
                Some(field),
            )
        };
        jsonata_functions::register(&mut evaluator, env).map_err(failed)?;
        let value = evaluator.evaluate(&self.tree, &JValue::Undefined).map_err(failed)?;
        to_json(&value).ok_or_else(|| {
            Problem::query(
                format_args!(
                    "The JSONata expression '{}' specified for the field '{field}' returned nothing (undefined).",
                    self.source
                ),
                Some(field),
            )
        })
    }

    /// Returns the problem that the expression gave a value of another type than `expected`.
    #[must_use]
    pub fn unexpected(&self, field: &str, expected: &str, value: &Value) -> Problem {
        Problem::query(
            format_args!(
                "The JSONata expression '{}' specified for the field '{field}' returned an unexpected result type. \
                 Expected '{expected}', but was '{}' for value: {value}",
                self.source,
                type_name(value)
            ),
            Some(field),
        )
    }
}

/// Evaluates `source` on `data` as plain JSONata, with `bindings`, at a time; for tests against the official suite.
///
/// # Errors
/// The code and message of the parser or evaluator.
pub fn evaluate_plain(
    source: &str,
    data: Option<&Value>,
    bindings: &Map<String, Value>,
    limits: (Option<u64>, Option<usize>),
    now: Timestamp,
) -> Result<Option<Value>, String> {
    let tree = parser::parse(source).map_err(|error| coded(&error.display_message()))?;
    let mut context = Context::new();
    for (name, value) in bindings {
        context.bind(name.clone(), from_json(value));
    }
    let (timeout, depth) = limits;
    let options = EvaluatorOptions { timeout_ms: timeout, max_stack_depth: depth, ..EvaluatorOptions::default() };
    let mut evaluator = Evaluator::with_options(context, options);
    jsonata_functions::register_clock(&mut evaluator, now).map_err(|error| error.message().to_owned())?;
    let data = data.map_or(JValue::Undefined, from_json);
    evaluator.evaluate(&tree, &data).map(|value| to_json(&value)).map_err(|error| coded(error.message()))
}

/// Returns a message from its code on: what the evaluator says before that is no part of the language.
fn coded(message: &str) -> String {
    let is_code =
        |code: &[u8]| code[0].is_ascii_uppercase() && code[1..5].iter().all(u8::is_ascii_digit) && code[5] == b':';
    let at = message.as_bytes().windows(6).position(is_code).unwrap_or(0);
    message.get(at..).unwrap_or(message).to_owned()
}

/// Returns what went wrong in the words of the reference implementation, which does not name the function.
fn message(error: &EvaluatorError) -> &str {
    const NO_FUNCTION: &str = "T1006: Attempted to invoke a non-function";
    if error.message().starts_with(NO_FUNCTION) { NO_FUNCTION } else { error.message() }
}

fn options() -> EvaluatorOptions {
    EvaluatorOptions {
        timeout_ms: Some(MAX_MILLIS),
        max_stack_depth: Some(MAX_DEPTH),
        max_sequence_length: Some(MAX_SEQUENCE),
        ..EvaluatorOptions::default()
    }
}

fn states(env: &Env<'_>) -> JValue {
    let mut fields: Vec<(String, JValue)> =
        vec![("input".to_owned(), from_json(env.input)), ("context".to_owned(), from_json(env.context.object()))];
    if let Some(result) = env.result {
        fields.push(("result".to_owned(), from_json(result)));
    }
    if let Some(error) = env.error_output {
        fields.push(("errorOutput".to_owned(), from_json(error)));
    }
    JValue::object(fields.into_iter().collect())
}

/// Returns a value in the evaluator's form.
pub(super) fn from_json(value: &Value) -> JValue {
    match value {
        Value::Null => JValue::Null,
        Value::Bool(value) => JValue::Bool(*value),
        Value::Number(number) => JValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => JValue::from(text.as_str()),
        Value::Array(items) => JValue::array(items.iter().map(from_json).collect()),
        Value::Object(fields) => {
            JValue::object(fields.iter().map(|(key, value)| (key.clone(), from_json(value))).collect())
        }
    }
}

/// Returns a value in JSON; none for what is no value. Functions inside a value become empty texts, as in JSONata.
pub(super) fn to_json(value: &JValue) -> Option<Value> {
    Some(match value {
        JValue::Undefined => return None,
        JValue::Null => Value::Null,
        JValue::Bool(value) => Value::Bool(*value),
        JValue::Number(number) => Value::Number(number_to_json(*number)?),
        JValue::String(text) => Value::String(text.to_string()),
        JValue::Array(items) => Value::Array(items.iter().filter_map(to_json).collect()),
        JValue::Object(fields) => Value::Object(
            fields.iter().filter_map(|(key, value)| Some((key.clone(), to_json(value)?))).collect::<Map<_, _>>(),
        ),
        _ => Value::String(String::new()),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "only integers that an f64 holds exactly")]
fn number_to_json(number: f64) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

pub(super) const fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
