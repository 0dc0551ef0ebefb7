//! `/v1/executions/{id}/history`: what an execution did, in the words of Step Functions.

use super::{
    executions,
    invoke::{ErrorBody, run_error},
};
use crate::{
    ApiError, App,
    access::Identity,
    extract::{Params, page_size},
    wire::rfc3339,
};
use axum::{
    Json,
    extract::{Path, State},
};
use bedplate_runtime::HistoryQuery;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

/// Which events of a history.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryParams {
    /// Only those after the event of this id, in the page's order.
    after: Option<u64>,
    /// How many at most, 1 to 200; default 100.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Whether the latest comes first.
    #[serde(default)]
    reverse: bool,
}

/// A page of a history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryBody {
    events: Vec<HistoryEventBody>,
    /// After which event the next page begins; null at the end.
    next_after: Option<u64>,
}

/// An event of a history, in the words of Step Functions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryEventBody {
    id: u64,
    previous_event_id: u64,
    /// The position of the journal's event that it is: where a fork is cut.
    seq: u64,
    /// The branch that it is about: 0 is the execution itself, each branch of a Parallel and each iteration of a Map is
    /// another.
    branch: u64,
    at: String,
    r#type: String,
    /// The state that it names.
    state: Option<String>,
    /// The event's details; payloads are texts of JSON.
    #[schema(value_type = Option<Object>)]
    details: Option<Map<String, Value>>,
}

/// Pages through an execution's history.
#[utoipa::path(get, path = "/v1/executions/{id}/history", tag = "workflows",
    params(("id" = String, Path, description = "The execution"), HistoryParams),
    responses(
        (status = 200, description = "A page of the history", body = HistoryBody),
        (status = "4XX", description = "There is no such execution", body = ErrorBody),
    )
)]
pub(crate) async fn history(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
    Params(params): Params<HistoryParams>,
) -> Result<Json<HistoryBody>, ApiError> {
    let view = executions::view(&app, &identity, &id).await?;
    let query = HistoryQuery { after: params.after, reverse: params.reverse, limit: page_size(params.limit, 100)? };
    let page = app.runtime().execution_history(&identity.tenant, view.run, query).await.map_err(run_error)?;
    let next_after = page.events.last().map(|event| event.id).filter(|_| page.more);
    let events = page.events.into_iter().map(|event| {
        let details = event.details.map(|(_, details)| details);
        let name = details.as_ref().and_then(|details| details.get("name")).and_then(Value::as_str);
        HistoryEventBody {
            id: event.id,
            previous_event_id: event.previous_event_id,
            seq: event.seq,
            branch: event.branch,
            at: rfc3339(event.timestamp),
            state: name.map(ToOwned::to_owned),
            r#type: event.kind,
            details,
        }
    });
    Ok(Json(HistoryBody { events: events.collect(), next_after }))
}
