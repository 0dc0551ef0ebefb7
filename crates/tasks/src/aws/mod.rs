//! Services of AWS behind the endpoints that the project configures: `sqs:sendMessage` and its like, and `aws-sdk:*`.

mod json;
pub mod lambda;
mod s3;
mod service;
mod sign;
mod sns;
mod xml;

pub use s3::{MAX_TEXT_BYTES, Storage, body};
pub use sign::hex as sign_hex;

use crate::{
    Handler, Task, config,
    error::{TASK_FAILED, failed, not_configured, unanswered},
    request,
};
use bedplate_core::port::{
    BoxFuture,
    tasks::{TaskError, TaskPlan, TaskReply},
};
use bedplate_net::{Failure, Opened, Outgoing};
use bytes::Bytes;
use hyper::{Method, header::HeaderMap};
use serde_json::{Map, Value, json};
use service::{Protocol, Service};
use sign::{Credentials, Scope};
use std::time::Duration;
use url::Url;

/// How long a request may take until its answer begins, and again until it has ended.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The largest answer that is read whole.
const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;

/// Calls a service: the optimised integrations and those of the SDK.
pub struct Aws;

impl Handler for Aws {
    fn plan(&self, task: &Task) -> Result<TaskPlan, TaskError> {
        Ok(if service::reads(&task.resource.action) { TaskPlan::PerformAgain } else { TaskPlan::Perform })
    }

    fn perform(&self, task: Task) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        Box::pin(async move {
            let integration = Integration::of(&task)?;
            if integration.service.protocol == Protocol::S3 {
                return s3::perform(&task, &integration).await;
            }
            let value = match integration.service.protocol {
                Protocol::Json { .. } => json::call(&task, &integration).await?,
                Protocol::Query { .. } => sns::call(&task, &integration).await?,
                Protocol::S3 => Value::Null,
            };
            Ok(TaskReply::Done(value))
        })
    }
}

/// The service that a task calls, and in which of its two forms.
pub struct Integration {
    pub service: &'static Service,
    /// The form `aws-sdk:<service>:<operation>`.
    pub sdk: bool,
}

impl Integration {
    fn of(task: &Task) -> Result<Self, TaskError> {
        let (sdk, name) = match task.resource.service.strip_prefix("aws-sdk:") {
            Some(name) => (true, name),
            None => (false, task.resource.service.as_str()),
        };
        match service::service(name) {
            Some(service) => Ok(Self { service, sdk }),
            None => Err(failed(TASK_FAILED, format!("the service {name:?} is not supported"))),
        }
    }

    /// Returns the name of the service in failures.
    pub fn name(&self) -> &'static str {
        if self.sdk { self.service.sdk } else { self.service.optimised }
    }

    /// Returns a failure that the service answered.
    pub fn refused(&self, refusal: &Refusal) -> TaskError {
        let Refusal { status, code, message, request_id } = refusal;
        let service = self.name();
        // What every service answers has no class of its own in the SDKs; everything else is named by its code.
        let common = ["ValidationException", "ValidationError", "AccessDeniedException", "UnrecognizedClientException"];
        let kind = match code.as_str() {
            code if code.is_empty() || common.contains(&code) => {
                if self.sdk {
                    format!("{service}Exception")
                } else {
                    format!("Amazon{service}Exception")
                }
            }
            code if code.ends_with("Exception") || code.ends_with("Fault") => code.to_owned(),
            code => format!("{code}Exception"),
        };
        let cause = if self.sdk {
            format!("{message} (Service: {service}, Status Code: {status}, Request ID: {request_id})")
        } else {
            format!(
                "{message} (Service: Amazon{service}; Status Code: {status}; Error Code: {code}; Request ID: {request_id}; Proxy: null)"
            )
        };
        failed(format!("{service}.{kind}"), cause)
    }
}

/// What a service says when it refuses.
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
    pub request_id: String,
}

/// A request to a service, before it is signed.
pub struct Prepared {
    pub method: Method,
    /// The path and query, each encoded as it goes.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Returns the address of the service, as `[aws_endpoints]` says it.
pub fn endpoint(aws: &config::Aws, name: &str) -> Option<String> {
    let said = aws.endpoints.get(name).or_else(|| aws.endpoints.get("default"))?;
    let prefix = service::service(name).map_or(name, |service| service.prefix);
    Some(match said.as_str() {
        "aws" => format!("https://{prefix}.{}.amazonaws.com", region(aws)),
        other => other.trim_end_matches('/').to_owned(),
    })
}

/// Returns the region that requests are signed for.
pub fn region(aws: &config::Aws) -> &str {
    aws.region.as_deref().unwrap_or("us-east-1")
}

/// Sends a request to a service and returns the head of its answer.
///
/// # Errors
/// When the service is not configured or does not answer.
pub async fn open(task: &Task, name: &str, prefix: &str, shown: &str, prepared: Prepared) -> Result<Opened, TaskError> {
    let aws = &task.config.aws;
    let Some(endpoint) = endpoint(aws, name) else {
        let add = format!("{name} = \"http://…\" (or \"aws\") to [aws_endpoints]");
        return Err(not_configured(format!("the service {name:?}"), add));
    };
    let url = Url::parse(&format!("{endpoint}{}", prepared.path))
        .map_err(|problem| failed(TASK_FAILED, format!("the endpoint of {name:?} is no address: {problem}")))?;
    let mut headers = prepared.headers;
    if let Some(credentials) = credentials(aws)? {
        let scope = Scope { region: region(aws), service: prefix, now: task.shared.clock.now() };
        sign::sign(&credentials, scope, prepared.method.as_str(), &url, &mut headers, &prepared.body);
    } else if aws.endpoints.get(name).or_else(|| aws.endpoints.get("default")).is_some_and(|said| said == "aws") {
        let add = "access_key_id_env and secret_access_key_env to [aws_endpoints]";
        return Err(not_configured("the credential for AWS", add));
    }
    // The file names exactly this address, so it may be one of this machine or network.
    let allow_private = request::authority(&url).into_iter().collect();
    let outgoing = Outgoing { method: prepared.method, url, headers, body: prepared.body, allow_private };
    match tokio::time::timeout(TIMEOUT, task.shared.client.open(&outgoing)).await {
        Ok(opened) => opened.map_err(|failure| unanswered(shown, &failure)),
        Err(_) => Err(unanswered(shown, &Failure::Timeout(TIMEOUT))),
    }
}

/// Reads an answer whole.
///
/// # Errors
/// When it does not come, or is too long.
pub async fn read(opened: Opened, shown: &str) -> Result<bedplate_net::Answer, TaskError> {
    let answer = match tokio::time::timeout(TIMEOUT, opened.read(MAX_ANSWER_BYTES)).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::Timeout(TIMEOUT)),
    };
    let answer = answer.map_err(|failure| unanswered(shown, &failure))?;
    if !answer.whole {
        let cause = format!("the answer of {shown} is longer than {MAX_ANSWER_BYTES} bytes");
        return Err(failed("States.DataLimitExceeded", cause));
    }
    Ok(answer)
}

fn credentials(aws: &config::Aws) -> Result<Option<Credentials>, TaskError> {
    let (Some(id), Some(secret)) = (&aws.access_key_id_env, &aws.secret_access_key_env) else { return Ok(None) };
    let value = |name: &str| {
        std::env::var(name).map_err(|_| failed(TASK_FAILED, format!("the environment variable {name} is not set")))
    };
    Ok(Some(Credentials {
        access_key_id: value(id)?,
        secret_access_key: value(secret)?,
        // A lasting key has no token; the variable is then simply not set.
        session_token: aws.session_token_env.as_ref().and_then(|name| std::env::var(name).ok()),
    }))
}

/// Adds what optimised integrations tell of the request, in AWS's order of names.
pub fn add_metadata(reply: &mut Map<String, Value>, status: u16, request_id: &str, content_type: &str) {
    let http = json!({
        "AllHttpHeaders": { "x-amzn-RequestId": [request_id], "Content-Type": [content_type] },
        "HttpHeaders": { "Content-Type": content_type, "x-amzn-RequestId": request_id },
        "HttpStatusCode": status,
    });
    reply.insert("SdkHttpMetadata".to_owned(), http);
    reply.insert("SdkResponseMetadata".to_owned(), json!({ "RequestId": request_id }));
}

/// Returns the request's id that a service told.
pub fn request_id(headers: &HeaderMap) -> String {
    let find = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    find("x-amzn-requestid").or_else(|| find("x-amz-request-id")).unwrap_or_default()
}

/// Returns a name with its first letter small or large.
pub fn initial(name: &str, small: bool) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) if small => first.to_ascii_lowercase().to_string() + letters.as_str(),
        Some(first) => first.to_ascii_uppercase().to_string() + letters.as_str(),
        None => String::new(),
    }
}
