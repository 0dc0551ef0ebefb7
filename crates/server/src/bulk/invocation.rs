//! Asynchronous invocations: what is kept of one beside its job, and how its result becomes an object of a bucket.

use super::{door::Answer, pause};
use crate::{App, wire::rfc3339};
use bedplate_core::{
    id::{Tenant, UserId},
    port::{
        Caller,
        tasks::{TaskCall, TaskError},
    },
    time::Timestamp,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// What writes an object, as workflows name it: it reaches the buckets that the project configures.
const PUT: &str = "arn:aws:states:::s3:putObject";

/// How long the write of a result waits before each repeat, in seconds: the model was paid, so a bucket that is away for
/// minutes loses nothing.
const PAUSES: [u64; 10] = [1, 2, 4, 8, 16, 30, 60, 60, 60, 60];

/// The longest message of a failure, in characters.
const MAX_MESSAGE: usize = 2_048;

/// An invocation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Invocation {
    pub(super) arn: String,
    pub(super) model_arn: String,
    /// What the client called it, so that a repeat is no second one.
    pub(super) token: Option<String>,
    /// Where its result shall be, as the client said it.
    pub(super) uri: String,
    /// Why it failed.
    pub(super) failure: Option<String>,
    /// In milliseconds since 1970.
    pub(super) submitted_at: i64,
    pub(super) modified_at: i64,
    pub(super) ended_at: Option<i64>,
}

/// A place in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) bucket: &'a str,
    /// What the keys of objects there begin with, without a slash at the end.
    pub(super) prefix: &'a str,
}

impl<'a> Place<'a> {
    /// Reads `s3://bucket/prefix`; none when it is none.
    pub(super) fn of(uri: &'a str) -> Option<Self> {
        let (bucket, prefix) = match uri.strip_prefix("s3://")?.split_once('/') {
            Some((bucket, prefix)) => (bucket, prefix.trim_end_matches('/')),
            None => (uri.strip_prefix("s3://")?, ""),
        };
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
        ((3..=63).contains(&bucket.len()) && bucket.bytes().all(fits)).then_some(Self { bucket, prefix })
    }
}

impl Invocation {
    /// Returns the last part of its ARN.
    pub(super) fn name(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the key of one of its objects.
    fn key(&self, place: Place<'_>, object: &str) -> String {
        let name = self.name();
        match place.prefix {
            "" => format!("{name}/{object}"),
            prefix => format!("{prefix}/{name}/{object}"),
        }
    }

    /// Writes what is known of it: at the beginning, which shows that its result can be written, and at the end.
    ///
    /// # Errors
    /// In words for the client, what the bucket said.
    pub(super) async fn describe(&self, app: &App, tenant: &Tenant, user: &UserId, status: &str) -> Result<(), String> {
        let place = Place::of(&self.uri).ok_or("the place of the result is no bucket")?;
        let output = format!("s3://{}/{}", place.bucket, self.key(place, "output.json"));
        let mut manifest = json!({
            "invocationArn": self.arn, "modelArn": self.model_arn, "status": status,
            "submitTime": rfc3339(Timestamp(self.submitted_at)), "output": output,
        });
        if let Some(failure) = &self.failure {
            manifest["failureMessage"] = json!(failure);
        }
        self.put(app, tenant, user, "manifest.json", manifest.to_string().into()).await
    }

    /// Takes the answer: the result becomes an object, or the failure is kept. Returns whether it went
    /// well; none when the server stops before the result is written.
    pub(super) async fn deliver(&mut self, app: &App, tenant: &Tenant, user: &UserId, answer: &Answer) -> Option<bool> {
        let written = if answer.is_well() {
            self.put_at_last(app, tenant, user, "output.json", &answer.body).await?
        } else {
            Err(message_of(&answer.body))
        };
        self.ended_at = Some(app.now().0);
        self.modified_at = app.now().0;
        self.failure = written.err().map(|message| message.chars().take(MAX_MESSAGE).collect());
        let well = self.failure.is_none();
        let status = if well { "Completed" } else { "Failed" };
        if let Err(message) = self.describe(app, tenant, user, status).await {
            tracing::warn!(arn = %self.arn, %message, "the manifest of an invocation could not be written");
        }
        Some(well)
    }

    /// Writes an object, again after a while when that failed; none when the server stops first.
    async fn put_at_last(
        &self,
        app: &App,
        tenant: &Tenant,
        user: &UserId,
        object: &str,
        body: &Bytes,
    ) -> Option<Result<(), String>> {
        for wait in PAUSES {
            match self.put(app, tenant, user, object, body.clone()).await {
                Ok(()) => return Some(Ok(())),
                Err(message) => tracing::warn!(arn = %self.arn, %message, "the result of an invocation waits"),
            }
            if !pause(app, Duration::from_secs(wait)).await {
                return None;
            }
        }
        Some(self.put(app, tenant, user, object, body.clone()).await)
    }

    async fn put(&self, app: &App, tenant: &Tenant, user: &UserId, object: &str, body: Bytes) -> Result<(), String> {
        let place = Place::of(&self.uri).ok_or("the place of the result is no bucket")?;
        let tasks = app.tasks().ok_or("no buckets are configured on this server")?;
        let body = String::from_utf8(body.into()).map_err(|_| "the result is no text in UTF-8")?;
        let call = TaskCall {
            caller: Caller { tenant: tenant.clone(), user: user.clone(), ..Caller::default() },
            execution: self.arn.as_str().into(),
            workflow: "".into(),
            answers: None,
            state: "".into(),
            resource: PUT.into(),
            input: Arc::new(json!({
                "Bucket": place.bucket, "Key": self.key(place, object),
                "Body": body, "ContentType": "application/json",
            })),
            token: "".into(),
            attempt: 0,
            idempotency_key: format!("{}/{object}", self.name()),
            deadline: None,
        };
        tasks.perform(call).await.map(drop).map_err(|error| words(&error))
    }
}

fn words(error: &TaskError) -> String {
    match (error.error.as_deref(), error.cause.as_deref()) {
        (Some(error), Some(cause)) if error != "States.TaskFailed" => format!("{error}: {cause}"),
        (_, Some(cause)) => cause.to_owned(),
        (Some(error), None) => error.to_owned(),
        (None, None) => "the bucket refused the object".to_owned(),
    }
}

/// Returns what an error in AWS's form says.
fn message_of(body: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(body).ok();
    let message = said.as_ref().and_then(|body| body["message"].as_str());
    message.unwrap_or("the model failed").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_and_what_keys_begin_with() {
        let place = |bucket, prefix| Some(Place { bucket, prefix });
        assert_eq!(Place::of("s3://results"), place("results", ""));
        assert_eq!(Place::of("s3://results/"), place("results", ""));
        assert_eq!(Place::of("s3://results/a/b/"), place("results", "a/b"));
        for wrong in ["", "s3://", "s3://ab", "results/a", "s3://Up/a", "s3:///a", "http://results/a"] {
            assert_eq!(Place::of(wrong), None, "{wrong}");
        }
    }
}
