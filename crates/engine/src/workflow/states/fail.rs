//! Fail: the branch ends badly.

use crate::workflow::{
    definition::{Fail, Wording},
    plan::Plan,
    query::{Env, Problem, Template},
    step::Step,
};
use bedplate_core::workflow_event::{StateFailed, WorkflowEvent};
use serde_json::Value;
use std::sync::Arc;

pub(super) fn begin(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan, fail: &Fail) -> Result<(), Problem> {
    let error = word(env, fail.error.as_ref(), "Error")?;
    let cause = word(env, fail.cause.as_ref(), "Cause")?;
    plan.emit(WorkflowEvent::Failed(StateFailed { branch: step.id, error, cause, evaluation: None, by: None }));
    Ok(())
}

fn word(env: &Env<'_>, wording: Option<&Wording>, field: &str) -> Result<Option<Arc<str>>, Problem> {
    let (template, field) = match wording {
        None => return Ok(None),
        Some(Wording::Template(template)) => (template, field.to_owned()),
        Some(Wording::Path(template)) => (template, format!("{field}Path")),
    };
    let value = template.fill(env, &field)?;
    match &*value {
        Value::String(text) => Ok(Some(text.as_str().into())),
        other => Err(match template {
            Template::Jsonata(expression) => expression.unexpected(&field, "string", other),
            _ => Problem::runtime(format_args!("The field '{field}' must be a string but was: {other}")),
        }),
    }
}
