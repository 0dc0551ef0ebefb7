//! The Workflows port: which state machine a name means now.

use super::BoxFuture;
use crate::id::{ContentHash, Tenant};
use std::sync::Arc;

/// A state machine as an execution of it is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedWorkflow {
    /// The state machine's ARN, without a version or alias.
    pub arn: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The version or alias that was named, as an ARN.
    pub qualified: Option<Arc<str>>,
    /// The version that this led to, as an ARN.
    pub version: Option<Arc<str>>,
    /// The role as the state machine names it.
    pub role: Arc<str>,
    /// Whether its executions are express ones.
    pub express: bool,
    /// The hash of `text`.
    pub hash: ContentHash,
    /// The definition as it was given; the journal keeps it as a blob.
    pub text: Arc<str>,
}

/// A state machine that was not found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// There is no such state machine, version or alias. Terminal.
    #[error("failed to find the state machine: there is no `{0}`")]
    NotFound(String),
    /// The store failed. Retryable.
    #[error("failed to find the state machine: {0}")]
    Store(String),
}

/// Finds state machines. What it returns is of now: an execution that was started keeps what it got.
pub trait Workflows: Send + Sync {
    /// Returns the state machine that a name, an ARN, or the ARN of a version or alias means. An alias with weights
    /// draws from `entropy`.
    ///
    /// # Errors
    /// [`ResolveError`].
    fn resolve(
        &self,
        tenant: &Tenant,
        machine: &str,
        entropy: [u8; 16],
    ) -> BoxFuture<'static, Result<PinnedWorkflow, ResolveError>>;

    /// Returns whether there is an activity of this ARN. Where nobody keeps any, every one is there; and a store that
    /// fails loses no task.
    fn has_activity(&self, tenant: &Tenant, activity: &str) -> BoxFuture<'static, bool> {
        let _ = (tenant, activity);
        Box::pin(std::future::ready(true))
    }
}
