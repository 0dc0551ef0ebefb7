//! The bundles that were read last.

use super::{Bundle, Member};
use rusqlite::{Connection, Result};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many bundles that were read are kept unpacked.
const RECENT: usize = 4;

/// What a bundle holds, unpacked.
pub(super) struct Contents {
    pub(super) members: Vec<Member>,
    /// The batches one after the other.
    pub(super) batches: Vec<u8>,
    /// Where each ends.
    pub(super) ends: Vec<usize>,
}

impl Contents {
    /// Returns the batch of a run by its place.
    pub(super) fn batch(&self, at: usize) -> &[u8] {
        let begin = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(at).copied().unwrap_or(begin);
        self.batches.get(begin..end).unwrap_or_default()
    }
}

/// The bundles that were read last: whoever reads one run of a bundle mostly reads its neighbours next. A bundle never
/// changes but goes as a whole, and its key never names another; whether it is there is looked up each time.
#[derive(Default)]
pub(in crate::sqlite) struct Recent(Mutex<VecDeque<(i64, Arc<Contents>)>>);

impl Recent {
    /// Forgets all: something was deleted.
    pub(in crate::sqlite) fn clear(&self) {
        self.lock().clear();
    }

    pub(super) fn contents(&self, conn: &Connection, bundle: &Bundle) -> Result<Arc<Contents>> {
        if let Some((_, found)) = self.lock().iter().find(|(key, _)| *key == bundle.key) {
            return Ok(Arc::clone(found));
        }
        let contents = Arc::new(bundle.contents(conn)?);
        let mut recent = self.lock();
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back((bundle.key, Arc::clone(&contents)));
        Ok(contents)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(i64, Arc<Contents>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
