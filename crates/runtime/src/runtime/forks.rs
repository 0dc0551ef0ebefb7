//! The handle's part for executions that are looked at again: forks from a state, and replays.

use super::Runtime;
use crate::{
    api::RunError,
    history::{Rerun, copy, cut, fold},
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
    port::journal::{AppendError, Batch, NewRun, RunRef, RunStatus},
    workflow_event::{BranchId, ExecutionForked, OtherInput, WorkflowEvent},
};
use bedplate_engine::workflow::{NotForkable, Workflow, exceeds_payload};
use std::{sync::Arc, time::Duration};

impl Runtime {
    /// Makes a new execution of another one's prefix. Where `at` is the entry of a state, that state is entered again;
    /// elsewhere it is rounded down to the last place before an entry, or to the end of a commit. Tasks and waits
    /// that were under way there are begun anew; a retry is made when it was due, or at once.
    ///
    /// # Errors
    /// [`ForkExecutionError`].
    pub async fn fork_execution(&self, request: ForkExecution) -> Result<ForkedExecution, ForkExecutionError> {
        let ForkExecution { tenant, run, at, name, execution, definition, input, joins } = request;
        if input.as_ref().is_some_and(|input| exceeds_payload(input)) {
            return Err(ForkExecutionError::InputTooLarge);
        }
        let head = self.head(&RunKey { tenant: tenant.clone(), run }).await?;
        if head.kind != RunKind::Workflow {
            return Err(RunError::NotFound.into());
        }
        let journal = &*self.shared.options.journal;
        if at == 0 || at > head.seq {
            return Err(RunError::NoSuch { what: "position", seq: at }.into());
        }
        // Just before a state is entered the branch is done with the one before: it enters the state again.
        let entered = self.entered_at(head.run, at).await?;
        let last = if entered.is_some() { at - 1 } else { at };
        let before = |entry: &Entry| enters(&entry.event).map(|_| entry.seq - 1);
        let place = cut::<Workflow>(journal, head.run, last, before).await?;
        let place = place.ok_or(RunError::NoSuch { what: "position to fork at up to", seq: at })?;
        let input = match (input, entered) {
            (Some(value), Some(branch)) => Some(OtherInput { branch, value }),
            (Some(_), None) => return Err(ForkExecutionError::NoEntry),
            (None, _) => None,
        };
        let copy_key = RunKey { tenant: tenant.clone(), run: RunId::execution(&tenant, &execution) };
        let same = Copied { key: copy_key, from: run, at: place.at, other: definition.is_some(), input: input.clone() };
        let joined = ForkedExecution { run: same.key.run, at: place.at, joined: true };
        if joins && self.is_there(&same).await? {
            return Ok(joined);
        }
        let now = self.shared.now();
        let Some((started, _)) = place.state.started() else {
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
        // A copy has the time that its definition gives to an execution that begins now.
        let deadline = definition.timeout_seconds.map(|seconds| now.after(Duration::from_secs(seconds)));
        let own = WorkflowEvent::Forked(ExecutionForked {
            execution: Arc::clone(&execution),
            name: Arc::clone(&name),
            deadline,
            definition: changed,
            input,
        });
        let pinned = changed.unwrap_or(started.definition);
        let forked = Forked { from: run, at: place.at, session: execution.to_string() };
        let batch = Batch {
            at: now,
            events: Arc::new(vec![Event::Forked(forked), Event::Workflow(own)]),
            status: RunStatus::Running,
            wake_at: Some(now),
            title: Some(name.to_string()),
            consumed: Vec::new(),
            blobs: vec![pinned],
        };
        let new = NewRun {
            id: same.key.run,
            tenant,
            kind: head.kind,
            name: started.machine_name.to_string(),
            user: head.user,
            session: execution.to_string(),
            parent: None,
        };
        match copy(journal, head.run, place, new, batch).await {
            Ok(_) => {
                self.shared.due(now);
                Ok(ForkedExecution { joined: false, ..joined })
            }
            Err(AppendError::Conflict) if joins && self.is_there(&same).await? => Ok(joined),
            Err(AppendError::Conflict) => Err(ForkExecutionError::Exists),
            Err(error) => Err(RunError::from(error).into()),
        }
    }

    /// Returns whether a copy is there already. Its own first events say what was asked for.
    async fn is_there(&self, copy: &Copied) -> Result<bool, RunError> {
        let head = match self.head(&copy.key).await {
            Ok(head) => head,
            Err(RunError::NotFound) => return Ok(false),
            Err(error) => return Err(error),
        };
        let entries = self.shared.options.journal.read(head.run, copy.at, 2).await?;
        let mut own = entries.iter().filter(|entry| entry.seq > copy.at).map(|entry| &entry.event);
        let (Some(Event::Forked(forked)), Some(Event::Workflow(WorkflowEvent::Forked(asked)))) =
            (own.next(), own.next())
        else {
            return Ok(false);
        };
        let same_place = (forked.from, forked.at) == (copy.from, copy.at);
        Ok(same_place && asked.definition.is_some() == copy.other && asked.input == copy.input)
    }

    /// Returns the branch that enters a state at a position.
    async fn entered_at(&self, run: RunRef, at: Seq) -> Result<Option<BranchId>, RunError> {
        let batch = self.shared.options.journal.read(run, at - 1, 1).await?;
        Ok(batch.iter().find(|entry| entry.seq == at).and_then(|entry| enters(&entry.event)))
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

/// What makes one copy the same as another.
struct Copied {
    key: RunKey,
    from: RunId,
    /// The last position that is copied.
    at: Seq,
    /// Whether it goes on under another definition than the prefix.
    other: bool,
    input: Option<OtherInput>,
}

/// Returns the branch that enters a state with an event.
fn enters(event: &Event) -> Option<BranchId> {
    match event {
        Event::Workflow(WorkflowEvent::Entered(entered)) => Some(entered.branch),
        _ => None,
    }
}
