//! The Health port: how each model of the project does, as the gateway sees it from the calls that it makes.

use super::model::{ModelErrorKind, ModelInfo};
use std::time::Duration;

/// How a model does now. Figures are those of this process alone; a start forgets them.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelHealth {
    /// Its name in the project.
    pub name: String,
    /// What stands behind the name.
    pub info: ModelInfo,
    /// Whether calls go to it: `closed` (they do), `open` (they go elsewhere), `half_open` (a few do, as probes).
    pub breaker: &'static str,
    /// How long until an open breaker lets probes through, or until a pause is over that the provider asked for.
    pub wait: Option<Duration>,
    /// What kind of failure was the last; none: none failed.
    pub last_failure: Option<ModelErrorKind>,
    /// Calls under way.
    pub in_flight: u32,
    /// How many may be.
    pub limit: u32,
    /// Seconds until the first token, expected; 0: it was not called.
    pub latency: f64,
    /// The part of calls that fail, 0 to 1; the last ones count most.
    pub errors: f64,
    /// Calls that were sent to it since this process began.
    pub attempts: u64,
    /// How many of them failed with which code.
    pub failures: Vec<(&'static str, u64)>,
}

/// Tells how models do.
pub trait Health: Send + Sync {
    /// Returns each model of the project, sorted by name.
    fn models(&self) -> Vec<ModelHealth>;
}
