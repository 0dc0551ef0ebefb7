//! The server as work reaches it: a request on somebody's behalf, through the same routes as everybody's.

use super::{Acting, pause, who::Who};
use crate::{ApiError, App};
use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
    response::Response,
};
use bedplate_core::id::Tenant;
use bytes::Bytes;
use http_body_util::BodyExt;
use std::time::Duration;
use tower::ServiceExt;

/// How often a request is made again that the server or a provider had no room for.
const ATTEMPTS: u32 = 8;

/// The longest wait between two of them.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What the server answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) request_id: String,
    pub(super) body: Bytes,
}

/// Posts `body`, again after a while when there is no room; none when the server stops.
pub(super) async fn post(
    app: &App,
    tenant: &Tenant,
    who: &Who,
    path: &str,
    key: Option<&str>,
    body: Bytes,
) -> Option<Answer> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let permit = app.0.bulk.admit().await?;
        let answered = tokio::select! {
            answered = once(app, tenant, who, path, key, body.clone()) => answered,
            () = app.closed() => return None,
        };
        drop(permit);
        let (answer, wait) = answered.unwrap_or_else(|error| (of_error(&error), error.retry_after));
        let busy = matches!(answer.status, 408 | 429 | 503);
        if app.is_closing() && busy {
            return None;
        }
        if !busy || attempt == ATTEMPTS {
            return Some(answer);
        }
        let wait = wait.unwrap_or(Duration::from_secs(1) * 2_u32.pow(attempt - 1)).min(MAX_WAIT);
        if !pause(app, wait).await {
            return None;
        }
    }
}

async fn once(
    app: &App,
    tenant: &Tenant,
    who: &Who,
    path: &str,
    key: Option<&str>,
    body: Bytes,
) -> Result<(Answer, Option<Duration>), ApiError> {
    let identity = who.identity(app, tenant).await?;
    let server = app.0.bulk.server.get().cloned();
    let server = server.ok_or_else(crate::routes::shutting_down)?;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .extension(Acting(identity));
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let request = request.body(Body::from(body));
    let request = request.map_err(|_| ApiError::bad_request("bad_request", "the path is no address"))?;
    // A router never fails; it answers.
    let response: Response = match server.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (parts, body) = response.into_parts();
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let wait = text("retry-after").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let request_id = text("x-request-id").unwrap_or_default().to_owned();
    let body = body
        .collect()
        .await
        .map_err(|_| ApiError::new(StatusCode::BAD_GATEWAY, "model_broken_stream", "the reply broke off"))?;
    Ok((Answer { status: parts.status.as_u16(), request_id, body: body.to_bytes() }, wait))
}

fn of_error(error: &ApiError) -> Answer {
    let body = serde_json::json!({ "error": { "code": error.code, "message": error.message } });
    Answer { status: error.status.as_u16(), request_id: String::new(), body: body.to_string().into() }
}
