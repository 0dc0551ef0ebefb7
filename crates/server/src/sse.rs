//! Live streams of a run as server-sent events.
//!
//! Committed entries carry the id `run:seq`, so a client that reconnects goes on where it was; deltas carry none,
//! because they are views that a reconnect replaces by the partial message.

use crate::{ApiError, App, handover::LongLived, routes::shutting_down, wire::event_body};
use axum::{
    http::HeaderName,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use bedplate_core::{
    id::RunId,
    port::model::{BlockKind, ModelEvent},
};
use bedplate_runtime::Live;
use futures::{Stream, StreamExt};
use serde::Serialize;
use serde_json::json;
use std::{convert::Infallible, time::Duration};

/// How often an idle stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Returns `events` up to their end, or until the server stops, which the last event says then.
pub(crate) fn until_closed(
    app: &App,
    events: impl Stream<Item = Event> + Send + 'static,
) -> impl Stream<Item = Event> + Send + 'static {
    let server = app.clone();
    let last = futures::stream::once(async move { server.is_closing().then(|| failure(&shutting_down())) });
    events.take_until(app.closed()).chain(last.filter_map(std::future::ready))
}

/// Returns a response that sends `events` until they end, with heartbeats while there is none.
pub(crate) fn respond(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let stream = Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    // A proxy that collects a stream before it passes it on would make it none.
    let mut response = ([(HeaderName::from_static("x-accel-buffering"), "no")], stream).into_response();
    response.extensions_mut().insert(LongLived);
    response
}

/// Returns the events that a client gets for what happened live; a delta that says nothing gives none.
pub(crate) fn live_event(run: RunId, live: &Live) -> Option<Event> {
    Some(match live {
        Live::Entry(entry) => named("entry", &event_body(entry)).id(format!("{run}:{}", entry.seq)),
        Live::Partial { call, message } => named("partial", &json!({ "call": call, "message": message })),
        Live::Delta { call, event } => return delta(*call, event),
        Live::Restart { call } => named("restart", &json!({ "call": call })),
        Live::CaughtUp => named("caught_up", &json!({})),
        Live::Lagged { after } => named("lagged", &json!({ "after": after })),
    })
}

fn delta(call: u64, event: &ModelEvent) -> Option<Event> {
    Some(match event {
        ModelEvent::BlockStart { index, kind } => {
            let mut body = json!({ "call": call, "index": index });
            match kind {
                BlockKind::Text => body["kind"] = json!("text"),
                BlockKind::Reasoning => body["kind"] = json!("reasoning"),
                BlockKind::ToolUse { id, name } => {
                    body["kind"] = json!("tool_use");
                    body["id"] = json!(id);
                    body["name"] = json!(name);
                }
            }
            named("block", &body)
        }
        ModelEvent::TextDelta { index, text } => {
            named("delta", &json!({ "call": call, "index": index, "kind": "text", "text": text }))
        }
        ModelEvent::InputDelta { index, json } => {
            named("delta", &json!({ "call": call, "index": index, "kind": "input", "text": json }))
        }
        ModelEvent::Restart => named("restart", &json!({ "call": call })),
        ModelEvent::BlockStop { .. } | ModelEvent::ReasoningSeal { .. } | ModelEvent::End(_) => return None,
    })
}

/// Returns an event with this name and the JSON of `body`.
pub(crate) fn named<T: Serialize>(name: &str, body: &T) -> Event {
    // A body of ours is plain data, which always encodes; JSON text has no line break.
    Event::default().event(name).data(serde_json::to_string(body).unwrap_or_default())
}

/// Returns the event that ends a stream which cannot go on.
pub(crate) fn failure(error: &ApiError) -> Event {
    named("error", &json!({ "code": error.code, "message": error.message }))
}

/// Returns the position that a `Last-Event-ID` names, when it is of this run.
pub(crate) fn last_event_seq(run: RunId, id: &str) -> Option<u64> {
    let (of, seq) = id.split_once(':')?;
    (of == run.to_string()).then(|| seq.parse().ok()).flatten()
}
