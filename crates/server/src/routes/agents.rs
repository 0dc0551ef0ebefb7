//! `GET /v1/agents`: what the project declares.

use crate::{ApiError, App, access::Identity, routes::invoke::ErrorBody, wire::ModelBody};
use axum::{
    Json,
    extract::{Path, State},
};
use bedplate_core::{
    port::definitions::PinnedAgent,
    tool::{ApprovalMode, ToolDefinition},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A tool of an agent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolBody {
    name: String,
    description: String,
    /// JSON Schema of its arguments.
    input_schema: Value,
    read_only: bool,
    destructive: bool,
    idempotent: bool,
    open_world: bool,
    /// `never`, `always`, or the expression that decides.
    approval: String,
}

impl ToolBody {
    fn of(tool: &ToolDefinition) -> Self {
        Self {
            name: tool.spec.name.clone(),
            description: tool.spec.description.clone(),
            input_schema: tool.spec.input_schema.clone(),
            read_only: tool.annotations.read_only,
            destructive: tool.annotations.destructive,
            idempotent: tool.annotations.idempotent,
            open_world: tool.annotations.open_world,
            approval: match &tool.approval.mode {
                ApprovalMode::Never => "never".into(),
                ApprovalMode::Always => "always".into(),
                ApprovalMode::When(expression) => expression.clone(),
            },
        }
    }
}

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentBody {
    name: String,
    description: String,
    /// The route that its model calls take.
    route: String,
    /// What stands behind the route now.
    model: Option<ModelBody>,
    /// Whether a request without a name means it.
    default: bool,
    tools: Vec<ToolBody>,
    /// The content hash that new turns are pinned to.
    definition: String,
}

impl AgentBody {
    fn of(app: &App, agent: &PinnedAgent) -> Self {
        let default = app.definitions().default_agent().is_some_and(|default| default.hash == agent.hash);
        Self {
            name: agent.definition.name.clone(),
            description: agent.definition.description.clone(),
            route: agent.definition.model.clone(),
            model: app.model().describe(&agent.definition.model).map(ModelBody::from),
            default,
            tools: agent.definition.tools.iter().map(ToolBody::of).collect(),
            definition: agent.hash.to_string(),
        }
    }
}

/// All agents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentsBody {
    agents: Vec<AgentBody>,
}

/// Lists the agents that the credential may use, by name.
#[utoipa::path(get, path = "/v1/agents", tag = "agents", responses(
    (status = 200, description = "The agents", body = AgentsBody),
    (status = "4XX", description = "The request is wrong", body = ErrorBody),
))]
pub(crate) async fn list(State(app): State<App>, identity: Identity) -> Json<AgentsBody> {
    let agents = app.definitions().agents();
    let visible = agents.iter().filter(|agent| identity.check_agent(&agent.definition.name).is_ok());
    Json(AgentsBody { agents: visible.map(|agent| AgentBody::of(&app, agent)).collect() })
}

/// Shows an agent.
#[utoipa::path(get, path = "/v1/agents/{agent}", tag = "agents",
    params(("agent" = String, Path, description = "The agent's name")),
    responses(
        (status = 200, description = "The agent", body = AgentBody),
        (status = "4XX", description = "There is no such agent", body = ErrorBody),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    identity: Identity,
    Path(agent): Path<String>,
) -> Result<Json<AgentBody>, ApiError> {
    let found = find(&app, &agent)?;
    identity.check_agent(&agent)?;
    Ok(Json(AgentBody::of(&app, &found)))
}

pub(crate) fn find(app: &App, name: &str) -> Result<PinnedAgent, ApiError> {
    app.definitions().agent(name).ok_or_else(|| unknown(name))
}

pub(crate) fn unknown(name: &str) -> ApiError {
    let shown: String = name.chars().take(64).collect();
    ApiError::not_found("agent_not_found", format!("there is no agent `{shown}`"))
        .hint("GET /v1/agents lists the agents")
}
