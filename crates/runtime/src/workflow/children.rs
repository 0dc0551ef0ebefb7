//! Executions that a task starts: child runs, which are created once however often their parent is taken up again.

use super::api::{ExecutionStatus, ExecutionView, StartExecution, StartExecutionError, StartedExecution};
use crate::{
    actor::Actor,
    api::RunError,
    perform::{InFlight, Reported, Work, task_failed},
    runtime::Runtime,
};
use bedplate_core::{
    id::{CallId, RunId, Seq, Tenant, idempotency_key},
    port::{
        tasks::{ExecutionTask, ExecutionWait, TaskCall},
        workflows::ResolveError,
    },
    time::Timestamp,
};
use bedplate_engine::{machine::TaskReport, workflow::Workflow};
use serde_json::{Map, Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A child run that a task waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Child {
    Execution { run: RunId },
    Turn { run: RunId, turn: Seq },
}

impl Child {
    /// Stops it: nobody waits for it any more.
    async fn stop(self, runtime: &Runtime, tenant: &Tenant) {
        let stopped = match self {
            Self::Execution { run } => runtime.stop_execution(tenant, run, None, None).await.map(drop),
            Self::Turn { run, turn } => runtime.cancel(tenant, run, Some(turn), None).await.map(drop),
        };
        if let Err(error) = stopped {
            tracing::warn!(%error, "failed to stop a child run");
        }
    }
}

/// The child runs that tasks of this process wait for.
#[derive(Default)]
pub(crate) struct Children {
    waited_for: Mutex<HashMap<(RunId, CallId), Child>>,
}

impl Children {
    pub(super) fn note(&self, parent: RunId, call: CallId, child: Child) {
        self.lock().insert((parent, call), child);
    }

    pub(super) fn take(&self, parent: RunId, call: CallId) -> Option<Child> {
        self.lock().remove(&(parent, call))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(RunId, CallId), Child>> {
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runtime {
    /// Starts an execution for a task, and waits for its end where the task does.
    pub(super) async fn run_execution(self, asked: TaskCall, call: CallId, task: ExecutionTask) -> Reported {
        let tenant = asked.caller.tenant.clone();
        let started = match self.start_child_execution(&asked, call, &task).await {
            Ok(started) => started,
            Err(report) => return report.into(),
        };
        let receipt = TaskReport::Submitted(Arc::new(receipt(&started)));
        if task.wait == ExecutionWait::Start {
            let report = match receipt {
                TaskReport::Submitted(answer) if !asked.resource.ends_with(".waitForTaskToken") => {
                    TaskReport::Succeeded(answer)
                }
                receipt => receipt,
            };
            return report.into();
        }
        let parent = asked.caller.run;
        if let Some(parent) = parent {
            self.shared().children.note(parent, call, Child::Execution { run: started.run });
        }
        let end = async move {
            let view = self.wait_execution(&tenant, started.run).await;
            if let Some(parent) = parent {
                self.shared().children.take(parent, call);
            }
            ended(view, task.wait).into()
        };
        Reported { report: receipt, then: Some(Box::pin(end)) }
    }

    async fn start_child_execution(
        &self,
        asked: &TaskCall,
        call: CallId,
        task: &ExecutionTask,
    ) -> Result<StartedExecution, TaskReport> {
        let tenant = &asked.caller.tenant;
        let parent = asked.caller.run.ok_or_else(|| task_failed("the task belongs to no execution"))?;
        let workflow = self.resolve(tenant, &task.machine).await.map_err(|error| match error {
            ResolveError::NotFound(machine) => aws(
                "StepFunctions.StateMachineDoesNotExistException",
                &format!("State Machine Does Not Exist: '{machine}'"),
            ),
            ResolveError::Store(message) => task_failed(&message),
        })?;
        let name: Arc<str> = match &task.name {
            Some(name) => name.as_str().into(),
            None => RunId::child(parent, call).to_string().into(),
        };
        let arn: Arc<str> = if workflow.express {
            let id = idempotency_key(parent, call);
            format!("{}:{name}:{id}", workflow.arn.replacen(":stateMachine:", ":express:", 1)).into()
        } else {
            format!("{}:{name}", workflow.arn.replacen(":stateMachine:", ":execution:", 1)).into()
        };
        let request = StartExecution {
            tenant: tenant.clone(),
            user: asked.caller.user.clone(),
            execution: arn,
            name,
            workflow,
            input: Arc::clone(&task.input),
            trace_header: None,
        };
        self.start_execution_of(request, Some(parent), None).await.map_err(|error| match error {
            StartExecutionError::AlreadyExists { .. } => aws(
                "StepFunctions.ExecutionAlreadyExistsException",
                &format!("Execution Already Exists: '{}'", task.name.as_deref().unwrap_or_default()),
            ),
            error => task_failed(&error.to_string()),
        })
    }
}

impl Actor<Workflow> {
    /// Stops the child runs of calls that no longer matter.
    pub(super) fn stop_children(&self, calls: Vec<InFlight>) {
        for call in calls {
            if let Work::Children(children) = call.work {
                self.shared.spawn(children.stop());
                continue;
            }
            let id = self.shared.children.take(self.key.run, call.call);
            if let Some(child) = id {
                let (runtime, tenant) = (Runtime::of(&self.shared), self.key.tenant.clone());
                self.shared.spawn(async move { child.stop(&runtime, &tenant).await });
            }
        }
    }
}

fn aws(error: &str, cause: &str) -> TaskReport {
    TaskReport::Failed { error: Some(error.into()), cause: Some(cause.into()) }
}

fn receipt(started: &StartedExecution) -> Value {
    json!({"ExecutionArn": &*started.execution, "StartDate": millis(started.started_at)})
}

/// Returns what the end of an execution means for the task that waited for it.
fn ended(view: Result<ExecutionView, RunError>, wait: ExecutionWait) -> TaskReport {
    let view = match view {
        Ok(view) => view,
        Err(error) => return task_failed(&error.to_string()),
    };
    let shown = |value: &Arc<Value>| match wait {
        ExecutionWait::EndAsText => Value::String(value.to_string()),
        ExecutionWait::EndAsValue | ExecutionWait::Start => Value::clone(value),
    };
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value| drop(answer.insert(name.to_owned(), value));
    put("ExecutionArn", (*view.execution).into());
    put("Input", shown(&view.input));
    put("InputDetails", json!({"Included": true}));
    put("Name", (*view.name).into());
    if let Some(output) = &view.output {
        put("Output", shown(output));
        put("OutputDetails", json!({"Included": true}));
    }
    for (name, text) in [("Error", &view.error), ("Cause", &view.cause)] {
        if let Some(text) = text {
            put(name, (**text).into());
        }
    }
    put("StartDate", millis(view.started_at));
    put("StateMachineArn", (*view.machine).into());
    put("Status", view.status.word().into());
    put("StopDate", view.stopped_at.map_or(Value::Null, millis));
    let answer = Value::Object(answer);
    match view.status {
        ExecutionStatus::Succeeded => TaskReport::Succeeded(Arc::new(answer)),
        _ => TaskReport::Failed { error: Some("States.TaskFailed".into()), cause: Some(answer.to_string().into()) },
    }
}

/// Returns a time as the service integrations write it: milliseconds since 1970.
fn millis(at: Timestamp) -> Value {
    at.0.into()
}
