//! `POST /v1/agents/{agent}/invoke`: a turn of an agent, as JSON or as a stream.

use crate::{
    ApiError, App,
    access::Identity,
    extract::{JsonBody, identifier},
    wire::{ModelBody, QuestionBody, TurnBody},
};
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bedplate_core::{
    agent::SessionPolicy,
    event::Billing,
    id::{RunId, UserId},
    message::{ContentBlock, Message, Role, Source},
    port::{
        definitions::PinnedAgent,
        journal::{Head, RunStatus},
        model::ModelInfo,
    },
};
use bedplate_runtime::{RunError, StartError, StartTurn, Started, TurnResult, TurnState};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use utoipa::ToSchema;

/// A turn of an agent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvokeRequest {
    /// What the person says: a text, or blocks of text and images.
    input: InputBody,
    /// The session to go on with; absent: a new one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 128)]
    session_id: Option<String>,
    /// Who asks; default `anonymous`, or the user that the key is bound to.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 128)]
    user_id: Option<String>,
    /// What to do when a turn is under way; absent: as the agent says.
    #[serde(default)]
    session_policy: Option<PolicyBody>,
    /// The wall time of the turn in seconds; absent: the agent's.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86400)]
    timeout_seconds: Option<u64>,
    /// Answer as soon as the start is committed, and not when the turn ends.
    #[serde(default)]
    background: bool,
}

/// What a person says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum InputBody {
    /// Words.
    Text(Words),
    /// Words and pictures.
    Blocks(Blocks),
}

/// Words.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(min_length = 1)]
struct Words(String);

/// Words and pictures.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(min_items = 1)]
struct Blocks(Vec<InputBlock>);

/// A part of what a person says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum InputBlock {
    /// Words.
    Text {
        /// The words.
        #[schema(min_length = 1)]
        text: String,
    },
    /// A picture.
    Image {
        /// The media type.
        #[schema(pattern = "^image/(png|jpeg|gif|webp)$")]
        media_type: String,
        /// The bytes, base64 with padding.
        #[schema(min_length = 4, pattern = "^([A-Za-z0-9+/]{4})+$")]
        data: String,
    },
}

/// What happens to a turn that is started while another is under way.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PolicyBody {
    /// It waits.
    Enqueue,
    /// It is refused with 409.
    Reject,
    /// The one under way ends first.
    Interrupt,
}

impl From<PolicyBody> for SessionPolicy {
    fn from(policy: PolicyBody) -> Self {
        match policy {
            PolicyBody::Enqueue => Self::Enqueue,
            PolicyBody::Reject => Self::Reject,
            PolicyBody::Interrupt => Self::Interrupt,
        }
    }
}

impl From<Arc<ModelInfo>> for ModelBody {
    fn from(info: Arc<ModelInfo>) -> Self {
        let ModelInfo { provider, model, foundation_model, .. } = Arc::unwrap_or_clone(info);
        Self { provider, model, foundation_model }
    }
}

/// Starts a turn and answers when it ended or waits for a person; with `Accept: text/event-stream` as it happens.
#[utoipa::path(
    post, path = "/v1/agents/{agent}/invoke", tag = "agents", request_body = InvokeRequest,
    params(
        ("agent" = String, Path, description = "The agent's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key and body joins the turn"),
    ),
    responses(
        (status = 200, description = "The turn ended or waits for a person", body = TurnBody),
        (status = 202, description = "The turn is committed and goes on", body = TurnBody),
        (status = "4XX", description = "The request is wrong", body = ErrorBody),
        (status = "5XX", description = "The store did not answer", body = ErrorBody),
    )
)]
pub(crate) async fn invoke(
    State(app): State<App>,
    identity: Identity,
    Path(agent): Path<String>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<InvokeRequest>,
) -> Result<Response, ApiError> {
    let definition = super::agents::find(&app, &agent)?.definition;
    if let Some(session) = &request.session_id {
        identifier("session_id", session)?;
    }
    if request.timeout_seconds.is_some_and(|seconds| !(1..=86_400).contains(&seconds)) {
        return Err(ApiError::bad_request("invalid_timeout", "timeout_seconds must be 1 to 86400"));
    }
    let ask = Ask {
        agent: definition.name.clone(),
        user: identity.user(request.user_id.as_deref())?,
        session: request.session_id,
        message: message(request.input)?,
        key: idempotency_key(&headers)?,
        policy: request.session_policy.map(Into::into),
        timeout_seconds: request.timeout_seconds,
        adapted: None,
    };
    let started = start(&app, &identity, ask).await?;
    let model = app.model().describe(&definition.model).map(ModelBody::from);
    if request.background && !(started.joined && rests(&app, &identity, &started).await?) {
        let body = under_way(&started, model);
        return Ok((StatusCode::ACCEPTED, Json(body)).into_response());
    }
    if wants_stream(&headers) && !request.background {
        return super::turn_stream::respond(app, identity, started, model).await;
    }
    let result = wait(&app, &identity, &started).await?;
    let questions = questions(&app, &identity, &started, &result).await?;
    Ok(Json(TurnBody::of(&started, &result, questions, model)).into_response())
}

/// An error of the native API.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ErrorDetail,
}

/// What is wrong.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(crate) struct ErrorDetail {
    /// The stable code.
    code: String,
    /// What is wrong, for people.
    message: String,
    /// What to do about it.
    hint: Option<String>,
    /// The request's id, as in `x-request-id`.
    request_id: String,
}

/// What starting a turn needs, whichever API it came through.
pub(crate) struct Ask {
    pub(crate) agent: String,
    pub(crate) user: UserId,
    pub(crate) session: Option<String>,
    pub(crate) message: Message,
    pub(crate) key: Option<String>,
    pub(crate) policy: Option<SessionPolicy>,
    pub(crate) timeout_seconds: Option<u64>,
    /// The agent as this turn alone has it.
    pub(crate) adapted: Option<PinnedAgent>,
}

/// Starts a turn; when this returns, the start is committed.
pub(crate) async fn start(app: &App, identity: &Identity, ask: Ask) -> Result<Started, ApiError> {
    identity.check_agent(&ask.agent)?;
    if let Some(session) = &ask.session {
        check_session(app, identity, &ask.user, session).await?;
    }
    let turn = StartTurn {
        tenant: identity.tenant.clone(),
        user: ask.user,
        agent: ask.agent,
        session: ask.session,
        message: ask.message,
        idempotency_key: ask.key,
        policy: ask.policy,
        timeout_seconds: ask.timeout_seconds,
        adapted: ask.adapted,
        billing: Billing::of(&identity.caller_of_anybody()),
    };
    app.runtime().start_turn(turn).await.map_err(start_error)
}

/// Refuses a session that began with an agent which the key may not use: its conversation would be shown to another.
async fn check_session(app: &App, identity: &Identity, user: &UserId, session: &str) -> Result<(), ApiError> {
    if identity.agents.is_none() {
        return Ok(());
    }
    let run = RunId::session(&identity.tenant, user, session);
    let head = app.journal().head(&identity.tenant, run).await.map_err(|error| ApiError::store(&error))?;
    head.map_or(Ok(()), |head| identity.check_agent(&head.name))
}

/// Waits until a turn ended or waits for a person, and returns the run's head as it stands then.
pub(crate) async fn finish(app: &App, identity: &Identity, started: &Started) -> Result<(Head, TurnResult), ApiError> {
    let result = wait(app, identity, started).await?;
    let head = super::runs::head(app, identity, started.run).await?;
    Ok((head, result))
}

/// Waits until a turn ended or waits for a person.
pub(crate) async fn wait(app: &App, identity: &Identity, started: &Started) -> Result<TurnResult, ApiError> {
    app.runtime().wait_turn(&identity.tenant, started.run, started.turn).await.map_err(run_error)
}

/// Returns what a turn waits for. The run's head is looked up only when there is something: a turn that ended costs no
/// read of the store.
pub(crate) async fn questions(
    app: &App,
    identity: &Identity,
    started: &Started,
    result: &TurnResult,
) -> Result<Vec<QuestionBody>, ApiError> {
    if matches!(result.state, TurnState::Ended(_)) {
        return Ok(Vec::new());
    }
    let head = super::runs::head(app, identity, started.run).await?;
    Ok(open_questions(&head, result))
}

/// Returns what a turn of the run with this head waits for.
pub(crate) fn open_questions(head: &Head, result: &TurnResult) -> Vec<QuestionBody> {
    match &result.state {
        TurnState::Waiting(open) => open.iter().map(|question| QuestionBody::of(head, question)).collect(),
        TurnState::Ended(_) => Vec::new(),
    }
}

/// Returns whether nothing more happens in a turn by itself: it has ended, or a person must answer first.
async fn rests(app: &App, identity: &Identity, started: &Started) -> Result<bool, ApiError> {
    let view = app.runtime().view(&identity.tenant, started.run, None).await.map_err(run_error)?;
    let turn = view.turns.iter().find(|turn| turn.id == started.turn);
    let waits = view.current_turn == Some(started.turn) && view.head.status == RunStatus::Waiting;
    // A turn that the view no longer keeps ended long ago.
    Ok(waits || turn.is_none_or(|turn| turn.outcome.is_some()))
}

fn under_way(started: &Started, model: Option<ModelBody>) -> TurnBody {
    TurnBody {
        run_id: started.run.to_string(),
        session_id: started.session.clone(),
        turn: started.turn,
        status: if started.queued_behind.is_some() { "queued" } else { "running" },
        output: None,
        error: None,
        questions: Vec::new(),
        usage: bedplate_core::message::Usage::default().into(),
        cost_usd: 0.0,
        model,
        iterations: 0,
        tool_calls: 0,
        joined: started.joined,
        queued_behind: started.queued_behind,
    }
}

fn message(input: InputBody) -> Result<Message, ApiError> {
    let content = match input {
        InputBody::Text(Words(text)) => vec![ContentBlock::Text { text }],
        InputBody::Blocks(Blocks(blocks)) => blocks.into_iter().map(block).collect::<Result<_, _>>()?,
    };
    let says_something =
        content.iter().any(|block| !matches!(block, ContentBlock::Text { text } if text.trim().is_empty()));
    if !says_something {
        return Err(ApiError::bad_request("input_empty", "input says nothing"));
    }
    Ok(Message { role: Role::User, content })
}

fn block(block: InputBlock) -> Result<ContentBlock, ApiError> {
    use base64::Engine;
    match block {
        InputBlock::Text { text } => Ok(ContentBlock::Text { text }),
        InputBlock::Image { media_type, data } => {
            if !matches!(media_type.as_str(), "image/png" | "image/jpeg" | "image/gif" | "image/webp") {
                return Err(ApiError::bad_request("invalid_image", "an image is image/png, jpeg, gif or webp"));
            }
            base64::engine::general_purpose::STANDARD.decode(&data).map_err(|error| {
                ApiError::bad_request("invalid_image", format!("the image's data is no base64: {error}"))
            })?;
            Ok(ContentBlock::Image { media_type, source: Source::Base64(data) })
        }
    }
}

/// Returns the idempotency key of a request.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=255).contains(&text.len()));
    text.map(|text| Some(text.to_owned())).ok_or_else(|| {
        ApiError::bad_request("invalid_idempotency_key", "Idempotency-Key must have 1 to 255 visible ASCII characters")
    })
}

pub(crate) fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

pub(crate) fn start_error(error: StartError) -> ApiError {
    match error {
        StartError::UnknownAgent(name) => super::agents::unknown(&name),
        StartError::Busy { turn } => {
            ApiError::conflict("session_busy", format!("turn {turn} is under way on this session"))
                .hint("wait for it, cancel it, or use session_policy enqueue or interrupt")
        }
        StartError::KeyReused { turn } => ApiError::conflict(
            "idempotency_key_reused",
            format!("this Idempotency-Key started turn {turn} with another request"),
        ),
        StartError::TooLarge { .. } => {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "input_too_large", error.to_string())
        }
        StartError::Deleted => ApiError::new(StatusCode::GONE, "session_deleted", "this session was deleted"),
        StartError::ShuttingDown => shutting_down(),
        StartError::Store(message) => ApiError::store(&message),
    }
}

pub(crate) fn run_error(error: RunError) -> ApiError {
    match error {
        RunError::NotFound => super::runs::unknown(),
        RunError::BadCursor => ApiError::bad_request("invalid_cursor", "the cursor is none of ours"),
        RunError::NoSuch { .. } => ApiError::not_found("position_not_found", error.to_string()),
        RunError::Definition(_) => {
            tracing::error!(%error, "a pinned definition is missing");
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "definition_missing",
                "the run's pinned definition is missing",
            )
        }
        RunError::ShuttingDown => shutting_down(),
        RunError::Store(message) => ApiError::store(&message),
    }
}

pub(crate) fn shutting_down() -> ApiError {
    let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", "the server is shutting down");
    ApiError { retry_after: Some(Duration::from_secs(1)), ..error }
}
