//! `GET /v1/approvals`: everything that waits for a person.

use crate::{
    ApiError, App,
    access::Identity,
    extract::Params,
    routes::{invoke::ErrorBody, runs},
    wire::{QuestionBody, UserParam},
};
use axum::{Json, extract::State};
use bedplate_core::{
    id::UserId,
    port::journal::{RunQuery, RunStatus},
};
use bedplate_engine::workflow::OpenTask;
use serde::Serialize;
use utoipa::ToSchema;

/// How many runs are looked at in one go.
const PAGE: usize = 200;

/// With this many questions the list ends; whoever answers some finds the others.
const MOST: usize = 1_000;

/// What waits for a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalsBody {
    /// Latest session first.
    approvals: Vec<QuestionBody>,
}

/// Lists the open questions that the credential may see.
#[utoipa::path(get, path = "/v1/approvals", tag = "runs", params(UserParam), responses(
    (status = 200, description = "The open questions", body = ApprovalsBody),
    (status = "4XX", description = "The request is wrong", body = ErrorBody),
))]
pub(crate) async fn list(
    State(app): State<App>,
    identity: Identity,
    Params(params): Params<UserParam>,
) -> Result<Json<ApprovalsBody>, ApiError> {
    let mut query = RunQuery {
        tenant: identity.tenant.clone(),
        user: identity.user_filter(params.user_id.as_deref())?,
        status: Some(RunStatus::Waiting),
        limit: PAGE,
        ..RunQuery::default()
    };
    let mut approvals = Vec::new();
    loop {
        let page = runs::query(&app, query.clone()).await?;
        for head in page.runs.iter().filter(|head| identity.sees(&head.user, &head.name)) {
            match app.runtime().view(&identity.tenant, head.run.id, None).await {
                Ok(view) => approvals.extend(view.questions.iter().map(|question| QuestionBody::of(head, question))),
                // It was deleted between the two looks.
                Err(bedplate_runtime::RunError::NotFound) => {}
                Err(error) => return Err(super::invoke::run_error(error)),
            }
        }
        match page.cursor {
            Some(next) if approvals.len() < MOST => query.cursor = Some(next),
            _ => break,
        }
    }
    if identity.agents.is_none() {
        approvals.extend(of_workflows(&app, &identity, query.user).await?);
    }
    Ok(Json(ApprovalsBody { approvals }))
}

/// Returns what running workflows ask of people.
async fn of_workflows(app: &App, identity: &Identity, user: Option<UserId>) -> Result<Vec<QuestionBody>, ApiError> {
    let mut query = RunQuery {
        tenant: identity.tenant.clone(),
        user,
        status: Some(RunStatus::Running),
        limit: PAGE,
        ..RunQuery::default()
    };
    let mut questions = Vec::new();
    loop {
        let page = app.runtime().list_executions(query.clone()).await.map_err(super::invoke::run_error)?;
        for found in page.executions {
            match app.runtime().execution(&identity.tenant, found.run).await {
                Ok(view) => {
                    let asked = view.tasks.iter().filter(|task| is_approval(task));
                    questions.extend(asked.map(|task| QuestionBody::of_task(&view, task)));
                }
                // It was deleted between the two looks.
                Err(bedplate_runtime::RunError::NotFound) => {}
                Err(error) => return Err(super::invoke::run_error(error)),
            }
        }
        match page.cursor {
            Some(next) if questions.len() < MOST => query.cursor = Some(next),
            _ => return Ok(questions),
        }
    }
}

/// Returns whether a task waits for a person's decision.
pub(crate) fn is_approval(task: &OpenTask) -> bool {
    &*task.resource == "arn:aws:states:::bedplate:approval.waitForTaskToken"
}
