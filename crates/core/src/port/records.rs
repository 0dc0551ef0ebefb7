//! The Records port: one record for each model call, kept for bills, for looking at traffic and for finding faults.

use super::{BoxFuture, BoxStream, Priority};
use crate::{
    id::{RecordId, RunId, Tenant},
    message::Usage,
    time::Timestamp,
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How many records a page holds at most.
pub const MAX_RECORDS: usize = 1_000;

/// How many rows a table of costs has at most.
pub const MAX_COST_ROWS: usize = 10_000;

/// What one model call left behind.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRecord {
    /// Its id; ids of one process sort by time.
    pub id: RecordId,
    /// When the call came.
    pub at: Timestamp,
    /// The tenant.
    pub tenant: Tenant,
    /// The user; none once the person was deleted.
    pub user: Option<Arc<str>>,
    /// The id of the API key.
    pub key: Option<Arc<str>>,
    /// The key's team.
    pub team: Option<Arc<str>>,
    /// The agent that called.
    pub agent: Option<Arc<str>>,
    /// The session, as its user calls it.
    pub session: Option<Arc<str>>,
    /// The run that called.
    pub run: Option<RunId>,
    /// What the client says the call belongs to.
    pub tags: BTreeMap<String, String>,
    /// Where the data had to stay.
    pub jurisdiction: Option<Arc<str>>,
    /// Whether somebody waited.
    pub priority: Priority,
    /// The dialect that the client spoke; `core` for an agent.
    pub dialect: &'static str,
    /// Whether the reply was streamed.
    pub stream: bool,
    /// The route that was asked for.
    pub route: Arc<str>,
    /// Why the route chose its target.
    pub reason: Option<Arc<str>>,
    /// The model of the project that answered.
    pub target: Option<Arc<str>>,
    /// Its provider.
    pub provider: Option<Arc<str>>,
    /// The model as its provider names it.
    pub model: Option<Arc<str>>,
    /// How many calls went upstream.
    pub attempts: u32,
    /// What the cache did; none where the route has none.
    pub cache: Option<CacheUse>,
    /// How the answer was made smaller than asked, and why.
    pub degraded: Option<Arc<str>>,
    /// What a guard did.
    pub guard: Option<Arc<str>>,
    /// How many markers of the provider's prompt cache were set.
    pub prompt_cache_markers: u32,
    /// Tokens.
    pub usage: Usage,
    /// Whether the tokens are an estimate, because the call ended before its provider said them.
    pub estimated: bool,
    /// Money, in millionths of a US dollar; none where no price is known.
    pub cost: Option<u64>,
    /// What the cache saved, in millionths of a US dollar.
    pub saved: u64,
    /// From the call until the first piece of the reply.
    pub first_token: Option<Duration>,
    /// From the call until its end.
    pub total: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// Request and response as they were logged; only on the way in, and from [`Records::get`].
    pub payload: Option<Box<Payload>>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With its whole reply.
    Ok,
    /// With an error: its stable code, and what it says to people.
    Failed {
        /// The code, as `ModelErrorKind::code` has it.
        kind: Arc<str>,
        /// What went wrong.
        message: Arc<str>,
    },
    /// The client went away before the end.
    Cancelled,
}

/// What the cache did with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheUse {
    /// It answered: the same request came before.
    Hit,
    /// It answered: a request of the same meaning came before.
    SemanticHit,
    /// It had no answer; this one may be kept.
    Miss,
    /// It was not asked.
    Bypass,
}

impl CacheUse {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hit, Self::SemanticHit, Self::Miss, Self::Bypass];

    /// Returns the word for it, as the header `x-bedplate-cache` says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::SemanticHit => "semantic_hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }

    /// Returns the one that `word` names.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// Returns whether the cache answered.
    #[must_use]
    pub fn is_hit(self) -> bool {
        matches!(self, Self::Hit | Self::SemanticHit)
    }
}

/// What was logged of a call, already redacted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// The request as JSON.
    pub request: Bytes,
    /// The response as JSON; empty when there was none.
    pub response: Bytes,
}

/// Which calls are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// From this time on.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// Of these; each pair must be equal.
    pub equal: Vec<(Dimension, String)>,
    /// Only such that failed.
    pub failed: bool,
}

/// What calls are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The minute of the call, UTC.
    Minute,
    /// The hour.
    Hour,
    /// The day.
    Day,
    /// The month.
    Month,
    /// The model as its provider names it.
    Model,
    /// The route that was asked for.
    Route,
    /// The provider.
    Provider,
    /// The model of the project that answered.
    Target,
    /// The API key.
    Key,
    /// The team.
    Team,
    /// The user.
    User,
    /// The agent.
    Agent,
    /// The session.
    Session,
    /// The run.
    Run,
    /// The kind of error; none: the call did not fail.
    Error,
    /// What the cache did.
    Cache,
    /// The value of a tag.
    Tag(String),
}

/// What calls cost, together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CostSum {
    /// How many there were.
    pub calls: u64,
    /// How many of them failed.
    pub errors: u64,
    /// How many the client left.
    pub cancelled: u64,
    /// How many the cache answered.
    pub cache_hits: u64,
    /// How many have no price.
    pub unpriced: u64,
    /// Tokens.
    pub usage: Usage,
    /// Money, in millionths of a US dollar.
    pub cost: u64,
    /// What the cache saved, in millionths of a US dollar.
    pub saved: u64,
    /// How long they took, of those that did not fail.
    pub latency: Option<Quantiles>,
    /// How long until the first piece, of those that had one.
    pub first_token: Option<Quantiles>,
}

/// How long calls took; each within 4 per cent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Half of them at most this.
    pub p50: Duration,
    /// 95 of 100 at most this.
    pub p95: Duration,
    /// 99 of 100 at most this.
    pub p99: Duration,
}

/// One row of a table of costs.
#[derive(Clone, Debug, PartialEq)]
pub struct CostRow {
    /// What its calls have in common, in the order that was asked for. Times are milliseconds since 1970 as text.
    pub by: Vec<Option<String>>,
    /// What they cost.
    pub sum: CostSum,
}

/// A table of costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Costs {
    /// Its rows, sorted by what they have in common.
    pub rows: Vec<CostRow>,
    /// All calls together.
    pub total: CostSum,
}

/// Keeps records by tenant.
///
/// Promise: what [`Records::append`] returned for is there after the process ends in any way; a record is never shown to
/// another tenant.
pub trait Records: Send + Sync {
    /// Keeps `records`, in their order. One whose id is there already is left as it is, so that a batch can be repeated.
    ///
    /// # Errors
    /// [`RecordsError`] when the store fails; none of them is kept then.
    fn append(&self, records: Arc<[CallRecord]>) -> BoxFuture<'static, Result<(), RecordsError>>;

    /// Returns the record with its payload.
    ///
    /// # Errors
    /// [`RecordsError`] when the store fails.
    fn get(&self, tenant: &Tenant, id: RecordId) -> BoxFuture<'static, Result<Option<CallRecord>, RecordsError>>;

    /// Returns records, newest first: those before `before`, at most `limit`. A payload that there is, is empty here.
    ///
    /// # Errors
    /// [`RecordsError`] when the store fails.
    fn list(
        &self,
        tenant: &Tenant,
        filter: RecordFilter,
        before: Option<RecordId>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<CallRecord>, RecordsError>>;

    /// Returns what calls cost, by `by`.
    ///
    /// # Errors
    /// [`RecordsError`] when the store fails, or the table has more than [`MAX_COST_ROWS`] rows.
    fn costs(
        &self,
        tenant: &Tenant,
        filter: RecordFilter,
        by: Vec<Dimension>,
    ) -> BoxFuture<'static, Result<Costs, RecordsError>>;

    /// Takes a person out of all records: the user, the session, the run, the tags and the payload go, the figures
    /// stay. Returns how many records it changed.
    ///
    /// # Errors
    /// [`RecordsError`] when the store fails.
    fn forget(&self, tenant: &Tenant, user: &str) -> BoxFuture<'static, Result<u64, RecordsError>>;

    /// Removes the records of all tenants from before `before`. Returns how many.
    ///
    /// # Errors
    /// [`RecordsError`] when the store fails.
    fn expire(&self, before: Timestamp) -> BoxFuture<'static, Result<u64, RecordsError>>;
}

/// Shows records as calls end.
pub trait LiveRecords: Send + Sync {
    /// Returns the records of `tenant` from now on, each once it is kept; without payloads. A reader that is too slow
    /// gets `None` in place of those that it missed.
    fn watch(&self, tenant: &Tenant) -> BoxStream<'static, Option<Arc<CallRecord>>>;

    /// Returns what the calls of all tenants came to since this process began, by route and target.
    fn totals(&self) -> Vec<CallTotals>;
}

/// What the calls of one route to one target came to since the process began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallTotals {
    /// The route that was asked for.
    pub route: Arc<str>,
    /// The model of the project that answered; none where none was asked.
    pub target: Option<Arc<str>>,
    /// Its provider.
    pub provider: Option<Arc<str>>,
    /// How many calls ended how: `ok`, `cancelled`, or the code of an error.
    pub outcomes: BTreeMap<Arc<str>, u64>,
    /// How many calls went upstream.
    pub attempts: u64,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Money, in millionths of a US dollar.
    pub cost: u64,
    /// From the call until its end.
    pub total: Spread,
    /// From the call until the first piece of the reply, of those that came to one.
    pub first_token: Spread,
}

/// The upper bounds of the classes of a [`Spread`], in seconds; the last class has none.
pub const SPREAD: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

/// How durations are spread over classes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// How many fell into each class of [`SPREAD`], and into the one above.
    pub counts: [u64; SPREAD.len() + 1],
    /// Their sum.
    pub sum: Duration,
}

impl Spread {
    /// Counts one.
    pub fn add(&mut self, one: Duration) {
        let class = SPREAD.partition_point(|bound| *bound < one.as_secs_f64());
        self.counts[class] += 1;
        self.sum += one;
    }
}

/// The records cannot be kept or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// The store failed.
    #[error("failed to reach the records: {0}")]
    Store(String),
    /// The answer would have more than [`MAX_COST_ROWS`] rows.
    #[error("the table has more than {MAX_COST_ROWS} rows")]
    TooManyRows,
}
