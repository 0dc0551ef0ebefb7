//! Objects: of an S3 endpoint, or of a folder of the project that stands for a bucket. A large object comes in pieces.

use super::{Integration, Prepared, Refusal, initial, xml};
use crate::{
    Handler, Task, bucket,
    error::{failed, missing, text},
    request,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bedplate_core::port::{
    BoxFuture,
    tasks::{TaskError, TaskPlan, TaskReply},
};
use bedplate_net::{Opened, percent_encoded};
use bytes::Bytes;
use futures::stream;
use hyper::{Method, header::HeaderMap};
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

/// The largest object that is told as a text; a larger one comes in pieces.
pub const MAX_TEXT_BYTES: usize = 256 * 1024;

/// How many pages of a list are read.
const MAX_PAGES: usize = 1_000;

/// `s3:getObject`, `s3:putObject` and `s3:listObjectsV2`: what Maps read items from and write results to.
pub struct Storage;

impl Handler for Storage {
    fn plan(&self, _: &Task) -> Result<TaskPlan, TaskError> {
        // Writing the same object again changes nothing.
        Ok(TaskPlan::PerformAgain)
    }

    fn perform(&self, task: Task) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        Box::pin(async move {
            let integration = Integration::of(&task)?;
            perform(&task, &integration).await
        })
    }
}

/// Performs an operation on objects.
pub async fn perform(task: &Task, integration: &Integration) -> Result<TaskReply, TaskError> {
    let input = &task.call.input;
    let name = input.get("Bucket").and_then(Value::as_str).map(bucket_name);
    if let Some(folder) = name.and_then(|name| task.config.buckets.get(name)) {
        return bucket::perform(task, folder).await;
    }
    match task.resource.action.as_str() {
        "getObject" => get(task, integration).await,
        "putObject" => put(task, integration).await.map(TaskReply::Done),
        "listObjectsV2" | "listObjects" => list(task, integration).await.map(TaskReply::Done),
        "listBuckets" => {
            let answer = whole(task, integration, Method::GET, "/".to_owned(), HeaderMap::new(), Bytes::new()).await?;
            let root = xml::parse(&String::from_utf8_lossy(&answer.body)).unwrap_or_default();
            let buckets =
                root.find(&["Buckets"]).map(|all| all.all("Bucket").map(xml::Element::value).collect::<Vec<_>>());
            Ok(TaskReply::Done(json!({ "Buckets": buckets.unwrap_or_default() })))
        }
        action @ ("headObject" | "deleteObject" | "createBucket" | "deleteBucket") => {
            let method = match action {
                "headObject" => Method::HEAD,
                "createBucket" => Method::PUT,
                _ => Method::DELETE,
            };
            let path = match action {
                "createBucket" | "deleteBucket" => format!("/{}", percent_encoded(bucket_name(text(input, "Bucket")?))),
                _ => path(input)?,
            };
            let answer = whole(task, integration, method, path, HeaderMap::new(), Bytes::new()).await?;
            Ok(TaskReply::Done(Value::Object(described(&answer.headers))))
        }
        other => Err(failed("States.TaskFailed", format!("the operation s3:{other} is not supported"))),
    }
}

/// Returns the name of a bucket out of its name or ARN.
pub fn bucket_name(named: &str) -> &str {
    named.rsplit(":::").next().unwrap_or(named)
}

fn path(input: &Value) -> Result<String, TaskError> {
    let bucket = percent_encoded(bucket_name(text(input, "Bucket")?));
    let key: Vec<String> = text(input, "Key")?.split('/').map(percent_encoded).collect();
    Ok(format!("/{bucket}/{}", key.join("/")))
}

async fn get(task: &Task, integration: &Integration) -> Result<TaskReply, TaskError> {
    let mut path = path(&task.call.input)?;
    if let Some(version) = task.call.input.get("VersionId").and_then(Value::as_str) {
        path += &format!("?versionId={}", percent_encoded(version));
    }
    let opened = open(task, integration, Method::GET, path, HeaderMap::new(), Bytes::new()).await?;
    if !opened.status.is_success() {
        return Err(refused(integration, opened).await);
    }
    let length = opened.headers.get("content-length").and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_none_or(|length| length > MAX_TEXT_BYTES) && !integration.sdk {
        let shown = integration.name();
        let pieces = stream::try_unfold(opened, move |mut opened| async move {
            let piece = opened.next().await.map_err(|failure| crate::error::unanswered(shown, &failure))?;
            Ok(piece.map(|piece| (piece, opened)))
        });
        return Ok(TaskReply::Items(Box::pin(pieces)));
    }
    let answer = super::read(opened, integration.name()).await?;
    let mut output = described(&answer.headers);
    output.insert("Body".to_owned(), Value::String(String::from_utf8_lossy(&answer.body).into_owned()));
    Ok(TaskReply::Done(Value::Object(output)))
}

/// Returns the body that a task writes: a text as it is, any other value as JSON.
pub fn body(input: &Value) -> Result<Bytes, TaskError> {
    match input.get("Body") {
        Some(Value::String(text)) => Ok(Bytes::from(text.clone())),
        Some(other) => Ok(Bytes::from(other.to_string())),
        None => Err(missing("Body")),
    }
}

async fn put(task: &Task, integration: &Integration) -> Result<Value, TaskError> {
    let input = &task.call.input;
    let body = body(input)?;
    let mut headers = HeaderMap::new();
    let kind = input.get("ContentType").and_then(Value::as_str).unwrap_or("application/octet-stream");
    request::insert(&mut headers, "content-type", kind)?;
    request::insert(&mut headers, "content-md5", &BASE64_STANDARD.encode(Md5::digest(&body)))?;
    for (name, value) in input.get("Metadata").and_then(Value::as_object).into_iter().flatten() {
        request::insert(&mut headers, &format!("x-amz-meta-{name}"), value.as_str().unwrap_or_default())?;
    }
    let answer = whole(task, integration, Method::PUT, path(input)?, headers, body).await?;
    Ok(Value::Object(described(&answer.headers)))
}

async fn list(task: &Task, integration: &Integration) -> Result<Value, TaskError> {
    let input = &task.call.input;
    let bucket = percent_encoded(bucket_name(text(input, "Bucket")?));
    let one_page = integration.sdk;
    let mut contents = Vec::new();
    let mut next = input.get("ContinuationToken").and_then(Value::as_str).map(ToOwned::to_owned);
    for _ in 0..MAX_PAGES {
        let mut path = format!("/{bucket}?list-type=2");
        for (name, field) in [("prefix", "Prefix"), ("max-keys", "MaxKeys"), ("start-after", "StartAfter")] {
            match input.get(field) {
                Some(Value::String(text)) => path += &format!("&{name}={}", percent_encoded(text)),
                Some(Value::Number(number)) => path += &format!("&{name}={number}"),
                _ => {}
            }
        }
        if let Some(token) = &next {
            path += &format!("&continuation-token={}", percent_encoded(token));
        }
        let answer = whole(task, integration, Method::GET, path, HeaderMap::new(), Bytes::new()).await?;
        let root = xml::parse(&String::from_utf8_lossy(&answer.body))
            .ok_or_else(|| failed("S3.SdkClientException", "the list of objects is no XML"))?;
        for object in root.all("Contents") {
            let field = |name: &str| object.find(&[name]).map(|found| found.text.clone()).unwrap_or_default();
            contents.push(json!({
                "Etag": field("ETag"),
                "Key": field("Key"),
                "LastModified": seconds(&field("LastModified")),
                "Size": field("Size").parse::<u64>().unwrap_or_default(),
                "StorageClass": field("StorageClass"),
            }));
        }
        next = root.find(&["NextContinuationToken"]).map(|token| token.text.clone());
        if one_page || next.is_none() {
            break;
        }
    }
    let mut output = json!({ "Contents": contents, "KeyCount": contents.len(), "IsTruncated": next.is_some() });
    if let (Some(token), Some(output)) = (next, output.as_object_mut()) {
        output.insert("NextContinuationToken".to_owned(), Value::String(token));
    }
    Ok(output)
}

fn seconds(time: &str) -> Value {
    time.parse::<jiff::Timestamp>().map_or(Value::Null, |time| time.as_second().into())
}

async fn open(
    task: &Task,
    integration: &Integration,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Opened, TaskError> {
    super::open(task, "s3", "s3", integration.name(), Prepared { method, path, headers, body }).await
}

async fn whole(
    task: &Task,
    integration: &Integration,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
) -> Result<bedplate_net::Answer, TaskError> {
    let opened = open(task, integration, method, path, headers, body).await?;
    if !opened.status.is_success() {
        return Err(refused(integration, opened).await);
    }
    super::read(opened, integration.name()).await
}

async fn refused(integration: &Integration, opened: Opened) -> TaskError {
    let status = opened.status.as_u16();
    let id = super::request_id(&opened.headers);
    let said = match super::read(opened, integration.name()).await {
        Ok(answer) => xml::parse(&String::from_utf8_lossy(&answer.body)).unwrap_or_default(),
        Err(error) => return error,
    };
    let field = |name: &str| said.find(&[name]).map(|found| found.text.clone()).unwrap_or_default();
    let code = match (field("Code"), status) {
        (code, 404) if code.is_empty() => "NoSuchKey".to_owned(),
        (code, _) => code,
    };
    integration.refused(&Refusal { status, code, message: field("Message"), request_id: id })
}

/// Returns what the headers of an answer say of an object.
fn described(headers: &HeaderMap) -> Map<String, Value> {
    let mut output = Map::new();
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match name.as_str() {
            "etag" => drop(output.insert("ETag".to_owned(), Value::String(text))),
            "content-type" => drop(output.insert("ContentType".to_owned(), Value::String(text))),
            "content-length" => {
                drop(output.insert("ContentLength".to_owned(), text.parse::<u64>().map_or(Value::Null, Into::into)))
            }
            "x-amz-version-id" => drop(output.insert("VersionId".to_owned(), Value::String(text))),
            "x-amz-server-side-encryption" => {
                drop(output.insert("ServerSideEncryption".to_owned(), Value::String(text)))
            }
            name => {
                if let Some(name) = name.strip_prefix("x-amz-meta-") {
                    let metadata = output.entry("Metadata").or_insert_with(|| json!({}));
                    if let Some(metadata) = metadata.as_object_mut() {
                        metadata.insert(initial(name, true), Value::String(text));
                    }
                }
            }
        }
    }
    output
}
