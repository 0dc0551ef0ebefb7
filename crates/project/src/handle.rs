//! The project as it stands now, behind the Definitions port.

use crate::{Problem, Project, template::Renderer};
use bedplate_core::{
    agent::AgentDefinition,
    port::definitions::{Definitions, PinnedAgent, ProjectWorkflow},
    tool::ToolDefinition,
};
use serde_json::json;
use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

/// The longest user name that a system prompt repeats, in characters.
const MAX_USER_CHARS: usize = 128;

/// The last good state of a project folder. Clones share it.
#[derive(Clone)]
pub struct ProjectHandle {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    builtins: Vec<ToolDefinition>,
    project: RwLock<Arc<Project>>,
    renderer: Renderer,
}

/// What a reload found.
#[derive(Clone, Debug)]
pub struct Reload {
    /// Whether the project was swapped; it was not when there were errors, and the last good one stays.
    pub swapped: bool,
    /// All problems, warnings included.
    pub problems: Vec<Problem>,
}

impl ProjectHandle {
    /// Returns a handle on `project`; reloads use the same `builtins` that it was loaded with.
    #[must_use]
    pub fn new(project: Project, builtins: Vec<ToolDefinition>) -> Self {
        let folder = project.folder.clone();
        let (project, renderer) = (RwLock::new(Arc::new(project)), Renderer::new());
        Self { shared: Arc::new(Shared { folder, builtins, project, renderer }) }
    }

    /// Returns the project as it stands now.
    #[must_use]
    pub fn project(&self) -> Arc<Project> {
        Arc::clone(&self.shared.project.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Loads the folder again and swaps the project if it has no error. It blocks on the disk.
    pub fn reload(&self) -> Reload {
        let (project, problems) = Project::load(&self.shared.folder, &self.shared.builtins);
        let swapped = project.is_some();
        if let Some(project) = project {
            *self.shared.project.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(project);
        }
        Reload { swapped, problems }
    }
}

impl Definitions for ProjectHandle {
    fn agent(&self, name: &str) -> Option<PinnedAgent> {
        self.project().agents.get(name).cloned()
    }

    fn agents(&self) -> Vec<PinnedAgent> {
        self.project().agents.values().cloned().collect()
    }

    fn default_agent(&self) -> Option<PinnedAgent> {
        self.project().default_agent().cloned()
    }

    fn route_of_model_id(&self, model_id: &str) -> Option<String> {
        self.project().config.model_ids.get(model_id).cloned()
    }

    fn workflow(&self, name: &str) -> Option<Arc<ProjectWorkflow>> {
        self.project().workflows.get(name).cloned()
    }

    fn workflows(&self) -> Vec<Arc<ProjectWorkflow>> {
        self.project().workflows.values().cloned().collect()
    }

    fn project_name(&self) -> String {
        self.project().config.name.clone()
    }

    fn render_system(&self, agent: &AgentDefinition, user: &str, now: &str) -> Result<Arc<str>, String> {
        let context = || {
            // A name is one line of bounded length, so that it cannot pretend to be part of the instructions.
            let user: String =
                user.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_USER_CHARS).collect();
            json!({ "user": user, "now": now, "project": self.project_name() })
        };
        self.shared.renderer.render(&agent.system, context).map(Arc::from)
    }
}
