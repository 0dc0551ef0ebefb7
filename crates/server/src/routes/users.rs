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
use bedplate_core::id::UserId;

/// Cancels and removes all runs of a person, their forks and what only they referred to, and their documents; the
/// records of their model calls keep the figures and lose the person.
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
    // The documents go first and once more at last: work that was under way on one ends by that, and may write meanwhile.
    let mut documents = forget(&app, &identity, &user).await?;
    let deleted = app.runtime().delete_user(&identity.tenant, &user).await.map_err(run_error)?;
    documents += forget(&app, &identity, &user).await?;
    let records = app.0.options.records.forget(&identity.tenant, user.as_str()).await;
    records.map_err(|error| ApiError::store(&error))?;
    Ok(Json(DeletedBody { documents, ..deleted.into() }))
}

async fn forget(app: &App, identity: &Identity, user: &UserId) -> Result<u64, ApiError> {
    app.documents().delete_user(&identity.tenant, user).await.map_err(|error| ApiError::store(&error))
}
