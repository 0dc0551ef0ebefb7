//! What a workflow's Task does outside, behind the Tasks port: a table of resources, one file for each kind.
//!
//! Invariant: what is not configured fails and says what to add to `bedplate.toml`; nothing is done in silence, and
//! everything that comes from outside is bounded in size and time.

mod agent;
mod approval;
mod aws;
mod bedrock;
mod bucket;
pub mod config;
mod error;
mod function;
mod http_invoke;
mod mock_shelf;
mod mocks;
mod request;
mod resource;
#[cfg(test)]
mod tests;
mod tool;

pub use config::Config;
pub use mocks::MockedTasks;

use bedplate_core::{
    port::{
        BoxFuture,
        clock::Clock,
        definitions::Definitions,
        model::Model,
        tasks::{ExecutionTask, TaskCall, TaskError, TaskPlan, TaskReply, Tasks},
        tools::Tools,
    },
    tool::ToolDefinition,
};
use error::{TASK_FAILED, failed};
use resource::{Pattern, Resource};
use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

/// Looks up the value of a secret that the project declares; it answers for no other name.
pub type SecretLookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Looks up a tool of the project as it stands now.
pub type ToolLookup = Arc<dyn Fn(&str) -> Option<ToolDefinition> + Send + Sync>;

/// What tasks may reach.
pub struct Options {
    /// The project folder: programs run in it, and folders that are buckets lie in it.
    pub project: PathBuf,
    /// Models.
    pub model: Arc<dyn Model>,
    /// Tools.
    pub tools: Arc<dyn Tools>,
    /// The project's tools by name.
    pub tool: ToolLookup,
    /// The project's agents and model ids.
    pub definitions: Arc<dyn Definitions>,
    /// The values of the secrets that the project declares.
    pub secrets: SecretLookup,
    /// The present time.
    pub clock: Arc<dyn Clock>,
    /// What `bedplate.toml` configures.
    pub config: Config,
}

/// The table of resources behind the Tasks port. Clones share it.
#[derive(Clone)]
pub struct TaskTable {
    shared: Arc<Shared>,
    config: Arc<RwLock<Arc<Config>>>,
}

struct Shared {
    project: PathBuf,
    model: Arc<dyn Model>,
    tools: Arc<dyn Tools>,
    tool: ToolLookup,
    definitions: Arc<dyn Definitions>,
    secrets: SecretLookup,
    clock: Arc<dyn Clock>,
    client: bedplate_net::Client,
}

/// A call with what it is performed with.
#[derive(Clone)]
struct Task {
    call: TaskCall,
    resource: Resource,
    shared: Arc<Shared>,
    config: Arc<Config>,
}

/// Performs one kind of resource.
trait Handler: Send + Sync {
    /// Returns what the task is, without doing any of it.
    fn plan(&self, task: &Task) -> Result<TaskPlan, TaskError>;

    /// Performs one attempt.
    fn perform(&self, task: Task) -> BoxFuture<'static, Result<TaskReply, TaskError>>;
}

/// The table: a service, its action (`*`: any; `tool:*`: any that begins so), and what performs it.
const TABLE: &[(&str, &str, &dyn Handler)] = &[
    ("lambda", "invoke", &function::Invoke),
    ("function", "*", &function::Bare),
    ("bedrock", "invokeModel", &bedrock::InvokeModel),
    ("bedplate", "tool:*", &tool::Tool),
    ("bedplate", "approval", &approval::Approval),
    ("http", "invoke", &http_invoke::HttpInvoke),
    ("sqs", "sendMessage", &aws::Aws),
    ("sns", "publish", &aws::Aws),
    ("events", "putEvents", &aws::Aws),
    ("dynamodb", "getItem", &aws::Aws),
    ("dynamodb", "putItem", &aws::Aws),
    ("dynamodb", "updateItem", &aws::Aws),
    ("dynamodb", "deleteItem", &aws::Aws),
    ("s3", "getObject", &aws::Storage),
    ("s3", "putObject", &aws::Storage),
    ("s3", "listObjectsV2", &aws::Storage),
    ("aws-sdk:s3", "*", &aws::Storage),
    ("aws-sdk:*", "*", &aws::Aws),
];

fn handler(resource: &Resource) -> Option<&'static dyn Handler> {
    let fits = |row: &str, said: &str| row.strip_suffix('*').map_or(row == said, |start| said.starts_with(start));
    TABLE
        .iter()
        .find(|(service, action, _)| fits(service, &resource.service) && fits(action, &resource.action))
        .map(|(_, _, handler)| *handler)
}

impl TaskTable {
    /// Returns the tasks of a project.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let limits = bedplate_net::Limits::default();
        let shared = Shared {
            project: options.project,
            model: options.model,
            tools: options.tools,
            tool: options.tool,
            definitions: options.definitions,
            secrets: options.secrets,
            clock: options.clock,
            client: bedplate_net::Client::new(&limits, &bedplate_net::system_lookup()),
        };
        Self { shared: Arc::new(shared), config: Arc::new(RwLock::new(Arc::new(options.config))) }
    }

    /// Takes another configuration over; tasks that have begun keep theirs.
    pub fn reload(&self, config: Config) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    fn task(&self, call: TaskCall) -> Result<(Task, &'static dyn Handler), TaskError> {
        let unknown = |arn: &str| failed(TASK_FAILED, format!("nothing performs the resource {arn:?}"));
        let resource = Resource::parse(&call.resource).ok_or_else(|| unknown(&call.resource))?;
        let handler = handler(&resource).ok_or_else(|| unknown(&call.resource))?;
        if resource.pattern == Pattern::Job {
            let cause =
                format!("{:?} cannot be waited for with .sync here: start the job, and wait for it", resource.service);
            return Err(failed(TASK_FAILED, cause));
        }
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        Ok((Task { call, resource, shared: Arc::clone(&self.shared), config }, handler))
    }
}

impl Tasks for TaskTable {
    fn perform(&self, call: TaskCall) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        let begun = self.task(call).map(|(task, handler)| (task.resource.pattern, handler.perform(task)));
        Box::pin(async move {
            let (pattern, performing) = begun?;
            match (pattern, performing.await?) {
                // What the service answers is not the result: that comes under the token.
                (Pattern::Token, TaskReply::Done(answer)) => Ok(TaskReply::Submitted(answer)),
                (_, reply) => Ok(reply),
            }
        })
    }

    fn plan(&self, call: &TaskCall) -> Result<TaskPlan, TaskError> {
        if let Some(execution) = ExecutionTask::from_resource(&call.resource, &call.input) {
            return execution.map(TaskPlan::Execution);
        }
        if let Some(resource) = Resource::parse(&call.resource)
            && ["bedrock-agentcore", "aws-sdk:bedrockagentcore"].contains(&resource.service.as_str())
        {
            return agent::agentcore(&*self.shared.definitions, &call.input).map(TaskPlan::Agent);
        }
        let (task, handler) = self.task(call.clone())?;
        handler.plan(&task)
    }
}
