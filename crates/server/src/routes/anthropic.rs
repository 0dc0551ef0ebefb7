//! `POST /v1/messages` and `/v1/messages/count_tokens`: a model as Anthropic's clients call it.

use super::{
    agent_model, estimate,
    invoke::idempotency_key,
    model_call::{self, Writer},
    passing::{self, Inbound},
};
use crate::{ApiError, App, access::Identity, extract::RawBody};
use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use bedplate_core::port::model::{ModelError, ModelEvent, ModelReply};
use bedplate_dialects::{Envelope, anthropic_messages};
use serde::Serialize;
use utoipa::ToSchema;

/// Calls a model with a Messages body and answers in the same form, whole or as a stream of events.
#[utoipa::path(post, path = "/v1/messages", tag = "models", operation_id = "anthropic_messages",
    request_body(content = Object, description = "A Messages body; `model` is a route, a model id of the project, or `agent/<name>`"),
    responses(
        (status = 200, description = "A Messages reply; with `stream` its events", content(
            (Object = "application/json"), (String = "text/event-stream"),
        )),
        (status = "4XX", description = "The request is wrong, in Anthropic's form", body = AnthropicError),
        (status = "5XX", description = "The model failed, in Anthropic's form", body = AnthropicError),
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    identity: Identity,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    let head = passing::head(&body)?;
    if let Some(agent) = agent_model::asked(&head) {
        let inbound = anthropic_messages::decode_request(&body).map_err(model_call::invalid)?;
        let ask = agent_model::Ask {
            agent,
            user: agent_model::said(&inbound.request, anthropic_messages::NAME, &["metadata", "user_id"]),
            session: None,
            key: idempotency_key(&headers)?,
            request: inbound.request,
        };
        let events = |envelope| Events(anthropic_messages::Encoder::new(envelope));
        let whole =
            |reply: &ModelReply, envelope: &Envelope| anthropic_messages::encode_reply(reply, envelope).to_json();
        return agent_model::answer(&app, &identity, ask, ("msg_", inbound.stream), events, whole).await;
    }
    let taken = passing::taken(&headers, &["anthropic-version", "anthropic-beta"]);
    let Inbound { about, call, head } =
        passing::read_on(&app, &identity, anthropic_messages::NAME, None, head, body, taken)?;
    if head.stream {
        let envelope = about.envelope(&app, "msg_");
        let writer = Events(anthropic_messages::Encoder::new(envelope));
        return passing::streamed(&app, call, writer).await;
    }
    let encode = |reply: &ModelReply| anthropic_messages::encode_reply(reply, &about.envelope(&app, "msg_")).to_json();
    Ok(passing::whole(&app, call, encode).await?.response)
}

/// Estimates the input tokens of a Messages body: one for 3.5 bytes of its texts, tools and arguments, 4 for a message,
/// 1,500 for a picture. The tokenisers of the models are not known here, so it is no exact count.
#[utoipa::path(post, path = "/v1/messages/count_tokens", tag = "models",
    request_body(content = Object, description = "A Messages body; `max_tokens` may be left out"),
    responses(
        (status = 200, description = "The estimate; `x-bedplate-estimate` names the rule", body = TokenCount),
        (status = "4XX", description = "The request is wrong, in Anthropic's form", body = AnthropicError),
    )
)]
pub(crate) async fn count_tokens(
    State(app): State<App>,
    _: Identity,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    let request = anthropic_messages::decode_count(&body).map_err(model_call::invalid)?;
    model_call::route(&app, &request.model)?;
    Ok((estimate::header(), Json(TokenCount { input_tokens: estimate::tokens(&request) })).into_response())
}

/// How large a request is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenCount {
    /// The estimated tokens of the input.
    input_tokens: u64,
}

/// An error in Anthropic's form.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnthropicError {
    /// Always `error`.
    #[serde(rename = "type")]
    kind: String,
    error: AnthropicErrorBody,
    /// The request's id, as in the header `request-id`.
    request_id: String,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnthropicErrorBody {
    /// The kind: `invalid_request_error`, `authentication_error`, `not_found_error`, …
    #[serde(rename = "type")]
    kind: String,
    /// What is wrong, for people.
    message: String,
}

struct Events(anthropic_messages::Encoder);

impl Writer for Events {
    const CONTENT_TYPE: &'static str = "text/event-stream";
    const HEARTBEAT: &'static [u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

    fn event(&mut self, event: &ModelEvent, out: &mut Vec<u8>) {
        self.0.event(event, out);
    }

    fn fail(&mut self, error: &ModelError, out: &mut Vec<u8>) {
        self.0.fail(error.kind.into(), &error.message, out);
    }

    fn is_over(&self) -> bool {
        self.0.is_over()
    }
}
