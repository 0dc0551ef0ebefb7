//! `DELETE /v1/users/{user}`: forgetting a person.

use crate::{
    ApiError, App,
    access::Identity,
    extract::identifier,
    routes::invoke::{ErrorBody, run_error},
    wire::DeletedBody,
};
use axum::{
    Json,
    extract::{Path, State},
};

/// Cancels and removes all runs of a person, their forks and what only they referred to.
#[utoipa::path(delete, path = "/v1/users/{user}", tag = "sessions",
    params(("user" = String, Path, description = "The user")),
    responses(
        (status = 200, description = "What was removed", body = DeletedBody),
        (status = "4XX", description = "The request is wrong", body = ErrorBody),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    identity: Identity,
    Path(user): Path<String>,
) -> Result<Json<DeletedBody>, ApiError> {
    let user = identity.user(Some(identifier("user", &user)?))?;
    if identity.agents.is_some() {
        return Err(ApiError::forbidden("agent_not_allowed", "a key that is scoped to agents may not remove a person"));
    }
    let deleted = app.runtime().delete_user(&identity.tenant, &user).await.map_err(run_error)?;
    Ok(Json(deleted.into()))
}
