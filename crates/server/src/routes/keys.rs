//! `/v1/keys`: API keys; only for the administrator, which is the command line on the server's machine.

use crate::{
    ApiError, App,
    access::Identity,
    extract::{JsonBody, identifier},
    key,
    routes::invoke::ErrorBody,
    wire::rfc3339,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use bedplate_core::{id::UserId, port::keys::ApiKey};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// A new key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRequest {
    /// What people call it.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// The user that it speaks for; absent: requests name the user.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 128)]
    user_id: Option<String>,
    /// The team that it belongs to; limits, budgets and bills can go by it.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 128)]
    team: Option<String>,
    /// The agents that it may use; absent: all.
    #[serde(default)]
    agents: Option<Vec<String>>,
    /// Whether it is an access key for AWS's clients, which sign with it.
    #[serde(default)]
    aws: bool,
    /// When it ends, in seconds from now.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 3_153_600_000u64)]
    expires_in_seconds: Option<u64>,
}

/// What is known of a key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyBody {
    id: String,
    name: String,
    user_id: Option<String>,
    team: Option<String>,
    agents: Option<Vec<String>>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    /// The key itself; only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The access key id for AWS's clients; only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<String>,
    /// The secret access key for AWS's clients; only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_access_key: Option<String>,
}

impl KeyBody {
    fn of(key: &ApiKey) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            user_id: key.user.as_ref().map(ToString::to_string),
            team: key.team.clone(),
            agents: key.agents.clone(),
            created_at: rfc3339(key.created_at),
            expires_at: key.expires_at.map(rfc3339),
            revoked_at: key.revoked_at.map(rfc3339),
            key: None,
            access_key_id: None,
            secret_access_key: None,
        }
    }
}

/// All keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeysBody {
    keys: Vec<KeyBody>,
}

/// Lists the keys, newest first.
#[utoipa::path(get, path = "/v1/keys", tag = "server", responses(
    (status = 200, description = "The keys", body = KeysBody),
    (status = "4XX", description = "Not the administrator", body = ErrorBody),
))]
pub(crate) async fn list(State(app): State<App>, identity: Identity) -> Result<Json<KeysBody>, ApiError> {
    identity.check_admin()?;
    let keys = app.keys().list().await.map_err(|error| ApiError::store(&error))?;
    Ok(Json(KeysBody { keys: keys.iter().map(KeyBody::of).collect() }))
}

/// Makes a key; its text is shown this once.
#[utoipa::path(post, path = "/v1/keys", tag = "server", request_body = KeyRequest, responses(
    (status = 201, description = "The key", body = KeyBody),
    (status = "4XX", description = "The request is wrong, or not the administrator", body = ErrorBody),
))]
pub(crate) async fn create(
    State(app): State<App>,
    identity: Identity,
    JsonBody(request): JsonBody<KeyRequest>,
) -> Result<(StatusCode, Json<KeyBody>), ApiError> {
    identity.check_admin()?;
    identifier("name", &request.name)?;
    if let Some(user) = &request.user_id {
        identifier("user_id", user)?;
    }
    if let Some(team) = &request.team {
        identifier("team", team)?;
    }
    for agent in request.agents.iter().flatten() {
        super::agents::find(&app, agent).map_err(|error| ApiError { status: StatusCode::BAD_REQUEST, ..error })?;
    }
    if request.expires_in_seconds.is_some_and(|seconds| !(1..=3_153_600_000).contains(&seconds)) {
        return Err(ApiError::bad_request("invalid_expiry", "expires_in_seconds must be 1 to 3153600000"));
    }
    let (pepper, random) = (&app.0.options.pepper, || app.0.options.entropy.bytes());
    let minted = if request.aws { key::mint_aws(pepper, random) } else { key::mint(pepper, random) };
    let now = app.now();
    let stored = ApiKey {
        id: minted.id,
        name: request.name,
        tenant: identity.tenant,
        user: request.user_id.map(UserId::from),
        team: request.team,
        agents: request.agents,
        created_at: now,
        expires_at: request.expires_in_seconds.map(|seconds| now.after(Duration::from_secs(seconds))),
        revoked_at: None,
    };
    let body = KeyBody::of(&stored);
    let body = if request.aws {
        KeyBody { access_key_id: Some(stored.id.clone()), secret_access_key: Some(minted.text), ..body }
    } else {
        KeyBody { key: Some(minted.text), ..body }
    };
    app.keys().insert(stored, minted.hash).await.map_err(|error| ApiError::store(&error))?;
    Ok((StatusCode::CREATED, Json(body)))
}

/// Whether a key was revoked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevokedBody {
    /// Always true.
    revoked: bool,
}

/// Revokes a key from now on.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "server",
    params(("id" = String, Path, description = "The key's id")),
    responses(
        (status = 200, description = "The key is revoked", body = RevokedBody),
        (status = "4XX", description = "There is no such key, or not the administrator", body = ErrorBody),
    )
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<RevokedBody>, ApiError> {
    identity.check_admin()?;
    let revoked = app.keys().revoke(&id, app.now()).await.map_err(|error| ApiError::store(&error))?;
    if revoked {
        Ok(Json(RevokedBody { revoked }))
    } else {
        Err(ApiError::not_found("key_not_found", "there is no such key, or it was revoked"))
    }
}
