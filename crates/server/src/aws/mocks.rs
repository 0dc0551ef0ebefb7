//! `POST /dev/task-mocks`: prepared answers of tasks, for tests. Only where the server was started to take them.

use crate::{ApiError, App, access::Identity, extract::JsonBody};
use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

/// Answers for all executions of a state machine.
#[derive(Debug, Deserialize)]
pub(crate) struct MocksRequest {
    /// The state machine.
    #[serde(rename = "stateMachineArn")]
    machine: String,
    /// For each state the answers of its attempts.
    states: Value,
}

/// Prepares the answers of a state machine's tasks.
pub(crate) async fn set(
    State(app): State<App>,
    identity: Identity,
    JsonBody(request): JsonBody<MocksRequest>,
) -> Result<Json<Value>, ApiError> {
    if identity.user.is_some() || identity.agents.is_some() {
        return Err(ApiError::forbidden("admin_only", "only those who run the server prepare answers"));
    }
    let Some(mocks) = &app.0.options.task_mocks else {
        return Err(ApiError::not_found("not_found", "this server takes no prepared answers"));
    };
    mocks.set(&request.machine, &request.states).map_err(|message| ApiError::bad_request("invalid_mocks", message))?;
    Ok(Json(json!({ "prepared": true })))
}
