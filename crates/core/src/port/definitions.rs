//! What the project declares, as the runtime and the server look it up.

use crate::{agent::AgentDefinition, id::ContentHash};
use std::sync::Arc;

/// An agent definition with the hash of its canonical JSON.
#[derive(Clone, Debug)]
pub struct PinnedAgent {
    /// The hash of `json`.
    pub hash: ContentHash,
    /// The canonical JSON, stored as a blob with the runs that are pinned to it.
    pub json: Arc<[u8]>,
    /// The definition that `json` says.
    pub definition: Arc<AgentDefinition>,
}

/// The project as it stands now. A reload swaps what these return; runs keep what they are pinned to.
pub trait Definitions: Send + Sync {
    /// Returns the agent called `name`.
    fn agent(&self, name: &str) -> Option<PinnedAgent>;

    /// Returns all agents, sorted by name.
    fn agents(&self) -> Vec<PinnedAgent>;

    /// Returns the agent that a request without a name means.
    fn default_agent(&self) -> Option<PinnedAgent>;

    /// Returns the route that a client's model id means, for example on `/model/{id}/invoke`.
    fn route_of_model_id(&self, model_id: &str) -> Option<String>;

    /// Returns the project's name.
    fn project_name(&self) -> String;

    /// Renders the agent's system prompt for a turn of `user` at `now` (RFC 3339). The project checked the template
    /// when it was loaded; what still fails at run time comes back as text for the log.
    fn render_system(&self, agent: &AgentDefinition, user: &str, now: &str) -> Result<Arc<str>, String>;
}
