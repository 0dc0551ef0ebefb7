//! `GET /v1/info`: what this server is, for people and for the page.

use crate::{App, access::Identity, routes::invoke::ErrorBody, wire::ModelBody};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

/// What this server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InfoBody {
    /// Always `bedplate`.
    name: &'static str,
    version: &'static str,
    /// Another one after each start; no secret.
    instance: String,
    /// The project's name.
    project: String,
    default_agent: Option<String>,
    /// Whether requests without a key are let in.
    open: bool,
    /// The user that the credential is bound to.
    user_id: Option<String>,
    /// The model behind the default agent.
    model: Option<ModelBody>,
    /// What everybody who reads answers should know.
    notice: Option<&'static str>,
}

/// Tells what this server is.
#[utoipa::path(get, path = "/v1/info", tag = "server", responses(
    (status = 200, description = "What this server is", body = InfoBody),
    (status = "4XX", description = "The request is wrong", body = ErrorBody),
))]
pub(crate) async fn info(State(app): State<App>, identity: Identity) -> Json<InfoBody> {
    let agent = app.definitions().default_agent();
    let model = agent.as_ref().and_then(|agent| app.model().describe(&agent.definition.model)).map(ModelBody::from);
    let notice = model.as_ref().filter(|model| !model.foundation_model).map(|_| {
        "Answers come from a deterministic stand-in, which is no foundation model. Set a model key to use a real one."
    });
    Json(InfoBody {
        name: "bedplate",
        version: app.0.options.version,
        instance: app.0.options.instance.clone(),
        project: app.definitions().project_name(),
        default_agent: agent.map(|agent| agent.definition.name.clone()),
        open: app.0.options.access.open_without_keys && identity.admin,
        user_id: identity.user.map(|user| user.to_string()),
        model,
        notice,
    })
}
