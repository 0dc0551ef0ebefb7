//! AWS's history of an execution, page by page.
//!
//! The journal holds no event ids: the fold counts them. So that a page costs no fold from the start, checkpoints of
//! the fold are kept for the executions that were looked at last, each some hundreds of events after the one before.

use super::api::{HistoryPage, HistoryQuery};
use crate::api::RunError;
use bedplate_core::{
    event::Entry,
    id::{RunId, Seq},
    port::journal::{Journal, RunRef},
};
use bedplate_engine::workflow::history::{History, HistoryEvent};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many events lie between two checkpoints, about.
const INTERVAL: u64 = 500;

/// The checkpoints of how many executions are kept.
const MAX_KEPT: usize = 64;

/// How many entries are read at once.
const PAGE: usize = 512;

/// The checkpoints of the executions that were looked at last.
#[derive(Default)]
pub(crate) struct Histories {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    runs: HashMap<RunId, (Vec<Checkpoint>, u64)>,
    uses: u64,
}

/// A history folded up to a place between two entries.
#[derive(Clone, Default)]
struct Checkpoint {
    /// The last entry that is in it.
    at: Seq,
    /// The last event that is in it.
    id: u64,
    history: History,
}

impl Histories {
    /// Returns a page of the history of the execution in `run`, whose journal stands at `head`.
    pub(crate) async fn page(
        &self,
        journal: &dyn Journal,
        run: RunRef,
        head: Seq,
        query: HistoryQuery,
    ) -> Result<HistoryPage, RunError> {
        let limit = query.limit.max(1);
        if !query.reverse {
            let after = query.after.unwrap_or(0);
            let mut events = self.fold(journal, run, head, after, limit + 1).await?;
            let more = events.len() > limit;
            events.truncate(limit);
            return Ok(HistoryPage { events, more });
        }
        let before = match query.after {
            Some(id) => id,
            // Backward from the end: how many there are is known once all is folded.
            None => self.fold(journal, run, head, u64::MAX - 1, 1).await?.len() as u64 + self.last(run.id) + 1,
        };
        let first = before.saturating_sub(limit as u64).max(1);
        let wanted = usize::try_from(before.saturating_sub(first)).unwrap_or(usize::MAX);
        let mut events =
            if wanted == 0 { Vec::new() } else { self.fold(journal, run, head, first - 1, wanted).await? };
        events.reverse();
        Ok(HistoryPage { events, more: first > 1 })
    }

    /// Folds from the nearest checkpoint on and returns up to `limit` events after the event `after`.
    async fn fold(
        &self,
        journal: &dyn Journal,
        run: RunRef,
        head: Seq,
        after: u64,
        limit: usize,
    ) -> Result<Vec<HistoryEvent>, RunError> {
        let mut point = self.nearest(run.id, after);
        let mut marked = point.id;
        let mut events: Vec<HistoryEvent> = Vec::new();
        while point.at < head && events.len() < limit {
            let entries: Vec<Entry> = journal.read(run, point.at, PAGE).await?;
            if entries.is_empty() {
                break;
            }
            for entry in entries.iter().take_while(|entry| entry.seq <= head) {
                let shown = point.history.fold(entry);
                point.at = entry.seq;
                point.id = shown.last().map_or(point.id, |event| event.id);
                events.extend(shown.into_iter().filter(|event| event.id > after));
                if point.id >= marked + INTERVAL {
                    marked = point.id;
                    self.keep(run.id, &point);
                }
                if events.len() >= limit {
                    break;
                }
            }
        }
        self.keep(run.id, &point);
        events.truncate(limit);
        Ok(events)
    }

    fn nearest(&self, run: RunId, after: u64) -> Checkpoint {
        let mut kept = self.lock();
        kept.uses += 1;
        let uses = kept.uses;
        let Some((points, used)) = kept.runs.get_mut(&run) else { return Checkpoint::default() };
        *used = uses;
        let before = points.partition_point(|point| point.id <= after);
        before.checked_sub(1).map_or_else(Checkpoint::default, |at| points[at].clone())
    }

    fn keep(&self, run: RunId, point: &Checkpoint) {
        let mut kept = self.lock();
        if !kept.runs.contains_key(&run)
            && kept.runs.len() >= MAX_KEPT
            && let Some(oldest) = kept.runs.iter().min_by_key(|(_, (_, used))| *used).map(|(run, _)| *run)
        {
            kept.runs.remove(&oldest);
        }
        kept.uses += 1;
        let uses = kept.uses;
        let (points, used) = kept.runs.entry(run).or_default();
        *used = uses;
        let place = points.partition_point(|kept| kept.at < point.at);
        let is_far = |neighbour: Option<&Checkpoint>| {
            neighbour.is_none_or(|neighbour| neighbour.id.abs_diff(point.id) >= INTERVAL / 2)
        };
        // The last one is always kept: it says how many events there are.
        if place == points.len() {
            if points.len() > 1 && !is_far(points.get(points.len() - 2)) {
                points.pop();
            }
            points.push(point.clone());
        } else if points[place].at != point.at && is_far(points.get(place)) {
            points.insert(place, point.clone());
        }
    }

    fn last(&self, run: RunId) -> u64 {
        self.lock().runs.get(&run).and_then(|(points, _)| points.last()).map_or(0, |point| point.id)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
