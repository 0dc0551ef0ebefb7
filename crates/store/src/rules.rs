//! The rules of the Journal port that both adapters share, as pure functions.

use crate::codec::{Encoded, encode};
use bedplate_core::{
    event::Event,
    id::{ContentHash, Epoch},
    port::journal::{AppendError, Batch, MAX_SIGNALS, RunStatus, SignalId},
    time::Timestamp,
};
use std::{sync::Arc, time::Duration};

/// Where a store reads the time from; only the age of blobs that no run refers to hangs on it.
pub(crate) type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How long a blob that no run refers to is kept.
pub(crate) const BLOB_GRACE: Duration = Duration::from_secs(3600);

/// The largest blob that [`bedplate_core::port::journal::Journal::put_blob`] takes, in bytes.
pub(crate) const MAX_BLOB_BYTES: usize = bedplate_core::port::journal::MAX_EVENT_BYTES;

/// The largest snapshot, in bytes.
pub(crate) const MAX_SNAPSHOT_BYTES: usize = 256 * 1024 * 1024;

/// How many runs a page of a list shows at most.
pub(crate) const MAX_PAGE: usize = 200;

/// How events become bytes.
type Encode = fn(&[Event]) -> Result<Encoded, AppendError>;

/// A batch after every check that needs no store.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) at: Timestamp,
    pub(crate) events: Encoded,
    pub(crate) status: RunStatus,
    pub(crate) wake_at: Option<Timestamp>,
    pub(crate) title: Option<String>,
    pub(crate) consumed: Vec<SignalId>,
    pub(crate) blobs: Vec<ContentHash>,
}

impl Prepared {
    /// Encodes and checks a batch for a run that exists.
    pub(crate) fn for_append(batch: Batch) -> Result<Self, AppendError> {
        Self::new(batch, encode)
    }

    fn new(batch: Batch, encode: Encode) -> Result<Self, AppendError> {
        let Batch { at, events, status, wake_at, title, mut consumed, mut blobs } = batch;
        if consumed.len() > MAX_SIGNALS {
            return Err(invalid(format!("{} signals are consumed, the limit is {MAX_SIGNALS}", consumed.len())));
        }
        consumed.sort_unstable();
        if consumed.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(invalid("a signal is consumed twice"));
        }
        blobs.sort_unstable();
        blobs.dedup();
        Ok(Self { at, events: encode(&events)?, status, wake_at, title, consumed, blobs })
    }

    /// Encodes and checks the batch that comes with a new run.
    pub(crate) fn for_new_run(batch: Batch) -> Result<Self, AppendError> {
        Self::new_run(batch, encode)
    }

    fn new_run(batch: Batch, encode: Encode) -> Result<Self, AppendError> {
        if batch.events.is_empty() {
            return Err(invalid("a new run needs an event"));
        }
        if !batch.consumed.is_empty() {
            return Err(invalid("a new run has no signals to consume"));
        }
        Self::new(batch, encode)
    }

    /// Encodes and checks the batch that is all of a new run.
    pub(crate) fn for_ended_run(batch: Batch, encode: Encode) -> Result<Self, AppendError> {
        if !batch.status.is_at_rest() || batch.wake_at.is_some() {
            return Err(invalid("a run that is over has nothing left to do"));
        }
        Self::new_run(batch, encode)
    }

    /// Packs events that are not.
    pub(crate) fn packed(self) -> Self {
        Self { events: self.events.packed(), ..self }
    }

    /// Returns when the run is due after this batch: signals that came meanwhile keep it due, so that none is forgotten.
    pub(crate) fn due(&self, unconsumed: u64) -> Option<Timestamp> {
        if unconsumed == 0 { self.wake_at } else { Some(self.wake_at.map_or(self.at, |wake| wake.min(self.at))) }
    }
}

/// Returns the epoch of the next claim of a run whose last claim had `last`, in a store that was opened `boot` times.
///
/// The upper bits hold the boot count, so that a claim of an earlier process is recognised by its number alone; the
/// lower 20 bits count the claims within a boot (after a million of them a run of a dead process waits for its lease).
pub(crate) fn next_epoch(last: Epoch, boot: u64) -> Epoch {
    (last + 1).max(first_epoch(boot))
}

/// Returns the smallest epoch that a claim in this boot has.
pub(crate) fn first_epoch(boot: u64) -> Epoch {
    boot << 20
}

/// Returns whether `text` contains `needle`, which is lower-case, ignoring case.
pub(crate) fn contains_folded(text: &str, needle: &str) -> bool {
    text.to_lowercase().contains(needle)
}

/// Returns an error that names a broken rule.
pub(crate) fn invalid(what: impl Into<String>) -> AppendError {
    AppendError::Invalid(what.into())
}

/// Checks the size of a payload.
pub(crate) fn check_size(what: &'static str, bytes: usize, limit: usize) -> Result<(), AppendError> {
    if bytes > limit { Err(AppendError::TooLarge { what, bytes, limit }) } else { Ok(()) }
}

/// Returns the time of the machine's clock.
pub(crate) fn system_now() -> Timestamp {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
