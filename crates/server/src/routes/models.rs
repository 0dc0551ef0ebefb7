//! `GET /v1/models`: the routes, in the form in which OpenAI's clients list models.

use crate::{App, access::Identity, routes::invoke::ErrorBody};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

/// A route.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelEntry {
    /// The route's name.
    id: String,
    /// Always `model`.
    object: &'static str,
    /// Always 0: a route has no birthday.
    created: u64,
    /// The provider behind it.
    owned_by: String,
    /// The model as its provider names it.
    model: String,
    /// Whether it is a real foundation model.
    foundation_model: bool,
}

/// All routes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelsBody {
    /// Always `list`.
    object: &'static str,
    data: Vec<ModelEntry>,
}

/// Lists the routes by name.
#[utoipa::path(get, path = "/v1/models", tag = "models", responses(
    (status = 200, description = "The routes", body = ModelsBody),
    (status = "4XX", description = "The request is wrong", body = ErrorBody),
))]
pub(crate) async fn list(State(app): State<App>, _: Identity) -> Json<ModelsBody> {
    let routes = app.model().routes();
    let entries = routes.into_iter().filter_map(|id| {
        let info = app.model().describe(&id)?;
        Some(ModelEntry {
            id,
            object: "model",
            created: 0,
            owned_by: info.provider,
            model: info.model,
            foundation_model: info.foundation_model,
        })
    });
    Json(ModelsBody { object: "list", data: entries.collect() })
}
