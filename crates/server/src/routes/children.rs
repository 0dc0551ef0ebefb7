//! `GET /v1/runs/{run}/children`: what a run started, of either kind.

use super::{invoke::ErrorBody, runs};
use crate::{
    ApiError, App,
    access::Identity,
    extract::{Params, page_size},
    wire::{kind_word, rfc3339, run_id, status_word},
};
use axum::{
    Json,
    extract::{Path, State},
};
use bedplate_core::{
    event::RunKind,
    port::journal::{Head, RunQuery},
};
use bedplate_runtime::ExecutionStatus;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A run that another one started.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChildBody {
    run_id: String,
    /// `agent` or `workflow`.
    kind: &'static str,
    /// The agent or the workflow; of a child of a distributed Map the ARN of its map run.
    name: String,
    /// The session, or the execution's ARN.
    session_id: String,
    /// What the last turn asked, or the execution's name.
    title: String,
    /// Of an agent's run `idle`, `running` or `waiting`; of an execution `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT`
    /// or `ABORTED`.
    status: &'static str,
    user_id: String,
    created_at: String,
    /// When it was last begun or ended.
    touched_at: String,
}

impl ChildBody {
    fn of(head: &Head) -> Self {
        let status = match head.kind {
            RunKind::Agent => status_word(head.status),
            RunKind::Workflow => ExecutionStatus::from(head.status).word(),
        };
        Self {
            run_id: head.run.id.to_string(),
            kind: kind_word(head.kind),
            name: head.name.clone(),
            session_id: head.session.clone(),
            title: head.title.clone(),
            status,
            user_id: head.user.to_string(),
            created_at: rfc3339(head.created_at),
            touched_at: rfc3339(head.touched_at),
        }
    }
}

/// A page of children.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChildrenBody {
    /// Latest touched first.
    children: Vec<ChildBody>,
    next_cursor: Option<String>,
}

/// Which children.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChildrenParams {
    /// How many at most, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Where to go on, as the page before said.
    cursor: Option<String>,
}

/// Lists the runs that a run started: agents' runs and executions.
#[utoipa::path(get, path = "/v1/runs/{run}/children", tag = "runs",
    params(("run" = String, Path, description = "The run; an execution is one"), ChildrenParams),
    responses(
        (status = 200, description = "A page of the runs that it started", body = ChildrenBody),
        (status = "4XX", description = "There is no such run", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    identity: Identity,
    Path(run): Path<String>,
    Params(params): Params<ChildrenParams>,
) -> Result<Json<ChildrenBody>, ApiError> {
    let head = runs::head(&app, &identity, run_id(&run)?).await?;
    let query = RunQuery {
        tenant: identity.tenant.clone(),
        parent: Some(head.run.id),
        cursor: params.cursor,
        limit: page_size(params.limit, 50)?,
        ..RunQuery::default()
    };
    let page = runs::query(&app, query).await?;
    let visible = page.runs.iter().filter(|head| identity.sees(&head.user, &head.name));
    Ok(Json(ChildrenBody { children: visible.map(ChildBody::of).collect(), next_cursor: page.cursor }))
}
