//! Wait: time passes.

use crate::workflow::{
    definition::Wait,
    flow::{self, Number},
    plan::Plan,
    query::{Env, Path, Problem, Template},
    step::Step,
    time,
};
use bedplate_core::{
    time::Timestamp,
    workflow_event::{WaitStarted, WorkflowEvent},
};
use serde_json::Value;
use std::time::Duration;

/// The longest wait, in seconds: a year, as long as an execution may last.
const MAX_SECONDS: u64 = 31_536_000;

pub(super) fn begin(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan, wait: &Wait) -> Result<(), Problem> {
    let input = flow::input(step, env)?;
    let on = env.on(&input);
    let until = match wait {
        Wait::Seconds(quantity) => {
            let seconds = Number { field: "Seconds", quantity }.whole(&on)?;
            if seconds > MAX_SECONDS {
                return Err(too_long());
            }
            plan.now.after(Duration::from_secs(seconds))
        }
        Wait::Timestamp(template) => timestamp(&on, template)?,
        Wait::TimestampPath(path) => by_path(&on, path)?,
    };
    if until.since(plan.now) > Duration::from_secs(MAX_SECONDS) {
        return Err(too_long());
    }
    if until <= plan.now {
        return end(step, env, plan);
    }
    plan.emit(WorkflowEvent::WaitStarted(WaitStarted { branch: step.id, until }));
    Ok(())
}

/// Leaves the state when the time has come.
pub(in crate::workflow) fn end(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan) -> Result<(), Problem> {
    flow::pass_on(step, env, plan, step.state.next.clone())
}

fn too_long() -> Problem {
    Problem::runtime("Wait state delay is too long.")
}

fn timestamp(env: &Env<'_>, template: &Template) -> Result<Timestamp, Problem> {
    let value = template.fill(env, "Timestamp")?;
    let at = value.as_str().and_then(time::parse);
    at.ok_or_else(|| match template {
        Template::Jsonata(expression) => Problem::query(
            format_args!(
                "The JSONata expression '{}' specified for the field 'Timestamp' does not give a valid ISO-8601 \
                 extended offset date-time format string: {value}",
                expression.source()
            ),
            Some("Timestamp"),
        ),
        _ => Problem::runtime(format_args!(
            "The Timestamp parameter is not a valid ISO-8601 extended offset date-time format string: {value}"
        )),
    })
}

fn by_path(env: &Env<'_>, path: &Path) -> Result<Timestamp, Problem> {
    let value = path.value(env)?;
    value.as_str().and_then(time::parse).ok_or_else(|| {
        let shown = match &*value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Problem::runtime(format_args!(
            "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: \
             {} == {shown}",
            path.text
        ))
    })
}
