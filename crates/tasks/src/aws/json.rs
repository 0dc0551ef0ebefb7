//! Services that are spoken to in JSON, with the operation in a header.

use super::{Integration, Prepared, Refusal, initial, service::Protocol};
use crate::{Task, error::failed, request};
use bedplate_core::port::tasks::TaskError;
use bytes::Bytes;
use hyper::{Method, header::HeaderMap};
use serde_json::{Map, Value};

/// How deep an input is renamed; what lies deeper is a document and stays.
const MAX_DEPTH: usize = 12;

/// Calls the task's operation and returns its output.
pub async fn call(task: &Task, integration: &Integration) -> Result<Value, TaskError> {
    let Protocol::Json { version, target, small } = integration.service.protocol else {
        return Err(failed("States.Runtime", "the service does not speak JSON"));
    };
    let action = initial(&task.resource.action, false);
    let mut input = Value::clone(&task.call.input);
    prepare(task, integration, &mut input);
    if small {
        input = renamed(input, true, 0);
    }
    let mut headers = HeaderMap::new();
    request::insert(&mut headers, "content-type", &format!("application/x-amz-json-{version}"))?;
    request::insert(&mut headers, "x-amz-target", &format!("{target}.{action}"))?;
    let body = Bytes::from(input.to_string());
    let prepared = Prepared { method: Method::POST, path: "/".to_owned(), headers, body };
    let service = integration.service;
    let opened = super::open(task, service.names[0], service.prefix, integration.name(), prepared).await?;
    let answer = super::read(opened, integration.name()).await?;
    let id = super::request_id(&answer.headers);
    let said = serde_json::from_slice::<Value>(&answer.body).unwrap_or(Value::Null);
    if !answer.status.is_success() {
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
        // SQS tells the code of its older protocol in a header, and clients know that one.
        let code = header("x-amzn-query-error").and_then(|value| value.split(';').next());
        let code =
            code.or_else(|| said.get("__type")?.as_str()).or_else(|| header("x-amzn-errortype")).unwrap_or_default();
        let code = code.rsplit(['#', '.']).next().unwrap_or(code).split(':').next().unwrap_or_default();
        let message = ["message", "Message"].iter().find_map(|name| said.get(*name)?.as_str()).unwrap_or_default();
        return Err(integration.refused(&Refusal {
            status: answer.status.as_u16(),
            code: code.to_owned(),
            message: message.to_owned(),
            request_id: id,
        }));
    }
    let said = if small { renamed(said, false, 0) } else { said };
    let mut output = match said {
        Value::Object(output) => output,
        _ => Map::new(),
    };
    if action == "PutEvents" && output.get("FailedEntryCount").and_then(Value::as_u64).is_some_and(|count| count > 0) {
        return Err(failed("EventBridge.FailedEntry", Value::Object(output).to_string()));
    }
    if !integration.sdk {
        super::add_metadata(&mut output, answer.status.as_u16(), &id, &format!("application/x-amz-json-{version}"));
    }
    Ok(Value::Object(output))
}

/// Puts an input into the form that the API takes: where it takes a text, the integrations take any value.
fn prepare(task: &Task, integration: &Integration, input: &mut Value) {
    match (integration.service.prefix, task.resource.action.as_str()) {
        ("sqs", _) => as_text(input, "MessageBody"),
        ("events", "putEvents") => {
            for entry in input.get_mut("Entries").and_then(Value::as_array_mut).into_iter().flatten() {
                as_text(entry, "Detail");
                // The optimised integration says which execution an event comes from.
                if let Some(entry) = entry.as_object_mut().filter(|_| !integration.sdk) {
                    let mut resources = match entry.remove("Resources") {
                        Some(Value::Array(resources)) => resources,
                        _ => Vec::new(),
                    };
                    resources.push(Value::String(task.call.execution.to_string()));
                    entry.insert("Resources".to_owned(), Value::Array(resources));
                }
            }
        }
        _ => {}
    }
}

/// Makes a text of the field `name`, when it is none.
pub fn as_text(object: &mut Value, name: &str) {
    if let Some(value) = object.get_mut(name)
        && !value.is_string()
    {
        *value = Value::String(value.to_string());
    }
}

/// Returns a value whose names begin small (or large) at every depth.
fn renamed(value: Value, small: bool, depth: usize) -> Value {
    match value {
        Value::Object(fields) if depth < MAX_DEPTH => fields
            .into_iter()
            .map(|(name, value)| (initial(&name, small), renamed(value, small, depth + 1)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(|item| renamed(item, small, depth + 1)).collect(),
        other => other,
    }
}
