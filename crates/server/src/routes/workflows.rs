//! `/v1/workflows`: definitions as people look at them, change them and check them.

use crate::{
    ApiError, App,
    access::Identity,
    extract::{JsonBody, Params, identifier},
    routes::invoke::ErrorBody,
    wire::rfc3339,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bedplate_catalog::{
    CreateError, Kind, Machine, MachineError, MachineUpdate, NewMachine, Origin, Scope, UpdateError,
};
use bedplate_core::port::journal::{RunQuery, RunStatus};
use bedplate_engine::workflow::definition::Severity;
use bedplate_project::check_definition;
use bedplate_runtime::ExecutionSummary;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// How many running executions are counted; more are told as so many.
const MOST: usize = 200;

/// A workflow.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowBody {
    name: String,
    /// `standard` or `express`.
    kind: &'static str,
    /// `project`: a file of the project; `api`: made over the API.
    origin: &'static str,
    arn: String,
    /// `JSONPath` or `JSONata`.
    query_language: String,
    comment: Option<String>,
    /// How many states there are at the top.
    states: usize,
    /// The file within the project.
    file: Option<String>,
    /// RFC 3339; null for one of the project.
    created_at: Option<String>,
    updated_at: Option<String>,
    /// The hash of the definition's text.
    revision: String,
    /// Whether the definition has no errors.
    valid: bool,
    /// How many executions run; 200 means that many or more.
    running: usize,
    /// The latest execution.
    last: Option<LastBody>,
}

/// The latest execution of a workflow.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LastBody {
    id: String,
    status: &'static str,
    started_at: String,
}

/// A workflow with its definition.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowDetail {
    #[serde(flatten)]
    workflow: WorkflowBody,
    /// The text, byte for byte as it was written.
    definition: String,
    diagnostics: Vec<DiagnosticBody>,
    /// Whether it can be changed here.
    editable: bool,
    /// The cases of prepared answers that its mocks file has.
    mocks: Vec<String>,
}

/// Something that is wrong or odd with a definition.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DiagnosticBody {
    /// `error` or `warning`.
    severity: &'static str,
    code: &'static str,
    message: String,
    /// Where, as a JSON pointer.
    pointer: Option<String>,
    line: u32,
    column: u32,
    hint: Option<String>,
}

/// The workflows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowsBody {
    workflows: Vec<WorkflowBody>,
}

/// Which workflows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only those whose name contains this.
    q: Option<String>,
}

/// Lists the workflows of the project and of the API, by name.
#[utoipa::path(get, path = "/v1/workflows", tag = "workflows", params(ListParams), responses(
    (status = 200, description = "The workflows", body = WorkflowsBody),
    (status = "4XX", description = "The request is wrong", body = ErrorBody),
))]
pub(crate) async fn list(
    State(app): State<App>,
    identity: Identity,
    Params(params): Params<ListParams>,
) -> Result<Json<WorkflowsBody>, ApiError> {
    check(&identity)?;
    let all = app.catalog().machines_everywhere(&identity.tenant).await.map_err(|error| ApiError::store(&error))?;
    let mut workflows = Vec::new();
    for (scope, machine) in all {
        if params.q.as_ref().is_none_or(|text| machine.name.contains(text.as_str())) {
            let text = text(&app, &identity, &machine).await?;
            workflows.push(body(&app, &identity, &scope, &machine, &text).await?);
        }
    }
    Ok(Json(WorkflowsBody { workflows }))
}

/// Shows a workflow with its definition and everything that is wrong or odd with it.
#[utoipa::path(get, path = "/v1/workflows/{name}", tag = "workflows",
    params(("name" = String, Path, description = "The workflow, or the ARN of a state machine")),
    responses(
        (status = 200, description = "The workflow", body = WorkflowDetail),
        (status = "4XX", description = "There is no such workflow", body = ErrorBody),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    identity: Identity,
    Path(name): Path<String>,
) -> Result<Json<WorkflowDetail>, ApiError> {
    check(&identity)?;
    detail(&app, &identity, &name).await.map(Json)
}

/// What a workflow is to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutRequest {
    /// The text of the definition.
    definition: String,
    /// `standard` or `express`; only for a new one.
    #[serde(default)]
    kind: Option<String>,
    /// The revision that the writer has seen.
    #[serde(default)]
    if_revision: Option<String>,
}

/// Makes or changes a workflow; its text is kept byte for byte. One of the project is written to its file.
#[utoipa::path(put, path = "/v1/workflows/{name}", tag = "workflows", request_body = PutRequest,
    params(("name" = String, Path, description = "The workflow")),
    responses(
        (status = 200, description = "It was changed", body = WorkflowDetail),
        (status = 201, description = "It was made", body = WorkflowDetail),
        (status = "4XX", description = "The definition has errors, or the workflow has changed meanwhile", body = ErrorBody),
    )
)]
pub(crate) async fn put(
    State(app): State<App>,
    identity: Identity,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<PutRequest>,
) -> Result<Response, ApiError> {
    check_owner(&identity)?;
    let kind = kind(request.kind.as_deref())?;
    let found = match app.catalog().find_machine(&identity.tenant, &name).await {
        Ok(found) => Some(found),
        Err(MachineError::NotFound) => None,
        Err(error) => return Err(machine_error(error)),
    };
    let revision = found.as_ref().map(|(_, machine)| machine.definition.to_string());
    if request.if_revision.is_some() && request.if_revision != revision {
        return Err(ApiError::conflict("workflow_changed", "the workflow has changed meanwhile")
            .hint("read it again, and write on top of that"));
    }
    let express = found.as_ref().map_or(kind, |(_, machine)| machine.kind) == Kind::Express;
    let diagnostics = diagnostics(&request.definition, express);
    if diagnostics.iter().any(|one| one.severity == "error") {
        return Ok(invalid(&diagnostics));
    }
    let status = match found {
        None => {
            let new = NewMachine {
                name: name.clone(),
                kind,
                definition: request.definition,
                role: format!("arn:aws:iam::{}:role/bedplate", Scope::default().account),
                ..NewMachine::default()
            };
            let made = app.catalog().create_machine(&identity.tenant, &Scope::default(), new).await;
            made.map_err(|error| match error {
                CreateError::Name(error) => ApiError::bad_request("invalid_name", error.to_string()),
                CreateError::Store(error) => ApiError::store(&error),
                other => ApiError::conflict("workflow_changed", other.to_string()),
            })?;
            StatusCode::CREATED
        }
        Some((_, machine)) if machine.origin == Origin::Project => {
            let files = app.0.options.workflow_files.as_ref();
            let files =
                files.ok_or_else(|| ApiError::conflict("not_editable", "the project cannot be changed here"))?;
            files
                .write(&machine.name, &request.definition)
                .map_err(|message| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "not_written", message))?;
            StatusCode::OK
        }
        Some((scope, machine)) => {
            let update = MachineUpdate { definition: Some(request.definition), ..MachineUpdate::default() };
            let updated = app.catalog().update_machine(&identity.tenant, &scope, &machine.name, update).await;
            updated.map_err(|error| match error {
                UpdateError::Machine(error) => machine_error(error),
                other => ApiError::conflict("workflow_changed", other.to_string()),
            })?;
            StatusCode::OK
        }
    };
    Ok((status, Json(detail(&app, &identity, &name).await?)).into_response())
}

/// What became of a removal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RemovedBody {
    /// Always true.
    deleted: bool,
}

/// Removes a workflow of the API with its versions and aliases; executions that run go on.
#[utoipa::path(delete, path = "/v1/workflows/{name}", tag = "workflows",
    params(("name" = String, Path, description = "The workflow")),
    responses(
        (status = 200, description = "It is removed", body = RemovedBody),
        (status = "4XX", description = "There is no such workflow, or it is one of the project", body = ErrorBody),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    identity: Identity,
    Path(name): Path<String>,
) -> Result<Json<RemovedBody>, ApiError> {
    check_owner(&identity)?;
    let (scope, machine) = find(&app, &identity, &name).await?;
    let deleted = app.catalog().delete_machine(&identity.tenant, &scope, &machine.name).await;
    deleted.map_err(machine_error)?;
    Ok(Json(RemovedBody { deleted: true }))
}

/// A definition to be judged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ValidateRequest {
    /// The text.
    definition: String,
    /// `standard` (usual) or `express`.
    #[serde(default)]
    kind: Option<String>,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValidateBody {
    /// Whether there are no errors.
    valid: bool,
    diagnostics: Vec<DiagnosticBody>,
}

/// Judges a definition and keeps nothing of it.
#[utoipa::path(post, path = "/v1/workflows/{name}/validate", tag = "workflows", request_body = ValidateRequest,
    params(("name" = String, Path, description = "A name; there need not be such a workflow")),
    responses(
        (status = 200, description = "What was found", body = ValidateBody),
        (status = "4XX", description = "The request is wrong", body = ErrorBody),
    )
)]
pub(crate) async fn validate(
    identity: Identity,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<ValidateRequest>,
) -> Result<Json<ValidateBody>, ApiError> {
    check(&identity)?;
    identifier("name", &name)?;
    let diagnostics = diagnostics(&request.definition, kind(request.kind.as_deref())? == Kind::Express);
    Ok(Json(ValidateBody { valid: diagnostics.iter().all(|one| one.severity != "error"), diagnostics }))
}

/// Refuses a key that is scoped to agents: workflows go past those.
pub(crate) fn check(identity: &Identity) -> Result<(), ApiError> {
    match identity.agents {
        Some(_) => {
            Err(ApiError::forbidden("agent_not_allowed", "a key that is scoped to agents may not use workflows"))
        }
        None => Ok(()),
    }
}

/// Refuses a key that speaks for a user: definitions belong to those who run the server.
pub(crate) fn check_owner(identity: &Identity) -> Result<(), ApiError> {
    check(identity)?;
    match identity.user {
        Some(_) => Err(ApiError::forbidden("not_an_owner", "a key that speaks for a user may not change workflows")),
        None => Ok(()),
    }
}

/// Returns the workflow that is meant.
pub(crate) async fn find(app: &App, identity: &Identity, name: &str) -> Result<(Scope, Machine), ApiError> {
    app.catalog().find_machine(&identity.tenant, name).await.map_err(machine_error)
}

fn machine_error(error: MachineError) -> ApiError {
    match error {
        MachineError::NotFound => ApiError::not_found("workflow_not_found", "there is no such workflow"),
        MachineError::OfProject => {
            ApiError::conflict("workflow_of_project", "the workflow is a file of the project: remove that")
        }
        MachineError::Store(error) => ApiError::store(&error),
    }
}

async fn text(app: &App, identity: &Identity, machine: &Machine) -> Result<Arc<str>, ApiError> {
    let found = app.catalog().definition(&identity.tenant, machine.definition).await;
    Ok(found.map_err(|error| ApiError::store(&error))?.unwrap_or_default())
}

async fn detail(app: &App, identity: &Identity, name: &str) -> Result<WorkflowDetail, ApiError> {
    let (scope, machine) = find(app, identity, name).await?;
    let text = text(app, identity, &machine).await?;
    let of_project = machine.origin == Origin::Project;
    let declared = app.definitions().workflow(&machine.name).filter(|_| of_project);
    Ok(WorkflowDetail {
        workflow: body(app, identity, &scope, &machine, &text).await?,
        diagnostics: diagnostics(&text, machine.kind == Kind::Express),
        definition: text.to_string(),
        editable: identity.user.is_none() && (!of_project || app.0.options.workflow_files.is_some()),
        mocks: declared.map(|declared| declared.mocks.keys().cloned().collect()).unwrap_or_default(),
    })
}

async fn body(
    app: &App,
    identity: &Identity,
    scope: &Scope,
    machine: &Machine,
    text: &str,
) -> Result<WorkflowBody, ApiError> {
    let said: Value = serde_json::from_str(text).unwrap_or_default();
    let of_project = machine.origin == Origin::Project;
    let arn = scope.machine(&machine.name);
    let query = |status, limit| RunQuery {
        tenant: identity.tenant.clone(),
        user: identity.user.clone(),
        name: Some(machine.name.clone()),
        status,
        limit,
        ..RunQuery::default()
    };
    let running = executions(app, query(Some(RunStatus::Running), MOST)).await?;
    let last = executions(app, query(None, 1)).await?.into_iter().next();
    Ok(WorkflowBody {
        kind: word(machine.kind),
        origin: if of_project { "project" } else { "api" },
        query_language: said["QueryLanguage"].as_str().unwrap_or("JSONPath").to_owned(),
        comment: said["Comment"].as_str().map(ToOwned::to_owned),
        states: said["States"].as_object().map_or(0, serde_json::Map::len),
        file: app.definitions().workflow(&machine.name).filter(|_| of_project).map(|one| one.file.to_string()),
        created_at: (!of_project).then(|| rfc3339(machine.created_at)),
        updated_at: (!of_project).then(|| rfc3339(machine.updated_at)),
        revision: machine.definition.to_string(),
        valid: diagnostics(text, machine.kind == Kind::Express).iter().all(|one| one.severity != "error"),
        running: running.len(),
        last: last.map(|last| LastBody {
            id: last.run.to_string(),
            status: last.status.word(),
            started_at: rfc3339(last.started_at),
        }),
        name: machine.name.clone(),
        arn,
    })
}

async fn executions(app: &App, query: RunQuery) -> Result<Vec<ExecutionSummary>, ApiError> {
    let page = app.runtime().list_executions(query).await.map_err(super::invoke::run_error)?;
    Ok(page.executions)
}

fn kind(said: Option<&str>) -> Result<Kind, ApiError> {
    match said {
        None | Some("standard") => Ok(Kind::Standard),
        Some("express") => Ok(Kind::Express),
        Some(_) => Err(ApiError::bad_request("invalid_kind", "kind is `standard` or `express`")),
    }
}

/// Returns the word of the native API for a type.
pub(crate) const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Standard => "standard",
        Kind::Express => "express",
    }
}

fn diagnostics(text: &str, express: bool) -> Vec<DiagnosticBody> {
    let found = check_definition(text, express).into_iter().map(|problem| DiagnosticBody {
        severity: match problem.diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        code: problem.diagnostic.code.as_str(),
        message: problem.diagnostic.message,
        pointer: problem.diagnostic.location,
        line: problem.line,
        column: problem.column,
        hint: problem.hint,
    });
    found.collect()
}

/// Returns the refusal of a definition with everything that is wrong with it.
fn invalid(diagnostics: &[DiagnosticBody]) -> Response {
    let message = diagnostics.iter().find(|one| one.severity == "error").map_or("", |one| one.message.as_str());
    let error = ApiError::bad_request("invalid_definition", format!("the definition is not valid: {message}"));
    ApiError { details: Some(Box::new(("diagnostics", json!(diagnostics)))), ..error }.into_response()
}
