//! The handle's part for executions that are looked at again: forks from a state, and replays.

use super::Runtime;
use crate::{
    api::RunError,
    history::{Rerun, batch_end, fold},
    pinned::PinError,
    shared::RunKey,
    workflow::{
        ExecutionRerun,
        api::{ExecutionReplay, ForkExecution, ForkExecutionError, ForkedExecution},
        draws_random_values,
    },
};
use bedplate_core::{
    event::{Entry, Event, Forked, RunKind},
    id::{RunId, Seq, Tenant},
    port::journal::{AppendError, Batch, Head, NewRun, RunStatus},
    workflow_event::{BranchId, ExecutionForked, OtherInput, WorkflowEvent},
};
use bedplate_engine::{
    machine::Machine,
    workflow::{NotForkable, Workflow, WorkflowState, exceeds_payload},
};
use std::sync::Arc;

/// A place in a journal where a copy may end.
struct Place {
    at: Seq,
    /// The end of the last batch that is copied whole.
    whole: Seq,
    /// What of the batch after it is copied.
    rest: Vec<Event>,
    state: WorkflowState,
    /// The branch that has just entered a state there.
    entered: Option<BranchId>,
}

impl Runtime {
    /// Makes a new execution of another one's prefix. `at` is rounded down to where a state was entered or a commit
    /// ended; what was under way there is begun anew.
    ///
    /// # Errors
    /// [`ForkExecutionError`].
    pub async fn fork_execution(&self, request: ForkExecution) -> Result<ForkedExecution, ForkExecutionError> {
        let ForkExecution { tenant, run, at, name, execution, definition, input } = request;
        if input.as_ref().is_some_and(|input| exceeds_payload(input)) {
            return Err(ForkExecutionError::InputTooLarge);
        }
        let head = self.head(&RunKey { tenant: tenant.clone(), run }).await?;
        if head.kind != RunKind::Workflow {
            return Err(RunError::NotFound.into());
        }
        let journal = &*self.shared.options.journal;
        let place = self.place(&head, at).await?;
        let now = self.shared.now();
        let Some((started, started_at)) = place.state.started() else {
            return Err(NotForkable::NotUnderWay.into());
        };
        let (changed, definition) = match definition {
            Some(other) => {
                let pinned = self.shared.machines.pin(journal, &tenant, (other.hash, &other.text), now).await;
                let pinned = pinned.map_err(|error| match error {
                    PinError::Invalid(error) => ForkExecutionError::Definition(error),
                    PinError::Store(error) => RunError::from(error).into(),
                })?;
                (Some(other.hash), pinned)
            }
            None => (None, self.shared.machines.load(journal, &tenant, started.definition).await?),
        };
        place.state.forkable(&definition)?;
        let input = match (input, place.entered) {
            (Some(value), Some(branch)) => Some(OtherInput { branch, value }),
            (Some(_), None) => return Err(ForkExecutionError::NoEntry),
            (None, _) => None,
        };
        // A copy has as much time as the original had.
        let deadline = started.deadline.map(|deadline| now.after(deadline.since(started_at)));
        let own = WorkflowEvent::Forked(ExecutionForked {
            execution: Arc::clone(&execution),
            name: Arc::clone(&name),
            deadline,
            definition: changed,
            input,
        });
        let pinned = changed.unwrap_or(started.definition);
        let forked = Forked { from: run, at: place.at, session: execution.to_string() };
        let events = place.rest.into_iter().chain([Event::Forked(forked), Event::Workflow(own)]).collect();
        let batch = Batch {
            at: now,
            events,
            status: RunStatus::Running,
            wake_at: Some(now),
            title: Some(name.to_string()),
            consumed: Vec::new(),
            blobs: vec![pinned],
        };
        let new = NewRun {
            id: RunId::execution(&tenant, &execution),
            tenant,
            kind: head.kind,
            name: started.machine_name.to_string(),
            user: head.user,
            session: execution.to_string(),
            parent: None,
        };
        let id = new.id;
        let made = match place.whole {
            0 => journal.create(new, batch).await,
            whole => journal.fork(head.run, whole, new, batch).await,
        };
        match made {
            Ok(_) => {
                self.shared.due(now);
                Ok(ForkedExecution { run: id, at: place.at })
            }
            Err(AppendError::Conflict) => Err(ForkExecutionError::Exists),
            Err(error) => Err(RunError::from(error).into()),
        }
    }

    /// Finds the last place at or before `at` where a copy may end.
    async fn place(&self, head: &Head, at: Seq) -> Result<Place, ForkExecutionError> {
        let journal = &*self.shared.options.journal;
        if at == 0 || at > head.seq {
            return Err(RunError::NoSuch { what: "position", seq: at }.into());
        }
        let whole = batch_end(journal, head.run, at).await?;
        let (mut state, _) = fold::<Workflow>(journal, head.run, whole).await?;
        let last: Vec<Entry> =
            if whole == 0 { Vec::new() } else { journal.read(head.run, whole - 1, 1).await.map_err(RunError::from)? };
        let entered = last.iter().find(|entry| entry.seq == whole).and_then(|entry| enters(&entry.event));
        let mut found =
            (whole > 0).then(|| Place { at: whole, whole, rest: Vec::new(), state: state.clone(), entered });
        let mut rest = Vec::new();
        let next = journal.read(head.run, whole, 1).await.map_err(RunError::from)?;
        for entry in next.into_iter().take_while(|entry| entry.seq <= at) {
            Workflow::apply(&mut state, entry.seq, entry.at, &entry.event);
            let branch = enters(&entry.event);
            rest.push(entry.event);
            if branch.is_some() {
                found = Some(Place { at: entry.seq, whole, rest: rest.clone(), state: state.clone(), entered: branch });
            }
        }
        found.ok_or_else(|| RunError::NoSuch { what: "position to fork at up to", seq: at }.into())
    }

    /// Runs an execution again up to `at` against its own records, and tells where the machine of today decides
    /// differently.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn replay_execution(
        &self,
        tenant: &Tenant,
        run: RunId,
        at: Option<Seq>,
    ) -> Result<ExecutionReplay, RunError> {
        let head = self.head(&RunKey { tenant: tenant.clone(), run }).await?;
        if head.kind != RunKind::Workflow {
            return Err(RunError::NotFound);
        }
        let at = match at {
            None => head.seq,
            Some(at) if at >= 1 && at <= head.seq => at,
            Some(seq) => return Err(RunError::NoSuch { what: "position", seq }),
        };
        let options = &self.shared.options;
        let (state, _) = fold::<Workflow>(&*options.journal, head.run, at).await?;
        let text = match state.started() {
            Some((started, _)) => self.definition_text(tenant, started.definition).await?,
            None => None,
        };
        let rerun = ExecutionRerun {
            journal: &*options.journal,
            machines: &self.shared.machines,
            tenant,
            run: head.run,
            is_random: text.is_some_and(|text| draws_random_values(&text)),
        };
        let (entries, _, differences) = rerun.compare(at).await?;
        Ok(ExecutionReplay { entries, differences })
    }
}

/// Returns the branch that enters a state with an event.
fn enters(event: &Event) -> Option<BranchId> {
    match event {
        Event::Workflow(WorkflowEvent::Entered(entered)) => Some(entered.branch),
        _ => None,
    }
}
