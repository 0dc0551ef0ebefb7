//! `POST /v1/responses` and what is kept of them: a model, or an agent, as OpenAI's newer clients call it.

use super::{
    agent_model,
    chat_completions::OpenAiError,
    invoke::idempotency_key,
    model_call::{self, Writer},
    stored_response::{self, Stored},
};
use crate::{
    ApiError, App,
    access::Identity,
    extract::{Params, RawBody, page_size},
    routes::estimate,
};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use bedplate_core::port::{
    BoxFuture,
    model::{self, ModelCall, ModelError, ModelEvent, ModelRequest},
};
use bedplate_dialects::openai_responses::{self, About, Inbound, wire};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Calls a model or an agent with a Responses body and answers in the same form, whole or as a stream of its events.
#[utoipa::path(post, path = "/v1/responses", tag = "models", operation_id = "responses",
    request_body(content = Object, description = "A Responses body; `model` is a route, a model id of the project, or `agent/<name>`"),
    responses(
        (status = 200, description = "A response; with `stream` its events", content(
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
    let mut inbound = openai_responses::decode_inbound(&body).map_err(model_call::invalid)?;
    let chain = stored_response::chain(&app, &identity, inbound.previous.as_deref()).await?;
    stored_response::resolve(&app, &identity, &mut inbound).await?;
    let (stream, store, about) = (inbound.stream, inbound.store, About { echo: inbound.echo.clone() });
    let mut record = Stored::of(&identity, &inbound)?;
    let asked_by = inbound.echo.get("user").or_else(|| inbound.echo.get("safety_identifier")).and_then(Value::as_str);
    let user = asked_by.map(str::to_owned);
    let key = idempotency_key(&headers)?;
    let said = match agent_model::named(inbound.model()) {
        Some(agent) => {
            let agent = agent.to_owned();
            let session = chain.last().and_then(|stored| stored.session.clone());
            let request = request(inbound, if session.is_some() { Vec::new() } else { chain })?;
            let ask = agent_model::Ask { agent, user, session, key, request };
            let turn = agent_model::start(&app, &identity, ask).await?;
            record.agent = Some(turn.agent().to_owned());
            record.session = Some(turn.session().to_owned());
            Said::Agent(turn.reply(&app))
        }
        None => {
            let (mut told, call) = model_call::prepare(&app, &identity, request(inbound, chain)?)?;
            let events = model_call::events(&app, ModelCall { stream, ..call }, &mut told).await?;
            Said::Model(told, events)
        }
    };
    let keep = store.then(|| Keep { app: app.clone(), identity: identity.clone(), record });
    let envelope = said.about().envelope(&app, "resp_");
    if stream {
        let encoder = openai_responses::Encoder::new(envelope, about);
        let (told, events) = said.parts();
        let response = model_call::streamed_events(&app, events, Events { encoder, keep }).await?;
        return Ok(told.marked(response, None));
    }
    let (reply, told) = said.whole().await?;
    let mut response = openai_responses::encode_reply(&reply, &envelope, &about);
    if let Some(keep) = keep
        && let Err(error) = keep.write(&response).await
    {
        tracing::warn!(?error, "a response was not stored");
        response.echo.insert("store".into(), json!(false));
    }
    Ok(told.json(response.to_json(), reply.cost))
}

/// What answers: a model or an agent.
enum Said {
    Model(model_call::About, model::Events),
    Agent(agent_model::Reply),
}

impl Said {
    fn about(&self) -> &model_call::About {
        match self {
            Self::Model(about, _) => about,
            Self::Agent(reply) => &reply.about,
        }
    }

    fn parts(self) -> (model_call::About, model::Events) {
        match self {
            Self::Model(about, events) => (about, events),
            Self::Agent(reply) => (reply.about, reply.events),
        }
    }

    async fn whole(self) -> Result<(model::ModelReply, model_call::About), ApiError> {
        match self {
            Self::Model(about, events) => Ok((model_call::whole_events(events).await?, about)),
            Self::Agent(reply) => reply.whole().await,
        }
    }
}

fn request(inbound: Inbound, chain: Vec<Stored>) -> Result<ModelRequest, ApiError> {
    let before = chain.into_iter().flat_map(Stored::into_items).collect();
    inbound.into_request(before).map_err(model_call::invalid)
}

/// Shows a stored response.
#[utoipa::path(get, path = "/v1/responses/{id}", tag = "models", operation_id = "response",
    params(("id" = String, Path, description = "The response's id")),
    responses(
        (status = 200, description = "The response", body = Object),
        (status = "4XX", description = "There is no such response, in OpenAI's form", body = OpenAiError),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
    Params(query): Params<ShowQuery>,
) -> Result<Response, ApiError> {
    if query.stream.unwrap_or(false) {
        return Err(ApiError::bad_request("invalid_request", "a stored response is not streamed again"));
    }
    let stored = stored_response::get(&app, &identity, &id).await?;
    Ok(Json(stored.response).into_response())
}

/// How a stored response is shown.
#[derive(Debug, Deserialize)]
pub(crate) struct ShowQuery {
    stream: Option<bool>,
}

/// Removes a stored response. Those that went on from it can be gone on from no more.
#[utoipa::path(delete, path = "/v1/responses/{id}", tag = "models", operation_id = "delete_response",
    params(("id" = String, Path, description = "The response's id")),
    responses(
        (status = 200, description = "It is gone", body = DeletedResponse),
        (status = "4XX", description = "There is no such response, in OpenAI's form", body = OpenAiError),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<DeletedResponse>, ApiError> {
    stored_response::get(&app, &identity, &id).await?;
    stored_response::delete(&app, &identity, &id).await?;
    Ok(Json(DeletedResponse { id, object: "response", deleted: true }))
}

/// A response that is gone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedResponse {
    /// The response's id.
    id: String,
    /// Always `response`.
    object: &'static str,
    /// Always true.
    deleted: bool,
}

/// Lists the items that the request of a stored response sent.
#[utoipa::path(get, path = "/v1/responses/{id}/input_items", tag = "models", operation_id = "response_input_items",
    params(
        ("id" = String, Path, description = "The response's id"),
        ("limit" = Option<usize>, Query, description = "How many at most, 1 to 100; default 20"),
        ("order" = Option<String>, Query, description = "`desc` (default) or `asc`"),
        ("after" = Option<String>, Query, description = "Only items behind the one with this id"),
    ),
    responses(
        (status = 200, description = "The items", body = Object),
        (status = "4XX", description = "There is no such response, in OpenAI's form", body = OpenAiError),
    )
)]
pub(crate) async fn input_items(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
    Params(query): Params<ItemsQuery>,
) -> Result<Response, ApiError> {
    let limit = page_size(query.limit, 20)?.min(100);
    let mut items = stored_response::get(&app, &identity, &id).await?.input;
    match query.order.as_deref() {
        None | Some("desc") => items.reverse(),
        Some("asc") => {}
        Some(_) => return Err(ApiError::bad_request("invalid_request", "order is `asc` or `desc`")),
    }
    if let Some(after) = &query.after {
        let at = items.iter().position(|item| item.id.as_ref() == Some(after));
        items.drain(..at.map_or(items.len(), |at| at + 1));
    }
    let has_more = items.len() > limit;
    items.truncate(limit);
    let id_of = |item: Option<&wire::Item>| item.and_then(|item| item.id.clone()).unwrap_or_default();
    Ok(Json(json!({
        "object": "list", "first_id": id_of(items.first()), "last_id": id_of(items.last()), "has_more": has_more,
        "data": items,
    }))
    .into_response())
}

/// Which items are listed.
#[derive(Debug, Deserialize)]
pub(crate) struct ItemsQuery {
    limit: Option<usize>,
    order: Option<String>,
    after: Option<String>,
}

/// Estimates the input tokens of a Responses body, as `/v1/messages/count_tokens` does.
#[utoipa::path(post, path = "/v1/responses/input_tokens", tag = "models", operation_id = "response_input_tokens",
    request_body(content = Object, description = "A Responses body"),
    responses(
        (status = 200, description = "The estimate; `x-bedplate-estimate` names the rule", body = Object),
        (status = "4XX", description = "The request is wrong, in OpenAI's form", body = OpenAiError),
    )
)]
pub(crate) async fn input_tokens(
    State(app): State<App>,
    identity: Identity,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    let mut inbound = openai_responses::decode_inbound(&body).map_err(model_call::invalid)?;
    model_call::route(&app, inbound.model())?;
    let chain = stored_response::chain(&app, &identity, inbound.previous.as_deref()).await?;
    stored_response::resolve(&app, &identity, &mut inbound).await?;
    let tokens = estimate::tokens(&request(inbound, chain)?);
    Ok((estimate::header(), Json(json!({ "object": "response.input_tokens", "input_tokens": tokens }))).into_response())
}

/// What is needed to keep a response.
struct Keep {
    app: App,
    identity: Identity,
    record: Stored,
}

impl Keep {
    async fn write(self, response: &wire::Response) -> Result<(), ApiError> {
        let Self { app, identity, mut record } = self;
        record.finish(response);
        stored_response::put(&app, &identity, &record).await
    }
}

struct Events {
    encoder: openai_responses::Encoder,
    keep: Option<Keep>,
}

impl Writer for Events {
    const CONTENT_TYPE: &'static str = "text/event-stream";
    const HEARTBEAT: &'static [u8] = b": \n\n";

    fn event(&mut self, event: &ModelEvent, out: &mut Vec<u8>) {
        self.encoder.event(event, out);
    }

    fn fail(&mut self, error: &ModelError, out: &mut Vec<u8>) {
        self.encoder.fail(error.kind.into(), &error.message, out);
    }

    fn is_over(&self) -> bool {
        self.encoder.is_over()
    }

    fn before_the_end(&mut self) -> Option<BoxFuture<'static, ()>> {
        let (keep, response) = (self.keep.take()?, self.encoder.response()?.clone());
        Some(Box::pin(async move {
            if let Err(error) = keep.write(&response).await {
                tracing::warn!(?error, "a response was not stored");
            }
        }))
    }
}
