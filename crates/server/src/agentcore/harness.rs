//! `InvokeHarness`: a turn of an agent with changes for this turn alone, answered as an event stream.

use super::{Events, SESSION, USER, events::Said, named, of_arn, overrides::Overrides, pinned, session_header};
use crate::{
    ApiError, App,
    access::Identity,
    extract::{JsonBody, Params},
    routes::{
        bedrock::AwsError,
        event_stream,
        invoke::{Ask, idempotency_key, start},
        turn_stream::{Piece, pieces},
    },
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use bedplate_core::{
    event::TurnOutcome,
    message::{ContentBlock, Message, Role},
};
use bedplate_dialects::bedrock_converse::Frame;
use bedplate_runtime::TurnState;
use bytes::Bytes;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use utoipa::IntoParams;

/// Which harness.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HarnessParams {
    /// An ARN whose last part names an agent.
    harness_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HarnessRequest {
    messages: Vec<HarnessMessage>,
    #[serde(default)]
    actor_id: Option<String>,
    #[serde(flatten)]
    overrides: Overrides,
}

#[derive(Debug, Deserialize)]
struct HarnessMessage {
    role: Role,
    content: Vec<Value>,
}

/// Runs a turn of the agent that the last part of the ARN names, with changes of model, prompt, tools and limits for
/// this turn alone.
#[utoipa::path(
    post, path = "/harnesses/invoke", tag = "agentcore", params(HarnessParams),
    request_body(content = Object, description = "`messages` and the changes, as InvokeHarness has them"),
    responses(
        (status = 200, description = "The events of InvokeHarness", body = String, content_type = "application/vnd.amazon.eventstream"),
        (status = "4XX", description = "The request is wrong; in AWS's form", body = AwsError),
    )
)]
pub(crate) async fn invoke_harness(
    State(app): State<App>,
    identity: Identity,
    Params(params): Params<HarnessParams>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<HarnessRequest>,
) -> Result<Response, ApiError> {
    let agent = of_arn(&app, &params.harness_arn)?;
    let user = named(&headers, &USER, "the user")?.or(request.actor_id.as_deref()).or(identity.said.user.as_deref());
    let adapted = request.overrides.apply(&app, &identity, &agent.definition)?.map(pinned).transpose()?;
    let ask = Ask {
        agent: agent.definition.name.clone(),
        user: identity.user(user)?,
        session: named(&headers, &SESSION, "the session")?.map(str::to_owned),
        message: message(request.messages)?,
        key: idempotency_key(&headers)?,
        policy: None,
        timeout_seconds: None,
        adapted,
    };
    let started_at = app.now();
    let started = start(&app, &identity, ask).await?;
    let session = started.session.clone();
    let mut events = Events::default();
    let clock = app.clone();
    let pieces = pieces(app, identity, started).await?;
    let body = pieces.map(move |piece| {
        let mut said = Vec::new();
        let mut failure = None;
        match piece {
            Piece::Live(live) => events.live(&live, &mut said),
            Piece::Done(done) => {
                events.done(&done.1, &mut said);
                if let Some((_, metadata)) = said.last_mut() {
                    metadata["metrics"]["latencyMs"] = json!(clock.now().0.saturating_sub(started_at.0).max(0));
                }
                if let TurnState::Ended(TurnOutcome::ModelFailed) = done.1.state {
                    let message = done.1.message.as_deref().unwrap_or("the model failed");
                    failure = Some(exception("runtimeClientError", message));
                }
            }
            Piece::Failed(error) => failure = Some(exception("internalServerException", &error.message)),
        }
        Ok::<_, Infallible>(frames(said, failure))
    });
    // A piece that says nothing would end a chunked body.
    let body = body.filter(|bytes| std::future::ready(bytes.as_ref().is_ok_and(|bytes| !bytes.is_empty())));
    let headers = [(header::CONTENT_TYPE, event_stream::CONTENT_TYPE), (header::CACHE_CONTROL, "no-cache")];
    let mut response = (headers, Body::from_stream(body)).into_response();
    response.headers_mut().extend(session_header(&session));
    Ok(response)
}

fn exception(kind: &'static str, message: &str) -> Frame {
    Frame { kind, exception: true, payload: json!({ "message": message }).to_string().into_bytes() }
}

fn frames(said: Vec<Said>, failure: Option<Frame>) -> Bytes {
    let mut out = Vec::new();
    let events =
        said.into_iter().map(|(kind, body)| Frame { kind, exception: false, payload: body.to_string().into_bytes() });
    for frame in events.chain(failure) {
        if let Err(error) = event_stream::write(frame, &mut out) {
            tracing::error!(%error, "a frame of an event stream could not be written");
            // The words are ours and short.
            let _ = event_stream::write(
                exception("internalServerException", "a part of the turn is too long for a frame"),
                &mut out,
            );
        }
    }
    out.into()
}

/// Returns what the person says. The session keeps the conversation, so only the new message is taken.
fn message(messages: Vec<HarnessMessage>) -> Result<Message, ApiError> {
    let wrong = |message: &'static str| ApiError::bad_request("invalid_request", message);
    if messages.iter().any(|message| message.role != Role::User) {
        return Err(wrong("the session keeps the conversation: send the user's new message only"));
    }
    let blocks = messages.into_iter().flat_map(|message| message.content);
    let text = |block: Value| match block {
        Value::Object(mut fields) => match fields.remove("text") {
            Some(Value::String(text)) if fields.is_empty() => Ok(ContentBlock::Text { text }),
            _ => Err(wrong("a message has blocks of text only")),
        },
        _ => Err(wrong("a message has blocks of text only")),
    };
    let content = blocks.map(text).collect::<Result<Vec<_>, _>>()?;
    let says = |block: &ContentBlock| matches!(block, ContentBlock::Text { text } if !text.trim().is_empty());
    if !content.iter().any(says) {
        return Err(wrong("the messages say nothing"));
    }
    Ok(Message { role: Role::User, content })
}
