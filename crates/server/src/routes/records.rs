//! `GET /v1/records`: the model calls, as pages of JSON or as they come.

use crate::{
    ApiError, App,
    access::Identity,
    extract::{Params, page_size},
    routes::invoke::{ErrorBody, wants_stream},
    sse,
    usage_query::{Asked, window},
    wire::{dollars, rfc3339},
};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response, sse::Event},
};
use bedplate_core::{
    id::RecordId,
    port::records::{CallRecord, Outcome, RecordFilter},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde::Serialize;
use serde_json::{Value, json};
use std::{future::ready, sync::Arc, time::Duration};
use utoipa::ToSchema;

/// How many records that were missed a stream begins with at most.
const MAX_MISSED: usize = 1_000;

/// A page of records.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordsBody {
    /// The records, newest first.
    #[schema(value_type = Vec<Object>)]
    records: Vec<Value>,
    /// What `before` must be for the next page.
    next_before: Option<String>,
}

/// Lists the records of model calls, newest first; with `Accept: text/event-stream`, sends them as calls end.
#[utoipa::path(get, path = "/v1/records", tag = "usage", params(Asked), responses(
    (status = 200, description = "The records", body = RecordsBody),
    (status = "4XX", description = "The question cannot be understood", body = ErrorBody),
))]
pub(crate) async fn list(
    State(app): State<App>,
    identity: Identity,
    Params(asked): Params<Asked>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    identity.check_models()?;
    let mut filter = asked.filter(&identity)?;
    if wants_stream(&headers) {
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
        return live(app, identity, filter, last).await;
    }
    let limit = page_size(asked.limit, 50)?;
    if asked.from.is_some() || asked.to.is_some() {
        let (from, to) = window(&app, &asked, Duration::from_millis(u64::MAX >> 12))?;
        (filter.from, filter.to) = (Some(from), Some(to));
    }
    let before = asked.before.as_deref().map(record_id).transpose()?;
    let mut found = read(&app, &identity, filter, before, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next_before = found.last().filter(|_| more).map(|record| record.id.to_string());
    Ok(Json(RecordsBody { records: found.iter().map(body).collect(), next_before }).into_response())
}

/// Returns one record, with request and response where they were logged.
#[utoipa::path(get, path = "/v1/records/{id}", tag = "usage",
    params(("id" = String, Path, description = "The record")),
    responses(
        (status = 200, description = "The record", body = Object),
        (status = "4XX", description = "There is no such record", body = ErrorBody),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    identity.check_models()?;
    let none = || ApiError::not_found("record_not_found", "there is no such record");
    let id = record_id(&id).map_err(|_| none())?;
    let found = app.0.options.records.get(&identity.tenant, id).await.map_err(|error| ApiError::store(&error))?;
    let sees = |record: &CallRecord| match &identity.user {
        Some(user) => record.user.as_deref() == Some(user.as_str()),
        None => true,
    };
    let record = found.filter(sees).ok_or_else(none)?;
    let mut shown = body(&record);
    let logged = |bytes: &Bytes| serde_json::from_slice::<Value>(bytes).unwrap_or(Value::Null);
    shown["payload"] = match &record.payload {
        Some(payload) => json!({ "request": logged(&payload.request), "response": logged(&payload.response) }),
        None => Value::Null,
    };
    Ok(Json(shown))
}

/// Sends what was missed since `last`, and then what comes. Watching begins before what was missed is read, so nothing
/// falls between; what was read already is not sent twice.
async fn live(
    app: App,
    identity: Identity,
    filter: RecordFilter,
    last: Option<RecordId>,
) -> Result<Response, ApiError> {
    let coming = app.0.options.live.watch(&identity.tenant);
    let mut missed = Vec::new();
    if let Some(last) = last {
        missed = read(&app, &identity, filter.clone(), None, MAX_MISSED).await?;
        missed.retain(|record| record.id > last);
        missed.reverse();
    }
    let seen: std::collections::HashSet<RecordId> = missed.iter().map(|record| record.id).collect();
    let coming = coming.filter_map(move |record| {
        ready(match record {
            None => Some(Event::default().event("lagged").data("{}")),
            Some(record) if seen.contains(&record.id) || !meant(&filter, &record) => None,
            Some(record) => Some(event(&record)),
        })
    });
    let missed = stream::iter(missed.into_iter().map(|record| event(&record)));
    let events = missed.chain(coming);
    Ok(sse::respond(sse::until_closed(&app, events)))
}

async fn read(
    app: &App,
    identity: &Identity,
    filter: RecordFilter,
    before: Option<RecordId>,
    limit: usize,
) -> Result<Vec<CallRecord>, ApiError> {
    let reading = app.0.options.records.list(&identity.tenant, filter, before, limit);
    reading.await.map_err(|error| ApiError::store(&error))
}

fn event(record: &CallRecord) -> Event {
    Event::default().event("record").id(record.id.to_string()).data(body(record).to_string())
}

fn record_id(text: &str) -> Result<RecordId, ApiError> {
    text.parse().map_err(|_| ApiError::bad_request("invalid_query", "`before` must be the id of a record"))
}

/// Returns whether a filter means a record; times are not asked of what comes.
fn meant(filter: &RecordFilter, record: &CallRecord) -> bool {
    use bedplate_core::port::records::Dimension;
    let failed = matches!(record.outcome, Outcome::Failed { .. });
    let run = record.run.map(|run| run.to_string());
    (failed || !filter.failed)
        && filter.equal.iter().all(|(dimension, wanted)| {
            let text = |it: &Option<Arc<str>>| it.as_deref() == Some(wanted.as_str());
            match dimension {
                Dimension::Model => text(&record.model),
                Dimension::Route => &*record.route == wanted,
                Dimension::Provider => text(&record.provider),
                Dimension::Target => text(&record.target),
                Dimension::Key => text(&record.key),
                Dimension::Team => text(&record.team),
                Dimension::User => text(&record.user),
                Dimension::Agent => text(&record.agent),
                Dimension::Session => text(&record.session),
                Dimension::Run => run.as_ref() == Some(wanted),
                Dimension::Error => match &record.outcome {
                    Outcome::Failed { kind, .. } => &**kind == wanted,
                    Outcome::Ok | Outcome::Cancelled => false,
                },
                Dimension::Cache => record.cache.is_some_and(|cache| cache.as_str() == wanted),
                Dimension::Tag(name) => record.tags.get(name) == Some(wanted),
                Dimension::Minute | Dimension::Hour | Dimension::Day | Dimension::Month => true,
            }
        })
}

fn body(record: &CallRecord) -> Value {
    let (outcome, error) = match &record.outcome {
        Outcome::Ok => ("ok", Value::Null),
        Outcome::Failed { kind, message } => ("error", json!({ "kind": &**kind, "message": &**message })),
        Outcome::Cancelled => ("cancelled", Value::Null),
    };
    let millis = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    json!({
        "id": record.id, "at": rfc3339(record.at), "outcome": outcome, "error": error,
        "user_id": record.user.as_deref(), "key": record.key.as_deref(), "team": record.team.as_deref(),
        "agent": record.agent.as_deref(), "session_id": record.session.as_deref(), "run_id": record.run,
        "tags": record.tags, "jurisdiction": record.jurisdiction.as_deref(), "priority": record.priority,
        "dialect": record.dialect, "stream": record.stream, "route": &*record.route,
        "reason": record.reason.as_deref(), "target": record.target.as_deref(),
        "provider": record.provider.as_deref(), "model": record.model.as_deref(), "attempts": record.attempts,
        "cache": record.cache.map(|cache| cache.as_str()), "degraded": record.degraded.as_deref(),
        "guard": record.guard.as_deref(), "prompt_cache_markers": record.prompt_cache_markers,
        "usage": {
            "input": record.usage.input, "output": record.usage.output,
            "cache_read": record.usage.cache_read, "cache_write": record.usage.cache_write,
        },
        "estimated": record.estimated, "cost_usd": record.cost.map(dollars), "saved_usd": dollars(record.saved),
        "first_token_ms": record.first_token.map(millis), "total_ms": millis(record.total),
        "has_payload": record.payload.is_some(),
    })
}
