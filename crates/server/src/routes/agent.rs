//! `POST /agent`: the contract of the documents that the product comes from, whatever answers it.

use crate::{
    ApiError, App,
    access::Identity,
    extract::{JsonBody, identifier},
    routes::invoke::{self, Ask},
    wire::{ModelBody, QuestionBody, outcome_word},
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use bedplate_core::{event::TurnOutcome, message::Message};
use bedplate_runtime::TurnState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A question to an agent.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct AgentRequest {
    /// Who asks; default `anonymous`, or the user that the key is bound to.
    #[serde(default)]
    #[schema(max_length = 128)]
    user_id: Option<String>,
    /// The conversation to go on with; absent: a new one.
    #[serde(default)]
    #[schema(max_length = 128)]
    conversation_id: Option<String>,
    /// The question.
    #[serde(default)]
    #[schema(required, min_length = 1)]
    query: Option<String>,
    /// The agent; absent: the project's default.
    #[serde(default)]
    agent_type: Option<String>,
}

/// The agent's answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentResponse {
    /// What the agent says.
    response: String,
    /// The conversation; send it again to go on.
    conversation_id: String,
    /// Who asked.
    user_id: String,
    /// `completed`, `waiting` (a person must answer first), `max_tokens` or `refused`.
    status: &'static str,
    /// What waits for a person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    approvals: Vec<QuestionBody>,
    /// The model that answered.
    model: Option<ModelBody>,
}

/// An error of the documents' contract.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FlatError {
    /// What is wrong.
    error: String,
    /// The stable code.
    code: String,
    /// The request's id.
    request_id: String,
}

/// Asks an agent and waits for its answer.
#[utoipa::path(
    post, path = "/agent", tag = "contract", request_body = AgentRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key joins the turn")),
    responses(
        (status = 200, description = "The answer, or what waits for a person", body = AgentResponse),
        (status = "4XX", description = "The request is wrong, or a limit ended the turn", body = FlatError),
        (status = "5XX", description = "The model failed or took too long", body = FlatError),
    )
)]
pub(crate) async fn ask(
    State(app): State<App>,
    identity: Identity,
    headers: HeaderMap,
    JsonBody(request): JsonBody<AgentRequest>,
) -> Result<Json<AgentResponse>, ApiError> {
    let query = request.query.filter(|query| !query.trim().is_empty());
    let query = query.ok_or_else(|| ApiError::bad_request("query_required", "Query is required"))?;
    let agent = match request.agent_type.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => app.definitions().agent(name).ok_or_else(|| {
            ApiError::bad_request("agent_not_found", format!("there is no agent_type `{name}`"))
                .hint("GET /v1/agents lists the agents")
        })?,
        None => app
            .definitions()
            .default_agent()
            .ok_or_else(|| ApiError::bad_request("agent_not_found", "the project has no default agent"))?,
    };
    let conversation = request.conversation_id.filter(|id| !id.is_empty());
    if let Some(id) = &conversation {
        identifier("conversation_id", id)?;
    }
    let ask = Ask {
        agent: agent.definition.name.clone(),
        user: identity.user(request.user_id.as_deref().filter(|id| !id.is_empty()))?,
        session: conversation,
        message: Message::user(query),
        key: invoke::idempotency_key(&headers)?,
        policy: None,
        timeout_seconds: None,
        adapted: None,
    };
    let user_id = ask.user.to_string();
    let started = invoke::start(&app, &identity, ask).await?;
    let result = invoke::wait(&app, &identity, &started).await?;
    let approvals = invoke::questions(&app, &identity, &started, &result).await?;
    let status = match &result.state {
        TurnState::Waiting(_) => "waiting",
        TurnState::Ended(outcome) => ended_well(*outcome, result.message.as_deref())?,
    };
    let response = match (&result.state, &result.answer) {
        (TurnState::Waiting(open), _) => waiting_text(open.iter().map(|question| question.question.as_str())),
        (_, Some(answer)) => answer.text(),
        (_, None) => String::new(),
    };
    let model = app.model().describe(&agent.definition.model).map(ModelBody::from);
    Ok(Json(AgentResponse { response, conversation_id: started.session, user_id, status, approvals, model }))
}

/// The same under the stage name that API Gateway puts in front.
#[utoipa::path(
    post, path = "/prod/agent", tag = "contract", request_body = AgentRequest,
    responses(
        (status = 200, description = "The answer, or what waits for a person", body = AgentResponse),
        (status = "4XX", description = "The request is wrong, or a limit ended the turn", body = FlatError),
        (status = "5XX", description = "The model failed or took too long", body = FlatError),
    )
)]
pub(crate) async fn ask_prod(
    state: State<App>,
    identity: Identity,
    headers: HeaderMap,
    body: JsonBody<AgentRequest>,
) -> Result<Json<AgentResponse>, ApiError> {
    ask(state, identity, headers, body).await
}

/// Returns the status word of an outcome that has an answer; any other outcome is an error and never an answer.
pub(crate) fn ended_well(outcome: TurnOutcome, message: Option<&str>) -> Result<&'static str, ApiError> {
    let word = outcome_word(outcome);
    let status = match outcome {
        TurnOutcome::Completed | TurnOutcome::MaxTokens | TurnOutcome::Refused => return Ok(word),
        TurnOutcome::MaxIterations
        | TurnOutcome::MaxToolCalls
        | TurnOutcome::MaxTurnTokens
        | TurnOutcome::MaxCost
        | TurnOutcome::ContextExceeded => StatusCode::UNPROCESSABLE_ENTITY,
        TurnOutcome::Cancelled | TurnOutcome::Interrupted => StatusCode::CONFLICT,
        TurnOutcome::Timeout => StatusCode::GATEWAY_TIMEOUT,
        TurnOutcome::ModelFailed => StatusCode::BAD_GATEWAY,
    };
    Err(ApiError::new(status, word, message.unwrap_or(word).to_owned()))
}

pub(crate) fn waiting_text<'a>(questions: impl Iterator<Item = &'a str>) -> String {
    let questions: Vec<&str> = questions.collect();
    format!("This waits for a person's approval: {}", questions.join(" "))
}
