//! What the tasks of workflows reach, out of a project.

use bedplate_core::port::{
    clock::Clock,
    definitions::Definitions,
    documents::{DocumentError, Documents},
    model::Model,
    tools::Tools,
};
use bedplate_project::{Config, ProjectHandle};
use bedplate_tasks::{MockedTasks, SecretLookup, TaskTable};
use std::{path::Path, sync::Arc};

/// The tasks of an instance: the table of the project, and the answers that tests prepare before it.
#[derive(Clone)]
pub struct InstanceTasks {
    pub table: TaskTable,
    pub mocked: MockedTasks,
}

/// What tasks are made of.
pub struct Parts {
    pub model: Arc<dyn Model>,
    pub tools: Arc<dyn Tools>,
    pub secrets: SecretLookup,
    pub clock: Arc<dyn Clock>,
}

/// Returns the tasks of the project in `folder`.
///
/// # Errors
/// When the answers that executions began with cannot be read.
pub async fn tasks(
    definitions: &ProjectHandle,
    folder: &Path,
    documents: Arc<dyn Documents>,
    parts: Parts,
) -> Result<InstanceTasks, DocumentError> {
    let (tools, clock) = (definitions.clone(), Arc::clone(&parts.clock));
    let table = TaskTable::new(bedplate_tasks::Options {
        project: folder.canonicalize().unwrap_or_else(|_| folder.to_owned()),
        model: parts.model,
        tools: parts.tools,
        tool: Arc::new(move |name| tools.project().tools.get(name).cloned()),
        definitions: Arc::new(definitions.clone()) as Arc<dyn Definitions>,
        secrets: parts.secrets,
        clock: parts.clock,
        config: config(&definitions.project().config),
    });
    let mocked = MockedTasks::kept_in(Arc::new(table.clone()), documents, clock).await?;
    Ok(InstanceTasks { mocked, table })
}

/// Returns what a project configures for tasks. The project checked it, so that it can be read.
pub fn config(config: &Config) -> bedplate_tasks::Config {
    if config.tasks.is_null() {
        return bedplate_tasks::Config::default();
    }
    serde_json::from_value(config.tasks.clone()).unwrap_or_else(|error| {
        tracing::error!(%error, "the configuration of tasks cannot be read");
        bedplate_tasks::Config::default()
    })
}
