//! `InvokeAgentRuntime` and `StopRuntimeSession`.

use super::{Prompt, SESSION, agent_failed, invoke, named, of_arn, session_header};
use crate::{
    ApiError, App,
    access::Identity,
    extract::{RawBody, parse},
    routes::{bedrock::AwsError, invoke::run_error, runs},
};
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bedplate_core::port::journal::{Head, RunQuery};
use serde_json::json;

/// How many sessions of a name are looked at; each user may have one.
const SESSIONS: usize = 200;

/// Asks the agent that the last part of the ARN names.
#[utoipa::path(
    post, path = "/runtimes/{arn}/invocations", tag = "agentcore", operation_id = "invoke_agent_runtime",
    params(("arn" = String, Path, description = "An ARN whose last part names an agent")),
    request_body(content = Object, description = "`{\"prompt\": …}`, or a text with `text/plain`"),
    responses(
        (status = 200, description = "The answer; with `Accept: text/event-stream` as it comes", body = Object),
        (status = "4XX", description = "The request is wrong, or the turn failed; in AWS's form", body = AwsError),
    )
)]
pub(crate) async fn invoke_runtime(
    State(app): State<App>,
    identity: Identity,
    Path(arn): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    let agent = of_arn(&app, &arn)?;
    let is_text = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let prompt = if is_text {
        let text = std::str::from_utf8(&body);
        text.map(str::to_owned).map_err(|_| ApiError::bad_request("invalid_body", "the payload is no UTF-8 text"))?
    } else {
        parse::<Prompt>(&body)?.words()?
    };
    invoke::answer(app, identity, &headers, &agent, prompt).await.map_err(agent_failed)
}

/// Stops what is under way in a session; what was said stays.
#[utoipa::path(
    post, path = "/runtimes/{arn}/stopruntimesession", tag = "agentcore", operation_id = "stop_runtime_session",
    params(("arn" = String, Path, description = "An ARN whose last part names an agent")),
    responses(
        (status = 200, description = "Nothing is under way any more", body = Object),
        (status = "4XX", description = "There is no such session; in AWS's form", body = AwsError),
    )
)]
pub(crate) async fn stop_session(
    State(app): State<App>,
    identity: Identity,
    Path(arn): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let agent = of_arn(&app, &arn)?.definition.name.clone();
    identity.check_agent(&agent)?;
    let session = named(&headers, &SESSION, "the session")?
        .ok_or_else(|| ApiError::bad_request("invalid_identifier", "the session is missing"))?;
    let found = find(&app, &identity, &agent, session).await?;
    if found.is_empty() {
        return Err(ApiError::not_found("session_not_found", "there is no such session"));
    }
    for head in found {
        let by = Some(identity.actor());
        app.runtime().cancel(&identity.tenant, head.run.id, None, by).await.map_err(run_error)?;
    }
    let mut response = (StatusCode::OK, Json(json!({}))).into_response();
    response.headers_mut().extend(session_header(session));
    Ok(response)
}

/// Returns the sessions of that name with an agent which the credential may see; the request does not say whose.
async fn find(app: &App, identity: &Identity, agent: &str, session: &str) -> Result<Vec<Head>, ApiError> {
    let query = RunQuery {
        tenant: identity.tenant.clone(),
        user: identity.user.clone(),
        name: Some(agent.to_owned()),
        text: Some(session.to_owned()),
        limit: SESSIONS,
        ..RunQuery::default()
    };
    let page = runs::query(app, query).await?;
    Ok(page.runs.into_iter().filter(|head| head.session == session).collect())
}
