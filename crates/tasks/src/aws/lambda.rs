//! Functions of a Lambda endpoint: AWS itself, or a local stand-in.

use super::{Prepared, Refusal, initial};
use crate::{
    Task,
    error::failed,
    function::{Done, reported},
    request,
};
use bedplate_core::port::tasks::TaskError;
use bedplate_net::percent_encoded;
use bytes::Bytes;
use hyper::{Method, header::HeaderMap};
use serde_json::Value;

/// Calls the function `name` with `payload`.
pub async fn invoke(task: &Task, name: &str, payload: &Value) -> Result<Done, TaskError> {
    let mut headers = HeaderMap::new();
    request::insert(&mut headers, "content-type", "application/json")?;
    let path = format!("/2015-03-31/functions/{}/invocations", percent_encoded(name));
    let prepared = Prepared { method: Method::POST, path, headers, body: Bytes::from(payload.to_string()) };
    let opened = super::open(task, "lambda", "lambda", "Lambda", prepared).await?;
    let answer = super::read(opened, "Lambda").await?;
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let said = match answer.body.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice::<Value>(&answer.body)
            .map_err(|problem| failed("Lambda.Unknown", format!("the function's result is no JSON: {problem}")))?,
    };
    if answer.status.is_success() {
        if header("x-amz-function-error").is_some() {
            return Err(reported(&said));
        }
        let version = header("x-amz-executed-version").unwrap_or_else(|| "$LATEST".to_owned());
        return Ok(Done { payload: said, version, request_id: super::request_id(&answer.headers) });
    }
    let code = header("x-amzn-errortype").unwrap_or_default();
    let refusal = Refusal {
        status: answer.status.as_u16(),
        code: initial(code.split(':').next().unwrap_or_default(), false),
        message: ["Message", "message"]
            .iter()
            .find_map(|name| said.get(*name)?.as_str())
            .unwrap_or_default()
            .to_owned(),
        request_id: super::request_id(&answer.headers),
    };
    let kind = if refusal.code.is_empty() { "ServiceException" } else { &refusal.code };
    let cause = format!(
        "{} (Service: Lambda, Status Code: {}, Request ID: {})",
        refusal.message, refusal.status, refusal.request_id
    );
    Err(failed(format!("Lambda.{kind}"), cause))
}
