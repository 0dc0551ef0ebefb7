//! `/v1/runs`: journals as people look at them, and what people may do to a run.

use crate::{
    ApiError, App,
    access::Identity,
    extract::{JsonBody, Params, identifier, page_size},
    routes::{
        approvals::is_approval,
        invoke::{ErrorBody, run_error},
    },
    wire::{QuestionBody, RunBody, TurnSummary, UsageBody, dollars, run_id},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use bedplate_core::{
    event::RunKind,
    id::{CallId, RunId, Seq},
    message::{ContentBlock, Message},
    port::journal::{Head, ReadError, RunPage, RunQuery, RunStatus},
};
use bedplate_runtime::{AnswerError, Difference, ForkError, TokenError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only this user's.
    user_id: Option<String>,
    /// Only this agent's.
    agent: Option<String>,
    /// Only where title or session contains this.
    q: Option<String>,
    /// Only in this state.
    #[param(inline)]
    status: Option<StatusParam>,
    /// How many at most, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Where to go on, as the page before said.
    cursor: Option<String>,
}

/// The state of a run.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StatusParam {
    /// Between turns.
    Idle,
    /// Work is under way.
    Running,
    /// A question waits for a person.
    Waiting,
    /// An execution that ended well.
    Succeeded,
    /// An execution whose failure was not caught.
    Failed,
    /// An execution whose time passed.
    TimedOut,
    /// An execution that was stopped.
    Aborted,
}

/// A page of runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunsBody {
    runs: Vec<RunBody>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// A run, folded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunView {
    #[serde(flatten)]
    run: RunBody,
    /// The position that this view shows.
    at: Seq,
    /// The turns, oldest first.
    turns: Vec<TurnSummary>,
    /// What waits for a person.
    questions: Vec<QuestionBody>,
    /// Tokens of all turns.
    usage: UsageBody,
    /// Money of all turns in US dollars.
    cost_usd: f64,
}

/// Lists runs, latest first.
#[utoipa::path(get, path = "/v1/runs", tag = "runs", params(ListParams), responses(
    (status = 200, description = "A page of runs", body = RunsBody),
    (status = "4XX", description = "The request is wrong", body = ErrorBody),
))]
pub(crate) async fn list(
    State(app): State<App>,
    identity: Identity,
    Params(params): Params<ListParams>,
) -> Result<Json<RunsBody>, ApiError> {
    let (runs, next_cursor) = page(&app, &identity, params).await?;
    Ok(Json(RunsBody { runs, next_cursor }))
}

/// Where in the journal to look.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AtParam {
    /// The position; default: the end.
    pub(super) at: Option<Seq>,
}

/// Shows a run as it is, or as it was at a position of its journal.
#[utoipa::path(get, path = "/v1/runs/{run}", tag = "runs",
    params(("run" = String, Path, description = "The run"), AtParam),
    responses(
        (status = 200, description = "The run", body = RunView),
        (status = "4XX", description = "There is no such run", body = ErrorBody),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    identity: Identity,
    Path(run): Path<String>,
    Params(params): Params<AtParam>,
) -> Result<Json<RunView>, ApiError> {
    view(&app, &identity, run_id(&run)?, params.at).await.map(Json)
}

/// What to cancel.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CancelRequest {
    /// The turn; absent: the one under way.
    #[serde(default)]
    turn: Option<Seq>,
}

/// What became of a cancel.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CancelBody {
    /// Whether there was a turn to cancel.
    cancelled: bool,
}

/// Cancels a turn: the work stops, and the history stays well formed.
#[utoipa::path(post, path = "/v1/runs/{run}/cancel", tag = "runs", request_body = CancelRequest,
    params(("run" = String, Path, description = "The run")),
    responses(
        (status = 200, description = "Whether there was a turn to cancel", body = CancelBody),
        (status = "4XX", description = "There is no such run", body = ErrorBody),
    )
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    identity: Identity,
    Path(run): Path<String>,
    JsonBody(request): JsonBody<CancelRequest>,
) -> Result<Json<CancelBody>, ApiError> {
    let head = head(&app, &identity, run_id(&run)?).await?;
    let by = Some(identity.actor());
    let cancelled = app.runtime().cancel(&identity.tenant, head.run.id, request.turn, by).await.map_err(run_error)?;
    Ok(Json(CancelBody { cancelled }))
}

/// An answer to a question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerRequest {
    /// Whether the call may run.
    approved: bool,
    /// A word to the model, or to the workflow.
    #[serde(default)]
    #[schema(max_length = 4096)]
    note: Option<String>,
    /// What a workflow's task gives; default: who approved, and the note.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    output: Option<Value>,
}

/// The answer is committed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnswerBody {
    /// Always true.
    answered: bool,
}

/// Answers a question: the call runs, or closes as refused.
#[utoipa::path(post, path = "/v1/runs/{run}/calls/{call}/answer", tag = "runs", request_body = AnswerRequest,
    params(("run" = String, Path, description = "The run"), ("call" = u64, Path, description = "The call that waits")),
    responses(
        (status = 200, description = "The answer is committed", body = AnswerBody),
        (status = "4XX", description = "There is no such question, or it was answered", body = ErrorBody),
    )
)]
pub(crate) async fn answer(
    State(app): State<App>,
    identity: Identity,
    Path((run, call)): Path<(String, CallId)>,
    JsonBody(request): JsonBody<AnswerRequest>,
) -> Result<Json<AnswerBody>, ApiError> {
    if request.note.as_ref().is_some_and(|note| note.len() > 4096) {
        return Err(ApiError::bad_request("note_too_long", "note has at most 4096 bytes"));
    }
    let head = head(&app, &identity, run_id(&run)?).await?;
    if request.approved {
        identity.check_approver()?;
    }
    if head.kind == RunKind::Workflow {
        return answer_task(&app, &identity, run_id(&run)?, call, request).await;
    }
    let answered = app
        .runtime()
        .answer(&identity.tenant, head.run.id, call, request.approved, Some(identity.actor()), request.note)
        .await;
    match answered {
        Ok(_) => Ok(Json(AnswerBody { answered: true })),
        Err(AnswerError::NotOpen(call)) => Err(ApiError::conflict(
            "question_not_open",
            format!("call {call} waits for no answer: it was answered, its deadline passed, or it never asked"),
        )),
        Err(AnswerError::Run(error)) => Err(run_error(error)),
    }
}

/// Answers for the task of a workflow that asks a person.
async fn answer_task(
    app: &App,
    identity: &Identity,
    run: RunId,
    call: CallId,
    request: AnswerRequest,
) -> Result<Json<AnswerBody>, ApiError> {
    let not_open = || {
        let message =
            format!("call {call} waits for no answer: it was answered, its deadline passed, or it never asked");
        ApiError::conflict("question_not_open", message)
    };
    let view = app.runtime().execution(&identity.tenant, run).await.map_err(run_error)?;
    let task = view.tasks.iter().find(|task| task.call == call && is_approval(task)).ok_or_else(not_open)?;
    let by = identity.actor();
    let said = if request.approved {
        let usual = || json!({ "approved": true, "by": by.as_str(), "note": request.note });
        let output = Arc::new(request.output.unwrap_or_else(usual));
        app.runtime().task_succeeded(&identity.tenant, &task.token, output).await
    } else {
        let cause = request.note.unwrap_or_else(|| format!("refused by {by}"));
        let error = Some("Approval.Refused".into());
        app.runtime().task_failed(&identity.tenant, &task.token, error, Some(cause.into())).await
    };
    match said {
        Ok(()) => Ok(Json(AnswerBody { answered: true })),
        Err(TokenError::Invalid | TokenError::TimedOut) => Err(not_open()),
        Err(TokenError::Run(error)) => Err(run_error(error)),
    }
}

/// What a model saw.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelRequestBody {
    /// The route.
    model: String,
    /// The system prompt.
    #[schema(value_type = Vec<Object>)]
    system: Vec<ContentBlock>,
    /// The conversation that it was shown.
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Arc<Message>>,
    /// The tools on offer.
    #[schema(value_type = Vec<Object>)]
    tools: Value,
    /// Output tokens allowed.
    max_tokens: Option<u32>,
    /// The sampling temperature.
    temperature: Option<f64>,
}

/// Shows what the model saw at a call.
#[utoipa::path(get, path = "/v1/runs/{run}/calls/{call}/request", tag = "runs",
    params(("run" = String, Path, description = "The run"), ("call" = u64, Path, description = "The model call")),
    responses(
        (status = 200, description = "What the model saw", body = ModelRequestBody),
        (status = "4XX", description = "There is no such model call", body = ErrorBody),
    )
)]
pub(crate) async fn model_request(
    State(app): State<App>,
    identity: Identity,
    Path((run, call)): Path<(String, CallId)>,
) -> Result<Json<ModelRequestBody>, ApiError> {
    let head = head(&app, &identity, run_id(&run)?).await?;
    let request = app.runtime().model_saw(&identity.tenant, head.run.id, call).await.map_err(run_error)?;
    let request =
        request.ok_or_else(|| ApiError::not_found("call_not_found", "no model call of this run has that position"))?;
    Ok(Json(ModelRequestBody {
        model: request.model,
        system: request.system,
        messages: request.messages,
        tools: serde_json::to_value(&*request.tools).unwrap_or_default(),
        max_tokens: request.params.max_tokens,
        temperature: request.params.temperature,
    }))
}

/// Where to fork.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForkRequest {
    /// The position of the last event to keep; absent: all.
    #[serde(default)]
    at: Option<Seq>,
    /// What the new session is called; absent: a new name.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 128)]
    session_id: Option<String>,
}

/// Forks a run: a new session that shares the prefix and nothing after it.
#[utoipa::path(post, path = "/v1/runs/{run}/fork", tag = "runs", request_body = ForkRequest,
    params(("run" = String, Path, description = "The run")),
    responses(
        (status = 201, description = "The new run", body = RunBody),
        (status = "4XX", description = "There is no such run, or the session exists", body = ErrorBody),
    )
)]
pub(crate) async fn fork(
    State(app): State<App>,
    identity: Identity,
    Path(run): Path<String>,
    JsonBody(request): JsonBody<ForkRequest>,
) -> Result<(StatusCode, Json<RunBody>), ApiError> {
    let head = head(&app, &identity, run_id(&run)?).await?;
    let session = match request.session_id {
        Some(session) => identifier("session_id", &session)?.to_owned(),
        None => RunId(app.0.options.entropy.bytes()).to_string(),
    };
    let at = request.at.unwrap_or(head.seq);
    match app.runtime().fork(&identity.tenant, head.run.id, at, session).await {
        Ok(head) => Ok((StatusCode::CREATED, Json(RunBody::of(&head)))),
        Err(ForkError::Exists(_)) => Err(ApiError::conflict("session_exists", "this user has a session of that name")),
        Err(ForkError::Run(error)) => Err(run_error(error)),
    }
}

/// What a replay found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplayBody {
    /// How many events were folded.
    events: u64,
    /// Whether the machine decides today what the journal says that it decided.
    same: bool,
    /// Where it does not.
    differences: Vec<DifferenceBody>,
}

impl ReplayBody {
    pub(super) fn of(events: u64, differences: &[Difference]) -> Self {
        let differences: Vec<_> = differences.iter().map(DifferenceBody::of).collect();
        Self { events, same: differences.is_empty(), differences }
    }
}

/// A batch that the machine decides differently today.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DifferenceBody {
    /// The first position that differs.
    seq: Seq,
    /// What stands there.
    recorded: String,
    /// What would be decided.
    decided: String,
}

impl DifferenceBody {
    fn of(difference: &Difference) -> Self {
        Self { seq: difference.seq, recorded: difference.recorded.clone(), decided: difference.decided.clone() }
    }
}

/// Replays a run: feeds the recorded results to the machine and compares its decisions with the journal.
#[utoipa::path(get, path = "/v1/runs/{run}/replay", tag = "runs",
    params(("run" = String, Path, description = "The run"), AtParam),
    responses(
        (status = 200, description = "What was found", body = ReplayBody),
        (status = "4XX", description = "There is no such run", body = ErrorBody),
    )
)]
pub(crate) async fn replay(
    State(app): State<App>,
    identity: Identity,
    Path(run): Path<String>,
    Params(params): Params<AtParam>,
) -> Result<Json<ReplayBody>, ApiError> {
    let head = head(&app, &identity, run_id(&run)?).await?;
    let replay = app.runtime().replay(&identity.tenant, head.run.id, params.at).await.map_err(run_error)?;
    Ok(Json(ReplayBody::of(replay.entries, &replay.differences)))
}

/// Returns the head of a run that the credential may see; to anybody else it does not exist.
pub(crate) async fn head(app: &App, identity: &Identity, run: RunId) -> Result<Head, ApiError> {
    let head = app.journal().head(&identity.tenant, run).await.map_err(|error| ApiError::store(&error))?;
    head.filter(|head| identity.sees(&head.user, &head.name)).ok_or_else(unknown)
}

pub(crate) fn unknown() -> ApiError {
    ApiError::not_found("run_not_found", "there is no such run")
}

pub(crate) async fn view(app: &App, identity: &Identity, run: RunId, at: Option<Seq>) -> Result<RunView, ApiError> {
    let head = head(app, identity, run).await?;
    let view = app.runtime().view(&identity.tenant, run, at).await.map_err(run_error)?;
    Ok(RunView {
        run: RunBody::of(&head),
        at: view.at,
        turns: view.turns.iter().map(|turn| TurnSummary::of(turn, view.current_turn)).collect(),
        questions: view.questions.iter().map(|question| QuestionBody::of(&head, question)).collect(),
        usage: view.usage.into(),
        cost_usd: dollars(view.cost),
    })
}

/// Returns a page of the runs that the credential may see.
pub(crate) async fn page(
    app: &App,
    identity: &Identity,
    params: ListParams,
) -> Result<(Vec<RunBody>, Option<String>), ApiError> {
    let query = RunQuery {
        tenant: identity.tenant.clone(),
        user: identity.user_filter(params.user_id.as_deref())?,
        name: params.agent,
        status: params.status.map(|status| match status {
            StatusParam::Idle => RunStatus::Idle,
            StatusParam::Running => RunStatus::Running,
            StatusParam::Waiting => RunStatus::Waiting,
            StatusParam::Succeeded => RunStatus::Succeeded,
            StatusParam::Failed => RunStatus::Failed,
            StatusParam::TimedOut => RunStatus::TimedOut,
            StatusParam::Aborted => RunStatus::Aborted,
        }),
        text: params.q.filter(|text| !text.is_empty()),
        cursor: params.cursor,
        limit: page_size(params.limit, 50)?,
        ..RunQuery::default()
    };
    let page = self::query(app, query).await?;
    let visible = page.runs.iter().filter(|head| identity.sees(&head.user, &head.name));
    Ok((visible.map(RunBody::of).collect(), page.cursor))
}

/// Returns a page of runs.
pub(crate) async fn query(app: &App, query: RunQuery) -> Result<RunPage, ApiError> {
    app.journal().list(query).await.map_err(|error| match error {
        ReadError::BadCursor => ApiError::bad_request("invalid_cursor", "the cursor is none of ours"),
        error => ApiError::store(&error),
    })
}
