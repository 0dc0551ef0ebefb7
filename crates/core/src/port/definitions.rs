//! What the project declares, as the runtime and the server look it up.

use crate::{agent::AgentDefinition, id::ContentHash};
use std::{collections::BTreeMap, sync::Arc};

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

/// A workflow that the project declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectWorkflow {
    /// Its name.
    pub name: Arc<str>,
    /// The hash of `text`.
    pub hash: ContentHash,
    /// The definition in the States Language, byte for byte as its file has it.
    pub text: Arc<str>,
    /// Whether its executions are Express ones.
    pub express: bool,
    /// The role that it names; nothing is granted by it here.
    pub role: Option<Arc<str>>,
    /// What of its executions is logged, as `loggingConfiguration` of the Step Functions API says it.
    pub logging: Option<Arc<serde_json::Value>>,
    /// Its file within the project folder.
    pub file: Arc<str>,
    /// Prepared answers of its tasks by case, out of `workflows/<name>.mocks.json`.
    pub mocks: Arc<WorkflowMocks>,
}

/// Prepared answers of tasks: by case, by state, one for each attempt.
pub type WorkflowMocks = BTreeMap<String, BTreeMap<String, Vec<MockedAnswer>>>;

/// A prepared answer of a task, for a range of attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MockedAnswer {
    /// The first attempt that it answers, from 0.
    pub first: u32,
    /// The last.
    pub last: u32,
    /// What it answers.
    pub answer: MockedResult,
}

/// What a prepared answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MockedResult {
    /// The task ends well with this output.
    Return(Arc<serde_json::Value>),
    /// The task fails.
    Throw {
        /// The error's name.
        error: Arc<str>,
        /// What went wrong.
        cause: Arc<str>,
    },
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

    /// Returns the workflow called `name`.
    fn workflow(&self, name: &str) -> Option<Arc<ProjectWorkflow>>;

    /// Returns all workflows, sorted by name.
    fn workflows(&self) -> Vec<Arc<ProjectWorkflow>>;

    /// Returns the project's name.
    fn project_name(&self) -> String;

    /// Renders the agent's system prompt for a turn of `user` at `now` (RFC 3339). The project checked the template
    /// when it was loaded; what still fails at run time comes back as text for the log.
    fn render_system(&self, agent: &AgentDefinition, user: &str, now: &str) -> Result<Arc<str>, String>;
}
