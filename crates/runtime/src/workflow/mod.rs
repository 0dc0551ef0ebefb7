//! The States Language machine as the driver drives it: executions, tasks, child runs, activities.

mod activities;
mod agents;
pub(crate) mod api;
mod children;
mod history;
mod map_children;
mod replay;
mod results;
mod tasks;
mod whole;
mod words;

pub(crate) use activities::Activities;
pub(crate) use children::{Child, Children};
pub(crate) use history::Histories;
pub(crate) use map_children::MapChildren;
pub(crate) use replay::{ExecutionRerun, draws_random_values};
pub(crate) use words::{StartTicket, Word};

use crate::{
    actor::{Actor, BACKOFF, Command, Loaded, Plan},
    api::RunError,
    driven::{Birth, Driven},
    perform::InFlight,
    shared::Words,
};
use bedplate_core::{
    event::{Event, RunKind},
    id::{ContentHash, RunId},
    time::Timestamp,
    workflow_event::WorkflowEvent,
};
use bedplate_engine::{
    machine::{Context, Intent},
    workflow::{Definition, Workflow, WorkflowState, event_weight},
};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// How many events a step decides about before it commits.
const FULL_EVENTS: usize = 512;

/// About how many bytes it decides about, likewise. A decision adds some 50 KiB at most, and inputs half a batch.
const FULL_WEIGHT: usize = 64 * 1024;

/// What a loaded execution holds besides its state.
#[derive(Default)]
pub(crate) struct Local {
    definition: Option<Arc<Definition>>,
    waiters: Vec<oneshot::Sender<Result<api::ExecutionView, RunError>>>,
}

/// Returns the run that a task's token leads to; none when it is no token of ours.
#[must_use]
pub fn token_run(token: &str) -> Option<RunId> {
    bedplate_engine::workflow::token::parse(token).map(|(run, _)| run)
}

impl Driven for Workflow {
    const KIND: RunKind = RunKind::Workflow;

    type Word = Word;
    type Ack = words::Ack;
    type Local = Local;

    fn words(words: &Words) -> Option<&mpsc::Sender<Command<Self>>> {
        match words {
            Words::Workflow(words) => Some(words),
            Words::Agent(_) => None,
        }
    }

    fn into_words(words: mpsc::Sender<Command<Self>>) -> Words {
        Words::Workflow(words)
    }

    fn birth(word: &Word) -> Option<Birth> {
        match word {
            Word::Start(ticket, ..) => Some(Birth {
                user: ticket.user.clone(),
                name: ticket.started.map_run.as_ref().unwrap_or(&ticket.started.machine_name).to_string(),
                session: ticket.started.execution.to_string(),
                parent: ticket.parent,
            }),
            Word::Wait(_) | Word::Stop { .. } | Word::Task { .. } | Word::Redrive { .. } | Word::Change { .. } => None,
        }
    }

    fn weight(word: &Word) -> usize {
        words::weight(word)
    }

    fn refuse(word: Word, error: &RunError) {
        word.refuse(error);
    }

    async fn obey(
        actor: &Actor<Self>,
        loaded: &mut Loaded<Self>,
        plan: &mut Plan<Self>,
        context: &mut Context,
        word: Word,
    ) {
        actor.hear(loaded, plan, context, word).await;
    }

    async fn refresh(actor: &Actor<Self>, loaded: &mut Loaded<Self>, context: &mut Context) {
        if context.workflow.is_none() {
            if loaded.local.definition.is_none()
                && let Some((started, _)) = loaded.state.started()
            {
                loaded.local.definition = actor.definition(started.definition).await;
            }
            context.workflow.clone_from(&loaded.local.definition);
        }
        context.children = true;
    }

    fn is_over(state: &WorkflowState) -> bool {
        state.ended().is_some()
    }

    fn recover(actor: &Actor<Self>, loaded: &Loaded<Self>, context: &mut Context) {
        context.again = actor.repeatable(loaded);
    }

    fn acknowledge(ack: words::Ack, _: RunId, _: &str) {
        ack.send();
    }

    fn fail(ack: words::Ack, error: &RunError) {
        ack.fail(error);
    }

    fn answer_waiters(actor: &Actor<Self>, loaded: &mut Loaded<Self>) {
        if loaded.local.waiters.is_empty() || loaded.state.ended().is_none() {
            loaded.local.waiters.retain(|waiter| !waiter.is_closed());
            return;
        }
        for waiter in std::mem::take(&mut loaded.local.waiters) {
            drop(waiter.send(actor.view(loaded).ok_or(RunError::NotFound)));
        }
    }

    fn is_awaited(local: &Local) -> bool {
        !local.waiters.is_empty()
    }

    /// An execution is touched when it begins, ends, and begins again.
    fn title(state: &WorkflowState, events: &[Event]) -> Option<String> {
        let turns = |event: &Event| {
            matches!(
                event,
                Event::Workflow(WorkflowEvent::Started(_) | WorkflowEvent::Ended(_) | WorkflowEvent::Redriven(_))
            )
        };
        if !events.iter().any(turns) {
            return None;
        }
        state.started().map(|(started, _)| started.name.to_string())
    }

    fn begin(actor: &Actor<Self>, loaded: &mut Loaded<Self>, intent: Intent, now: Timestamp) -> Option<InFlight> {
        actor.begin(loaded, intent, now)
    }

    fn abandoned(actor: &Actor<Self>, calls: Vec<InFlight>) {
        actor.stop_children(calls);
    }

    fn event_weight(event: &Event) -> usize {
        match event {
            Event::Workflow(event) => event_weight(event),
            _ => 0,
        }
    }

    fn is_full(plan: &Plan<Self>) -> bool {
        plan.events.len() >= FULL_EVENTS || plan.weight >= FULL_WEIGHT
    }
}

impl Actor<Workflow> {
    /// Returns a definition, waiting for a store that fails; without it nothing can be decided.
    async fn definition(&self, hash: ContentHash) -> Option<Arc<Definition>> {
        let mut pause = BACKOFF.0;
        loop {
            match self.shared.machines.load(&*self.shared.options.journal, &self.key.tenant, hash).await {
                Ok(definition) => return Some(definition),
                Err(RunError::Store(error)) if !self.shared.is_stopping() => {
                    tracing::warn!(run = %self.key.run, error, "failed to read a definition; trying again");
                    pause = self.back_off(pause).await;
                }
                Err(error) => {
                    tracing::error!(run = %self.key.run, %error, "the execution cannot go on");
                    return None;
                }
            }
        }
    }
}
