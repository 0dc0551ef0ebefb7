//! How data flows through a state: what it takes, what becomes of its result, how it is left.

use super::{
    definition::{Language, PathOrNull, Quantity, ResultFlow, ResultPath},
    plan::Plan,
    query::{Env, Problem, Template},
    size,
    step::Step,
};
use bedplate_core::workflow_event::{StateExited, Variables, WorkflowEvent};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The largest payload, in bytes.
pub(super) const MAX_PAYLOAD: usize = 262_144;

/// The names of variables with what they are given.
pub(super) type Assign = Vec<(Arc<str>, Template)>;

/// Returns what the state takes of its input: `InputPath`, or all.
pub(super) fn input(step: &Step<'_>, env: &Env<'_>) -> Result<Arc<Value>, Problem> {
    take(step.state.input_path.as_ref(), env)
}

/// Returns what the state works on: `Parameters` or `Arguments`, or its input.
pub(super) fn arguments(step: &Step<'_>, env: &Env<'_>, template: Option<&Template>) -> Result<Arc<Value>, Problem> {
    let input = input(step, env)?;
    let Some(template) = template else { return Ok(input) };
    match step.state.language {
        Language::JsonPath => template.fill(&env.on(&input), ""),
        Language::Jsonata => template.fill(env, "Arguments"),
    }
}

/// Returns what the state gives of the value at hand: `OutputPath`, or all.
pub(super) fn output(step: &Step<'_>, env: &Env<'_>) -> Result<Arc<Value>, Problem> {
    take(step.state.output_path.as_ref(), env)
}

fn take(path: Option<&PathOrNull>, env: &Env<'_>) -> Result<Arc<Value>, Problem> {
    match path {
        None => Ok(Arc::clone(env.input)),
        Some(PathOrNull::Null) => Ok(Arc::new(Value::Object(Map::new()))),
        Some(PathOrNull::Path(path)) => path.value(env),
    }
}

/// Returns what the variables are given.
pub(super) fn assign(
    env: &Env<'_>,
    language: Language,
    assign: Option<&Assign>,
) -> Result<Option<Arc<Variables>>, Problem> {
    let Some(assign) = assign else { return Ok(None) };
    let mut assigned = Variables::new();
    for (name, template) in assign {
        let field = match language {
            Language::JsonPath => format!("{name}.$"),
            Language::Jsonata => format!("Assign/{name}"),
        };
        let value = template.fill(env, &field)?;
        if size::exceeds(&value, MAX_PAYLOAD) {
            return Err(Problem::plain(
                "States.DataLimitExceeded",
                format_args!("The variable '{name}' has a size exceeding the maximum number of bytes service limit."),
            ));
        }
        assigned.insert(Arc::clone(name), value);
    }
    Ok(Some(Arc::new(assigned)))
}

/// Leaves the state with the result of its work.
pub(super) fn finish(
    step: &Step<'_>,
    env: &Env<'_>,
    plan: &mut Plan,
    result: &Arc<Value>,
    flow: &ResultFlow,
) -> Result<(), Problem> {
    let state = step.state;
    let (output, assigned) = match state.language {
        Language::JsonPath => {
            let selected = match &flow.selector {
                Some(selector) => selector.fill(&env.on(result), "")?,
                None => Arc::clone(result),
            };
            let assigned = assign(&env.on(&selected), state.language, state.assign.as_ref())?;
            let whole = place(env.input, selected, flow.path.as_ref())?;
            (take(state.output_path.as_ref(), &env.on(&whole))?, assigned)
        }
        Language::Jsonata => {
            let env = env.with_result(result);
            let output = match &state.output {
                Some(template) => template.fill(&env, "Output")?,
                None => Arc::clone(result),
            };
            (output, assign(&env, state.language, state.assign.as_ref())?)
        }
    };
    leave(step, plan, output, assigned, state.next.clone())
}

/// Leaves a state that has no result of its own: with its input.
pub(super) fn pass_on(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan, next: Option<Arc<str>>) -> Result<(), Problem> {
    let state = step.state;
    let taken = input(step, env)?;
    let (output, assigned) = match state.language {
        Language::JsonPath => {
            let assigned = assign(&env.on(&taken), state.language, state.assign.as_ref())?;
            (take(state.output_path.as_ref(), &env.on(&taken))?, assigned)
        }
        Language::Jsonata => {
            let output = match &state.output {
                Some(template) => template.fill(env, "Output")?,
                None => taken,
            };
            (output, assign(env, state.language, state.assign.as_ref())?)
        }
    };
    leave(step, plan, output, assigned, next)
}

/// Returns the state's input with a result where `ResultPath` says.
pub(super) fn place(input: &Arc<Value>, result: Arc<Value>, path: Option<&ResultPath>) -> Result<Arc<Value>, Problem> {
    match path {
        None => Ok(result),
        Some(ResultPath::Discard) => Ok(Arc::clone(input)),
        Some(ResultPath::At(path)) => path.put(input, result),
    }
}

/// Leaves the state.
///
/// # Errors
/// `States.DataLimitExceeded` when the output is too large.
pub(super) fn leave(
    step: &Step<'_>,
    plan: &mut Plan,
    output: Arc<Value>,
    assigned: Option<Arc<Variables>>,
    next: Option<Arc<str>>,
) -> Result<(), Problem> {
    let output = if Arc::ptr_eq(&output, &step.branch.value) {
        None
    } else {
        check_size(step, &output)?;
        Some(output)
    };
    plan.emit(WorkflowEvent::Exited(StateExited { branch: step.id, output, assigned, next }));
    Ok(())
}

/// Returns an error when a payload is too large.
pub(super) fn check_size(step: &Step<'_>, payload: &Value) -> Result<(), Problem> {
    if size::exceeds(payload, MAX_PAYLOAD) {
        return Err(Problem::plain(
            "States.DataLimitExceeded",
            format_args!(
                "The state/task '{}' returned a result with a size exceeding the maximum number of bytes service limit.",
                step.branch.state
            ),
        ));
    }
    Ok(())
}

/// A number of a state and how it is said in messages.
pub(super) struct Number<'a> {
    /// The field, for example `TimeoutSeconds`.
    pub field: &'a str,
    /// The number.
    pub quantity: &'a Quantity,
}

impl Number<'_> {
    /// Returns the number as a whole one.
    pub(super) fn whole(&self, env: &Env<'_>) -> Result<u64, Problem> {
        let field = self.field;
        match self.quantity {
            Quantity::Number(number) => natural(*number).ok_or_else(|| negative(field)),
            Quantity::Path(path) => {
                let value = path.value(env)?;
                let said = number_in(&value);
                let number = said.filter(|number: &f64| number.fract() == 0.0).ok_or_else(|| {
                    let shown = match &*value {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    Problem::runtime(format_args!(
                        "The {field}Path field refers to value \"{shown}\" which is not a valid integer: {}",
                        path.text
                    ))
                })?;
                natural(number).ok_or_else(|| negative(field))
            }
            Quantity::Expression(template) => {
                let value = self.number_of(env, template)?;
                natural(value).ok_or_else(|| negative(field))
            }
        }
    }

    /// Returns the number, with its fraction.
    pub(super) fn exact(&self, env: &Env<'_>) -> Result<f64, Problem> {
        match self.quantity {
            Quantity::Number(number) => Ok(*number),
            Quantity::Path(path) => number_in(&*path.value(env)?).ok_or_else(|| {
                let field = self.field;
                Problem::runtime(format_args!("The {field}Path field does not refer to a number: {}", path.text))
            }),
            Quantity::Expression(template) => self.number_of(env, template),
        }
    }

    fn number_of(&self, env: &Env<'_>, template: &Template) -> Result<f64, Problem> {
        let value = template.fill(env, self.field)?;
        value.as_f64().ok_or_else(|| match template {
            Template::Jsonata(expression) => expression.unexpected(self.field, "number", &value),
            _ => negative(self.field),
        })
    }
}

/// Returns a number, also one that is written as a text.
fn number_in(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    }
}

fn natural(number: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be neither negative nor huge"
    )]
    (0.0..1e15).contains(&number).then_some(number as u64)
}

fn negative(field: &str) -> Problem {
    Problem::runtime(format_args!("{field} cannot be negative."))
}
