//! `POST /v1/chat/completions`: a model as OpenAI's clients call it.

use super::{
    agent_model,
    invoke::idempotency_key,
    model_call::{self, Writer},
    passing::{self, Inbound},
};
use crate::{ApiError, App, access::Identity, extract::RawBody};
use axum::{extract::State, http::HeaderMap, response::Response};
use bedplate_core::port::model::{ModelError, ModelEvent, ModelReply};
use bedplate_dialects::{Envelope, openai_chat};
use serde::Serialize;
use utoipa::ToSchema;

/// Calls a model with a Chat Completions body and answers in the same form, whole or as a stream of chunks.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "models", operation_id = "chat_completions",
    request_body(content = Object, description = "A Chat Completions body; `model` is a route, a model id of the project, or `agent/<name>`"),
    responses(
        (status = 200, description = "A Chat Completions reply; with `stream` its chunks as server-sent events", content(
            (Object = "application/json"), (String = "text/event-stream"),
        )),
        (status = "4XX", description = "The request is wrong, in OpenAI's form", body = OpenAiError),
        (status = "5XX", description = "The model failed, in OpenAI's form", body = OpenAiError),
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
        let inbound = openai_chat::decode_request(&body).map_err(model_call::invalid)?;
        let ask = agent_model::Ask {
            agent,
            user: agent_model::said(&inbound.request, openai_chat::NAME, &["user"]),
            session: None,
            key: idempotency_key(&headers)?,
            request: inbound.request,
        };
        let chunks = |envelope| Chunks(openai_chat::Encoder::new(envelope, inbound.include_usage));
        let whole = |reply: &ModelReply, envelope: &Envelope| openai_chat::encode_reply(reply, envelope).to_json();
        return agent_model::answer(&app, &identity, ask, ("chatcmpl-", inbound.stream), chunks, whole).await;
    }
    let Inbound { about, call, head } =
        passing::read_on(&app, &identity, openai_chat::NAME, None, head, body, Vec::new())?;
    if head.stream {
        let envelope = about.envelope(&app, "chatcmpl-");
        let writer = Chunks(openai_chat::Encoder::new(envelope, head.include_usage));
        return passing::streamed(&app, call, writer).await;
    }
    let encode = |reply: &ModelReply| openai_chat::encode_reply(reply, &about.envelope(&app, "chatcmpl-")).to_json();
    Ok(passing::whole(&app, call, encode).await?.response)
}

/// An error in OpenAI's form.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenAiError {
    error: OpenAiErrorBody,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenAiErrorBody {
    /// What is wrong, for people.
    message: String,
    /// The kind: `invalid_request_error`, `permission_error`, `rate_limit_error` or `server_error`.
    #[serde(rename = "type")]
    kind: String,
    /// Always null; the message says where.
    param: Option<String>,
    /// A finer kind where there is one.
    code: Option<String>,
}

struct Chunks(openai_chat::Encoder);

impl Writer for Chunks {
    const CONTENT_TYPE: &'static str = "text/event-stream";
    const HEARTBEAT: &'static [u8] = b": \n\n";

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
