//! The server as work reaches it: a request on somebody's behalf, through the same routes as everybody's.

use super::{pause, who::Who};
use crate::{
    ApiError, App,
    error::{self, Shape},
    inward,
};
use axum::{body::Body, http::StatusCode, response::Response};
use bedplate_core::id::Tenant;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::watch;

/// How often a request is made again that the server or a provider had no room for.
const ATTEMPTS: u32 = 8;

/// The longest wait between two of them.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Where a request goes, and what it says beside its body.
#[derive(Clone, Copy)]
pub(super) struct To<'a> {
    pub(super) path: &'a str,
    pub(super) headers: &'a BTreeMap<String, String>,
}

/// What the server answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) request_id: String,
    pub(super) body: Bytes,
}

impl Answer {
    /// Returns whether the server did what it was asked.
    pub(super) fn is_well(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the body as JSON; one that is none is a text.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&self.body).into_owned()))
    }
}

/// Says that nothing more of a piece of work shall begin.
pub(super) struct Halt(watch::Sender<bool>);

impl Halt {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets what is under way end, and nothing begin.
    pub(super) fn halt(&self) {
        self.0.send_replace(true);
    }

    fn is_halted(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when nothing more shall begin.
    async fn halted(&self) {
        // The sender is held by `self`, so the wait ends in order alone.
        let _ = self.0.subscribe().wait_for(|halted| *halted).await;
    }
}

/// Posts `body`, again after a while when there is no room; none when the server stops, or nothing more shall begin.
pub(super) async fn post(
    app: &App,
    tenant: &Tenant,
    who: &Who,
    to: To<'_>,
    body: Bytes,
    halt: &Halt,
) -> Option<Answer> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let permit = tokio::select! {
            permit = app.0.bulk.admit() => permit?,
            () = halt.halted() => return None,
        };
        if halt.is_halted() {
            return None;
        }
        let answered = tokio::select! {
            answered = once(app, tenant, who, to, body.clone()) => answered,
            () = app.closed() => return None,
        };
        drop(permit);
        let (answer, wait) = answered;
        // 529 is what Anthropic's clients hear for 503.
        let busy = matches!(answer.status, 408 | 429 | 503 | 529);
        if app.is_closing() && busy {
            return None;
        }
        if !busy || attempt == ATTEMPTS {
            return Some(answer);
        }
        let wait = wait.unwrap_or(Duration::from_secs(1) * 2_u32.pow(attempt - 1)).min(MAX_WAIT);
        tokio::select! {
            goes_on = pause(app, wait) => if !goes_on { return None },
            () = halt.halted() => return None,
        }
    }
}

async fn once(app: &App, tenant: &Tenant, who: &Who, to: To<'_>, body: Bytes) -> (Answer, Option<Duration>) {
    let response = match ask(app, tenant, who, to, body).await {
        Ok(response) => response,
        Err(error) => error::render(&error, Shape::of_path(to.path), ""),
    };
    match read(response).await {
        Some(answered) => answered,
        None => {
            let error = ApiError::new(StatusCode::BAD_GATEWAY, "model_broken_stream", "the reply broke off");
            (refused(to.path, &error).await, None)
        }
    }
}

/// Returns the answer that stands for one that could not be kept: it is larger than a document may be.
pub(super) async fn too_large(path: &str) -> Answer {
    let message = "the reply is larger than what is kept of one; ask for less at once";
    refused(path, &ApiError::new(StatusCode::BAD_GATEWAY, "reply_too_large", message)).await
}

async fn refused(path: &str, error: &ApiError) -> Answer {
    let response = error::render(error, Shape::of_path(path), "");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Answer { status, request_id: String::new(), body }
}

async fn ask(app: &App, tenant: &Tenant, who: &Who, to: To<'_>, body: Bytes) -> Result<Response, ApiError> {
    let identity = who.identity(app, tenant).await?;
    let mut request = inward::request("POST", to.path, identity);
    for (name, value) in to.headers {
        request = request.header(name, value);
    }
    let request = request.body(Body::from(body));
    let request =
        request.map_err(|_| ApiError::bad_request("bad_request", "the path is no address, or a header none"))?;
    inward::ask(app, request).await
}

/// Reads a response whole; none: it broke off.
async fn read(response: Response) -> Option<(Answer, Option<Duration>)> {
    let (parts, body) = response.into_parts();
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let wait = text("retry-after").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let request_id = text("x-request-id").unwrap_or_default().to_owned();
    let body = body.collect().await.ok()?.to_bytes();
    Some((Answer { status: parts.status.as_u16(), request_id, body }, wait))
}
