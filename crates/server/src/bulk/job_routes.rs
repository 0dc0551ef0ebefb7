//! `/v1/jobs`: turns of agents and calls of models that nobody waits for.

use super::{
    ENDPOINTS,
    batch_routes::PageParams,
    digest,
    job::{Job, Status, spawn},
    new_id, seconds,
    shelf::{Cursor, Shelf, failed},
    webhook::{self, Webhook},
    who::Who,
};
use crate::{
    ApiError, App,
    access::Identity,
    extract::{JsonBody, Params, identifier, page_size_to},
    key::hex,
    routes::invoke::{ErrorBody, idempotency_key, run_error},
};
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use bedplate_core::{
    id::RunId,
    port::documents::{DocumentError, Precondition},
};
use bedplate_runtime::RunError;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// What the id of a job begins with.
const PREFIX: &str = "job_";

/// A job that is wanted: `agent` and `input`, or `endpoint` and `body`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobRequest {
    /// The agent whose turn it is.
    #[serde(default)]
    agent: Option<String>,
    /// What the agent is told: a text, or blocks, as for `/v1/agents/{agent}/invoke`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    input: Option<Value>,
    /// The session of the turn; absent: a new one.
    #[serde(default)]
    session_id: Option<String>,
    /// Who asks; default `anonymous`, or the user that the key is bound to.
    #[serde(default)]
    user_id: Option<String>,
    /// What is called: `/v1/chat/completions`, `/v1/responses`, `/v1/embeddings` or `/v1/messages`.
    #[serde(default)]
    endpoint: Option<String>,
    /// The body of that call.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    body: Option<Map<String, Value>>,
    /// Who hears of its end.
    #[serde(default)]
    webhook: Option<WebhookRequest>,
    /// Whatever the client wants to find again.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

/// Who hears of the end of a job.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookRequest {
    /// The address.
    url: String,
}

/// Makes a job. When this returns it is committed: it goes on after a crash.
#[utoipa::path(post, path = "/v1/jobs", tag = "bulk", operation_id = "create_job", request_body = JobRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key is the same job")),
    responses(
        (status = 202, description = "The job; with a webhook also the secret that signs what it is told", body = Object),
        (status = "4XX", description = "The request is wrong", body = ErrorBody),
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    identity: Identity,
    headers: HeaderMap,
    JsonBody(request): JsonBody<JobRequest>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let who = Who::of(&identity, request.user_id.as_deref())?;
    let id = match idempotency_key(&headers)? {
        None => new_id(&app, PREFIX),
        Some(key) => format!("{PREFIX}k{}", hex(&digest(&[identity.tenant.as_str(), who.user.as_str(), &key])[..12])),
    };
    let (path, body, agent) = work(&app, &identity, &id, &who, &request)?;
    let webhook = request.webhook.map(|webhook| match app.0.options.webhooks.refuses(&webhook.url) {
        Some(why) => Err(ApiError::bad_request("invalid_webhook", why)),
        None => Ok(Webhook { url: webhook.url, ..Webhook::default() }),
    });
    let now = app.now();
    let job = Job {
        agent,
        webhook: webhook.transpose()?,
        metadata: request.metadata.map_or(Value::Null, Value::Object),
        ..Job::new(id, who, path, body, seconds(now))
    };
    let shelf = Shelf::new(app.documents(), &identity.tenant);
    let job = match shelf.put(&job, Precondition::Absent, now).await {
        Ok(_) => {
            spawn(&app, identity.tenant.clone(), job.id.clone());
            job
        }
        Err(DocumentError::Conflict) => {
            let (earlier, _) = find(&app, &identity, &job.id).await?;
            if (&earlier.path, &earlier.body) != (&job.path, &job.body) {
                return Err(ApiError::conflict(
                    "idempotency_key_reused",
                    "this Idempotency-Key made a job of another request",
                ));
            }
            earlier
        }
        Err(error) => return Err(failed(error)),
    };
    let mut shown = job.shown();
    if job.webhook.is_some() {
        shown["webhook"]["secret"] = json!(webhook::secret_text(&app, &identity.tenant));
    }
    Ok((StatusCode::ACCEPTED, Json(shown)))
}

type Wanted = (String, Value, Option<(String, String)>);

fn work(app: &App, identity: &Identity, id: &str, who: &Who, request: &JobRequest) -> Result<Wanted, ApiError> {
    let wrong = |message: &'static str| ApiError::bad_request("invalid_body", message);
    match (&request.agent, &request.endpoint) {
        (Some(agent), None) => {
            let input = request.input.clone().ok_or_else(|| wrong("a job of an agent needs `input`"))?;
            if request.body.is_some() {
                return Err(wrong("`body` goes with `endpoint`"));
            }
            let name = crate::routes::agents::find(app, agent)?.definition.name.clone();
            identity.check_agent(&name)?;
            let session = request.session_id.as_deref().unwrap_or(id);
            identifier("session_id", session)?;
            let body = json!({ "input": input, "session_id": session, "user_id": who.user });
            let path = format!("/v1/agents/{}/invoke", utf8_percent_encode(&name, NON_ALPHANUMERIC));
            Ok((path, body, Some((name, session.to_owned()))))
        }
        (None, Some(endpoint)) => {
            identity.check_models()?;
            let known = ENDPOINTS.iter().find(|known| *known == endpoint);
            let known = known.ok_or_else(|| wrong("`endpoint` is none that a job can call"))?;
            let mut body = request.body.clone().ok_or_else(|| wrong("a job of an endpoint needs `body`"))?;
            if request.input.is_some() || request.session_id.is_some() {
                return Err(wrong("`input` and `session_id` go with `agent`"));
            }
            // Nobody reads a stream.
            if body.get("stream").is_some_and(|stream| *stream == Value::Bool(true)) {
                body.insert("stream".to_owned(), Value::Bool(false));
            }
            Ok(((*known).to_owned(), Value::Object(body), None))
        }
        _ => Err(wrong("a job has either `agent` and `input` or `endpoint` and `body`")),
    }
}

/// Shows a job and its result.
#[utoipa::path(get, path = "/v1/jobs/{job}", tag = "bulk", operation_id = "show_job",
    params(("job" = String, Path, description = "The job")),
    responses(
        (status = 200, description = "The job", body = Object),
        (status = "4XX", description = "There is no such job", body = ErrorBody),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(find(&app, &identity, &id).await?.0.shown()))
}

/// Lists jobs, the latest first; those that were made with an `Idempotency-Key` come first, in the order of their keys.
#[utoipa::path(get, path = "/v1/jobs", tag = "bulk", operation_id = "list_jobs", params(PageParams), responses(
    (status = 200, description = "A page of jobs", body = Object),
    (status = "4XX", description = "The request is wrong", body = ErrorBody),
))]
pub(crate) async fn list(
    State(app): State<App>,
    identity: Identity,
    Params(params): Params<PageParams>,
) -> Result<Json<Value>, ApiError> {
    let size = page_size_to(100, params.limit, 20)?;
    let shelf = Shelf::<Job>::new(app.documents(), &identity.tenant);
    let plain = |job: &Job| job.invocation.is_none();
    let (page, more) = shelf.page(PREFIX, &identity, Cursor::After(params.after), size, plain).await?;
    let shown: Vec<Value> = page.iter().map(Job::shown).collect();
    Ok(Json(json!({ "object": "list", "data": shown, "has_more": more })))
}

/// Cancels a job; a turn that is under way is cancelled too.
#[utoipa::path(post, path = "/v1/jobs/{job}/cancel", tag = "bulk", operation_id = "cancel_job",
    params(("job" = String, Path, description = "The job")),
    responses(
        (status = 200, description = "The job", body = Object),
        (status = "4XX", description = "There is no such job, or it is over", body = ErrorBody),
    )
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let shelf = Shelf::new(app.documents(), &identity.tenant);
    loop {
        let (mut job, revision) = find(&app, &identity, &id).await?;
        if job.status == Status::Cancelled {
            return Ok(Json(job.shown()));
        }
        if job.status.is_over() {
            return Err(ApiError::conflict("job_over", "the job is over and cannot be cancelled"));
        }
        job.end(Status::Cancelled, &app);
        match shelf.put(&job, Precondition::At(revision), app.now()).await {
            Ok(_) => {}
            // It went on just then.
            Err(DocumentError::Conflict) => continue,
            Err(error) => return Err(failed(error)),
        }
        if let Some((_, session)) = &job.agent {
            let run = RunId::session(&identity.tenant, &job.who.user, session);
            match app.runtime().cancel(&identity.tenant, run, None, Some(identity.actor())).await {
                Ok(_) | Err(RunError::NotFound) => {}
                Err(error) => return Err(run_error(error)),
            }
        }
        return Ok(Json(job.shown()));
    }
}

async fn find(app: &App, identity: &Identity, id: &str) -> Result<(Job, u64), ApiError> {
    let found = Shelf::<Job>::new(app.documents(), &identity.tenant).find(id, identity).await?;
    let found = found.filter(|(job, _)| job.invocation.is_none());
    found.ok_or_else(|| ApiError::not_found("job_not_found", "there is no such job"))
}
