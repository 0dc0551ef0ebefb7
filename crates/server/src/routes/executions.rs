//! `/v1/workflows/{name}/executions` and `/v1/executions`: executions as people start, watch and steer them.

use super::{
    execution_forks::ForkedFromBody,
    execution_states::{StateBody, States, waits_for_somebody},
    invoke::{ErrorBody, run_error},
    map_runs::MapRunBody,
    runs, workflows as definitions,
};
use crate::{
    ApiError, App,
    access::Identity,
    extract::{JsonBody, Params, identifier, page_size},
    wire::{rfc3339, run_id},
    workflows,
};
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use bedplate_catalog::check_name;
use bedplate_core::{
    id::RunId,
    port::{
        journal::{RunQuery, RunStatus},
        tasks::{PrepareError, PreparedFor},
    },
};
use bedplate_runtime::{
    ExecutionStatus, ExecutionSummary, ExecutionView, HistoryQuery, RedriveError, StartExecution, StartExecutionError,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use utoipa::{IntoParams, ToSchema};

/// How long a start waits at most.
const MAX_WAIT: u64 = 60;

/// How many events of a history are read at a time.
const PAGE: usize = 1_000;

/// An execution.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecutionBody {
    /// Its run, 32 hexadecimal digits.
    id: String,
    name: String,
    arn: String,
    workflow: String,
    /// `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT` or `ABORTED`.
    status: &'static str,
    started_at: String,
    ended_at: Option<String>,
    /// The user on whose behalf it runs.
    user_id: String,
    /// The run that started it.
    parent: Option<String>,
    /// Whether an earlier start made it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    joined: bool,
}

impl ExecutionBody {
    pub(super) fn of(view: &ExecutionView, joined: bool) -> Self {
        Self {
            id: view.run.to_string(),
            name: view.name.to_string(),
            arn: view.execution.to_string(),
            workflow: view.machine_name.to_string(),
            status: view.status.word(),
            started_at: rfc3339(view.started_at),
            ended_at: view.stopped_at.map(rfc3339),
            user_id: view.user.to_string(),
            parent: view.parent.map(|parent| parent.to_string()),
            joined,
        }
    }

    fn of_summary(summary: ExecutionSummary) -> Self {
        Self {
            id: summary.run.to_string(),
            name: summary.name,
            arn: summary.execution,
            workflow: summary.of,
            status: summary.status.word(),
            started_at: rfc3339(summary.started_at),
            ended_at: summary.stopped_at.map(rfc3339),
            user_id: summary.user.to_string(),
            parent: summary.parent.map(|parent| parent.to_string()),
            joined: false,
        }
    }
}

/// An execution with all that it did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecutionDetail {
    #[serde(flatten)]
    execution: ExecutionBody,
    /// `standard` or `express`.
    kind: &'static str,
    #[schema(value_type = Object)]
    input: Arc<Value>,
    /// The output of one that ended well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    output: Option<Arc<Value>>,
    error: Option<String>,
    cause: Option<String>,
    /// The definition that it is pinned to.
    definition: String,
    /// Its hash.
    revision: String,
    /// How many events the history has.
    events: u64,
    /// What each state did, by name.
    states: BTreeMap<String, StateBody>,
    /// The tasks under way.
    tasks: Vec<TaskBody>,
    /// How many of them wait for somebody.
    waiting: usize,
    /// Its map runs, oldest first.
    map_runs: Vec<MapRunBody>,
    /// Of which execution's prefix it is a copy.
    forked_from: Option<ForkedFromBody>,
    /// How often it was redriven.
    redrives: u64,
    /// Whether it may be redriven.
    redrivable: bool,
    /// Why it may not.
    not_redrivable_because: Option<&'static str>,
}

/// A task under way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskBody {
    call: u64,
    state: String,
    resource: String,
    /// Under which others may give its result.
    token: String,
    /// `callback`, `activity` or `task`.
    kind: &'static str,
    since: String,
    deadline: Option<String>,
    #[schema(value_type = Object)]
    input: Arc<Value>,
}

/// A start.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartRequest {
    /// Any JSON; default: `{}`.
    #[serde(default)]
    #[schema(value_type = Object)]
    input: Option<Value>,
    /// The execution's name; default: a new one, or one that follows from `Idempotency-Key`.
    #[serde(default)]
    name: Option<String>,
    /// How long to wait for the end, 0 (usual) to 60.
    #[serde(default)]
    wait_seconds: u64,
    /// A case of prepared answers of the workflow's mocks file.
    #[serde(default)]
    mocks: Option<String>,
    /// On whose behalf; default `anonymous`.
    #[serde(default)]
    user_id: Option<String>,
}

/// Starts an execution; when it answers, the start is committed.
#[utoipa::path(post, path = "/v1/workflows/{name}/executions", tag = "workflows", request_body = StartRequest,
    params(
        ("name" = String, Path, description = "The workflow; `name:7` and `name:alias` are a version and an alias"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeat with this key joins the execution"),
    ),
    responses(
        (status = 200, description = "It has ended, or was there already", body = ExecutionBody),
        (status = 202, description = "It runs", body = ExecutionBody),
        (status = "4XX", description = "The request is wrong", body = ErrorBody),
    )
)]
pub(crate) async fn start(
    State(app): State<App>,
    identity: Identity,
    Path(name): Path<String>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<StartRequest>,
) -> Result<(StatusCode, Json<ExecutionBody>), ApiError> {
    definitions::check(&identity)?;
    if request.wait_seconds > MAX_WAIT {
        return Err(ApiError::bad_request("invalid_wait", "wait_seconds is 0 to 60"));
    }
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let wanted = wanted(&app, &identity, &name, key, &request).await?;
    if let Some(case) = &request.mocks {
        prepare(&app, &wanted, case).await?;
    }
    let started = app.runtime().start_execution(wanted).await.map_err(start_error)?;
    let tenant = &identity.tenant;
    if request.wait_seconds > 0 {
        let end = app.0.options.clock.sleep_until(app.now().after(Duration::from_secs(request.wait_seconds)));
        tokio::select! {
            view = app.runtime().wait_execution(tenant, started.run) => { view.map_err(run_error)?; }
            () = end => {}
            () = app.closed() => {}
        }
    }
    let view = app.runtime().execution(tenant, started.run).await.map_err(run_error)?;
    let over = view.status != ExecutionStatus::Running || started.joined;
    let status = if over { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(ExecutionBody::of(&view, started.joined))))
}

async fn wanted(
    app: &App,
    identity: &Identity,
    said: &str,
    key: Option<&str>,
    request: &StartRequest,
) -> Result<StartExecution, ApiError> {
    let user = identity.user(request.user_id.as_deref())?;
    let (plain, qualifier) = match said.split_once(':') {
        Some((plain, qualifier)) if !said.starts_with("arn:") => (plain, Some(qualifier)),
        _ => (said, None),
    };
    let (scope, machine) = definitions::find(app, identity, plain).await?;
    let arn = match qualifier {
        Some(qualifier) => scope.alias(&machine.name, qualifier),
        None => scope.machine(&machine.name),
    };
    let missing = "there is no such workflow, version or alias";
    let workflow = workflows::pinned(app, &identity.tenant, &arn, missing).await?;
    let name = match (&request.name, key) {
        (Some(name), _) => {
            check_name(name).map_err(|error| ApiError::bad_request("invalid_name", error.to_string()))?;
            name.clone()
        }
        (None, Some(key)) => {
            let key = identifier("Idempotency-Key", key)?;
            RunId::derive(&[b"execution-key", user.as_str().as_bytes(), key.as_bytes()]).to_string()
        }
        (None, None) => workflows::fresh(app),
    };
    Ok(StartExecution {
        tenant: identity.tenant.clone(),
        user,
        execution: workflows::execution_arn(app, &scope, &workflow, &name).into(),
        name: name.into(),
        workflow,
        input: Arc::new(request.input.clone().unwrap_or_else(|| Value::Object(Map::new()))),
        trace_header: None,
    })
}

/// Prepares the answers of a case of the workflow's mocks file for one execution.
async fn prepare(app: &App, wanted: &StartExecution, case: &str) -> Result<(), ApiError> {
    let declared = app.definitions().workflow(&wanted.workflow.name);
    let mocks = app.0.options.mock_cases.as_ref();
    let (Some(declared), Some(mocks)) = (declared, mocks) else {
        return Err(ApiError::bad_request("unknown_case", "this workflow has no mocks file"));
    };
    let StartExecution { tenant, user, execution, .. } = wanted;
    let whose = PreparedFor { tenant: tenant.clone(), user: user.clone(), execution: Arc::clone(execution) };
    mocks.use_case(whose, &declared.mocks, case).await.map_err(|error| match error {
        PrepareError::UnknownCase(message) => ApiError::bad_request("unknown_case", message),
        PrepareError::Store(error) => ApiError::store(&error),
    })
}

fn start_error(error: StartExecutionError) -> ApiError {
    match error {
        StartExecutionError::AlreadyExists { .. } => ApiError::conflict(
            "idempotency_key_reused",
            "there is an execution of this name or key, and it is over or has another input",
        ),
        StartExecutionError::Definition(error) => ApiError::bad_request("invalid_definition", error.to_string()),
        StartExecutionError::InputTooLarge { limit } => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "input_too_large",
            format!("the input has more than {limit} bytes"),
        ),
        StartExecutionError::Deleted => {
            ApiError::conflict("execution_deleted", "an execution of this name was deleted")
        }
        StartExecutionError::Store(error) => ApiError::store(&error),
        StartExecutionError::ShuttingDown => run_error(bedplate_runtime::RunError::ShuttingDown),
    }
}

/// Which executions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only this workflow's.
    workflow: Option<String>,
    /// Only this user's.
    user_id: Option<String>,
    /// Only in this state, for example `RUNNING`.
    status: Option<String>,
    /// How many at most, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Where to go on, as the page before said.
    cursor: Option<String>,
}

/// A page of executions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecutionsBody {
    executions: Vec<ExecutionBody>,
    next_cursor: Option<String>,
}

/// Lists executions, latest first.
#[utoipa::path(get, path = "/v1/executions", tag = "workflows", params(ListParams), responses(
    (status = 200, description = "A page of executions", body = ExecutionsBody),
    (status = "4XX", description = "The request is wrong", body = ErrorBody),
))]
pub(crate) async fn list(
    State(app): State<App>,
    identity: Identity,
    Params(params): Params<ListParams>,
) -> Result<Json<ExecutionsBody>, ApiError> {
    definitions::check(&identity)?;
    let status = params.status.as_deref().map(run_status).transpose()?;
    let query = RunQuery {
        tenant: identity.tenant.clone(),
        user: identity.user_filter(params.user_id.as_deref())?,
        name: params.workflow,
        status,
        cursor: params.cursor,
        limit: page_size(params.limit, 50)?,
        ..RunQuery::default()
    };
    let page = app.runtime().list_executions(query).await.map_err(run_error)?;
    let executions = page.executions.into_iter().map(ExecutionBody::of_summary).collect();
    Ok(Json(ExecutionsBody { executions, next_cursor: page.cursor }))
}

fn run_status(word: &str) -> Result<RunStatus, ApiError> {
    match word.to_ascii_uppercase().as_str() {
        "RUNNING" => Ok(RunStatus::Running),
        "SUCCEEDED" => Ok(RunStatus::Succeeded),
        "FAILED" => Ok(RunStatus::Failed),
        "TIMED_OUT" => Ok(RunStatus::TimedOut),
        "ABORTED" => Ok(RunStatus::Aborted),
        _ => Err(ApiError::bad_request("invalid_status", "status is RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED")),
    }
}

/// Shows an execution with what each of its states did.
#[utoipa::path(get, path = "/v1/executions/{id}", tag = "workflows",
    params(("id" = String, Path, description = "The execution")),
    responses(
        (status = 200, description = "The execution", body = ExecutionDetail),
        (status = "4XX", description = "There is no such execution", body = ErrorBody),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<ExecutionDetail>, ApiError> {
    let view = view(&app, &identity, &id).await?;
    let mut states = States::default();
    let mut query = HistoryQuery { after: None, reverse: false, limit: PAGE };
    loop {
        let page = app.runtime().execution_history(&identity.tenant, view.run, query).await.map_err(run_error)?;
        page.events.iter().for_each(|event| states.add(event));
        match page.events.last() {
            Some(last) if page.more => query.after = Some(last.id),
            _ => break,
        }
    }
    let text = app.runtime().definition_text(&identity.tenant, view.definition).await.map_err(run_error)?;
    let tasks: Vec<TaskBody> = view
        .tasks
        .iter()
        .map(|task| TaskBody {
            call: task.call,
            state: task.state.to_string(),
            resource: task.resource.to_string(),
            token: task.token.to_string(),
            kind: match (task.resource.contains(":activity:"), waits_for_somebody(task)) {
                (true, _) => "activity",
                (false, true) => "callback",
                (false, false) => "task",
            },
            since: rfc3339(task.since),
            deadline: task.deadline.map(rfc3339),
            input: Arc::clone(&task.input),
        })
        .collect();
    Ok(Json(ExecutionDetail {
        execution: ExecutionBody::of(&view, false),
        kind: if view.express { "express" } else { "standard" },
        input: Arc::clone(&view.input),
        output: view.output.clone(),
        error: view.error.as_ref().map(ToString::to_string),
        cause: view.cause.as_ref().map(ToString::to_string),
        definition: text.unwrap_or_default().to_string(),
        revision: view.definition.to_string(),
        events: view.history_length,
        states: states.finish(&view.states, &view.tasks, view.stopped_at.is_some()),
        waiting: view.tasks.iter().filter(|task| waits_for_somebody(task)).count(),
        tasks,
        map_runs: view.map_runs.iter().map(MapRunBody::of).collect(),
        forked_from: view.forked_from.map(|(id, at)| ForkedFromBody { id: id.to_string(), at }),
        redrives: view.redrive_count,
        redrivable: view.redrivable.is_ok(),
        not_redrivable_because: view.redrivable.err(),
    }))
}

/// Returns an execution that the credential may see; to anybody else it does not exist.
pub(super) async fn view(app: &App, identity: &Identity, id: &str) -> Result<ExecutionView, ApiError> {
    definitions::check(identity)?;
    let view = app.runtime().execution(&identity.tenant, run_id(id)?).await.map_err(run_error)?;
    if identity.sees(&view.user, &view.machine_name) { Ok(view) } else { Err(runs::unknown()) }
}

/// Why an execution is stopped.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StopRequest {
    #[schema(max_length = 256)]
    error: Option<String>,
    #[schema(max_length = 32768)]
    cause: Option<String>,
}

/// Stops an execution; one that is over stays as it is.
#[utoipa::path(post, path = "/v1/executions/{id}/stop", tag = "workflows", request_body = StopRequest,
    params(("id" = String, Path, description = "The execution")),
    responses(
        (status = 200, description = "It is over", body = ExecutionBody),
        (status = "4XX", description = "There is no such execution", body = ErrorBody),
    )
)]
pub(crate) async fn stop(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<StopRequest>,
) -> Result<Json<ExecutionBody>, ApiError> {
    let run = view(&app, &identity, &id).await?.run;
    let too_long = |text: &Option<String>, most| text.as_ref().is_some_and(|text| text.chars().count() > most);
    if too_long(&request.error, 256) || too_long(&request.cause, 32_768) {
        return Err(ApiError::bad_request("too_long", "error has at most 256 characters, and cause 32768"));
    }
    let (error, cause) = (request.error.map(Into::into), request.cause.map(Into::into));
    app.runtime().stop_execution(&identity.tenant, run, error, cause).await.map_err(run_error)?;
    view(&app, &identity, &id).await.map(|view| Json(ExecutionBody::of(&view, false)))
}

/// Lets an execution that ended badly go on where it failed.
#[utoipa::path(post, path = "/v1/executions/{id}/redrive", tag = "workflows",
    params(
        ("id" = String, Path, description = "The execution"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeat with this key joins the redrive"),
    ),
    responses(
        (status = 200, description = "It goes on", body = ExecutionBody),
        (status = "4XX", description = "There is no such execution, or it cannot be redriven", body = ErrorBody),
    )
)]
pub(crate) async fn redrive(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<ExecutionBody>, ApiError> {
    let run = view(&app, &identity, &id).await?.run;
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let key = key.map(|key| identifier("Idempotency-Key", key).map(ToOwned::to_owned)).transpose()?;
    match app.runtime().redrive_execution(&identity.tenant, run, key).await {
        Ok(_) => {}
        Err(RedriveError::NotRedrivable(reason)) => return Err(ApiError::conflict("not_redrivable", reason)),
        Err(RedriveError::Run(error)) => return Err(run_error(error)),
    }
    view(&app, &identity, &id).await.map(|view| Json(ExecutionBody::of(&view, false)))
}
