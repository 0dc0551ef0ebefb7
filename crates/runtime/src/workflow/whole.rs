//! Child executions that end where they begin: the machine alone runs them, and many are written in one commit.
//!
//! Nothing of such a child is outside: no task, no wait. So it needs no actor, no claim and no second commit, and a crash
//! before its commit forgets a computation. What the machine cannot end by itself is left to be run as any execution is.

use super::{
    FULL_EVENTS, FULL_WEIGHT,
    map_children::{Common, Given},
};
use crate::runtime::execution_deadline;
use bedplate_core::{
    event::{Event, RunKind, RunStarted},
    id::{ContentHash, RunId},
    port::journal::{Batch, NewRun},
    time::Timestamp,
    workflow_event::{ChildEnded, ExecutionStarted, StateKind},
};
use bedplate_engine::{
    machine::{Context, Input, Machine},
    workflow::{Definition, Workflow, WorkflowSignal, WorkflowState, event_weight},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

/// How many children one commit holds at most.
pub(super) const BLOCK: usize = 256;

/// About how many bytes of events one commit holds, but for the child that passes it.
const BLOCK_WEIGHT: usize = 256 * 1024;

/// How long children that are run one after the other share their time: then they differ in little, and a store keeps
/// what they have in common once.
const MOMENT: Duration = Duration::from_millis(20);

/// A child that is to be run.
pub(super) struct Waiting {
    pub index: u64,
    pub run: RunId,
    pub name: Arc<str>,
    /// Its ARN.
    pub execution: Arc<str>,
    pub given: Given,
}

/// What became of some children.
pub(super) struct BlockEnd {
    pub ended: Vec<ChildEnded>,
    /// Those that must be run as any execution is: they wait for something, exist already, or the store failed.
    pub left: Vec<Waiting>,
    /// The machine alone could end none of them.
    pub hopeless: bool,
}

/// An execution from its beginning to its end.
struct Whole {
    run: NewRun,
    batch: Batch,
    ended: ChildEnded,
    weight: usize,
}

/// Returns whether executions of this definition may end where they begin.
pub(super) fn may_end_at_once(definition: &Definition) -> bool {
    let first = definition.machine.states.get(&definition.machine.start_at).map(|state| state.kind());
    !matches!(first, None | Some(StateKind::Task | StateKind::Wait))
}

impl Common {
    /// Names a child.
    pub(super) fn waiting(&self, (index, given): (u64, Given)) -> Waiting {
        let name = self.names.name(index);
        let execution = self.names.arn_of(&name);
        Waiting { index, run: RunId::execution(&self.tenant, &execution), name, execution, given }
    }

    /// Runs children one after the other, and commits those that ended.
    pub(super) async fn run_block(self: Arc<Self>, some: Vec<(u64, Given)>) -> BlockEnd {
        let waiting: Vec<Waiting> = some.into_iter().map(|child| self.waiting(child)).collect();
        let mut end = BlockEnd { ended: Vec::with_capacity(waiting.len()), left: Vec::new(), hopeless: true };
        let Some(first) = waiting.first() else { return end };
        let ticket = match self.ticket(first).await {
            Ok(ticket) if may_end_at_once(&ticket.definition) => ticket,
            _ => return BlockEnd { left: waiting, ..end },
        };
        let (mut block, mut weight) = (Vec::with_capacity(waiting.len()), 0);
        let mut now = self.runtime.shared().now();
        for child in waiting {
            let present = self.runtime.shared().now();
            if present.since(now) >= MOMENT {
                now = present;
            }
            let run = || self.whole(&child, &ticket.started, &ticket.definition, now);
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(Some(whole)) => {
                    end.hopeless = false;
                    weight += whole.weight;
                    block.push((child, whole));
                }
                // A machine that breaks down does so alone.
                Ok(None) | Err(_) => end.left.push(child),
            }
            if weight >= BLOCK_WEIGHT {
                self.commit(std::mem::take(&mut block), &mut end).await;
                weight = 0;
            }
        }
        self.commit(block, &mut end).await;
        end
    }

    /// Runs a child to its end; none when that needs more than the machine, or more room than a batch has.
    fn whole(
        &self,
        child: &Waiting,
        common: &ExecutionStarted,
        definition: &Arc<Definition>,
        now: Timestamp,
    ) -> Option<Whole> {
        let input = Arc::clone(child.given.as_ref().ok()?);
        let started = ExecutionStarted {
            execution: Arc::clone(&child.execution),
            name: Arc::clone(&child.name),
            deadline: execution_deadline(definition, common.express, now),
            input,
            ..common.clone()
        };
        let (title, blob) = (started.name.to_string(), started.definition);
        let run = NewRun {
            id: child.run,
            tenant: self.tenant.clone(),
            kind: RunKind::Workflow,
            name: self.names.map_run.to_string(),
            user: self.user.clone(),
            session: started.execution.to_string(),
            parent: Some(self.names.parent),
        };
        let context = Context {
            run: child.run,
            workflow: Some(Arc::clone(definition)),
            children: true,
            ..Context::at(now, self.runtime.shared().options.entropy.bytes())
        };
        let (state, events, weight) = fold(first_event(&run), started, &context)?;
        let ended = state.ended()?;
        let ended = ChildEnded {
            index: child.index,
            outcome: ended.outcome,
            output: state.output().filter(|_| !self.writes).cloned(),
            error: ended.error.clone(),
            cause: ended.cause.clone(),
        };
        let batch = batch(&state, events, (now, title, blob));
        Some(Whole { run, batch, ended, weight })
    }

    async fn commit(&self, block: Vec<(Waiting, Whole)>, end: &mut BlockEnd) {
        if block.is_empty() {
            return;
        }
        let shared = self.runtime.shared();
        let (mut children, mut runs) = (Vec::with_capacity(block.len()), Vec::with_capacity(block.len()));
        for (child, Whole { run, batch, ended, .. }) in block {
            children.push((child, ended, batch.events.len()));
            runs.push((run, batch));
        }
        let created = match shared.options.journal.create_ended(runs).await {
            Ok(created) => created,
            Err(error) => {
                // Whether they were written is not known; each is begun alone, and joined where it was.
                tracing::warn!(%error, children = children.len(), "failed to write child executions; trying each alone");
                vec![false; children.len()]
            }
        };
        for ((child, ended, events), created) in children.into_iter().zip(created) {
            if created {
                shared.counters.count_workflow(events as u64);
                end.ended.push(ended);
            } else {
                end.left.push(child);
            }
        }
    }
}

fn first_event(run: &NewRun) -> Event {
    Event::RunStarted(RunStarted {
        kind: run.kind,
        name: run.name.clone(),
        user: run.user.clone(),
        session: run.session.clone(),
        parent: run.parent,
    })
}

/// Lets the machine decide until the execution is over; none when it wants something done outside, waits, or fills a
/// batch.
fn fold(first: Event, started: ExecutionStarted, context: &Context) -> Option<(WorkflowState, Vec<Event>, usize)> {
    let mut state = WorkflowState::default();
    Workflow::apply(&mut state, 1, context.now, &first);
    let mut events = vec![first];
    let mut weight = 0;
    let mut decision = Workflow::accept(&state, Input::Signal(WorkflowSignal::Start(started)), context);
    while !decision.events.is_empty() {
        if !decision.intents.is_empty() {
            return None;
        }
        for event in decision.events {
            Workflow::apply(&mut state, events.len() as u64 + 1, context.now, &event);
            if let Event::Workflow(event) = &event {
                weight += event_weight(event);
            }
            events.push(event);
        }
        if events.len() >= FULL_EVENTS || weight >= FULL_WEIGHT {
            return None;
        }
        decision = Workflow::decide(&state, context);
    }
    (state.ended().is_some() && Workflow::wake_at(&state).is_none()).then_some((state, events, weight))
}

fn batch(
    state: &WorkflowState,
    events: Vec<Event>,
    (at, title, definition): (Timestamp, String, ContentHash),
) -> Batch {
    Batch {
        at,
        title: Some(title),
        events: Arc::new(events),
        status: Workflow::status(state),
        wake_at: None,
        consumed: Vec::new(),
        blobs: vec![definition],
    }
}
