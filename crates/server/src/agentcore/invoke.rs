//! `POST /invocations` and `GET /ping`: the contract of a container that AgentCore runs.

use super::{Events, SESSION, USER, agent_failed, events::said, named, session_header};
use crate::{
    ApiError, App,
    access::Identity,
    extract::{RawBody, parse},
    routes::{
        agent::{ended_well, waiting_text},
        invoke::{Ask, ErrorBody, idempotency_key, start, wait, wants_stream},
        turn_stream::{Piece, pieces},
    },
    sse,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response, sse::Event},
};
use bedplate_core::{message::Message, port::definitions::PinnedAgent};
use bedplate_runtime::{TurnResult, TurnState};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// What a container is asked.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct Prompt {
    /// What the person says.
    prompt: Option<String>,
    /// The same one level down.
    input: Option<Value>,
}

impl Prompt {
    /// Returns what is said.
    pub(crate) fn words(self) -> Result<String, ApiError> {
        let nested = |input: Value| match input {
            Value::String(text) => Some(text),
            Value::Object(mut fields) => match fields.remove("prompt") {
                Some(Value::String(text)) => Some(text),
                _ => None,
            },
            _ => None,
        };
        let words = self.prompt.or_else(|| self.input.and_then(nested)).filter(|text| !text.trim().is_empty());
        words.ok_or_else(|| {
            ApiError::bad_request("input_empty", "the payload needs a `prompt` that says something")
                .hint(r#"send {"prompt": "…"}"#)
        })
    }
}

/// What a container answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answer {
    /// What the agent says.
    response: String,
    /// `success`; `waiting` when a person must answer first; else how the turn ended.
    status: &'static str,
    /// The session.
    session_id: String,
}

/// Asks the project's default agent, as AgentCore asks the container of an agent.
#[utoipa::path(
    post, path = "/invocations", tag = "agentcore", request_body = Prompt,
    params(("X-Amzn-Bedrock-AgentCore-Runtime-Session-Id" = Option<String>, Header, description = "The session")),
    responses(
        (status = 200, description = "The answer; with `Accept: text/event-stream` as it comes", body = Answer),
        (status = "4XX", description = "The request is wrong, or the turn failed", body = ErrorBody),
    )
)]
pub(crate) async fn invocations(
    State(app): State<App>,
    identity: Identity,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    let agent = app.definitions().default_agent();
    let agent = agent.ok_or_else(|| ApiError::not_found("agent_not_found", "the project has no default agent"))?;
    let words = parse::<Prompt>(&body)?.words()?;
    answer(app, identity, &headers, &agent, words).await
}

/// Asks an agent in the session that the headers name, and answers whole or as it comes.
pub(super) async fn answer(
    app: App,
    identity: Identity,
    headers: &HeaderMap,
    agent: &PinnedAgent,
    words: String,
) -> Result<Response, ApiError> {
    let user = named(headers, &USER, "the user")?.or(identity.said.user.as_deref());
    let ask = Ask {
        agent: agent.definition.name.clone(),
        user: identity.user(user)?,
        session: named(headers, &SESSION, "the session")?.map(str::to_owned),
        message: Message::user(words),
        key: idempotency_key(headers)?,
        policy: None,
        timeout_seconds: None,
        adapted: None,
    };
    let started = start(&app, &identity, ask).await?;
    let session = started.session.clone();
    let mut response = if wants_stream(headers) {
        let mut events = Events::default();
        let id = session.clone();
        let pieces = pieces(app, identity, started).await?;
        let events = pieces.flat_map(move |piece| futures::stream::iter(lines(&mut events, piece, &id)));
        sse::respond(events)
    } else {
        let result = wait(&app, &identity, &started).await?;
        Json(answered(&result, &session).map_err(agent_failed)?).into_response()
    };
    response.headers_mut().extend(session_header(&session));
    Ok(response)
}

fn answered(result: &TurnResult, session: &str) -> Result<Answer, ApiError> {
    let (status, response) = match &result.state {
        TurnState::Waiting(open) => ("waiting", waiting_text(open.iter().map(|question| question.question.as_str()))),
        TurnState::Ended(outcome) => {
            let word = ended_well(*outcome, result.message.as_deref())?;
            let text = result.answer.as_ref().map(|answer| answer.text()).unwrap_or_default();
            (if word == "completed" { "success" } else { word }, text)
        }
    };
    Ok(Answer { response, status, session_id: session.to_owned() })
}

/// Returns the lines of a stream: `{"event": …}` for what happens, and the answer or an error at last.
fn lines(events: &mut Events, piece: Piece, session: &str) -> Vec<Event> {
    let mut all = Vec::new();
    match piece {
        Piece::Live(live) => events.live(&live, &mut all),
        Piece::Done(done) => {
            let (_, result) = *done;
            events.done(&result, &mut all);
            let last = match answered(&result, session) {
                Ok(answer) => json!(answer),
                Err(error) => json!({ "error": error.message, "error_type": error.code }),
            };
            return all.iter().map(said).chain([data(&last)]).collect();
        }
        Piece::Failed(error) => return vec![data(&json!({ "error": error.message, "error_type": error.code }))],
    }
    all.iter().map(said).collect()
}

fn data(body: &Value) -> Event {
    Event::default().data(body.to_string())
}

/// How a container is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `Healthy`, or `HealthyBusy` while turns are under way.
    status: &'static str,
    /// Since when, in seconds since 1970.
    time_of_last_update: i64,
}

/// Says whether the server lives, as AgentCore asks a container.
#[utoipa::path(get, path = "/ping", tag = "agentcore", responses(
    (status = 200, description = "It lives", body = Health),
    (status = "5XX", description = "It stops", body = ErrorBody),
))]
pub(crate) async fn ping(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    if app.is_closing() {
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", "the server is shutting down"));
    }
    Ok(Json(Health { status: "Healthy", time_of_last_update: app.0.started.0 / 1_000 }))
}
