//! A function behind an HTTP endpoint: the payload is posted, the answer is the result.

use super::{MAX_RESULT_BYTES, error, parsed, reported};
use crate::{
    Task,
    config::Function,
    error::{TASK_FAILED, failed},
    request,
};
use bedplate_core::port::tasks::TaskError;
use bedplate_net::{Outgoing, Secrets};
use bytes::Bytes;
use hyper::{Method, StatusCode, header::HeaderValue};
use serde_json::Value;

pub async fn call(task: &Task, function: &Function, url: &str, body: Bytes) -> Result<Value, TaskError> {
    let mut secrets = Secrets::default();
    let url = url::Url::parse(url).map_err(|_| failed(TASK_FAILED, "the function's url is not valid"))?;
    let mut headers = request::headers(&task.shared, &function.headers, &mut secrets)?;
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    request::insert(&mut headers, "idempotency-key", &task.call.idempotency_key)?;
    request::insert(&mut headers, "x-bedplate-execution", &task.call.execution)?;
    // The file names exactly this address, so it may be one of this machine or network.
    let allow_private = request::authority(&url).into_iter().collect();
    let outgoing = Outgoing { method: Method::POST, url, headers, body, allow_private };
    let answer = match task.shared.client.open(&outgoing).await {
        Ok(opened) => opened.read(MAX_RESULT_BYTES).await,
        Err(failure) => Err(failure),
    };
    let answer = answer.map_err(|failure| {
        let cause = secrets.redact(&failure.to_string());
        failed(if failure.was_not_sent() { "Lambda.SdkClientException" } else { "Lambda.ServiceException" }, cause)
    })?;
    let clean = |mut value: Value| {
        secrets.redact_json(&mut value);
        value
    };
    let fails = answer.headers.contains_key("x-amz-function-error");
    if answer.status.is_success() && !fails {
        return parsed(&answer.body, answer.whole).map(clean);
    }
    let said = serde_json::from_slice::<Value>(&answer.body).ok().map(clean);
    if let Some(said) = said.filter(|said| fails || said.get("errorType").is_some()) {
        return Err(reported(&said));
    }
    let text = secrets.redact(&String::from_utf8_lossy(&answer.body));
    let text = &text[..text.floor_char_boundary(2_000.min(text.len()))];
    let kind = match answer.status {
        StatusCode::TOO_MANY_REQUESTS => "Lambda.TooManyRequestsException",
        StatusCode::BAD_REQUEST => "Lambda.InvalidRequestContentException",
        StatusCode::NOT_FOUND => "Lambda.ResourceNotFoundException",
        status if status.is_server_error() => "Lambda.ServiceException",
        _ => TASK_FAILED,
    };
    Err(error(kind, &format!("the function's endpoint answered HTTP {}: {text}", answer.status.as_u16())))
}
