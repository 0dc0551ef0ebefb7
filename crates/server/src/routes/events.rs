//! `GET /v1/runs/{run}/events`: a journal, as a page of JSON or as a live stream.

use crate::{
    ApiError, App,
    access::Identity,
    extract::{Params, page_size},
    routes::{
        invoke::{ErrorBody, run_error, wants_stream},
        runs,
    },
    sse,
    wire::{EventsBody, event_body, run_id},
};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use bedplate_core::id::Seq;
use futures::StreamExt;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventParams {
    /// Only those after this position; default 0. A stream's `Last-Event-ID` goes before it.
    after: Option<Seq>,
    /// How many at most in a page, 1 to 200; default 100.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Lists the events of a run; with `Accept: text/event-stream`, sends those that are there and then what happens.
#[utoipa::path(get, path = "/v1/runs/{run}/events", tag = "runs",
    params(("run" = String, Path, description = "The run"), EventParams),
    responses(
        (status = 200, description = "The events", body = EventsBody),
        (status = "4XX", description = "There is no such run", body = ErrorBody),
    )
)]
pub(crate) async fn events(
    State(app): State<App>,
    identity: Identity,
    Path(run): Path<String>,
    Params(params): Params<EventParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let run = run_id(&run)?;
    let head = runs::head(&app, &identity, run).await?;
    let after = params.after.unwrap_or(0);
    if wants_stream(&headers) {
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
        let after = last.and_then(|id| sse::last_event_seq(run, id)).unwrap_or(after);
        // Whoever waits for more than there is would miss what comes up to there.
        let after = after.min(head.seq);
        let live = app.runtime().subscribe(&identity.tenant, run, after).await.map_err(run_error)?;
        let events = live.filter_map(move |live| std::future::ready(sse::live_event(run, &live)));
        return Ok(sse::respond(sse::until_closed(&app, events)));
    }
    let limit = page_size(params.limit, 100)?;
    let mut entries = app.journal().read(head.run, after, limit).await.map_err(|error| ApiError::store(&error))?;
    entries.truncate(limit);
    let next_after = entries.last().map(|entry| entry.seq).filter(|last| *last < head.seq);
    Ok(Json(EventsBody { events: entries.iter().map(event_body).collect(), next_after }).into_response())
}
