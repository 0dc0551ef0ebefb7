//! On whose behalf a model or tool is called: what limits, budgets, routes and records go by.

use crate::id::{RunId, Tenant, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// On whose behalf a model or tool is called. Who speaks (tenant, user, key, team) comes from the credential; the rest
/// is what the request says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The tenant.
    pub tenant: Tenant,
    /// The user, as the credential says it.
    pub user: UserId,
    /// The run that calls; absent for a plain model call.
    pub run: Option<RunId>,
    /// The id of the API key that the request came with; absent in open mode and for work that no request waits for.
    pub key: Option<String>,
    /// The team that the key belongs to.
    pub team: Option<String>,
    /// The agent that calls; absent for a plain model call.
    pub agent: Option<String>,
    /// The session, as its user calls it.
    pub session: Option<String>,
    /// What the client says the call belongs to: at most 16 pairs.
    pub tags: BTreeMap<String, String>,
    /// Where the data may be worked on; such a call goes only to providers there.
    pub jurisdiction: Option<String>,
    /// Whether somebody waits for the answer.
    pub priority: Priority,
    /// What may be answered from a cache.
    pub cache: CacheControl,
}

/// What a client lets a cache do, as `Cache-Control` says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// Nothing of the call is kept.
    pub no_store: bool,
    /// The cache does not answer; it may keep the new reply.
    pub no_cache: bool,
    /// How old an answer may be, in seconds.
    pub max_age: Option<u32>,
}

/// Whether somebody waits for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Somebody waits.
    #[default]
    Interactive,
    /// Nobody does; it may come later than what somebody waits for.
    Batch,
}

impl Priority {
    /// Returns whether somebody waits.
    #[must_use]
    pub fn is_interactive(&self) -> bool {
        *self == Self::Interactive
    }

    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Batch => "batch",
        }
    }
}
