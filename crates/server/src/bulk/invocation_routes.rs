//! `/async-invoke`: Bedrock's StartAsyncInvoke, GetAsyncInvoke and ListAsyncInvokes, as the AWS SDKs send them. An
//! invocation is a job whose result becomes an object of a bucket.

use super::{
    Held, digest,
    invocation::{Invocation, Place},
    job::{Job, Status, begin},
    seconds,
    shelf::{Cursor, Kept, Shelf, failed},
    who::Who,
};
use crate::{
    ApiError, App,
    access::Identity,
    extract::{JsonBody, Params},
    key::hex,
    routes::{bedrock::AwsError, model_call},
    wire::rfc3339,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use bedplate_core::{
    id::UserId,
    port::documents::{DocumentError, Precondition},
    time::Timestamp,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

/// Where things are that nobody places elsewhere.
const ARN: &str = "arn:aws:bedrock:us-east-1:000000000000:async-invoke/";

/// What the id of an invocation's job begins with.
const PREFIX: &str = "inv_";

/// How long a token of a client is at most, in bytes.
const MAX_TOKEN: usize = 256;

/// An invocation that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InvocationRequest {
    /// A repeat with the same token is the same invocation.
    #[serde(default)]
    client_request_token: Option<String>,
    /// A model id that the project maps to a route, or a route.
    model_id: String,
    /// A body of InvokeModel.
    #[schema(value_type = Object)]
    model_input: Map<String, Value>,
    /// Where the result shall be.
    output_data_config: OutputConfig,
    /// What the call is billed to, at most 16.
    #[serde(default)]
    tags: Vec<Tag>,
}

/// Where the result shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OutputConfig {
    s3_output_data_config: Option<S3Config>,
}

/// A place in a bucket.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct S3Config {
    /// `s3://bucket/prefix`; the bucket is one of `[bulk] output_buckets`.
    s3_uri: String,
    /// Not supported: refused.
    #[serde(default)]
    kms_key_id: Option<String>,
    /// Not supported: refused.
    #[serde(default)]
    bucket_owner: Option<String>,
}

/// What the call is billed to.
#[derive(Debug, Deserialize, ToSchema)]
struct Tag {
    key: String,
    value: String,
}

/// An invocation that was accepted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Started {
    invocation_arn: String,
}

/// Which invocation a client's token made, and of which request.
#[derive(Serialize, Deserialize)]
struct Token {
    id: String,
    user: UserId,
    job: String,
    request: String,
}

impl Kept for Token {
    const COLLECTION: &'static str = "async-invoke-tokens";

    fn id(&self) -> &str {
        &self.id
    }

    fn user(&self) -> &UserId {
        &self.user
    }
}

/// Begins an invocation; when this returns it is committed. Its result is written as
/// `<prefix>/<invocation>/output.json`, beside a `manifest.json` that says how it stands.
#[utoipa::path(post, path = "/async-invoke", tag = "bulk", operation_id = "start_async_invoke",
    request_body = InvocationRequest,
    responses(
        (status = 200, description = "It is accepted", body = Started),
        (status = "4XX", description = "The request is wrong, in AWS's form", body = AwsError),
    )
)]
pub(crate) async fn start(
    State(app): State<App>,
    identity: Identity,
    JsonBody(request): JsonBody<InvocationRequest>,
) -> Result<Json<Started>, ApiError> {
    identity.check_models()?;
    model_call::route(&app, &request.model_id)?;
    let uri = place(&app, request.output_data_config)?;
    let mut who = Who::of(&identity, None)?;
    who.tag(request.tags.into_iter().map(|tag| (tag.key, tag.value)))?;
    let token = request.client_request_token;
    if token.as_ref().is_some_and(|token| !(1..=MAX_TOKEN).contains(&token.len())) {
        return Err(wrong(format!("clientRequestToken must have 1 to {MAX_TOKEN} bytes")));
    }
    let path = format!("/model/{}/invoke", utf8_percent_encode(&request.model_id, NON_ALPHANUMERIC));
    let body = Value::Object(request.model_input);
    let name = reserve(&app, &identity, &who, token.as_deref(), &[&path, &uri, &body.to_string()]).await?;
    let now = app.now();
    let invocation = Invocation {
        arn: format!("{ARN}{name}"),
        model_arn: model_arn(&request.model_id),
        token,
        uri,
        failure: None,
        submitted_at: now.0,
        modified_at: now.0,
        ended_at: None,
    };
    let shelf = Shelf::<Job>::new(app.documents(), &identity.tenant);
    let id = format!("{PREFIX}{name}");
    if shelf.get(&id).await.map_err(failed)?.is_none() {
        let user = who.user.clone();
        // Whoever takes up the work of an earlier process does not begin it before its place is described.
        let Some(held) = Held::take(&app, &identity.tenant, &id) else {
            return Ok(Json(Started { invocation_arn: invocation.arn }));
        };
        let job = Job { invocation: Some(invocation.clone()), ..Job::new(id, who, path, body, seconds(now)) };
        match shelf.put(&job, Precondition::Absent, now).await {
            Ok(_) => {
                // Only whoever made it describes it, and before it begins: what cannot be written later is said now.
                if let Err(message) = invocation.describe(&app, &identity.tenant, &user, "InProgress").await {
                    shelf.delete(&job.id).await.map_err(failed)?;
                    return Err(wrong(format!("the output cannot be written: {message}")));
                }
                begin(&app, identity.tenant, job.id, held);
            }
            // The same request made it just then.
            Err(DocumentError::Conflict) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(Json(Started { invocation_arn: invocation.arn }))
}

/// Returns where the result shall be, when the project lets results be written there.
fn place(app: &App, config: OutputConfig) -> Result<String, ApiError> {
    let config = config.s3_output_data_config.ok_or_else(|| wrong("outputDataConfig needs s3OutputDataConfig"))?;
    if config.kms_key_id.is_some() || config.bucket_owner.is_some() {
        return Err(wrong("kmsKeyId and bucketOwner are not supported: leave them out"));
    }
    let place = Place::of(&config.s3_uri).ok_or_else(|| wrong("s3Uri must be s3://bucket/prefix"))?;
    if !app.0.options.output_buckets.iter().any(|bucket| bucket == place.bucket) {
        let message = format!(
            "results may not be written to the bucket {:?}: name it in output_buckets of the table [bulk] of bedplate.toml",
            place.bucket
        );
        return Err(wrong(message));
    }
    Ok(config.s3_uri)
}

/// Returns the name of a new invocation, or that of the one that this token made before.
async fn reserve(
    app: &App,
    identity: &Identity,
    who: &Who,
    token: Option<&str>,
    request: &[&str],
) -> Result<String, ApiError> {
    let name = new_name(app);
    let Some(token) = token else { return Ok(name) };
    let short = |parts: &[&str]| hex(&digest(parts)[..16]);
    let id = short(&[who.user.as_str(), token]);
    let token = Token { id, user: who.user.clone(), job: name, request: short(request) };
    let shelf = Shelf::<Token>::new(app.documents(), &identity.tenant);
    match shelf.put(&token, Precondition::Absent, app.now()).await {
        Ok(_) => Ok(token.job),
        Err(DocumentError::Conflict) => {
            let earlier = shelf.get(&token.id).await.map_err(failed)?.map(|(earlier, _)| earlier);
            match earlier {
                Some(earlier) if earlier.request == token.request => Ok(earlier.job),
                _ => {
                    let message = "this clientRequestToken began an invocation of another request";
                    Err(ApiError::bad_request("idempotency_key_reused", message).aws("ConflictException"))
                }
            }
        }
        Err(error) => Err(failed(error)),
    }
}

/// Returns 12 letters and digits whose order is that of time, as the service's own are long.
fn new_name(app: &App) -> String {
    let digits = |mut value: u64, count: usize| {
        let mut text = vec![b'0'; count];
        for digit in text.iter_mut().rev() {
            *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(value % 36) as usize];
            value /= 36;
        }
        String::from_utf8(text).unwrap_or_default()
    };
    let random = app.0.options.entropy.bytes();
    let random = random.iter().take(4).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    format!("{}{}", digits(u64::try_from(app.now().0).unwrap_or_default(), 8), digits(random, 4))
}

fn model_arn(model: &str) -> String {
    if model.starts_with("arn:") {
        return model.to_owned();
    }
    format!("arn:aws:bedrock:us-east-1::foundation-model/{model}")
}

/// How an invocation stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InvocationBody {
    invocation_arn: String,
    model_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_request_token: Option<String>,
    /// `InProgress`, `Completed` or `Failed`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_message: Option<String>,
    submit_time: String,
    last_modified_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    /// Where the result is.
    #[schema(value_type = Object)]
    output_data_config: Value,
}

impl InvocationBody {
    fn of(job: &Job, invocation: &Invocation) -> Self {
        let at = |millis: i64| rfc3339(Timestamp(millis));
        Self {
            invocation_arn: invocation.arn.clone(),
            model_arn: invocation.model_arn.clone(),
            client_request_token: invocation.token.clone(),
            status: status(job.status),
            failure_message: invocation.failure.clone(),
            submit_time: at(invocation.submitted_at),
            last_modified_time: at(invocation.modified_at),
            end_time: invocation.ended_at.map(at),
            output_data_config: json!({ "s3OutputDataConfig": { "s3Uri": invocation.uri } }),
        }
    }
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Queued | Status::Running | Status::Waiting => "InProgress",
        Status::Completed => "Completed",
        Status::Failed | Status::Cancelled => "Failed",
    }
}

/// Shows how an invocation stands.
#[utoipa::path(get, path = "/async-invoke/{arn}", tag = "bulk", operation_id = "get_async_invoke",
    params(("arn" = String, Path, description = "The invocation's ARN")),
    responses(
        (status = 200, description = "How it stands", body = InvocationBody),
        (status = "4XX", description = "There is no such invocation, in AWS's form", body = AwsError),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    identity: Identity,
    Path(arn): Path<String>,
) -> Result<Json<InvocationBody>, ApiError> {
    let none = || wrong("there is no such invocation");
    let name = arn.rsplit('/').next().unwrap_or_default();
    let shelf = Shelf::<Job>::new(app.documents(), &identity.tenant);
    let (job, _) = shelf.find(&format!("{PREFIX}{name}"), &identity).await?.ok_or_else(none)?;
    let invocation = job.invocation.as_ref().filter(|invocation| invocation.arn == arn).ok_or_else(none)?;
    Ok(Json(InvocationBody::of(&job, invocation)))
}

/// Which invocations.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InvocationParams {
    /// Only those that were submitted after this time, RFC 3339.
    submit_time_after: Option<String>,
    /// Only those that were submitted before this time, RFC 3339.
    submit_time_before: Option<String>,
    /// Only those that stand so: `InProgress`, `Completed` or `Failed`.
    status_equals: Option<String>,
    /// How many at most, 1 to 1,000; default 100.
    max_results: Option<usize>,
    /// Where to go on, as the page before said.
    next_token: Option<String>,
    /// `SubmissionTime`.
    sort_by: Option<String>,
    /// `Ascending` or `Descending`, the default.
    sort_order: Option<String>,
}

/// A page of invocations.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InvocationsBody {
    async_invoke_summaries: Vec<InvocationBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// Lists invocations by the time of their submission.
#[utoipa::path(get, path = "/async-invoke", tag = "bulk", operation_id = "list_async_invokes",
    params(InvocationParams),
    responses(
        (status = 200, description = "A page of invocations", body = InvocationsBody),
        (status = "4XX", description = "The request is wrong, in AWS's form", body = AwsError),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    identity: Identity,
    Params(params): Params<InvocationParams>,
) -> Result<Json<InvocationsBody>, ApiError> {
    let size = params.max_results.unwrap_or(100);
    if !(1..=1_000).contains(&size) {
        return Err(wrong("maxResults must be 1 to 1000"));
    }
    if params.sort_by.as_deref().is_some_and(|by| by != "SubmissionTime") {
        return Err(wrong("sortBy must be SubmissionTime"));
    }
    let ascending = match params.sort_order.as_deref() {
        None | Some("Descending") => false,
        Some("Ascending") => true,
        Some(_) => return Err(wrong("sortOrder must be Ascending or Descending")),
    };
    let wanted = params.status_equals.as_deref();
    if wanted.is_some_and(|wanted| !["InProgress", "Completed", "Failed"].contains(&wanted)) {
        return Err(wrong("statusEquals must be InProgress, Completed or Failed"));
    }
    let (after, before) = (time(params.submit_time_after.as_deref())?, time(params.submit_time_before.as_deref())?);
    let token = params.next_token.filter(|token| token.starts_with(PREFIX));
    let cursor = if ascending { Cursor::Before(token.unwrap_or_default()) } else { Cursor::After(token) };
    let fits = |job: &Job| {
        let Some(invocation) = &job.invocation else { return false };
        let at = invocation.submitted_at;
        after.is_none_or(|after| at > after)
            && before.is_none_or(|before| at < before)
            && wanted.is_none_or(|wanted| status(job.status) == wanted)
    };
    let shelf = Shelf::<Job>::new(app.documents(), &identity.tenant);
    let (mut page, more) = shelf.page(PREFIX, &identity, cursor, size, fits).await?;
    if ascending {
        page.reverse();
    }
    let next_token = page.last().filter(|_| more).map(|job| job.id.clone());
    let shown = page.iter().filter_map(|job| Some(InvocationBody::of(job, job.invocation.as_ref()?)));
    Ok(Json(InvocationsBody { async_invoke_summaries: shown.collect(), next_token }))
}

fn time(said: Option<&str>) -> Result<Option<i64>, ApiError> {
    let Some(said) = said else { return Ok(None) };
    let read = said.parse::<jiff::Timestamp>();
    read.map(|time| Some(time.as_millisecond())).map_err(|_| wrong("a time must be written as RFC 3339 has it"))
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_request", message)
}
