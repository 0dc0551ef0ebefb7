//! `GET /v1/models`: the routes and the agents, in a form that OpenAI's and Anthropic's clients both read.

use super::{agent_model, chat_completions::OpenAiError, model_call};
use crate::{ApiError, App, access::Identity, routes::invoke::ErrorBody};
use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A route or an agent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelEntry {
    /// The route's name, or `agent/` and the agent's.
    id: String,
    /// Always `model`.
    object: &'static str,
    /// Always `model`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The id again, or what the agent says of itself.
    display_name: String,
    /// Always 0: a route has no birthday.
    created: u64,
    /// The same as a date.
    created_at: &'static str,
    /// The provider behind it.
    owned_by: String,
    /// The model as its provider names it.
    model: String,
    /// Whether it is a real foundation model.
    foundation_model: bool,
}

/// All routes and agents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelsBody {
    /// Always `list`.
    object: &'static str,
    data: Vec<ModelEntry>,
    /// Always false: one page holds all.
    has_more: bool,
    /// The id of the first one.
    first_id: Option<String>,
    /// The id of the last one.
    last_id: Option<String>,
}

/// Lists the routes by name, and then the agents that the key may use.
#[utoipa::path(get, path = "/v1/models", tag = "models", responses(
    (status = 200, description = "The routes and agents", body = ModelsBody),
    (status = "4XX", description = "The request is wrong", body = ErrorBody),
))]
pub(crate) async fn list(State(app): State<App>, identity: Identity) -> Json<ModelsBody> {
    let routes = app.model().routes();
    let mut data: Vec<ModelEntry> =
        routes.into_iter().filter_map(|route| of_route(&app, &route, route.clone())).collect();
    let agents = app.definitions().agents();
    let allowed = agents.iter().filter(|agent| identity.check_agent(&agent.definition.name).is_ok());
    data.extend(allowed.filter_map(|agent| of_agent(&app, &agent.definition)));
    let id_of = |entry: Option<&ModelEntry>| entry.map(|entry| entry.id.clone());
    let (first_id, last_id) = (id_of(data.first()), id_of(data.last()));
    Json(ModelsBody { object: "list", data, has_more: false, first_id, last_id })
}

/// Shows a route, what a model id means, or an agent.
#[utoipa::path(get, path = "/v1/models/{id}", tag = "models", operation_id = "model",
    params(("id" = String, Path, description = "A route, a model id of the project, or `agent/<name>`, encoded")),
    responses(
        (status = 200, description = "The model", body = ModelEntry),
        (status = "4XX", description = "There is no such model, in OpenAI's form", body = OpenAiError),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<ModelEntry>, ApiError> {
    let found = match agent_model::named(&id) {
        Some(name) => {
            identity.check_agent(name)?;
            app.definitions().agent(name).and_then(|agent| of_agent(&app, &agent.definition))
        }
        None => of_route(&app, &model_call::route(&app, &id)?, id.clone()),
    };
    found.map(Json).ok_or_else(|| ApiError::not_found("model_not_found", "there is no such model"))
}

fn of_route(app: &App, route: &str, id: String) -> Option<ModelEntry> {
    let info = app.model().describe(route)?;
    Some(ModelEntry {
        display_name: id.clone(),
        id,
        object: "model",
        kind: "model",
        created: 0,
        created_at: "1970-01-01T00:00:00Z",
        owned_by: info.provider.clone(),
        model: info.model.clone(),
        foundation_model: info.foundation_model,
    })
}

fn of_agent(app: &App, agent: &bedplate_core::agent::AgentDefinition) -> Option<ModelEntry> {
    let id = format!("{}{}", agent_model::PREFIX, agent.name);
    let entry = of_route(app, &agent.model, id)?;
    let display_name = if agent.description.is_empty() { entry.display_name } else { agent.description.clone() };
    Some(ModelEntry { display_name, ..entry })
}
