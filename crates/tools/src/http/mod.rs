//! Tools that make one HTTP request to a server that their file names.
//!
//! The model fills placeholders of a fixed address; it never chooses the server. Names are resolved here, and an address
//! that is not public is refused unless the file names it, both when it is written out and when a name leads to it.

mod request;
mod send;
#[cfg(test)]
mod tests;

use crate::kind::{Kind, config_problem, failed, outcome_unknown, section};
use bedplate_core::{
    port::{
        BoxFuture,
        tools::{ToolCall, ToolError},
    },
    tool::{ToolDefinition, ToolOutput},
};
use bedplate_net::{Client, Failure, Lookup, Secrets};
use request::Prepared;
use send::Meaning;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// The word for this kind in a tool's definition.
pub const KIND: &str = "http";

/// Looks up the value of a secret that the project declares; it answers for no other name.
pub type SecretLookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The wait before the first repetition; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait that is not asked for by a server.
const MAX_WAIT: Duration = Duration::from_secs(8);

pub use bedplate_net::Limits as HttpLimits;

/// The `http` part of a tool's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// The address with `{placeholders}` after its host.
    pub url: String,
    /// Query parameters; one whose placeholder is absent is left out.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Headers, which may hold `{secret:NAME}`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What goes as the body.
    #[serde(default)]
    pub body: Body,
    /// `host:port`s that may be private addresses.
    #[serde(default)]
    pub allow_private: Vec<String>,
}

/// What goes as the body of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The arguments that are used nowhere else, as JSON.
    Json,
    /// Nothing.
    #[default]
    None,
}

/// The `retry` part of a tool's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    max_attempts: u32,
}

fn get() -> String {
    "GET".to_owned()
}

/// Runs HTTP tools.
pub struct Http {
    secrets: SecretLookup,
    client: Client,
}

impl Http {
    /// Returns the runner of tools with these secrets and bounds.
    pub fn new(secrets: SecretLookup, limits: HttpLimits) -> Self {
        Self::with_lookup(secrets, &limits, &bedplate_net::system_lookup())
    }

    fn with_lookup(secrets: SecretLookup, limits: &HttpLimits, lookup: &Lookup) -> Self {
        Self { secrets, client: Client::new(limits, lookup) }
    }
}

impl Kind for Http {
    fn check(&self, tool: &ToolDefinition) -> Vec<String> {
        let config: Config = match section(tool, KIND) {
            Ok(config) => config,
            Err(problem) => return vec![problem],
        };
        let mut problems = request::check(&config);
        if tool.config.get("retry").is_some() {
            problems.extend(section::<Retry>(tool, "retry").err());
        }
        for name in request::secret_names(&config) {
            if (self.secrets)(&name).is_none() {
                problems.push(format!("the secret {name} is not set"));
            }
        }
        problems
    }

    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
        let prepared = section(&call.tool, KIND)
            .map_err(config_problem)
            .and_then(|config: Config| Prepared::new(&config, &call, &*self.secrets));
        let client = self.client.clone();
        Box::pin(async move {
            let prepared = prepared?;
            run(&client, &prepared, &call).await.map_err(|error| {
                let message = prepared.secrets.redact(&error.message);
                ToolError { kind: error.kind, message }
            })
        })
    }
}

/// Makes attempts until one has an answer that counts, or there is no more time or permission for another.
async fn run(client: &Client, prepared: &Prepared, call: &ToolCall) -> Result<ToolOutput, ToolError> {
    let repeatable = call.tool.annotations.repeatable();
    let attempts = match section::<Retry>(&call.tool, "retry") {
        Ok(retry) if repeatable => retry.max_attempts.max(1),
        _ => 1,
    };
    let started = Instant::now();
    let total = call.deadline.since(call.now);
    let one = Duration::from_millis(call.tool.timeout_ms);
    let mut wait = FIRST_WAIT;
    for attempt in 1.. {
        let left = total.saturating_sub(started.elapsed());
        let time = one.min(left);
        let result = match tokio::time::timeout(time, client.send(&prepared.outgoing)).await {
            Ok(result) => result.map(Meaning),
            Err(_) => Err(Failure::Timeout(time)),
        };
        let asked = match &result {
            Ok(answer) if answer.is_temporary() => answer.retry_after(),
            Err(Failure::Connect(_)) => None,
            _ => return finish(result, repeatable, &prepared.secrets),
        };
        let pause = asked.unwrap_or(wait);
        let left = total.saturating_sub(started.elapsed());
        if attempt >= attempts || pause >= left {
            return finish(result, repeatable, &prepared.secrets);
        }
        tokio::time::sleep(pause).await;
        wait = (wait * 2).min(MAX_WAIT);
    }
    Err(failed("no attempt was made"))
}

fn finish(result: Result<Meaning, Failure>, repeatable: bool, secrets: &Secrets) -> Result<ToolOutput, ToolError> {
    match result {
        Ok(answer) => Ok(answer.output(secrets)),
        Err(failure) if failure.was_not_sent() || repeatable => Err(failed(failure.to_string())),
        Err(failure) => Err(outcome_unknown(format!("{failure}; whether it had its effect is not known"))),
    }
}
