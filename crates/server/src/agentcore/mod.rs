//! Agents as AgentCore has them: the contract of its containers (`/invocations`, `/ping`), and the data plane that its
//! SDKs call (`InvokeAgentRuntime`, `InvokeHarness`, `StopRuntimeSession`). Names and shapes are those of the service's
//! own model (botocore `bedrock-agentcore/2024-02-28`).

mod events;
mod harness;
mod invoke;
mod overrides;
mod runtime;

pub(crate) use self::{
    events::Events,
    harness::invoke_harness,
    invoke::{Prompt, invocations, ping},
    runtime::{invoke_runtime, stop_session},
};
// What the OpenAPI description needs beside the handlers.
pub(crate) use self::{
    harness::__path_invoke_harness,
    invoke::{__path_invocations, __path_ping},
    runtime::{__path_invoke_runtime, __path_stop_session},
};

use crate::{ApiError, App, extract::identifier};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bedplate_core::{agent::AgentDefinition, port::definitions::PinnedAgent};

/// The session of a request and of its reply.
pub(crate) const SESSION: HeaderName = HeaderName::from_static("x-amzn-bedrock-agentcore-runtime-session-id");

/// On whose behalf a request is made.
const USER: HeaderName = HeaderName::from_static("x-amzn-bedrock-agentcore-runtime-user-id");

/// Returns the value of a header that names something; none when it is absent.
fn named<'a>(headers: &'a HeaderMap, name: &HeaderName, what: &'static str) -> Result<Option<&'a str>, ApiError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|_| ApiError::bad_request("invalid_identifier", format!("{what} is no text")))?;
    identifier(what, text).map(Some)
}

/// Returns the agent that the last part of an ARN names: by its name, or with the suffix of ten characters that
/// AgentCore puts behind names, or with `_` where ours has `-`.
fn of_arn(app: &App, arn: &str) -> Result<PinnedAgent, ApiError> {
    let last = arn.rsplit(['/', ':']).next().unwrap_or_default();
    let bare = last
        .rsplit_once('-')
        .filter(|(_, suffix)| suffix.len() == 10 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let names = [Some(last), bare.map(|(name, _)| name)];
    let found = names.into_iter().flatten().find_map(|name| {
        let dashed = name.replace('_', "-");
        app.definitions().agent(name).or_else(|| app.definitions().agent(&dashed))
    });
    found.ok_or_else(|| {
        let shown: String = arn.chars().filter(|c| !c.is_control()).take(256).collect();
        ApiError::not_found(
            "agent_not_found",
            format!("No endpoint or agent found with qualifier 'DEFAULT' for agent '{shown}'"),
        )
        .hint("the last part of the ARN names an agent of the project")
    })
}

/// Returns the definition as it is pinned.
fn pinned(definition: AgentDefinition) -> Result<PinnedAgent, ApiError> {
    let json = serde_json::to_vec(&definition).map_err(|error| ApiError::store(&error))?;
    Ok(PinnedAgent {
        hash: bedplate_core::id::ContentHash::of(&json),
        json: json.into(),
        definition: std::sync::Arc::new(definition),
    })
}

/// Returns the error of a turn that failed, as the service reports a failure of the agent's own code.
fn agent_failed(error: ApiError) -> ApiError {
    if error.status.is_server_error() || error.status == StatusCode::UNPROCESSABLE_ENTITY {
        return ApiError { status: StatusCode::FAILED_DEPENDENCY, ..error.aws("RuntimeClientError") };
    }
    error
}

fn session_header(session: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((SESSION, HeaderValue::from_str(session).ok()?))
}
