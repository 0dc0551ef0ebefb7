//! Map runs: what a distributed Map did, for those who look at it while it runs and after.

use super::state::{Join, WorkflowState};
use bedplate_core::{time::Timestamp, workflow_event::Tolerance};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How a map run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MapRunStatus {
    /// It runs.
    Running,
    /// It ended well.
    Succeeded,
    /// More failed than may.
    Failed,
    /// What it lies in ended before it.
    Aborted,
}

/// A map run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapRunNow {
    /// Its ARN.
    pub arn: Arc<str>,
    /// The Map by name.
    pub state: Arc<str>,
    /// How it stands.
    pub status: MapRunStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub stopped_at: Option<Timestamp>,
    /// How many iterations may be under way at once; 0: no limit.
    pub concurrency: u64,
    /// How many may fail.
    pub tolerated: Tolerance,
    /// How many items there are, before they are bundled.
    pub items: u64,
    /// How many child executions there are in all.
    pub total: u64,
    /// How many are under way.
    pub running: u64,
    /// How many ended well.
    pub succeeded: u64,
    /// How many failed.
    pub failed: u64,
    /// How many of those because their time passed.
    pub timed_out: u64,
    /// How many were stopped.
    pub aborted: u64,
    /// How many results are written elsewhere.
    pub results_written: u64,
    /// How often it was redriven.
    pub redrives: u64,
}

impl MapRunNow {
    /// Returns how many child executions have not begun.
    #[must_use]
    pub const fn pending(&self) -> u64 {
        self.total.saturating_sub(self.running + self.succeeded + self.failed + self.aborted)
    }

    pub(super) fn begun(arn: &Arc<str>, state: &Arc<str>, at: Timestamp, join: &Join) -> Self {
        Self {
            arn: Arc::clone(arn),
            state: Arc::clone(state),
            status: MapRunStatus::Running,
            started_at: at,
            stopped_at: None,
            concurrency: join.concurrency,
            tolerated: join.tolerated,
            items: join.parts,
            total: join.parts,
            running: 0,
            succeeded: 0,
            failed: 0,
            timed_out: 0,
            aborted: 0,
            results_written: 0,
            redrives: 0,
        }
    }

    pub(super) const fn redriven(&mut self, running: u64) {
        self.status = MapRunStatus::Running;
        self.stopped_at = None;
        self.redrives += 1;
        self.running = running;
        (self.failed, self.timed_out, self.aborted) = (0, 0, 0);
    }

    pub(super) fn end(&mut self, status: MapRunStatus, at: Timestamp) {
        if self.status == MapRunStatus::Running {
            self.status = status;
            self.stopped_at = Some(at);
            self.aborted += self.running;
            self.running = 0;
        }
    }
}

impl WorkflowState {
    /// Returns the map runs, oldest first.
    pub fn map_runs(&self) -> impl Iterator<Item = MapRunNow> {
        self.map_runs.iter().map(|run| (**run).clone())
    }

    pub(super) fn map_run(&mut self, arn: &str, change: impl FnOnce(&mut MapRunNow)) {
        if let Some(run) = self.map_runs.iter_mut().rev().find(|run| *run.arn == *arn) {
            change(Arc::make_mut(run));
        }
    }
}
