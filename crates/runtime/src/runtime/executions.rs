//! The handle's part for workflows: executions, answers under a token, activities, map runs.

use super::{Asked, LOOK_AGAIN, Runtime};
use crate::{
    actor::Command,
    api::RunError,
    driven::Boot,
    history::fold,
    pinned::PinError,
    shared::RunKey,
    workflow::{
        StartTicket, Word,
        api::{
            ActivityTask, ExecutionPage, ExecutionSummary, ExecutionView, HistoryPage, HistoryQuery, MapRunView,
            RedriveError, StartExecution, StartExecutionError, StartedExecution, TokenError,
        },
        token_run,
    },
};
use bedplate_core::{
    event::RunKind,
    id::{ContentHash, RunId, Tenant},
    port::{
        journal::{AppendError, RunQuery},
        workflows::{PinnedWorkflow, ResolveError},
    },
    time::Timestamp,
    workflow_event::{ExecutionStarted, MapRunChanged},
};
use bedplate_engine::workflow::{Definition, Workflow, WorkflowSignal, exceeds_payload};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// The largest input, in bytes.
const MAX_INPUT: usize = 262_144;

/// How long an express execution may take.
const EXPRESS: Duration = Duration::from_secs(300);

impl Runtime {
    /// Starts an execution; when it returns, the start is committed. A repeat with the same input joins one that runs.
    ///
    /// # Errors
    /// [`StartExecutionError`].
    pub async fn start_execution(&self, request: StartExecution) -> Result<StartedExecution, StartExecutionError> {
        self.start_execution_of(request, None, None).await
    }

    /// As [`Runtime::start_execution`], for a run that starts it and the map run whose child it is.
    pub(crate) async fn start_execution_of(
        &self,
        request: StartExecution,
        parent: Option<RunId>,
        map_run: Option<Arc<str>>,
    ) -> Result<StartedExecution, StartExecutionError> {
        if self.shared.is_stopping() {
            return Err(StartExecutionError::ShuttingDown);
        }
        if exceeds_payload(&request.input) {
            return Err(StartExecutionError::InputTooLarge { limit: MAX_INPUT });
        }
        let key = RunKey { run: RunId::execution(&request.tenant, &request.execution), tenant: request.tenant.clone() };
        let ticket = self.execution_ticket(request, parent, map_run).await?;
        let start = |reply| Word::Start(Box::new(ticket.clone()), reply, None);
        match self.ask::<Workflow, _>(&key, Boot::Create, start).await {
            Asked::Answer(result) => result,
            Asked::Stopping => Err(StartExecutionError::ShuttingDown),
            Asked::OtherKind => Err(StartExecutionError::Store("the execution's id is taken".to_owned())),
            Asked::NoAnswer => {
                Err(StartExecutionError::Store("the run is claimed elsewhere again and again".to_owned()))
            }
        }
    }

    /// Starts an execution as the child of another run: a session whose agent starts a workflow.
    ///
    /// # Errors
    /// As [`Runtime::start_execution`].
    pub async fn start_execution_under(
        &self,
        request: StartExecution,
        parent: Option<RunId>,
    ) -> Result<StartedExecution, StartExecutionError> {
        self.start_execution_of(request, parent, None).await
    }

    pub(crate) async fn execution_ticket(
        &self,
        request: StartExecution,
        parent: Option<RunId>,
        map_run: Option<Arc<str>>,
    ) -> Result<StartTicket, StartExecutionError> {
        let now = self.shared.now();
        let StartExecution { tenant, user, execution, name, workflow, input, trace_header } = request;
        let journal = &*self.shared.options.journal;
        let pinned = self.shared.machines.pin(journal, &tenant, (workflow.hash, &workflow.text), now).await;
        let definition = pinned.map_err(|error| match error {
            PinError::Invalid(error) => StartExecutionError::Definition(error),
            PinError::Store(AppendError::NotFound) => StartExecutionError::Deleted,
            PinError::Store(error) => StartExecutionError::Store(error.to_string()),
        })?;
        let bytes = match &*input {
            Value::Null | Value::Bool(_) | Value::Number(_) => 8,
            other => other.to_string().len(),
        };
        let answers = match (&map_run, parent) {
            (Some(_), Some(parent)) => self.shared.answers_of(&RunKey { tenant: tenant.clone(), run: parent }),
            _ => self.shared.options.tasks.has_answers(&execution).then(|| Arc::clone(&execution)),
        };
        let started = ExecutionStarted {
            execution,
            name,
            machine: workflow.arn,
            machine_name: workflow.name,
            role: workflow.role,
            definition: workflow.hash,
            input,
            start_at: Arc::clone(&definition.machine.start_at),
            deadline: execution_deadline(&definition, workflow.express, now),
            express: workflow.express,
            qualified: workflow.qualified,
            version: workflow.version,
            map_run,
            trace: trace_header,
            answers,
        };
        Ok(StartTicket { user, started, definition, bytes, parent })
    }

    /// Returns the state machine that a name or ARN means now.
    pub(crate) async fn resolve(&self, tenant: &Tenant, machine: &str) -> Result<PinnedWorkflow, ResolveError> {
        let options = &self.shared.options;
        options.workflows.resolve(tenant, machine, options.entropy.bytes()).await
    }

    /// Returns when an execution has ended.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn wait_execution(&self, tenant: &Tenant, run: RunId) -> Result<ExecutionView, RunError> {
        let key = RunKey { tenant: tenant.clone(), run };
        loop {
            if self.shared.is_stopping() {
                return Err(RunError::ShuttingDown);
            }
            if let Some(words) = self.shared.find::<Workflow>(&key) {
                let (reply, answer) = oneshot::channel();
                if words.send(Command::Say(Word::Wait(reply))).await.is_ok()
                    && let Ok(result) = answer.await
                {
                    return result;
                }
            }
            // It is not in memory here, or just left: the journal knows.
            let view = self.execution(tenant, run).await?;
            if view.stopped_at.is_some() {
                return Ok(view);
            }
            if self.shared.find::<Workflow>(&key).is_none() {
                if self.shared.options.recover {
                    // Whoever waits keeps it in memory, so that its end is heard of at once.
                    if let Asked::Answer(result) = self.ask::<Workflow, _>(&key, Boot::Load, Word::Wait).await {
                        return result;
                    }
                }
                self.pause(LOOK_AGAIN).await;
            }
        }
    }

    /// Returns an execution as it stands.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn execution(&self, tenant: &Tenant, run: RunId) -> Result<ExecutionView, RunError> {
        let head = self.execution_head(tenant, run).await?;
        let (state, _) = fold::<Workflow>(&*self.shared.options.journal, head.run, head.seq).await?;
        ExecutionView::of(tenant, run, &head.user, head.parent, &state).ok_or(RunError::NotFound)
    }

    /// Returns the text of the definition that executions are pinned to by `hash`.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn definition_text(&self, tenant: &Tenant, hash: ContentHash) -> Result<Option<Arc<str>>, RunError> {
        let blob = self.shared.options.journal.get_blob(tenant, hash).await?;
        Ok(blob.and_then(|blob| std::str::from_utf8(&blob).map(Into::into).ok()))
    }

    /// Returns a page of executions.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn list_executions(&self, query: RunQuery) -> Result<ExecutionPage, RunError> {
        let query = RunQuery { kind: Some(RunKind::Workflow), ..query };
        let page = self.shared.options.journal.list(query).await?;
        Ok(ExecutionPage { executions: page.runs.into_iter().map(ExecutionSummary::of).collect(), cursor: page.cursor })
    }

    /// Returns a page of an execution's history.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn execution_history(
        &self,
        tenant: &Tenant,
        run: RunId,
        query: HistoryQuery,
    ) -> Result<HistoryPage, RunError> {
        let head = self.execution_head(tenant, run).await?;
        self.shared.histories.page(&*self.shared.options.journal, head.run, head.seq, query).await
    }

    /// Stops an execution, and returns when it ended; that of before, when it had.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn stop_execution(
        &self,
        tenant: &Tenant,
        run: RunId,
        error: Option<Arc<str>>,
        cause: Option<Arc<str>>,
    ) -> Result<Timestamp, RunError> {
        let key = RunKey { tenant: tenant.clone(), run };
        let stop = |reply| Word::Stop { error: error.clone(), cause: cause.clone(), reply };
        self.ask::<Workflow, _>(&key, Boot::Load, stop).await.or_else(|error| error)
    }

    /// Lets an execution that ended badly go on where it failed; returns when it went on. A repeat under the same key
    /// joins.
    ///
    /// # Errors
    /// [`RedriveError`].
    pub async fn redrive_execution(
        &self,
        tenant: &Tenant,
        run: RunId,
        key: Option<String>,
    ) -> Result<Timestamp, RedriveError> {
        let at = RunKey { tenant: tenant.clone(), run };
        let key: Option<Arc<str>> = key.map(Into::into);
        let word = |reply| Word::Redrive { key: key.clone(), reply };
        self.ask::<Workflow, _>(&at, Boot::Load, word).await.or_else(RedriveError::from)
    }

    /// Says that a task ended well.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn task_succeeded(&self, tenant: &Tenant, token: &str, output: Arc<Value>) -> Result<(), TokenError> {
        let bytes = if exceeds_payload(&output) { MAX_INPUT } else { output.to_string().len() };
        let token: Arc<str> = token.into();
        self.say(tenant, bytes, WorkflowSignal::TaskSucceeded { token, output }).await
    }

    /// Says that a task failed.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn task_failed(
        &self,
        tenant: &Tenant,
        token: &str,
        error: Option<Arc<str>>,
        cause: Option<Arc<str>>,
    ) -> Result<(), TokenError> {
        let bytes = cause.as_ref().map_or(0, |cause| cause.len());
        self.say(tenant, bytes, WorkflowSignal::TaskFailed { token: token.into(), error, cause }).await
    }

    /// Says that a task is alive.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn task_heartbeat(&self, tenant: &Tenant, token: &str) -> Result<(), TokenError> {
        self.say(tenant, 0, WorkflowSignal::TaskBeat { token: token.into() }).await
    }

    /// Takes the oldest task of an activity, waiting for one up to `wait`. Dropping the future loses no task.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn take_activity(
        &self,
        tenant: &Tenant,
        activity: &str,
        worker: Option<Arc<str>>,
        wait: Duration,
    ) -> Result<Option<ActivityTask>, RunError> {
        let key = (tenant.clone(), Arc::<str>::from(activity));
        let _waiting = self.shared.activities.waits(&key);
        let mut timer = self.shared.options.clock.sleep_until(self.shared.now().after(wait));
        loop {
            match self.shared.activities.take(&key) {
                Ok(held) => {
                    let (token, input) = (Arc::clone(&held.offer().token), Arc::clone(&held.offer().input));
                    let said = WorkflowSignal::TaskTaken { token: Arc::clone(&token), worker: worker.clone() };
                    match self.say(tenant, 0, said).await {
                        Ok(()) => {
                            held.keep();
                            return Ok(Some(ActivityTask { token, input }));
                        }
                        // It ended meanwhile: the next one.
                        Err(TokenError::TimedOut | TokenError::Invalid) => held.keep(),
                        Err(TokenError::Run(error)) => return Err(error),
                    }
                }
                Err(news) => {
                    let notified = std::pin::pin!(news.notified());
                    if matches!(first(notified, &mut timer).await, First::Timer) {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Returns a map run.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn map_run(&self, tenant: &Tenant, arn: &str) -> Result<MapRunView, RunError> {
        let run = map_run_of(arn).ok_or(RunError::NotFound)?;
        let view = self.execution(tenant, run).await?;
        view.map_runs.into_iter().find(|run| *run.now.arn == *arn).ok_or(RunError::NotFound)
    }

    /// Changes the limits of a map run that is under way.
    ///
    /// # Errors
    /// [`RunError`]; [`RunError::NotFound`] also when it is over.
    pub async fn update_map_run(&self, tenant: &Tenant, change: MapRunChanged) -> Result<(), RunError> {
        let run = map_run_of(&change.run).ok_or(RunError::NotFound)?;
        let key = RunKey { tenant: tenant.clone(), run };
        let word = |reply| Word::Change { change: change.clone(), reply };
        match self.ask::<Workflow, _>(&key, Boot::Load, word).await.or_else(|error| error)? {
            true => Ok(()),
            false => Err(RunError::NotFound),
        }
    }

    pub(crate) async fn say(&self, tenant: &Tenant, bytes: usize, said: WorkflowSignal) -> Result<(), TokenError> {
        let token = match &said {
            WorkflowSignal::TaskTaken { token, .. }
            | WorkflowSignal::TaskBeat { token }
            | WorkflowSignal::TaskSucceeded { token, .. }
            | WorkflowSignal::TaskFailed { token, .. } => token,
            WorkflowSignal::Start(_)
            | WorkflowSignal::Stop { .. }
            | WorkflowSignal::Redrive { .. }
            | WorkflowSignal::ChangeMapRun(_) => return Err(TokenError::Invalid),
        };
        let run = token_run(token).ok_or(TokenError::Invalid)?;
        let key = RunKey { tenant: tenant.clone(), run };
        let word = |reply| Word::Task { said: said.clone(), bytes, reply };
        match self.ask::<Workflow, _>(&key, Boot::Load, word).await.or_else(|error| error) {
            Ok(true) => Ok(()),
            Ok(false) => Err(TokenError::TimedOut),
            Err(RunError::NotFound) => Err(TokenError::Invalid),
            Err(error) => Err(error.into()),
        }
    }

    async fn execution_head(
        &self,
        tenant: &Tenant,
        run: RunId,
    ) -> Result<bedplate_core::port::journal::Head, RunError> {
        let head = self.head(&RunKey { tenant: tenant.clone(), run }).await?;
        if head.kind == RunKind::Workflow { Ok(head) } else { Err(RunError::NotFound) }
    }
}

/// Returns when an execution that begins now is given up.
pub(crate) fn execution_deadline(definition: &Definition, express: bool, now: Timestamp) -> Option<Timestamp> {
    let timeout = definition.timeout_seconds.map(Duration::from_secs);
    let timeout = if express { Some(timeout.map_or(EXPRESS, |own| own.min(EXPRESS))) } else { timeout };
    timeout.map(|timeout| now.after(timeout))
}

/// Returns the run of the execution that a map run belongs to: the UUID at the end of its ARN.
fn map_run_of(arn: &str) -> Option<RunId> {
    let (_, id) = arn.rsplit_once(':')?;
    let digits: String = id.chars().filter(|digit| *digit != '-').take(32).collect();
    digits.parse().ok()
}

enum First {
    News,
    Timer,
}

async fn first(
    mut news: std::pin::Pin<&mut tokio::sync::futures::Notified<'_>>,
    timer: &mut bedplate_core::port::BoxFuture<'static, ()>,
) -> First {
    std::future::poll_fn(|cx| {
        use std::{future::Future, task::Poll};
        if news.as_mut().poll(cx).is_ready() {
            return Poll::Ready(First::News);
        }
        timer.as_mut().poll(cx).map(|()| First::Timer)
    })
    .await
}
