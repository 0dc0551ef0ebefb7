//! Map runs as the native API shows them.

use crate::wire::rfc3339;
use bedplate_engine::workflow::MapRunStatus;
use bedplate_runtime::MapRunView;
use serde::Serialize;
use utoipa::ToSchema;

/// What a distributed Map did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MapRunBody {
    arn: String,
    /// The Map by name.
    state: String,
    /// `RUNNING`, `SUCCEEDED`, `FAILED` or `ABORTED`.
    status: &'static str,
    started_at: String,
    ended_at: Option<String>,
    /// How many items there are, before they are bundled.
    items: u64,
    /// How many child executions there are in all, and how they stand.
    total: u64,
    pending: u64,
    running: u64,
    succeeded: u64,
    failed: u64,
    aborted: u64,
}

impl MapRunBody {
    pub(super) fn of(view: &MapRunView) -> Self {
        let now = &view.now;
        Self {
            arn: now.arn.to_string(),
            state: now.state.to_string(),
            status: match now.status {
                MapRunStatus::Running => "RUNNING",
                MapRunStatus::Succeeded => "SUCCEEDED",
                MapRunStatus::Failed => "FAILED",
                MapRunStatus::Aborted => "ABORTED",
            },
            started_at: rfc3339(now.started_at),
            ended_at: now.stopped_at.map(rfc3339),
            items: now.items,
            total: now.total,
            pending: now.pending(),
            running: now.running,
            succeeded: now.succeeded,
            failed: now.failed,
            aborted: now.aborted,
        }
    }
}
