//! `/v1/executions/{id}/fork` and `/replay`: an execution again, from a state on or against its own records.

use super::{
    executions::{self, ExecutionBody},
    invoke::{ErrorBody, idempotency_key, run_error},
    runs::{AtParam, ReplayBody},
    workflows as definitions,
};
use crate::{
    ApiError, App,
    access::Identity,
    extract::{JsonBody, Params},
    workflows,
};
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use bedplate_catalog::check_name;
use bedplate_core::{
    id::{RunId, Seq},
    port::tasks::PreparedFor,
};
use bedplate_runtime::{ExecutionView, ForkExecution, ForkExecutionError, ForkedExecution, RunError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// Of which execution's prefix another one is a copy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForkedFromBody {
    /// The execution.
    pub(super) id: String,
    /// How many events of its journal were copied.
    pub(super) at: Seq,
}

/// Where to fork, and what is different then.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForkExecutionRequest {
    /// A position of the journal, as `seq` of a history's event says it: that of a state's entry begins that state
    /// again. Another is rounded down to the last place before a state's entry, or to the end of a commit.
    at: Seq,
    /// The new execution's name; default: a new one, or one that follows from `Idempotency-Key`.
    #[serde(default)]
    name: Option<String>,
    /// Another input of the state that is entered there.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    input: Option<Value>,
    /// `pinned` (usual): the definition that the execution is pinned to. `current`: the workflow's as it is now.
    #[serde(default)]
    definition: WhichDefinition,
}

/// Under which definition a fork goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhichDefinition {
    #[default]
    Pinned,
    Current,
}

/// A `null` is an input too.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A new execution.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForkedExecutionBody {
    #[serde(flatten)]
    execution: ExecutionBody,
    forked_from: ForkedFromBody,
}

/// Forks an execution: a new one that shares the prefix, begins again what was under way there, and goes its own way.
#[utoipa::path(post, path = "/v1/executions/{id}/fork", tag = "workflows", request_body = ForkExecutionRequest,
    params(
        ("id" = String, Path, description = "The execution"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeat with this key joins the fork"),
    ),
    responses(
        (status = 200, description = "The fork that an earlier request with this key made", body = ForkedExecutionBody),
        (status = 201, description = "The new execution", body = ForkedExecutionBody),
        (status = "4XX", description = "There is no such execution, or it cannot go on from there", body = ErrorBody),
    )
)]
pub(crate) async fn fork(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<ForkExecutionRequest>,
) -> Result<(StatusCode, Json<ForkedExecutionBody>), ApiError> {
    let original = executions::view(&app, &identity, &id).await?;
    let by_key = idempotency_key(&headers)?
        .map(|key| RunId::derive(&[b"fork-key", original.user.as_str().as_bytes(), key.as_bytes()]).to_string());
    let name = match request.name.or_else(|| by_key.clone()) {
        Some(name) => {
            check_name(&name).map_err(|error| ApiError::bad_request("invalid_name", error.to_string()))?;
            name
        }
        None => workflows::fresh(&app),
    };
    let tenant = &identity.tenant;
    let (scope, machine) = definitions::find(&app, &identity, &original.machine_name).await?;
    let missing = "the execution's workflow is gone";
    let workflow = workflows::pinned(&app, tenant, &scope.machine(&machine.name), missing).await?;
    let execution = match &by_key {
        // Else the ARN of an Express execution would be another one each time.
        Some(id) if workflow.express => scope.express(&workflow.name, &name, id),
        _ => workflows::execution_arn(&app, &scope, &workflow, &name),
    };
    let fork = ForkExecution {
        tenant: tenant.clone(),
        run: original.run,
        at: request.at,
        execution: execution.into(),
        name: name.into(),
        definition: (request.definition == WhichDefinition::Current).then_some(workflow),
        input: request.input.map(Arc::new),
        joins: by_key.is_some(),
    };
    let made = fork_prepared(&app, &original, fork).await.map_err(|error| match error {
        ForkExecutionError::Exists if by_key.is_some() => ApiError::conflict(
            "idempotency_key_reused",
            "there is an execution of this name or key, and another request made it",
        ),
        error => fork_error(error),
    })?;
    let view = app.runtime().execution(tenant, made.run).await.map_err(run_error)?;
    let forked_from = ForkedFromBody { id: original.run.to_string(), at: made.at };
    let status = if made.joined { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(ForkedExecutionBody { execution: ExecutionBody::of(&view, made.joined), forked_from })))
}

/// Forks, with the answers that were prepared for the original: a trial's copy must not call the services either.
async fn fork_prepared(
    app: &App,
    original: &ExecutionView,
    fork: ForkExecution,
) -> Result<ForkedExecution, ForkExecutionError> {
    let Some(mocks) = app.0.options.mock_cases.as_ref() else { return app.runtime().fork_execution(fork).await };
    let execution = Arc::clone(&fork.execution);
    // Before the fork is there: its first task begins at once. An execution of that name keeps what it has.
    let run = RunId::execution(&fork.tenant, &execution);
    let copied = match app.runtime().execution(&fork.tenant, run).await {
        Ok(_) => false,
        Err(RunError::NotFound) => {
            let (tenant, user) = (fork.tenant.clone(), original.user.clone());
            let copy = PreparedFor { tenant, user, execution: Arc::clone(&execution) };
            let copied = mocks.copy_case(&original.execution, copy).await;
            copied.map_err(|error| RunError::Store(error.to_string()))?
        }
        Err(error) => return Err(error.into()),
    };
    let made = app.runtime().fork_execution(fork).await;
    // Whoever takes the name later has no prepared answers.
    if copied && matches!(&made, Err(error) if !matches!(error, ForkExecutionError::Exists)) {
        mocks.drop_case(&execution).await;
    }
    made
}

fn fork_error(error: ForkExecutionError) -> ApiError {
    match error {
        ForkExecutionError::Exists => ApiError::conflict("execution_exists", "there is an execution of that name"),
        ForkExecutionError::NotForkable(reason) => ApiError::conflict("not_forkable", reason.to_string()),
        ForkExecutionError::Definition(error) => ApiError::bad_request("invalid_definition", error.to_string()),
        ForkExecutionError::NoEntry => ApiError::bad_request(
            "no_entry",
            "no state is entered at that position, so none can get another input; use `seq` of a StateEntered event",
        ),
        ForkExecutionError::InputTooLarge => {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "input_too_large", "the input is larger than a payload may be")
        }
        ForkExecutionError::Run(error) => run_error(error),
    }
}

/// Replays an execution: feeds the recorded results to the machine and compares its decisions with the journal.
#[utoipa::path(get, path = "/v1/executions/{id}/replay", tag = "workflows",
    params(("id" = String, Path, description = "The execution"), AtParam),
    responses(
        (status = 200, description = "What was found", body = ReplayBody),
        (status = "4XX", description = "There is no such execution", body = ErrorBody),
    )
)]
pub(crate) async fn replay(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
    Params(params): Params<AtParam>,
) -> Result<Json<ReplayBody>, ApiError> {
    let run = executions::view(&app, &identity, &id).await?.run;
    let replay = app.runtime().replay_execution(&identity.tenant, run, params.at).await.map_err(run_error)?;
    Ok(Json(ReplayBody::of(replay.entries, &replay.differences)))
}
