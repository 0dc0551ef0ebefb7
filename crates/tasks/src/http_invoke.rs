//! `http:invoke`: a request to an API that a connection of the project allows, with the connection's credential.

use crate::{
    Handler, Task,
    config::{Auth, Connection},
    error::{TASK_FAILED, failed, missing, not_configured, text},
    request,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bedplate_core::port::{
    BoxFuture,
    tasks::{TaskError, TaskPlan, TaskReply},
};
use bedplate_net::{Answer, Failure, Outgoing, Secrets};
use bytes::Bytes;
use hyper::{Method, header::HeaderMap};
use serde_json::{Map, Value, json};
use std::time::Duration;
use url::Url;

/// How long a request may take; AWS has the same.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Calls HTTP APIs.
pub struct HttpInvoke;

impl Handler for HttpInvoke {
    fn plan(&self, task: &Task) -> Result<TaskPlan, TaskError> {
        let method = task.call.input.get("Method").and_then(Value::as_str).unwrap_or_default();
        let reads = ["GET", "HEAD", "OPTIONS"].contains(&method.to_ascii_uppercase().as_str());
        Ok(if reads { TaskPlan::PerformAgain } else { TaskPlan::Perform })
    }

    fn perform(&self, task: Task) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        Box::pin(async move {
            let mut secrets = Secrets::default();
            let outgoing = prepare(&task, &mut secrets)?;
            let answer = match tokio::time::timeout(TIMEOUT, task.shared.client.send(&outgoing)).await {
                Ok(answer) => answer,
                Err(_) => Err(Failure::Timeout(TIMEOUT)),
            };
            let answer = answer.map_err(|failure| {
                let name = if matches!(failure, Failure::Refused) { TASK_FAILED } else { "States.Http.Socket" };
                let hint = match failure {
                    Failure::Refused => ": add it to allow_private of the connection in bedplate.toml",
                    _ => "",
                };
                failed(name, format!("{}{hint}", secrets.redact(&failure.to_string())))
            })?;
            let status = answer.status;
            let mut result = result(answer);
            secrets.redact_json(&mut result);
            if status.is_success() || status.is_redirection() {
                return Ok(TaskReply::Done(result));
            }
            Err(failed(format!("States.Http.StatusCode.{}", status.as_u16()), result.to_string()))
        })
    }
}

fn prepare(task: &Task, secrets: &mut Secrets) -> Result<Outgoing, TaskError> {
    let input = &*task.call.input;
    let arn =
        ["Authentication", "InvocationConfig"].iter().find_map(|name| input.get(*name)?.get("ConnectionArn")?.as_str());
    let arn = arn.ok_or_else(|| missing("Authentication.ConnectionArn"))?;
    // arn:aws:events:REGION:ACCOUNT:connection/NAME/ID, or the name alone.
    let name = arn.split_once("connection/").map_or(arn, |(_, rest)| rest.split('/').next().unwrap_or(rest));
    let connection = task.config.connections.get(name).ok_or_else(|| {
        not_configured(format!("the connection {name:?}"), format!("[connections.{name}] with endpoints and auth"))
    })?;
    let mut url = Url::parse(text(input, "ApiEndpoint")?)
        .map_err(|problem| failed("States.Runtime", format!("the field 'ApiEndpoint' is no address: {problem}")))?;
    if !connection.endpoints.iter().any(|endpoint| covers(endpoint, &url)) {
        let cause =
            format!("the connection {name:?} is not for this address: add it to its endpoints in bedplate.toml");
        return Err(failed(TASK_FAILED, cause));
    }
    if let Some(parameters) = input.get("QueryParameters").and_then(Value::as_object) {
        let mut pairs = url.query_pairs_mut();
        for (name, value) in parameters {
            for value in listed(value) {
                pairs.append_pair(name, &plain(value));
            }
        }
    }
    let method = text(input, "Method")?.to_ascii_uppercase();
    let method = Method::try_from(method.as_str()).map_err(|_| missing("Method"))?;
    let mut headers = HeaderMap::new();
    if let Some(given) = input.get("Headers").and_then(Value::as_object) {
        for (name, value) in given {
            request::insert(&mut headers, name, &listed(value).map(plain).collect::<Vec<_>>().join(", "))?;
        }
    }
    let body = match input.get("RequestBody") {
        None => Bytes::new(),
        Some(body) => encoded(body, input, &mut headers)?,
    };
    // The connection's own headers come last: a state cannot take them away.
    headers.extend(request::headers(&task.shared, &connection.headers, secrets)?);
    authorise(task, connection, &mut headers, secrets)?;
    if !headers.contains_key("user-agent") {
        request::insert(&mut headers, "user-agent", "bedplate")?;
    }
    Ok(Outgoing { method, url, headers, body, allow_private: connection.allow_private.clone() })
}

/// Returns whether `url` lies below `endpoint`: the same server, and its path at or below the endpoint's.
fn covers(endpoint: &str, url: &Url) -> bool {
    let Ok(endpoint) = Url::parse(endpoint) else { return false };
    let same = endpoint.scheme() == url.scheme()
        && endpoint.host_str() == url.host_str()
        && endpoint.port_or_known_default() == url.port_or_known_default()
        && url.username().is_empty()
        && url.password().is_none();
    let base = endpoint.path().trim_end_matches('/');
    same && url.path().strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn encoded(body: &Value, input: &Value, headers: &mut HeaderMap) -> Result<Bytes, TaskError> {
    let encoding =
        input.get("Transform").and_then(|transform| transform.get("RequestBodyEncoding")).and_then(Value::as_str);
    if encoding == Some("URL_ENCODED")
        && let Some(fields) = body.as_object()
    {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields {
            for value in listed(value) {
                form.append_pair(name, &plain(value));
            }
        }
        request::insert(headers, "content-type", "application/x-www-form-urlencoded")?;
        return Ok(Bytes::from(form.finish()));
    }
    if !headers.contains_key("content-type") {
        request::insert(headers, "content-type", "application/json")?;
    }
    Ok(match body {
        Value::String(text) => Bytes::from(text.clone()),
        other => Bytes::from(other.to_string()),
    })
}

fn authorise(
    task: &Task,
    connection: &Connection,
    headers: &mut HeaderMap,
    secrets: &mut Secrets,
) -> Result<(), TaskError> {
    let Some(name) = connection.secret.as_deref().filter(|_| connection.auth != Auth::None) else { return Ok(()) };
    let value = request::secret(&task.shared, name, secrets)?;
    match connection.auth {
        Auth::None => Ok(()),
        Auth::ApiKey => request::insert(headers, connection.header.as_deref().unwrap_or("x-api-key"), &value),
        Auth::Bearer => request::insert(headers, "authorization", &format!("Bearer {value}")),
        Auth::Basic => {
            let pair =
                BASE64_STANDARD.encode(format!("{}:{value}", connection.username.as_deref().unwrap_or_default()));
            secrets.add(name, &pair);
            request::insert(headers, "authorization", &format!("Basic {pair}"))
        }
    }
}

fn result(answer: Answer) -> Value {
    let mut headers = Map::new();
    for (name, value) in &answer.headers {
        let value = Value::String(String::from_utf8_lossy(value.as_bytes()).into_owned());
        match headers.get_mut(name.as_str()) {
            Some(Value::Array(values)) => values.push(value),
            _ => drop(headers.insert(name.as_str().to_owned(), json!([value]))),
        }
    }
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let body = match serde_json::from_str::<Value>(&text) {
        Ok(value) if answer.whole => value,
        _ => Value::String(text),
    };
    json!({
        "Headers": headers,
        "ResponseBody": body,
        "StatusCode": answer.status.as_u16(),
        "StatusText": answer.status.canonical_reason().unwrap_or_default(),
    })
}

fn listed(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(items) => items.iter(),
        other => std::slice::from_ref(other).iter(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_goes_nowhere_but_below_its_endpoints() {
        let covers = |endpoint: &str, url: &str| covers(endpoint, &Url::parse(url).expect(url));
        let endpoint = "https://api.example.com/v1/";
        for inside in
            ["https://api.example.com/v1", "https://api.example.com/v1/a?b", "https://api.example.com:443/v1/"]
        {
            assert!(covers(endpoint, inside), "{inside}");
        }
        for outside in [
            "http://api.example.com/v1/",
            "https://api.example.com/v2/",
            "https://api.example.com/v1x",
            "https://api.example.com/v1/../v2",
            "https://api.example.com/v1/%2e%2e/v2",
            "https://api.example.com.evil.example/v1/",
            "https://evil.example/https://api.example.com/v1/",
            "https://api.example.com:8443/v1/",
            "https://api.example.com@evil.example/v1/",
            "https://u:p@api.example.com/v1/",
        ] {
            assert!(!covers(endpoint, outside), "{outside}");
        }
    }
}
