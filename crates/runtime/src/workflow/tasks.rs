//! The tasks of an execution: activities are offered, child runs are driven here, everything else goes through the
//! Tasks port.

use super::{activities::Offer, map_children::ChildNames, results::ResultsWriter};
use crate::{
    actor::{Actor, Loaded},
    perform::{InFlight, Reported, Work, task_failed},
    runtime::Runtime,
};
use bedplate_core::{
    id::{CallId, idempotency_key},
    port::{
        BoxFuture, Caller,
        tasks::{TaskCall, TaskError, TaskPlan, TaskReply},
    },
    time::Timestamp,
};
use bedplate_engine::{
    machine::{Context, Intent, TaskReport},
    workflow::{OpenTask, Workflow, WorkflowSignal, results_plan},
};
use std::sync::Arc;

/// A task that has no deadline of its own is watched by the machine alone.
pub(super) const NEVER: Timestamp = Timestamp(i64::MAX);

impl Actor<Workflow> {
    /// Begins a task.
    pub(super) fn begin(&self, loaded: &mut Loaded<Workflow>, intent: Intent, now: Timestamp) -> Option<InFlight> {
        if let Intent::RunChildren { call, branch, indexes } = &intent {
            // Each child learns them as it begins.
            let answers = loaded.state.started().and_then(|(started, _)| started.answers.clone());
            if let Some(answers) = answers {
                self.shared.gets_answers(&self.key, answers);
            }
            return self.begin_children(loaded, (*call, *branch, indexes), now);
        }
        let Intent::RunTask { call, resource, input, token, .. } = intent else {
            return None;
        };
        let future: BoxFuture<'static, Reported> = if resource.contains(":activity:") {
            let open = loaded.state.open_task(call)?;
            let asked = self.call_of(loaded, OpenTask { token: Arc::clone(&token), ..open })?;
            if self.shared.options.tasks.is_prepared(&asked) {
                self.perform_for_worker(asked)
            } else {
                let exists = self.shared.options.workflows.has_activity(&self.key.tenant, &resource);
                let offered = self.shared.activities.offer(&self.key.tenant, &resource, Offer { token, input });
                Box::pin(async move { if exists.await { offered.await.into() } else { no_activity(&resource).into() } })
            }
        } else {
            let open = loaded.state.open_task(call)?;
            if open.writes_results {
                let writer = self.results_writer(loaded, open, now)?;
                let work = Work::Task(Some(Box::pin(writer.write())));
                return Some(InFlight { call, deadline: NEVER, begun: now, work });
            }
            let reads_items = open.reads_items;
            let asked = self.call_of(loaded, OpenTask { token, ..open })?;
            if reads_items {
                let performed = self.shared.options.tasks.perform(asked);
                Box::pin(async move { read(performed.await).await })
            } else {
                self.perform_task(asked, call)
            }
        };
        Some(InFlight { call, deadline: NEVER, begun: now, work: Work::Task(Some(future)) })
    }

    /// Gives a prepared answer as a worker that took the task would.
    fn perform_for_worker(&self, asked: TaskCall) -> BoxFuture<'static, Reported> {
        let runtime = Runtime::of(&self.shared);
        let tenant = asked.caller.tenant.clone();
        let taken = WorkflowSignal::TaskTaken { token: Arc::clone(&asked.token), worker: None };
        let performed = self.shared.options.tasks.perform(asked);
        Box::pin(async move {
            // A task that ended meanwhile takes no answer either.
            drop(runtime.say(&tenant, 0, taken).await);
            reported(performed.await)
        })
    }

    fn perform_task(&self, asked: TaskCall, call: CallId) -> BoxFuture<'static, Reported> {
        let runtime = Runtime::of(&self.shared);
        match self.shared.options.tasks.plan(&asked) {
            Ok(TaskPlan::Perform | TaskPlan::PerformAgain) => {
                let performed = self.shared.options.tasks.perform(asked);
                Box::pin(async move { reported(performed.await) })
            }
            Ok(TaskPlan::Agent(task)) => Box::pin(async move { runtime.run_agent(asked, call, task).await.into() }),
            Ok(TaskPlan::Execution(task)) => Box::pin(runtime.run_execution(asked, call, task)),
            Err(error) => Box::pin(async move { failed(error).into() }),
        }
    }

    fn results_writer(&self, loaded: &Loaded<Workflow>, open: OpenTask, now: Timestamp) -> Option<ResultsWriter> {
        let context = Context { workflow: loaded.local.definition.clone(), ..Context::at(now, [0; 16]) };
        let plan = results_plan(&loaded.state, &context, open.call)?;
        let names = ChildNames { parent: self.key.run, call: plan.children, map_run: Arc::clone(&plan.run) };
        let call = self.call_of(loaded, open)?;
        Some(ResultsWriter { runtime: Runtime::of(&self.shared), plan, names, call })
    }

    /// Returns what the Tasks port is asked for an open task.
    pub(super) fn call_of(&self, loaded: &Loaded<Workflow>, open: OpenTask) -> Option<TaskCall> {
        let (started, _) = loaded.state.started()?;
        let run = self.key.run;
        Some(TaskCall {
            caller: Caller {
                tenant: self.key.tenant.clone(),
                user: loaded.user.clone(),
                run: Some(run),
                ..Caller::default()
            },
            execution: Arc::clone(&started.execution),
            answers: started.answers.clone(),
            workflow: Arc::clone(&started.machine_name),
            state: open.state,
            resource: open.resource,
            input: open.input,
            token: open.token,
            attempt: open.attempt,
            idempotency_key: idempotency_key(run, open.call),
            deadline: open.deadline,
        })
    }

    /// Returns the open tasks that may be begun again: child runs, and what changes nothing.
    pub(super) fn repeatable(&self, loaded: &Loaded<Workflow>) -> Vec<CallId> {
        let may = |open: &OpenTask| {
            let Some(asked) = self.call_of(loaded, open.clone()) else { return false };
            match self.shared.options.tasks.plan(&asked) {
                Ok(TaskPlan::Perform) => false,
                // What cannot be done at all was not done.
                Ok(TaskPlan::PerformAgain | TaskPlan::Agent(_) | TaskPlan::Execution(_)) | Err(_) => true,
            }
        };
        loaded
            .state
            .open_tasks()
            .filter(|open| !open.reads_items && !open.writes_results && may(open))
            .map(|open| open.call)
            .collect()
    }
}

/// Returns the report of a task of an activity that does not exist.
fn no_activity(activity: &str) -> TaskReport {
    let cause = format!("The activity {activity} does not exist.");
    TaskReport::Failed { error: Some("States.Runtime".into()), cause: Some(cause.into()) }
}

/// Returns what a reply of the port means.
fn reported(reply: Result<TaskReply, TaskError>) -> Reported {
    match reply {
        Ok(TaskReply::Done(output)) => TaskReport::Succeeded(Arc::new(output)).into(),
        Ok(TaskReply::Submitted(output)) => TaskReport::Submitted(Arc::new(output)).into(),
        Ok(TaskReply::Job { submitted, end }) => Reported {
            report: TaskReport::Submitted(Arc::new(submitted)),
            then: Some(Box::pin(async move {
                match end.await {
                    Ok(output) => TaskReport::Succeeded(Arc::new(output)).into(),
                    Err(error) => failed(error).into(),
                }
            })),
        },
        Ok(TaskReply::Items(_)) => task_failed("the task answered with a file of items").into(),
        Err(error) => failed(error).into(),
    }
}

/// Returns what a reader's reply means; a file that comes in pieces is put together.
async fn read(reply: Result<TaskReply, TaskError>) -> Reported {
    let Ok(TaskReply::Items(mut pieces)) = reply else { return reported(reply) };
    let mut file = Vec::new();
    while let Some(piece) = std::future::poll_fn(|cx| pieces.as_mut().poll_next(cx)).await {
        match piece {
            Ok(bytes) => file.extend_from_slice(&bytes),
            Err(error) => return failed(error).into(),
        }
    }
    match String::from_utf8(file) {
        Ok(text) => TaskReport::Succeeded(Arc::new(serde_json::json!({"Body": text}))).into(),
        Err(_) => task_failed("the file of items is not UTF-8").into(),
    }
}

/// Returns the report of a task that failed.
pub(super) fn failed(error: TaskError) -> TaskReport {
    TaskReport::Failed { error: error.error, cause: error.cause }
}
