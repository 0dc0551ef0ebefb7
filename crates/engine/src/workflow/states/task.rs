//! Task: work outside.

use crate::{
    machine::Intent,
    workflow::{
        definition::Task,
        flow::{self, Number},
        plan::Plan,
        query::{Env, Problem},
        step::Step,
    },
};
use bedplate_core::workflow_event::{TaskScheduled, WorkflowEvent};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

pub(super) fn begin(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan, task: &Task) -> Result<(), Problem> {
    let arguments = flow::arguments(step, env, task.arguments.as_ref())?;
    let number = |field, quantity: &Option<_>| {
        quantity.as_ref().map(|quantity| Number { field, quantity }.whole(env)).transpose()
    };
    let timeout_seconds = number("TimeoutSeconds", &task.timeout)?;
    let heartbeat_seconds = number("HeartbeatSeconds", &task.heartbeat)?;
    let role = match &task.credentials {
        Some(template) => {
            let credentials = template.fill(env, "Credentials")?;
            role(&credentials)
        }
        None => None,
    };
    flow::check_size(step, &arguments)?;
    let call = plan.next();
    let token = plan.token();
    let resource = Arc::clone(&task.resource.arn);
    let input = (!Arc::ptr_eq(&arguments, &step.branch.value)).then(|| Arc::clone(&arguments));
    plan.emit(WorkflowEvent::TaskScheduled(TaskScheduled {
        branch: step.id,
        resource: Arc::clone(&resource),
        input,
        token: Arc::clone(&token),
        timeout_seconds,
        heartbeat_seconds,
        role: role.clone(),
    }));
    let deadline = timeout_seconds.map(|seconds| plan.now.after(Duration::from_secs(seconds)));
    plan.intend(Intent::RunTask { call, resource, input: arguments, token, role, deadline });
    Ok(())
}

fn role(credentials: &Value) -> Option<Arc<str>> {
    credentials.get("RoleArn").and_then(Value::as_str).map(Into::into)
}
