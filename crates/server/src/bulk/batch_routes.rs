//! `/v1/batches`: batches as OpenAI's clients handle them.

use super::{
    ENDPOINTS,
    batch::{Batch, Face, Status, WINDOW},
    batch_work::spawn,
    files::File,
    new_id, seconds,
    shelf::{Cursor, Shelf, failed},
    who::Who,
};
use crate::{
    ApiError, App,
    access::Identity,
    extract::{JsonBody, Params, page_size_to},
    routes::chat_completions::OpenAiError,
};
use axum::{
    Json,
    extract::{Path, State},
};
use bedplate_core::port::documents::{DocumentError, Precondition};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

/// What the id of such a batch begins with.
const PREFIX: &str = "batch_";

/// A batch that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct BatchRequest {
    /// A file with the purpose `batch`.
    input_file_id: String,
    /// What its lines call.
    endpoint: String,
    /// `24h`.
    completion_window: String,
    /// Whatever the client wants to find again.
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

/// Makes a batch of the requests in a file. They run at the priority `batch`, as many at once as `[bulk]` says.
#[utoipa::path(post, path = "/v1/batches", tag = "bulk", operation_id = "create_batch", request_body = BatchRequest, responses(
    (status = 200, description = "The batch, as OpenAI has it", body = Object),
    (status = "4XX", description = "The request is wrong, in OpenAI's form", body = OpenAiError),
))]
pub(crate) async fn create(
    State(app): State<App>,
    identity: Identity,
    JsonBody(request): JsonBody<BatchRequest>,
) -> Result<Json<Value>, ApiError> {
    identity.check_models()?;
    let wrong = |message: String| ApiError::bad_request("invalid_request", message);
    if !ENDPOINTS.contains(&request.endpoint.as_str()) {
        return Err(wrong(format!("endpoint must be one of {}", ENDPOINTS.join(", "))));
    }
    if request.completion_window != WINDOW.0 {
        return Err(wrong(format!("completion_window must be {}", WINDOW.0)));
    }
    let who = Who::of(&identity, None)?;
    let files = Shelf::<File>::new(app.documents(), &identity.tenant);
    match files.find(&request.input_file_id, &identity).await? {
        None => return Err(wrong(format!("there is no file `{}`", request.input_file_id))),
        Some((file, _)) if file.purpose != "batch" => {
            return Err(wrong(format!("the file has the purpose `{}`; upload it with `batch`", file.purpose)));
        }
        Some(_) => {}
    }
    let now = app.now();
    let id = new_id(&app, PREFIX);
    let batch = Batch {
        metadata: request.metadata.map_or(Value::Null, Value::Object),
        ..Batch::new(Face::OpenAi, id, who, request.endpoint, request.input_file_id, seconds(now))
    };
    Shelf::new(app.documents(), &identity.tenant).put(&batch, Precondition::Absent, now).await.map_err(failed)?;
    spawn(&app, identity.tenant, batch.id.clone());
    Ok(Json(batch.shown()))
}

/// Shows a batch.
#[utoipa::path(get, path = "/v1/batches/{batch}", tag = "bulk", operation_id = "show_batch",
    params(("batch" = String, Path, description = "The batch")),
    responses(
        (status = 200, description = "The batch", body = Object),
        (status = "4XX", description = "There is no such batch", body = OpenAiError),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(find(&app, &identity, Face::OpenAi, &id).await?.0.shown()))
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// Only what came before this one.
    pub(super) after: Option<String>,
    /// How many at most, 1 to 100; default 20.
    pub(super) limit: Option<usize>,
}

/// Lists batches, the latest first.
#[utoipa::path(get, path = "/v1/batches", tag = "bulk", operation_id = "list_batches", params(PageParams), responses(
    (status = 200, description = "A page of batches", body = Object),
    (status = "4XX", description = "The request is wrong", body = OpenAiError),
))]
pub(crate) async fn list(
    State(app): State<App>,
    identity: Identity,
    Params(params): Params<PageParams>,
) -> Result<Json<Value>, ApiError> {
    let size = page_size_to(100, params.limit, 20)?;
    let shelf = Shelf::<Batch>::new(app.documents(), &identity.tenant);
    let ours = |batch: &Batch| batch.face == Face::OpenAi;
    let (page, more) = shelf.page(PREFIX, &identity, Cursor::After(params.after), size, ours).await?;
    let ids = (page.first().map(|batch| &batch.id), page.last().map(|batch| &batch.id));
    let shown: Vec<Value> = page.iter().map(Batch::shown).collect();
    Ok(Json(json!({ "object": "list", "data": shown, "first_id": ids.0, "last_id": ids.1, "has_more": more })))
}

/// Cancels a batch: nothing more begins, and what ended is in its files.
#[utoipa::path(post, path = "/v1/batches/{batch}/cancel", tag = "bulk", operation_id = "cancel_batch",
    params(("batch" = String, Path, description = "The batch")),
    responses(
        (status = 200, description = "The batch", body = Object),
        (status = "4XX", description = "There is no such batch, or it is over", body = OpenAiError),
    )
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(stop(&app, &identity, Face::OpenAi, &id).await?.shown()))
}

/// Cancels a batch: a repeat is no error, a batch that is over is one.
pub(super) async fn stop(app: &App, identity: &Identity, face: Face, id: &str) -> Result<Batch, ApiError> {
    let shelf = Shelf::new(app.documents(), &identity.tenant);
    loop {
        let (mut batch, revision) = find(app, identity, face, id).await?;
        match batch.status {
            Status::Validating | Status::InProgress => {}
            Status::Cancelling => return Ok(batch),
            Status::Finalizing if batch.ending == Some(Status::Cancelled) => return Ok(batch),
            _ => return Err(ApiError::conflict("batch_over", "the batch is over and cannot be cancelled")),
        }
        let now = app.now();
        batch.enter(Status::Cancelling, seconds(now));
        match shelf.put(&batch, Precondition::At(revision), now).await {
            Ok(_) => return Ok(batch),
            // Its counts were written just then.
            Err(DocumentError::Conflict) => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Finds a batch that `face` made and the key may see.
pub(super) async fn find(app: &App, identity: &Identity, face: Face, id: &str) -> Result<(Batch, u64), ApiError> {
    let found = Shelf::<Batch>::new(app.documents(), &identity.tenant).find(id, identity).await?;
    let found = found.filter(|(batch, _)| batch.face == face);
    found.ok_or_else(|| ApiError::not_found("batch_not_found", "there is no such batch"))
}
