//! Drives machines: journaling, wake-ups, recovery, live streams.
//!
//! Invariant: nothing here knows a wire format, SQL or a vendor; everything outside is a port of `bedplate_core`.

mod actor;
mod agent;
mod api;
mod civil;
mod driven;
mod history;
mod live;
mod partial;
mod perform;
mod pinned;
mod runtime;
mod scheduler;
mod shared;
mod stats;
mod subscription;
pub mod system;
mod unconfigured;
mod workflow;

pub use api::{
    AnswerError, Answered, Difference, ForkError, Live, Replay, RunError, RunView, StartError, StartTurn, Started,
    TurnResult, TurnState,
};
pub use runtime::Runtime;
pub use shared::Options;
pub use stats::{Stats, TOOL_OUTCOMES, TURN_OUTCOMES};
pub use subscription::Subscription;
pub use unconfigured::Unconfigured;
pub use workflow::{
    api::{
        ActivityTask, ExecutionPage, ExecutionReplay, ExecutionStatus, ExecutionSummary, ExecutionView, ForkExecution,
        ForkExecutionError, ForkedExecution, HistoryPage, HistoryQuery, MapRunView, RedriveError, StartExecution,
        StartExecutionError, StartedExecution, TokenError,
    },
    token_run,
};
