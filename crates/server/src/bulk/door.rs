//! The server as work reaches it: a request on somebody's behalf, through the same routes as everybody's.

use super::{Acting, pause, who::Who};
use crate::{
    ApiError, App,
    error::{self, Shape},
};
use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
    response::Response,
};
use bedplate_core::id::Tenant;
use bytes::Bytes;
use http_body_util::BodyExt;
use std::{collections::BTreeMap, time::Duration};
use tower::ServiceExt;

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

/// Posts `body`, again after a while when there is no room; none when the server stops.
pub(super) async fn post(app: &App, tenant: &Tenant, who: &Who, to: To<'_>, body: Bytes) -> Option<Answer> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let permit = app.0.bulk.admit().await?;
        let answered = tokio::select! {
            answered = once(app, tenant, who, to, body.clone()) => answered,
            () = app.closed() => return None,
        };
        drop(permit);
        let (answer, wait) = answered;
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

async fn once(app: &App, tenant: &Tenant, who: &Who, to: To<'_>, body: Bytes) -> (Answer, Option<Duration>) {
    let refused = |error: &ApiError| error::render(error, Shape::of_path(to.path), "");
    let response = match ask(app, tenant, who, to, body).await {
        Ok(response) => response,
        Err(error) => refused(&error),
    };
    match read(response).await {
        Some(answered) => answered,
        None => {
            let error = ApiError::new(StatusCode::BAD_GATEWAY, "model_broken_stream", "the reply broke off");
            let (status, body) = (error.status.as_u16(), refused(&error).into_body());
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            (Answer { status, request_id: String::new(), body }, None)
        }
    }
}

async fn ask(app: &App, tenant: &Tenant, who: &Who, to: To<'_>, body: Bytes) -> Result<Response, ApiError> {
    let identity = who.identity(app, tenant).await?;
    let server = app.0.bulk.server.get().cloned();
    let server = server.ok_or_else(crate::routes::shutting_down)?;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(to.path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .extension(Acting(identity));
    for (name, value) in to.headers {
        request = request.header(name, value);
    }
    let request = request.body(Body::from(body));
    let request =
        request.map_err(|_| ApiError::bad_request("bad_request", "the path is no address, or a header none"))?;
    // A router never fails; it answers.
    match server.oneshot(request).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
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
