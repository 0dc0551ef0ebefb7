//! Ports that do what a test says: a model that plays a list of replies, tools that are closures, fixed definitions.

use bedplate_core::{
    agent::AgentDefinition,
    event::Preparation,
    id::ContentHash,
    message::{ContentBlock, Message, Role, StopReason, ToolUse, Usage},
    port::{
        BoxFuture, BoxStream,
        definitions::{Definitions, PinnedAgent, ProjectWorkflow},
        model::{
            Answered, Asked, EmbedCall, Embeddings, Model, ModelCall, ModelError, ModelErrorKind, ModelEvent,
            ModelInfo, ModelReply, ModelRequest,
        },
        tools::{ToolCall, ToolError, Tools},
    },
    tool::{Annotations, Approval, ToolDefinition, ToolOutput, ToolSpec},
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A stream of a reply, as a test writes it.
pub type Script = BoxStream<'static, Result<ModelEvent, ModelError>>;

/// A model that plays its replies in order and keeps what it was asked.
#[derive(Default)]
pub struct ScriptedModel {
    replies: Mutex<VecDeque<Script>>,
    requests: Mutex<Vec<ModelRequest>>,
}

impl ScriptedModel {
    /// Returns a model with these replies.
    #[must_use]
    pub fn new(replies: impl IntoIterator<Item = Script>) -> Arc<Self> {
        Arc::new(Self { replies: Mutex::new(replies.into_iter().collect()), requests: Mutex::default() })
    }

    /// Adds a reply.
    pub fn push(&self, reply: Script) {
        lock(&self.replies).push_back(reply);
    }

    /// Returns what it was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<ModelRequest> {
        lock(&self.requests).clone()
    }
}

impl Model for ScriptedModel {
    fn call(&self, call: ModelCall) -> BoxFuture<'static, Result<Answered, ModelError>> {
        let Asked::Core(request) = call.asked else { return Box::pin(std::future::ready(Err(only_core()))) };
        lock(&self.requests).push(request);
        let reply = lock(&self.replies).pop_front();
        let none = || ModelError::new(ModelErrorKind::InvalidRequest, "the script has no more replies");
        Box::pin(async move { reply.map(Answered::events).ok_or_else(none) })
    }

    fn embed(&self, _call: EmbedCall) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        Box::pin(std::future::ready(Err(no_embeddings())))
    }

    fn describe(&self, _route: &str) -> Option<Arc<ModelInfo>> {
        let (provider, model) = ("scripted".into(), "scripted".into());
        Some(Arc::new(ModelInfo { provider, model, foundation_model: false, price: None }))
    }

    fn routes(&self) -> Vec<String> {
        vec!["scripted".to_owned()]
    }
}

/// Returns what a model says that reads no dialect.
#[must_use]
pub fn only_core() -> ModelError {
    ModelError::new(ModelErrorKind::InvalidRequest, "this model answers core requests only")
}

/// Returns what a model says that makes no embeddings.
#[must_use]
pub fn no_embeddings() -> ModelError {
    ModelError::new(ModelErrorKind::InvalidRequest, "this model makes no embeddings")
}

/// Returns a finished reply of these blocks.
#[must_use]
pub fn reply(content: Vec<ContentBlock>) -> ModelReply {
    let calls = content.iter().any(|block| matches!(block, ContentBlock::ToolUse(_)));
    ModelReply {
        message: Message { role: Role::Assistant, content },
        stop_reason: if calls { StopReason::ToolUse } else { StopReason::EndTurn },
        stop_sequence: None,
        usage: Usage { input: 10, output: 5, ..Usage::default() },
        cost: None,
        model: "scripted".to_owned(),
        provider: "scripted".to_owned(),
    }
}

/// Returns the stream of a reply that comes at once.
#[must_use]
pub fn at_once(content: Vec<ContentBlock>) -> Script {
    stream::iter([Ok(ModelEvent::End(Box::new(reply(content))))]).boxed()
}

/// Returns the stream of a text that comes at once.
#[must_use]
pub fn says(text: &str) -> Script {
    at_once(vec![ContentBlock::text(text)])
}

/// Returns the stream of a reply that calls tools: their names and arguments.
#[must_use]
pub fn calls(uses: &[(&str, Value)]) -> Script {
    let block = |(at, (name, input)): (usize, &(&str, Value))| {
        let (id, name, input) = (format!("call_{at}"), (*name).to_owned(), input.clone());
        ContentBlock::ToolUse(ToolUse { id, name, input, malformed: None })
    };
    at_once(uses.iter().enumerate().map(block).collect())
}

type Prepare = dyn Fn(ToolCall) -> BoxFuture<'static, Result<Preparation, ToolError>> + Send + Sync;
type Call = dyn Fn(ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>> + Send + Sync;

/// Tools that are closures.
pub struct ScriptedTools {
    prepare: Box<Prepare>,
    call: Box<Call>,
}

impl ScriptedTools {
    /// Returns tools that run `call`, and whose look finds that a person must be asked.
    pub fn new(
        call: impl Fn(ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let ask = |call: ToolCall| -> BoxFuture<'static, Result<Preparation, ToolError>> {
            let question = format!("May {} run?", call.tool.spec.name);
            Box::pin(async move { Ok(Preparation::Ask { question, preview: Value::Null }) })
        };
        Arc::new(Self { prepare: Box::new(ask), call: Box::new(call) })
    }

    /// Returns tools that answer at once with their arguments as text.
    #[must_use]
    pub fn echo() -> Arc<Self> {
        Self::new(|call| Box::pin(async move { Ok(ToolOutput::text(call.input.to_string())) }))
    }
}

impl Tools for ScriptedTools {
    fn prepare(&self, call: ToolCall) -> BoxFuture<'static, Result<Preparation, ToolError>> {
        (self.prepare)(call)
    }

    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
        (self.call)(call)
    }
}

/// Returns a tool called `name` with these promises, that takes any object and has two seconds.
#[must_use]
pub fn tool(name: &str, annotations: Annotations, approval: Approval) -> ToolDefinition {
    ToolDefinition {
        spec: ToolSpec { name: name.to_owned(), description: String::new(), input_schema: json!({"type": "object"}) },
        annotations,
        approval,
        kind: "scripted".to_owned(),
        config: Value::Null,
        timeout_ms: 2_000,
        max_result_bytes: 64 * 1024,
    }
}

/// Definitions that a test can swap.
#[derive(Default)]
pub struct FixedDefinitions {
    agents: Mutex<Vec<PinnedAgent>>,
    workflows: Mutex<Vec<Arc<ProjectWorkflow>>>,
}

impl FixedDefinitions {
    /// Returns these agents.
    #[must_use]
    pub fn new(agents: impl IntoIterator<Item = AgentDefinition>) -> Arc<Self> {
        let definitions = Arc::new(Self::default());
        definitions.set(agents);
        definitions
    }

    /// Replaces the agents, as an edit of the project does.
    pub fn set(&self, agents: impl IntoIterator<Item = AgentDefinition>) {
        *lock(&self.agents) = agents.into_iter().map(pinned).collect();
    }

    /// Replaces the workflows, as an edit of the project does.
    pub fn set_workflows(&self, workflows: impl IntoIterator<Item = ProjectWorkflow>) {
        *lock(&self.workflows) = workflows.into_iter().map(Arc::new).collect();
    }
}

impl Definitions for FixedDefinitions {
    fn agent(&self, name: &str) -> Option<PinnedAgent> {
        lock(&self.agents).iter().find(|agent| agent.definition.name == name).cloned()
    }

    fn agents(&self) -> Vec<PinnedAgent> {
        lock(&self.agents).clone()
    }

    fn default_agent(&self) -> Option<PinnedAgent> {
        lock(&self.agents).first().cloned()
    }

    fn route_of_model_id(&self, _model_id: &str) -> Option<String> {
        None
    }

    fn workflow(&self, name: &str) -> Option<Arc<ProjectWorkflow>> {
        lock(&self.workflows).iter().find(|workflow| &*workflow.name == name).cloned()
    }

    fn workflows(&self) -> Vec<Arc<ProjectWorkflow>> {
        lock(&self.workflows).clone()
    }

    fn project_name(&self) -> String {
        "test".to_owned()
    }

    fn render_system(&self, agent: &AgentDefinition, _user: &str, _now: &str) -> Result<Arc<str>, String> {
        Ok(agent.system.as_str().into())
    }
}

/// Returns an agent called `name` with these tools.
#[must_use]
pub fn agent(name: &str, tools: Vec<ToolDefinition>) -> AgentDefinition {
    AgentDefinition {
        name: name.to_owned(),
        description: String::new(),
        model: "scripted".to_owned(),
        system: "You are a test.".to_owned(),
        tools,
        limits: bedplate_core::agent::Limits::default(),
        truncation: bedplate_core::agent::Truncation::None,
        session_policy: bedplate_core::agent::SessionPolicy::Enqueue,
        temperature: None,
    }
}

fn pinned(definition: AgentDefinition) -> PinnedAgent {
    let json: Arc<[u8]> = serde_json::to_vec(&definition).expect("a definition has JSON").into();
    PinnedAgent { hash: ContentHash::of(&json), json, definition: Arc::new(definition) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
