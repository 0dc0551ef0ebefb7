//! The handle's part that looks at the past and removes it: views, replay, forks, deletion.

use super::Runtime;
use crate::{
    api::{ForkError, Replay, RunError, RunView},
    history::{AgentRerun, Rerun, copy, cut, fold, view},
    shared::RunKey,
};
use bedplate_core::{
    event::{Entry, Event, Forked, RunKind},
    id::{CallId, RunId, Seq, Tenant, UserId},
    port::{
        journal::{AppendError, Batch, Deleted, Head, NewRun, RunStatus},
        model::ModelRequest,
    },
};
use bedplate_engine::{agent::Agent, machine::Machine};
use std::sync::Arc;

impl Runtime {
    /// Returns a run as it stands, or as it stood at position `at`.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn view(&self, tenant: &Tenant, run: RunId, at: Option<Seq>) -> Result<RunView, RunError> {
        let head = self.head(&RunKey { tenant: tenant.clone(), run }).await?;
        let at = position(&head, at)?;
        let (state, _) = fold::<Agent>(&*self.shared.options.journal, head.run, at).await?;
        Ok(view(head, &state))
    }

    /// Runs a run again up to `at` against its own records, and tells where the machine of today decides differently.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn replay(&self, tenant: &Tenant, run: RunId, at: Option<Seq>) -> Result<Replay, RunError> {
        let head = self.head(&RunKey { tenant: tenant.clone(), run }).await?;
        let at = position(&head, at)?;
        let options = &self.shared.options;
        let rerun = AgentRerun {
            journal: &*options.journal,
            model: &*options.model,
            pinned: &self.shared.pinned,
            tenant,
            run: head.run,
        };
        let (entries, state, differences) = rerun.compare(at).await?;
        Ok(Replay { entries, view: view(head, &state), differences })
    }

    /// Returns what the model was shown by `call`; none when `call` is no model call.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn model_saw(&self, tenant: &Tenant, run: RunId, call: CallId) -> Result<Option<ModelRequest>, RunError> {
        let head = self.head(&RunKey { tenant: tenant.clone(), run }).await?;
        let at = position(&head, Some(call))?;
        let options = &self.shared.options;
        let (state, _) = fold::<Agent>(&*options.journal, head.run, at).await?;
        let Some(hash) = state.definition() else { return Ok(None) };
        let definition = self.shared.pinned.load(&*options.journal, tenant, hash).await?;
        Ok(state.request_of(call, &definition))
    }

    /// Makes a new session of a run's prefix. `at` is rounded down to the end of a batch or the beginning of a turn. What was under way at that
    /// point goes on in the new session as after a crash, with new idempotency keys.
    ///
    /// # Errors
    /// [`ForkError`].
    pub async fn fork(&self, tenant: &Tenant, run: RunId, at: Seq, session: String) -> Result<Head, ForkError> {
        let head = self.head(&RunKey { tenant: tenant.clone(), run }).await?;
        if head.kind != RunKind::Agent {
            return Err(RunError::NotFound.into());
        }
        let journal = &*self.shared.options.journal;
        let asked = position(&head, Some(at))?;
        let begins = |entry: &Entry| match entry.event {
            Event::TurnStarted(_) | Event::QueuedTurnStarted(_) => Some(entry.seq),
            _ => None,
        };
        let place = cut::<Agent>(journal, head.run, asked, begins).await?;
        // Before the first turn began there is no prefix that a run could begin with.
        let mut place = place.ok_or(RunError::NoSuch { what: "position to fork at up to", seq: asked })?;
        let now = self.shared.now();
        let at = place.at;
        let forked = Event::Forked(Forked { from: run, at, session: session.clone() });
        let state = &mut place.state;
        Agent::apply(state, at + 1, now, &forked);
        let status = Agent::status(state);
        let batch = Batch {
            at: now,
            events: Arc::new(vec![forked]),
            status,
            wake_at: if status == RunStatus::Running { Some(now) } else { Agent::wake_at(state) },
            title: Some(head.title.clone()),
            consumed: Vec::new(),
            blobs: state.definition().into_iter().collect(),
        };
        let new = NewRun {
            id: RunId::session(tenant, &head.user, &session),
            tenant: tenant.clone(),
            kind: head.kind,
            name: head.name,
            user: head.user,
            session: session.clone(),
            parent: None,
        };
        match copy(journal, head.run, place, new, batch).await {
            Ok(head) => {
                self.shared.due(head.wake_at.unwrap_or(bedplate_core::time::Timestamp(i64::MAX)));
                Ok(head)
            }
            Err(AppendError::Conflict) => Err(ForkError::Exists(session)),
            Err(error) => Err(RunError::from(error).into()),
        }
    }

    /// Ends and removes a run.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn delete_run(&self, tenant: &Tenant, run: RunId) -> Result<Deleted, RunError> {
        let key = RunKey { tenant: tenant.clone(), run };
        self.leave(self.shared.find_any(&key).into_iter().collect(), None).await;
        let deleted = self.shared.options.journal.delete_run(tenant, run, self.shared.now()).await;
        self.shared.pinned.forget_stored();
        self.shared.machines.forget_stored();
        Ok(deleted?)
    }

    /// Ends and removes all runs of a person, their forks included.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn delete_user(&self, tenant: &Tenant, user: &UserId) -> Result<Deleted, RunError> {
        self.leave(self.shared.actors(Some(tenant)), Some(user)).await;
        let deleted = self.shared.options.journal.delete_user(tenant, user, self.shared.now()).await;
        self.shared.pinned.forget_stored();
        self.shared.machines.forget_stored();
        Ok(deleted?)
    }
}

/// Returns the position that is meant, if the run has it.
fn position(head: &Head, at: Option<Seq>) -> Result<Seq, RunError> {
    match at {
        None => Ok(head.seq),
        Some(at) if at >= 1 && at <= head.seq => Ok(at),
        Some(at) => Err(RunError::NoSuch { what: "position", seq: at }),
    }
}
