//! `/v1/executions/{id}/tasks/{token}`: how people and services say how a task goes that waits for them.

use super::{
    executions,
    invoke::{ErrorBody, run_error},
};
use crate::{ApiError, App, access::Identity, extract::JsonBody};
use axum::{
    Json,
    extract::{Path, State},
};
use bedplate_runtime::TokenError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// What is said of a task.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum TaskWord {
    /// It ended well with this.
    #[schema(value_type = Object)]
    Succeed(Value),
    /// It failed.
    Fail {
        #[serde(default)]
        error: Option<String>,
        #[serde(default)]
        cause: Option<String>,
    },
    /// It is alive.
    Heartbeat(bool),
}

/// What was said counts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AcceptedBody {
    /// Always true.
    accepted: bool,
}

/// Says how a task that waits under a token goes.
#[utoipa::path(post, path = "/v1/executions/{id}/tasks/{token}", tag = "workflows", request_body = TaskWord,
    params(("id" = String, Path, description = "The execution"), ("token" = String, Path, description = "The token")),
    responses(
        (status = 200, description = "It counts", body = AcceptedBody),
        (status = "4XX", description = "There is no such task, or it is over", body = ErrorBody),
    )
)]
pub(crate) async fn task(
    State(app): State<App>,
    identity: Identity,
    Path((id, token)): Path<(String, String)>,
    JsonBody(word): JsonBody<TaskWord>,
) -> Result<Json<AcceptedBody>, ApiError> {
    let run = executions::view(&app, &identity, &id).await?.run;
    let unknown = || ApiError::not_found("task_not_found", "no task of this execution has that token");
    if bedplate_runtime::token_run(&token) != Some(run) {
        return Err(unknown());
    }
    let tenant = &identity.tenant;
    let said = match word {
        TaskWord::Succeed(output) => app.runtime().task_succeeded(tenant, &token, Arc::new(output)).await,
        TaskWord::Fail { error, cause } => {
            app.runtime().task_failed(tenant, &token, error.map(Into::into), cause.map(Into::into)).await
        }
        TaskWord::Heartbeat(false) => {
            return Err(ApiError::bad_request("invalid_word", "a sign of life is `true`"));
        }
        TaskWord::Heartbeat(true) => app.runtime().task_heartbeat(tenant, &token).await,
    };
    match said {
        Ok(()) => Ok(Json(AcceptedBody { accepted: true })),
        Err(TokenError::Invalid) => Err(unknown()),
        Err(TokenError::TimedOut) => Err(ApiError::conflict("task_timed_out", "the task is over, or its time is")),
        Err(TokenError::Run(error)) => Err(run_error(error)),
    }
}
