//! Running an execution again against its own records.

use crate::{api::RunError, history::Rerun, pinned::Pinned};
use bedplate_core::{
    event::{Entry, Event},
    id::{CallId, Tenant},
    port::journal::{Journal, RunRef},
    workflow_event::{ExecutionOutcome, TaskScheduled, WorkflowEvent},
};
use bedplate_engine::{
    machine::{Context, Machine},
    workflow::{Definition, Workflow, WorkflowState},
};
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};

/// The functions whose results differ each time.
const RANDOM: [&str; 4] = ["$random", "$uuid", "States.UUID", "States.MathRandom"];

/// An execution that is run again.
pub(crate) struct ExecutionRerun<'a> {
    pub journal: &'a dyn Journal,
    pub machines: &'a Pinned<Definition>,
    pub tenant: &'a Tenant,
    pub run: RunRef,
    /// Whether its definition draws random values, so that payloads differ each time.
    pub is_random: bool,
}

/// Returns whether a definition draws random values.
pub(crate) fn draws_random_values(definition: &str) -> bool {
    RANDOM.iter().any(|name| definition.contains(name))
}

impl Rerun for ExecutionRerun<'_> {
    type Machine = Workflow;

    fn journal(&self) -> &dyn Journal {
        self.journal
    }

    fn run(&self) -> RunRef {
        self.run
    }

    async fn decide(&self, state: &WorkflowState, next: &Entry) -> Result<Vec<Event>, RunError> {
        let workflow = match state.started() {
            Some((started, _)) => Some(self.machines.load(self.journal, self.tenant, started.definition).await?),
            None => None,
        };
        let context = Context { workflow, run: self.run.id, children: true, ..Context::at(next.at, [0; 16]) };
        Ok(Workflow::decide(state, &context).events)
    }

    /// Tokens, jitter and the ids of map runs are drawn anew, so what hangs on them alone is no difference.
    fn alike(&self, decided: &Event, recorded: &Event) -> bool {
        let (Event::Workflow(decided), Event::Workflow(recorded)) = (decided, recorded) else {
            return decided == recorded;
        };
        match (decided, recorded) {
            (WorkflowEvent::Retried(decided), WorkflowEvent::Retried(recorded)) => {
                (decided.branch, decided.retrier) == (recorded.branch, recorded.retrier)
            }
            (WorkflowEvent::TaskScheduled(decided), WorkflowEvent::TaskScheduled(recorded)) => {
                let own = TaskScheduled {
                    token: Arc::clone(&recorded.token),
                    input: if self.is_random {
                        recorded.input.clone()
                    } else {
                        with_token(decided.input.as_ref(), &decided.token, &recorded.token)
                    },
                    ..decided.clone()
                };
                own == *recorded
            }
            (WorkflowEvent::MapStarted(decided), WorkflowEvent::MapStarted(recorded)) => {
                let mut own = decided.clone();
                if own.run.is_some() {
                    own.run.clone_from(&recorded.run);
                }
                if self.is_random {
                    own.items.clone_from(&recorded.items);
                }
                own == *recorded
            }
            (WorkflowEvent::Exited(decided), WorkflowEvent::Exited(recorded)) if self.is_random => {
                (decided.branch, &decided.next) == (recorded.branch, &recorded.next)
            }
            _ if self.is_random => without_input(decided.clone()) == without_input(recorded.clone()),
            _ => decided == recorded,
        }
    }

    fn comes_from_outside(state: &WorkflowState, event: &Event, _: &BTreeSet<CallId>) -> bool {
        match event {
            Event::Workflow(event) => match event {
                WorkflowEvent::Started(_)
                | WorkflowEvent::TaskTaken(_)
                | WorkflowEvent::TaskSubmitted(_)
                | WorkflowEvent::TaskBeat(_)
                | WorkflowEvent::TaskSucceeded(_)
                | WorkflowEvent::TaskFailed(_)
                | WorkflowEvent::ItemsRead(_)
                | WorkflowEvent::ResultsWritten(_)
                | WorkflowEvent::ChildrenEnded(_)
                | WorkflowEvent::Redriven(_)
                | WorkflowEvent::Forked(_)
                | WorkflowEvent::MapRunChanged(_) => true,
                // A file that could not be read or written is noted by whoever takes its report.
                WorkflowEvent::Failed(failed) => failed.by.is_none() && state.waits_for_file(failed.branch),
                WorkflowEvent::Ended(ended) => ended.outcome == ExecutionOutcome::Aborted,
                _ => false,
            },
            _ => true,
        }
    }
}

/// Returns an event without what a Parallel, an iteration, or a reader or writer of files is given.
fn without_input(mut event: WorkflowEvent) -> WorkflowEvent {
    match &mut event {
        WorkflowEvent::ParallelStarted(started) => started.input = None,
        WorkflowEvent::IterationStarted(started) => started.input = None,
        WorkflowEvent::ItemsRequested(asked) => asked.input = Arc::default(),
        WorkflowEvent::ResultsRequested(asked) => asked.input = Arc::default(),
        _ => {}
    }
    event
}

/// Returns a value with one token in place of another.
fn with_token(value: Option<&Arc<Value>>, own: &str, other: &str) -> Option<Arc<Value>> {
    let value = value?;
    let text = value.to_string();
    if !text.contains(own) {
        return Some(Arc::clone(value));
    }
    serde_json::from_str(&text.replace(own, other)).map(Arc::new).ok()
}
