//! The Journal port: runs, their events, signals, blobs and snapshots.

use super::BoxFuture;
use crate::{
    event::{Entry, Event, RunKind},
    id::{ContentHash, Epoch, RunId, Seq, Tenant, UserId},
    time::Timestamp,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The largest payload that stays inside a batch, in bytes of its encoding; a larger event becomes a blob.
pub const MAX_INLINE_BYTES: usize = 32 * 1024;

/// The largest batch, in bytes of its encoding after large events became blobs.
pub const MAX_BATCH_BYTES: usize = 256 * 1024;

/// The largest single event, in bytes of its encoding.
pub const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// How many signals one append consumes at most.
pub const MAX_SIGNALS: usize = 50;

/// How many events lie between two snapshots.
pub const SNAPSHOT_INTERVAL: u64 = 1_000;

/// A run as its store addresses it: `key` is the store's own short number for `id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunRef {
    /// The run.
    pub id: RunId,
    /// The store's number for it; valid as long as the run exists.
    pub key: i64,
}

/// What the head of a run must look like for an append to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The position of the last event.
    pub seq: Seq,
    /// The claim under which the appender works.
    pub epoch: Epoch,
}

/// The state of a run as lists show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// A session between turns.
    Idle,
    /// Work is under way.
    Running,
    /// A question waits for a person.
    Waiting,
    /// An execution that ended well.
    Succeeded,
    /// An execution whose failure was not caught.
    Failed,
    /// An execution whose time passed.
    TimedOut,
    /// An execution that was stopped.
    Aborted,
}

impl RunStatus {
    /// Returns whether nothing is under way in the run.
    #[must_use]
    pub const fn is_at_rest(self) -> bool {
        match self {
            Self::Idle | Self::Succeeded | Self::Failed | Self::TimedOut | Self::Aborted => true,
            Self::Running | Self::Waiting => false,
        }
    }
}

/// The head row of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The run.
    pub run: RunRef,
    /// Its tenant.
    pub tenant: Tenant,
    /// Which machine interprets it.
    pub kind: RunKind,
    /// The agent or workflow by name.
    pub name: String,
    /// On whose behalf.
    pub user: UserId,
    /// What the user calls the session.
    pub session: String,
    /// The run that started this one.
    pub parent: Option<RunId>,
    /// The position of the last event.
    pub seq: Seq,
    /// The number of the present claim.
    pub epoch: Epoch,
    /// When somebody must look at it next; none: when a signal comes.
    pub wake_at: Option<Timestamp>,
    /// Its state.
    pub status: RunStatus,
    /// What the last turn asked, cut to a line; for lists.
    pub title: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the last turn began.
    pub touched_at: Timestamp,
}

/// A new run.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its identity.
    pub id: RunId,
    /// Its tenant.
    pub tenant: Tenant,
    /// Which machine interprets it.
    pub kind: RunKind,
    /// The agent or workflow by name.
    pub name: String,
    /// On whose behalf.
    pub user: UserId,
    /// What the user calls the session.
    pub session: String,
    /// The run that started this one.
    pub parent: Option<RunId>,
}

/// What one append writes.
#[derive(Clone, Debug)]
pub struct Batch {
    /// When it was decided.
    pub at: Timestamp,
    /// The events, in order. They get the positions after the head's. None at all is allowed in [`Journal::append`]:
    /// then only `status`, `wake_at` and the consumed signals change (a stale signal, a claim that had nothing to do).
    /// Shared, because whoever appends keeps them to try again and to show them after the commit.
    pub events: Arc<Vec<Event>>,
    /// The run's new state.
    pub status: RunStatus,
    /// When somebody must look at it next.
    pub wake_at: Option<Timestamp>,
    /// A new title, when a turn begins; `touched_at` becomes `at` with it.
    pub title: Option<String>,
    /// The signals that these events consume; at most [`MAX_SIGNALS`].
    pub consumed: Vec<SignalId>,
    /// Blobs that the run refers to from now on, besides those that its large events become.
    pub blobs: Vec<ContentHash>,
}

/// A signal's number in its run.
pub type SignalId = i64;

/// A message to a run from somebody who does not hold its lease.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Its number, ascending in order of arrival.
    pub id: SignalId,
    /// The sender's key; a second signal with it is dropped, also after the first was consumed.
    pub key: String,
    /// When it came.
    pub at: Timestamp,
    /// What it says; the machine that interprets the run knows the form.
    pub body: Bytes,
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalOutcome {
    /// It is stored.
    Stored,
    /// One with the same key had come before; nothing was stored.
    Duplicate,
}

/// Which runs a list shows.
#[derive(Clone, Debug, Default)]
pub struct RunQuery {
    /// Whose tenant; always set.
    pub tenant: Tenant,
    /// Only this user's.
    pub user: Option<UserId>,
    /// Only of this agent or workflow.
    pub name: Option<String>,
    /// Only in this state.
    pub status: Option<RunStatus>,
    /// Only those that this machine interprets.
    pub kind: Option<RunKind>,
    /// Only those that this run started.
    pub parent: Option<RunId>,
    /// Only where title or session contains this, ignoring case.
    pub text: Option<String>,
    /// Only those after this cursor, as the page before gave it.
    pub cursor: Option<String>,
    /// How many at most, 1 to 200.
    pub limit: usize,
}

/// A page of runs, latest touched first.
#[derive(Clone, Debug)]
pub struct RunPage {
    /// The runs.
    pub runs: Vec<Head>,
    /// Where the next page begins; none: this is the last.
    pub cursor: Option<String>,
}

/// What a deletion removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// Runs.
    pub runs: u64,
    /// Blobs that nothing else referred to.
    pub blobs: u64,
}

/// The journals of all runs.
///
/// Promise: an append that returned is durable and visible to every later read; appends to one run are linearised by
/// `expected`; a batch is written whole or not at all; of two appends with the same `expected` one succeeds. A refused
/// append of one run never affects another's, however commits are grouped.
pub trait Journal: Send + Sync {
    /// Creates a run with its first events and claims it.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] when the run exists (it is already started), and as [`Journal::append`].
    fn create(&self, run: NewRun, batch: Batch) -> BoxFuture<'static, Result<Head, AppendError>>;

    /// Creates runs that are over with their first events, all of them in one commit; nobody claims them. Returns for
    /// each, in order, whether it was created: one that exists or was deleted is left as it is.
    ///
    /// # Errors
    /// As [`Journal::create`], and then none is created; [`AppendError::Invalid`] also when a batch leaves its run with
    /// something to do.
    fn create_ended(&self, runs: Vec<(NewRun, Batch)>) -> BoxFuture<'static, Result<Vec<bool>, AppendError>>;

    /// Appends a batch under a claim; returns the new position of the last event.
    ///
    /// # Errors
    /// [`AppendError`].
    fn append(&self, run: RunRef, expected: Expected, batch: Batch) -> BoxFuture<'static, Result<Seq, AppendError>>;

    /// Returns the head of a run; none when it does not exist or belongs to another tenant.
    ///
    /// # Errors
    /// [`ReadError`].
    fn head(&self, tenant: &Tenant, run: RunId) -> BoxFuture<'static, Result<Option<Head>, ReadError>>;

    /// Returns the entries after position `after` in order, whole batches of them until at least `limit` are read or
    /// the end is reached; an empty list means the end.
    ///
    /// # Errors
    /// [`ReadError`].
    fn read(&self, run: RunRef, after: Seq, limit: usize) -> BoxFuture<'static, Result<Vec<Entry>, ReadError>>;

    /// Returns a page of heads.
    ///
    /// # Errors
    /// [`ReadError`]; a cursor that is none of ours is [`ReadError::BadCursor`].
    fn list(&self, query: RunQuery) -> BoxFuture<'static, Result<RunPage, ReadError>>;

    /// Stores a message to a run and makes it due.
    ///
    /// # Errors
    /// [`SignalError`].
    fn signal(
        &self,
        tenant: &Tenant,
        run: RunId,
        key: &str,
        body: Bytes,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<SignalOutcome, SignalError>>;

    /// Returns the signals that are not consumed, oldest first, at most [`MAX_SIGNALS`].
    ///
    /// # Errors
    /// [`ReadError`].
    fn signals(&self, run: RunRef) -> BoxFuture<'static, Result<Vec<Signal>, ReadError>>;

    /// Claims a run: raises its epoch, so that every older claim is fenced, and moves `wake_at` to the end of the
    /// lease. Returns the new head; none when the run does not exist.
    ///
    /// # Errors
    /// [`ReadError`].
    fn claim(
        &self,
        tenant: &Tenant,
        run: RunId,
        lease_until: Timestamp,
    ) -> BoxFuture<'static, Result<Option<Head>, ReadError>>;

    /// Claims up to `limit` runs that are due at `now`, or whose claim was made by a process that is known to be gone,
    /// as [`Journal::claim`] does.
    ///
    /// # Errors
    /// [`ReadError`].
    fn claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Head>, ReadError>>;

    /// Returns the earliest time at which a run becomes due; none when none waits.
    ///
    /// # Errors
    /// [`ReadError`].
    fn next_due(&self) -> BoxFuture<'static, Result<Option<Timestamp>, ReadError>>;

    /// Copies the first `at` events of a run into a new one, which is claimed; `batch` follows them. `at` must be the end of a batch.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] when the new run exists; [`AppendError::Invalid`] when `at` is not the end of a batch.
    fn fork(&self, from: RunRef, at: Seq, run: NewRun, batch: Batch) -> BoxFuture<'static, Result<Head, AppendError>>;

    /// Stores a blob for a tenant; storing the same content again changes nothing. A blob that no run refers to may be
    /// removed after an hour.
    ///
    /// # Errors
    /// [`AppendError`].
    fn put_blob(&self, tenant: &Tenant, content: Bytes) -> BoxFuture<'static, Result<ContentHash, AppendError>>;

    /// Returns a blob of a tenant.
    ///
    /// # Errors
    /// [`ReadError`].
    fn get_blob(&self, tenant: &Tenant, hash: ContentHash) -> BoxFuture<'static, Result<Option<Bytes>, ReadError>>;

    /// Keeps the folded state at `seq`, replacing an older one. Losing it costs time, never truth.
    ///
    /// # Errors
    /// [`AppendError`].
    fn put_snapshot(&self, run: RunRef, seq: Seq, state: Bytes) -> BoxFuture<'static, Result<(), AppendError>>;

    /// Returns the latest snapshot and its position.
    ///
    /// # Errors
    /// [`ReadError`].
    fn get_snapshot(&self, run: RunRef) -> BoxFuture<'static, Result<Option<(Seq, Bytes)>, ReadError>>;

    /// Removes a run with its events, signals, snapshot and the blobs that nothing else refers to, and leaves a
    /// tombstone without content, so that its id is not used again by a late append.
    ///
    /// # Errors
    /// [`AppendError`].
    fn delete_run(
        &self,
        tenant: &Tenant,
        run: RunId,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<Deleted, AppendError>>;

    /// Removes all runs of a user, their forks included, as [`Journal::delete_run`] does.
    ///
    /// # Errors
    /// [`AppendError`].
    fn delete_user(
        &self,
        tenant: &Tenant,
        user: &UserId,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<Deleted, AppendError>>;

    /// Removes runs at rest that were last touched before `before`; returns what it removed.
    ///
    /// # Errors
    /// [`AppendError`].
    fn retain(&self, before: Timestamp, limit: usize) -> BoxFuture<'static, Result<Deleted, AppendError>>;
}

/// A write that did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The head is not as expected: another claim took over, or the run exists already. Terminal for this claim.
    #[error("failed to append: the run's head has moved")]
    Conflict,
    /// The run does not exist or was deleted. Terminal.
    #[error("failed to append: there is no such run")]
    NotFound,
    /// A payload passes a limit. Terminal: it would fail for ever.
    #[error("failed to append: {what} has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The arguments contradict the port's rules. Terminal.
    #[error("failed to append: {0}")]
    Invalid(String),
    /// The store failed; whether it wrote is not known. Retryable by reading the head again.
    #[error("failed to append: the store failed: {0}")]
    Store(String),
}

/// A read that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The cursor is none that this store gave. Terminal.
    #[error("failed to read: the cursor is not valid")]
    BadCursor,
    /// Stored bytes cannot be understood. Terminal.
    #[error("failed to read: run {run} is damaged at {seq}: {message}")]
    Damaged {
        /// The run.
        run: RunId,
        /// About where.
        seq: Seq,
        /// What is wrong.
        message: String,
    },
    /// The store failed. Retryable.
    #[error("failed to read: the store failed: {0}")]
    Store(String),
}

/// A signal that was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// The run does not exist. Terminal.
    #[error("failed to signal: there is no such run")]
    NotFound,
    /// The body is larger than [`MAX_BATCH_BYTES`]. Terminal.
    #[error("failed to signal: the body has {0} bytes")]
    TooLarge(usize),
    /// The store failed. Retryable.
    #[error("failed to signal: the store failed: {0}")]
    Store(String),
}
