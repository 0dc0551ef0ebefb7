//! Words to an execution: starts, stops, answers under a token. Each is answered after the commit that holds it.

use super::{
    api::{ExecutionView, RedriveError, StartExecutionError, StartedExecution},
    map_children::limit_children,
};
use crate::{
    actor::{Actor, Loaded, Plan},
    api::RunError,
};
use bedplate_core::{
    id::{RunId, UserId},
    time::Timestamp,
    workflow_event::{ExecutionStarted, MapRunChanged},
};
use bedplate_engine::{
    machine::{Context, Input, Machine},
    workflow::{Definition, Workflow, WorkflowSignal},
};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What others say to an execution in memory.
pub(crate) enum Word {
    /// A start; and, where the caller waits for the end, where to tell it.
    Start(
        Box<StartTicket>,
        oneshot::Sender<Result<StartedExecution, StartExecutionError>>,
        Option<oneshot::Sender<Result<ExecutionView, RunError>>>,
    ),
    Wait(oneshot::Sender<Result<ExecutionView, RunError>>),
    Stop {
        error: Option<Arc<str>>,
        cause: Option<Arc<str>>,
        reply: oneshot::Sender<Result<Timestamp, RunError>>,
    },
    /// Something under a token; answered with whether it meant anything.
    Task {
        said: WorkflowSignal,
        bytes: usize,
        reply: oneshot::Sender<Result<bool, RunError>>,
    },
    Redrive {
        key: Option<Arc<str>>,
        reply: oneshot::Sender<Result<Timestamp, RedriveError>>,
    },
    Change {
        change: MapRunChanged,
        reply: oneshot::Sender<Result<bool, RunError>>,
    },
}

/// An execution that somebody wants, ready to be decided on.
#[derive(Clone)]
pub(crate) struct StartTicket {
    pub user: UserId,
    pub started: ExecutionStarted,
    pub definition: Arc<Definition>,
    pub bytes: usize,
    /// The run that starts this one; its repeat joins whatever became of the first.
    pub parent: Option<RunId>,
}

/// A word that is decided on and answered once that is committed.
pub(crate) enum Ack {
    Start(StartedExecution, oneshot::Sender<Result<StartedExecution, StartExecutionError>>),
    Stop(Timestamp, oneshot::Sender<Result<Timestamp, RunError>>),
    Task(bool, oneshot::Sender<Result<bool, RunError>>),
    Redrive(Timestamp, oneshot::Sender<Result<Timestamp, RedriveError>>),
}

impl Ack {
    /// Says yes. Whoever went away needs no answer.
    pub(super) fn send(self) {
        match self {
            Self::Start(started, reply) => drop(reply.send(Ok(started))),
            Self::Stop(at, reply) => drop(reply.send(Ok(at))),
            Self::Task(meant, reply) => drop(reply.send(Ok(meant))),
            Self::Redrive(at, reply) => drop(reply.send(Ok(at))),
        }
    }

    pub(super) fn fail(self, error: &RunError) {
        match self {
            Self::Start(_, reply) => drop(reply.send(Err(start_error(error)))),
            Self::Stop(_, reply) => drop(reply.send(Err(error.clone()))),
            Self::Task(_, reply) => drop(reply.send(Err(error.clone()))),
            Self::Redrive(_, reply) => drop(reply.send(Err(error.clone().into()))),
        }
    }
}

impl Word {
    /// Answers that the run cannot be had.
    pub(super) fn refuse(self, error: &RunError) {
        match self {
            Self::Start(_, reply, _) => drop(reply.send(Err(start_error(error)))),
            Self::Wait(reply) => drop(reply.send(Err(error.clone()))),
            Self::Stop { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::Task { reply, .. } | Self::Change { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::Redrive { reply, .. } => drop(reply.send(Err(error.clone().into()))),
        }
    }
}

/// Returns about how much a word weighs in a batch, in bytes.
pub(super) fn weight(word: &Word) -> usize {
    match word {
        Word::Start(ticket, ..) => 2_048 + (2 * ticket.bytes).min(32 * 1024),
        Word::Task { bytes, .. } => 1_024 + (2 * bytes).min(32 * 1024),
        Word::Wait(_) | Word::Stop { .. } | Word::Redrive { .. } | Word::Change { .. } => 1_024,
    }
}

impl Actor<Workflow> {
    /// Decides on one word.
    pub(super) async fn hear(
        &self,
        loaded: &mut Loaded<Workflow>,
        plan: &mut Plan<Workflow>,
        context: &mut Context,
        word: Word,
    ) {
        match word {
            Word::Start(ticket, reply, waiter) => {
                loaded.local.waiters.extend(waiter);
                self.start(loaded, plan, context, *ticket, reply).await;
            }
            Word::Wait(reply) => match self.view(loaded) {
                // What this step decides is not committed yet, so only what was known before is answered at once.
                Some(view) if view.stopped_at.is_some() && plan.events.is_empty() => drop(reply.send(Ok(view))),
                _ => loaded.local.waiters.push(reply),
            },
            Word::Stop { error, cause, reply } => {
                let at = match loaded.state.ended_at() {
                    Some(at) => at,
                    None => {
                        let said = WorkflowSignal::Stop { error, cause };
                        self.feed(loaded, plan, context, Input::Signal(said)).await;
                        context.now
                    }
                };
                plan.acks.push(Ack::Stop(at, reply));
            }
            Word::Task { said, reply, .. } => {
                let before = Workflow::position(&loaded.state);
                self.feed(loaded, plan, context, Input::Signal(said)).await;
                plan.acks.push(Ack::Task(Workflow::position(&loaded.state) > before, reply));
            }
            Word::Change { change, reply } => {
                let before = Workflow::position(&loaded.state);
                limit_children(loaded, &change);
                self.feed(loaded, plan, context, Input::Signal(WorkflowSignal::ChangeMapRun(change))).await;
                plan.acks.push(Ack::Task(Workflow::position(&loaded.state) > before, reply));
            }
            Word::Redrive { key, reply } => {
                if let (_, Some(at)) = loaded.state.redrives()
                    && loaded.state.redriven_under(key.as_deref())
                {
                    plan.acks.push(Ack::Redrive(at, reply));
                    return;
                }
                if let Err(reason) = loaded.state.redrivable() {
                    return drop(reply.send(Err(RedriveError::NotRedrivable(reason))));
                }
                self.feed(loaded, plan, context, Input::Signal(WorkflowSignal::Redrive { key })).await;
                plan.acks.push(Ack::Redrive(context.now, reply));
            }
        }
    }

    async fn start(
        &self,
        loaded: &mut Loaded<Workflow>,
        plan: &mut Plan<Workflow>,
        context: &mut Context,
        ticket: StartTicket,
        reply: oneshot::Sender<Result<StartedExecution, StartExecutionError>>,
    ) {
        let (run, execution) = (self.key.run, Arc::clone(&ticket.started.execution));
        if let Some((started, started_at)) = loaded.state.started() {
            let running = loaded.state.ended().is_none();
            let same_input = started.input == ticket.started.input;
            let is_ours = ticket.parent.is_some() && loaded.parent == ticket.parent;
            if is_ours || (running && same_input) {
                let found = StartedExecution { run, execution, started_at, joined: true };
                plan.acks.push(Ack::Start(found, reply));
            } else {
                drop(reply.send(Err(StartExecutionError::AlreadyExists { running, same_input })));
            }
            return;
        }
        if !loaded.exists && Workflow::position(&loaded.state) == 0 {
            self.begin_run(loaded, plan, context.now);
        }
        plan.blobs.push(ticket.started.definition);
        loaded.local.definition = Some(ticket.definition);
        self.feed(loaded, plan, context, Input::Signal(WorkflowSignal::Start(ticket.started))).await;
        let started_at = context.now;
        plan.acks.push(Ack::Start(StartedExecution { run, execution, started_at, joined: false }, reply));
    }

    /// Returns the view of what is loaded.
    pub(super) fn view(&self, loaded: &Loaded<Workflow>) -> Option<ExecutionView> {
        ExecutionView::of(&self.key.tenant, self.key.run, &loaded.user, loaded.parent, &loaded.state)
    }
}

/// Returns what a failed word to a run means for a start.
pub(super) fn start_error(error: &RunError) -> StartExecutionError {
    match error {
        RunError::NotFound => StartExecutionError::Deleted,
        RunError::ShuttingDown => StartExecutionError::ShuttingDown,
        RunError::Store(message) => StartExecutionError::Store(message.clone()),
        RunError::NoSuch { .. } | RunError::Definition(_) | RunError::BadCursor => {
            StartExecutionError::Store(error.to_string())
        }
    }
}
