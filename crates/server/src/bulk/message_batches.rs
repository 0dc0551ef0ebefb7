//! `/v1/messages/batches`: batches as Anthropic's clients handle them.

use super::{
    batch::{Batch, Face, Results, Status, requests_id},
    batch_routes::{find, stop},
    batch_work::spawn,
    files::{self, File, Writer, remove},
    new_id,
    rows::line_of,
    seconds,
    shelf::{Cursor, Shelf, failed},
    who::Who,
};
use crate::{
    ApiError, App,
    access::Identity,
    extract::{Params, page_size_to, parse, read_within},
    routes::{anthropic::AnthropicError, passing},
    wire::rfc3339,
};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use bedplate_core::{
    port::documents::{DocumentError, Precondition},
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::{borrow::Cow, collections::HashSet};
use utoipa::IntoParams;

/// What the requests of such a batch call.
const ENDPOINT: &str = "/v1/messages";

/// What the id of such a batch begins with.
const PREFIX: &str = "msgbatch_";

/// How many requests a batch has at most.
const MAX_REQUESTS: usize = 100_000;

/// The largest body that makes a batch, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The longest id that a client gives to a request, in bytes.
const MAX_CUSTOM_ID: usize = 64;

/// A batch that is wanted.
#[derive(Deserialize)]
struct Wanted<'a> {
    #[serde(borrow)]
    requests: Vec<Asked<'a>>,
}

/// One of its requests.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    custom_id: Cow<'a, str>,
    #[serde(borrow)]
    params: &'a RawValue,
}

/// What is looked at in the body of a request before it is its turn.
#[derive(Deserialize)]
struct Glance {
    #[serde(default)]
    stream: Option<bool>,
}

impl Batch {
    /// Returns the batch as Anthropic's clients know it; `base` is the address that they reach this server by.
    fn as_message_batch(&self, base: &str) -> Value {
        let over = matches!(self.status, Status::Completed | Status::Cancelled | Status::Expired | Status::Failed);
        let processing_status = match self.status {
            _ if over => "ended",
            Status::Cancelling => "canceling",
            Status::Finalizing if self.ending == Some(Status::Cancelled) => "canceling",
            _ => "in_progress",
        };
        let at = |seconds: i64| rfc3339(Timestamp(seconds * 1_000));
        let since = |words: &[&str]| words.iter().find_map(|word| self.since.get(*word)?.as_i64()).map(at);
        let counted = |count: u64| if over { count } else { 0 };
        let left = |why: Status| if self.status == why { self.left_out } else { 0 };
        json!({
            "id": self.id,
            "type": "message_batch",
            "processing_status": processing_status,
            "request_counts": {
                "processing": if over { 0 } else { self.total },
                "succeeded": counted(self.completed),
                "errored": counted(self.failed),
                "canceled": left(Status::Cancelled),
                "expired": left(Status::Expired),
            },
            "created_at": at(self.created_at),
            "expires_at": at(self.expires_at),
            "ended_at": since(&["completed_at", "cancelled_at", "expired_at", "failed_at"]),
            "cancel_initiated_at": since(&["cancelling_at"]),
            "archived_at": null,
            "results_url": over.then(|| format!("{base}{ENDPOINT}/batches/{}/results", self.id)),
        })
    }
}

/// Returns the address that a client reached the server by, as far as its request says it.
fn base(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    // Without a host the address is one below the client's own base.
    text("host").map(|host| format!("{scheme}://{host}")).unwrap_or_default()
}

/// Makes a batch of Messages requests. They run at the priority `batch`, as many at once as `[bulk]` says.
#[utoipa::path(post, path = "/v1/messages/batches", tag = "bulk", operation_id = "create_message_batch",
    request_body(content = Object, description = "`requests`: each a `custom_id` and the `params` of a Messages call"),
    responses(
        (status = 200, description = "The batch, as Anthropic has it", body = Object),
        (status = "4XX", description = "The request is wrong, in Anthropic's form", body = AnthropicError),
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    identity: Identity,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    identity.check_models()?;
    let body = read_within(body, MAX_BYTES).await?;
    let wanted: Wanted<'_> = parse(&body)?;
    check(&wanted.requests)?;
    let who = Who::of(&identity, None)?;
    let id = new_id(&app, PREFIX);
    let now = app.now();
    let input = File::new(requests_id(&id), who.user.clone(), String::new(), "", now);
    let mut writer = Writer::new(&app, &identity.tenant, input);
    if let Err(error) = write(&mut writer, &wanted.requests).await {
        writer.abandon().await;
        return Err(failed(error));
    }
    let taken = passing::taken(&headers, &["anthropic-version", "anthropic-beta"]);
    let requests = requests_id(&id);
    let mut batch = Batch {
        total: wanted.requests.len() as u64,
        headers: taken.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..Batch::new(Face::Anthropic, id, who, ENDPOINT.to_owned(), requests, seconds(now))
    };
    // They were looked at above: nothing is left to validate.
    batch.enter(Status::InProgress, seconds(now));
    let shelf = Shelf::new(app.documents(), &identity.tenant);
    if let Err(error) = shelf.put(&batch, Precondition::Absent, now).await {
        // Nobody would know of its requests; a batch whose write was only not heard of would miss them.
        if shelf.delete(&batch.id).await.is_ok() {
            writer.abandon().await;
        }
        return Err(failed(error));
    }
    spawn(&app, identity.tenant, batch.id.clone());
    Ok(Json(batch.as_message_batch(&base(&headers))))
}

/// Writes the requests of a batch where its work reads them.
async fn write(writer: &mut Writer, requests: &[Asked<'_>]) -> Result<(), DocumentError> {
    for asked in requests {
        writer.write(&line_of(&asked.custom_id, ENDPOINT, asked.params)).await?;
    }
    writer.rest().await
}

/// Refuses requests that nothing can come of, before anything is written.
fn check(requests: &[Asked<'_>]) -> Result<(), ApiError> {
    let wrong = |message: String| Err(ApiError::bad_request("invalid_request", message));
    if !(1..=MAX_REQUESTS).contains(&requests.len()) {
        return wrong(format!("requests: a batch has 1 to {MAX_REQUESTS} requests"));
    }
    let mut ids = HashSet::with_capacity(requests.len());
    for (number, asked) in requests.iter().enumerate() {
        let id = &*asked.custom_id;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !(1..=MAX_CUSTOM_ID).contains(&id.len()) || !id.bytes().all(plain) {
            return wrong(format!(
                "requests.{number}.custom_id: must be 1 to {MAX_CUSTOM_ID} letters, digits, `_` and `-`"
            ));
        }
        if !ids.insert(id) {
            return wrong(format!("requests.{number}.custom_id: `{id}` came before"));
        }
        if !asked.params.get().starts_with('{') {
            return wrong(format!("requests.{number}.params: must be an object"));
        }
        match serde_json::from_str::<Glance>(asked.params.get()) {
            Ok(Glance { stream: Some(true) }) => {
                return wrong(format!("requests.{number}.params.stream: a request of a batch cannot be a stream"));
            }
            Ok(_) => {}
            Err(error) => return wrong(format!("requests.{number}.params: {error}")),
        }
    }
    Ok(())
}

/// Shows a batch.
#[utoipa::path(get, path = "/v1/messages/batches/{batch}", tag = "bulk", operation_id = "show_message_batch",
    params(("batch" = String, Path, description = "The batch")),
    responses(
        (status = 200, description = "The batch", body = Object),
        (status = "4XX", description = "There is no such batch", body = AnthropicError),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    identity: Identity,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(find(&app, &identity, Face::Anthropic, &id).await?.0.as_message_batch(&base(&headers))))
}

/// Which batches.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MessageBatchParams {
    /// Those that came just before this one.
    after_id: Option<String>,
    /// Those that came just after this one.
    before_id: Option<String>,
    /// How many at most, 1 to 1,000; default 20.
    limit: Option<usize>,
}

/// Lists batches, the latest first.
#[utoipa::path(get, path = "/v1/messages/batches", tag = "bulk", operation_id = "list_message_batches",
    params(MessageBatchParams),
    responses(
        (status = 200, description = "A page of batches", body = Object),
        (status = "4XX", description = "The request is wrong", body = AnthropicError),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    identity: Identity,
    headers: HeaderMap,
    Params(params): Params<MessageBatchParams>,
) -> Result<Json<Value>, ApiError> {
    let size = page_size_to(1_000, params.limit, 20)?;
    let cursor = match (params.after_id, params.before_id) {
        (Some(_), Some(_)) => {
            return Err(ApiError::bad_request("invalid_cursor", "`after_id` and `before_id` exclude each other"));
        }
        (after, None) => Cursor::After(after),
        (None, Some(before)) => Cursor::Before(before),
    };
    let shelf = Shelf::<Batch>::new(app.documents(), &identity.tenant);
    let ours = |batch: &Batch| batch.face == Face::Anthropic;
    let (page, more) = shelf.page(PREFIX, &identity, cursor, size, ours).await?;
    let ids = (page.first().map(|batch| &batch.id), page.last().map(|batch| &batch.id));
    let base = base(&headers);
    let shown: Vec<Value> = page.iter().map(|batch| batch.as_message_batch(&base)).collect();
    Ok(Json(json!({ "data": shown, "first_id": ids.0, "last_id": ids.1, "has_more": more })))
}

/// Cancels a batch: nothing more begins, and what ended is in its results.
#[utoipa::path(post, path = "/v1/messages/batches/{batch}/cancel", tag = "bulk", operation_id = "cancel_message_batch",
    params(("batch" = String, Path, description = "The batch")),
    responses(
        (status = 200, description = "The batch", body = Object),
        (status = "4XX", description = "There is no such batch, or it is over", body = AnthropicError),
    )
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    identity: Identity,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(stop(&app, &identity, Face::Anthropic, &id).await?.as_message_batch(&base(&headers))))
}

/// Sends what became of each request of a batch that is over, a line each.
#[utoipa::path(get, path = "/v1/messages/batches/{batch}/results", tag = "bulk", operation_id = "message_batch_results",
    params(("batch" = String, Path, description = "The batch")),
    responses(
        (status = 200, description = "A line for each request", body = String, content_type = "application/x-jsonl"),
        (status = "4XX", description = "There is no such batch, or it is not over", body = AnthropicError),
    )
)]
pub(crate) async fn results(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (batch, _) = find(&app, &identity, Face::Anthropic, &id).await?;
    let Some(Results { pieces, bytes }) = batch.results else {
        return Err(ApiError::not_found("batch_not_over", "the batch has no results yet: it is still being processed"));
    };
    Ok(files::response(&app, &identity.tenant, batch.results_id(), pieces, bytes, "application/x-jsonl"))
}

/// Removes a batch that is over, with its results.
#[utoipa::path(delete, path = "/v1/messages/batches/{batch}", tag = "bulk", operation_id = "delete_message_batch",
    params(("batch" = String, Path, description = "The batch")),
    responses(
        (status = 200, description = "It is removed", body = Object),
        (status = "4XX", description = "There is no such batch, or it is not over", body = AnthropicError),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let (batch, _) = find(&app, &identity, Face::Anthropic, &id).await?;
    if batch.results.is_none() {
        let message = "the batch is still being processed; cancel it first";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "batch_not_over", message));
    }
    let remove_all = async {
        // The batch goes last: when one of these fails, a repeat removes the rest.
        remove(&app, &identity.tenant, &batch.results_id()).await?;
        remove(&app, &identity.tenant, &batch.input_file_id).await?;
        Shelf::<Batch>::new(app.documents(), &identity.tenant).delete(&batch.id).await?;
        Ok::<_, DocumentError>(())
    };
    remove_all.await.map_err(failed)?;
    Ok(Json(json!({ "id": batch.id, "type": "message_batch_deleted" })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(requests: &str) -> String {
        let body = format!(r#"{{"requests":{requests}}}"#);
        let wanted = serde_json::from_str::<Wanted<'_>>(&body).expect("it is a batch");
        check(&wanted.requests).expect_err("it is wrong").message.into_owned()
    }

    #[test]
    fn a_wrong_request_is_named_before_anything_is_run() {
        assert!(refused("[]").contains("1 to 100000"));
        let one = r#"{"custom_id":"a","params":{"model":"m"}}"#;
        assert!(refused(&format!("[{one},{one}]")).starts_with("requests.1.custom_id"));
        assert!(refused(r#"[{"custom_id":"a b","params":{}}]"#).contains("letters"));
        assert!(refused(r#"[{"custom_id":"a","params":{"stream":true}}]"#).contains("requests.0.params.stream"));
        assert!(refused(r#"[{"custom_id":"a","params":[true]}]"#).contains("must be an object"));
        assert!(refused(r#"[{"custom_id":"a","params":{"stream":7}}]"#).contains("requests.0.params: "));
    }

    #[test]
    fn results_are_found_where_the_client_came_in() {
        let mut headers = HeaderMap::new();
        assert_eq!(base(&headers), "");
        headers.insert("host", "gate.example:8443".parse().expect("a value"));
        assert_eq!(base(&headers), "http://gate.example:8443");
        headers.insert("x-forwarded-proto", "https".parse().expect("a value"));
        assert_eq!(base(&headers), "https://gate.example:8443");
    }
}
