//! `/v1/sessions`: conversations by the names that their users gave them.

use crate::{
    ApiError, App,
    access::Identity,
    extract::Params,
    routes::{
        invoke::{ErrorBody, run_error},
        runs::{self, ListParams, RunView},
    },
    wire::{DeletedBody, RunBody, UserParam},
};
use axum::{
    Json,
    extract::{Path, State},
};
use bedplate_core::{id::RunId, port::journal::Head};
use serde::Serialize;
use utoipa::ToSchema;

/// A page of sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionsBody {
    sessions: Vec<RunBody>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// Lists sessions, latest first.
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions", params(ListParams), responses(
    (status = 200, description = "A page of sessions", body = SessionsBody),
    (status = "4XX", description = "The request is wrong", body = ErrorBody),
))]
pub(crate) async fn list(
    State(app): State<App>,
    identity: Identity,
    Params(params): Params<ListParams>,
) -> Result<Json<SessionsBody>, ApiError> {
    let (sessions, next_cursor) = runs::page(&app, &identity, params).await?;
    Ok(Json(SessionsBody { sessions, next_cursor }))
}

/// Shows a session with its turns and open questions.
#[utoipa::path(get, path = "/v1/sessions/{session}", tag = "sessions",
    params(("session" = String, Path, description = "What the user calls the session"), UserParam),
    responses(
        (status = 200, description = "The session", body = RunView),
        (status = "4XX", description = "There is no such session", body = ErrorBody),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    identity: Identity,
    Path(session): Path<String>,
    Params(params): Params<UserParam>,
) -> Result<Json<RunView>, ApiError> {
    let head = find(&app, &identity, &session, params.user_id.as_deref()).await?;
    runs::view(&app, &identity, head.run.id, None).await.map(Json)
}

/// Deletes a session: cancels what is under way and removes its journal.
#[utoipa::path(delete, path = "/v1/sessions/{session}", tag = "sessions",
    params(("session" = String, Path, description = "What the user calls the session"), UserParam),
    responses(
        (status = 200, description = "What was removed", body = DeletedBody),
        (status = "4XX", description = "There is no such session", body = ErrorBody),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    identity: Identity,
    Path(session): Path<String>,
    Params(params): Params<UserParam>,
) -> Result<Json<DeletedBody>, ApiError> {
    let head = find(&app, &identity, &session, params.user_id.as_deref()).await?;
    let deleted = app.runtime().delete_run(&identity.tenant, head.run.id).await.map_err(run_error)?;
    Ok(Json(deleted.into()))
}

/// Returns the head of the session that `user` calls `session`, when the credential may see it.
pub(crate) async fn find(app: &App, identity: &Identity, session: &str, user: Option<&str>) -> Result<Head, ApiError> {
    let user = identity.user(user)?;
    let run = RunId::session(&identity.tenant, &user, session);
    runs::head(app, identity, run).await.map_err(|error| match error.code {
        "run_not_found" => ApiError::not_found("session_not_found", "this user has no such session"),
        _ => error,
    })
}
