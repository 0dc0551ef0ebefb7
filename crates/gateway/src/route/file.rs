//! Routes and what is said of models, as `bedplate.toml` words them.

use super::{
    config::{
        Accept, AdmissionConfig, Aggregate, DegradeConfig, ModelPolicy, RouteConfig, Rule, Sticky, Strategy, TierConfig,
    },
    learned::Router,
    pick::Metric,
    residency::Place,
};
use crate::resilience::{breaker::BreakerPolicy, deadline::Waits, retry::RetryPolicy};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A table that cannot be made a route of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteFileError {
    /// It has not the form of one.
    #[error("{0}")]
    Form(String),
    /// What was learned cannot be read.
    #[error("the learned router `{file}` cannot be used: {reason}")]
    Router {
        /// Its file.
        file: String,
        /// Why not.
        reason: String,
    },
}

impl RouteConfig {
    /// Returns the route that a table says. `read` returns the text of a file of the project.
    ///
    /// # Errors
    /// [`RouteFileError`].
    pub fn from_table(table: &Value, read: impl Fn(&str) -> Result<String, String>) -> Result<Self, RouteFileError> {
        let file: RouteFile = form(table)?;
        let strategy = file.strategy(read)?;
        let usual = RetryPolicy::default();
        let retry = file.retry.unwrap_or_default();
        let waits = file.timeouts.unwrap_or_default();
        Ok(Self {
            strategy,
            fallback: file.fallback,
            larger: file.larger,
            retry: RetryPolicy {
                attempts: retry.attempts.unwrap_or(usual.attempts),
                base: retry.base_ms.map_or(usual.base, Duration::from_millis),
                cap: retry.cap_seconds.map_or(usual.cap, seconds),
            },
            retry_percent: retry.budget_percent.unwrap_or(10),
            waits: Waits {
                first_token: waits.first_token_ms.map(Duration::from_millis),
                idle: waits.idle_ms.map(Duration::from_millis),
                total: waits.total_ms.map(Duration::from_millis),
            },
            hedge: file.hedge_ms.map(Duration::from_millis),
            resume: file.resume,
            jurisdiction: file.jurisdiction,
            admission: file.admission.map(|admission| AdmissionConfig {
                concurrent: admission.concurrent,
                queue: admission.queue.unwrap_or(256),
                wait: Duration::from_millis(admission.max_wait_ms.unwrap_or(10_000)),
            }),
            degrade: file.degrade.map(|degrade| DegradeConfig {
                cached: degrade.cached_seconds.map(Duration::from_secs),
                model: degrade.model,
                apology: degrade.apology,
            }),
        })
    }
}

impl ModelPolicy {
    /// Returns what a table says of a model; null says nothing.
    ///
    /// # Errors
    /// [`RouteFileError::Form`].
    pub fn from_table(table: &Value) -> Result<Self, RouteFileError> {
        if table.is_null() {
            return Ok(Self::default());
        }
        let file: PolicyFile = form(table)?;
        let mut policy = Self { context_tokens: file.context_tokens, ..Self::default() };
        if let Some(places) = file.jurisdictions {
            policy.place = Place::In(places.into_iter().collect());
        }
        if let Some(most) = file.max_concurrency {
            policy.guard.concurrency.most = most;
        }
        policy.guard.concurrency.adaptive = file.adaptive_concurrency.unwrap_or(false);
        if let Some(breaker) = file.breaker {
            let usual = BreakerPolicy::default();
            let window = breaker.window.unwrap_or(usual.window);
            policy.guard.breaker = BreakerPolicy {
                window,
                least: breaker.min_calls.unwrap_or(usual.least).min(window),
                shift_at: breaker.shift_at.unwrap_or(usual.shift_at),
                down_at: breaker.down_at.unwrap_or(usual.down_at),
                cooldown: breaker.cooldown_seconds.map_or(usual.cooldown, seconds),
                longest: breaker.longest_seconds.map_or(usual.longest, seconds),
                probes: breaker.probes.unwrap_or(usual.probes),
            };
        }
        Ok(policy)
    }
}

fn form<T: DeserializeOwned>(table: &Value) -> Result<T, RouteFileError> {
    T::deserialize(table).map_err(|error| RouteFileError::Form(error.to_string()))
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteFile {
    strategy: Option<String>,
    model: Option<String>,
    models: Option<Models>,
    sticky: Option<String>,
    canary: Option<Canary>,
    #[serde(default)]
    rules: Vec<RuleFile>,
    by: Option<String>,
    cheap: Option<String>,
    strong: Option<String>,
    router: Option<String>,
    #[serde(default)]
    tiers: Vec<TierFile>,
    aggregate: Option<String>,
    judge: Option<String>,
    #[serde(default)]
    fallback: Vec<String>,
    larger: Option<String>,
    #[serde(default)]
    resume: bool,
    jurisdiction: Option<String>,
    hedge_ms: Option<u64>,
    retry: Option<RetryFile>,
    timeouts: Option<WaitsFile>,
    admission: Option<AdmissionFile>,
    degrade: Option<DegradeFile>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Models {
    Names(Vec<String>),
    // In the order of the file would be nicer, but weights do not depend on it.
    Weights(BTreeMap<String, u32>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Canary {
    model: String,
    percent: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    model: String,
    min_tokens: Option<u64>,
    max_tokens: Option<u64>,
    tools: Option<bool>,
    images: Option<bool>,
    #[serde(default)]
    languages: Vec<String>,
    pattern: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    agent: Option<String>,
    team: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TierFile {
    model: String,
    json_schema: Option<Value>,
    confidence: Option<f64>,
    logprob: Option<f64>,
    #[serde(default)]
    no_refusal: bool,
    #[serde(default)]
    deny: Vec<String>,
    pattern: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryFile {
    attempts: Option<u32>,
    base_ms: Option<u64>,
    cap_seconds: Option<f64>,
    budget_percent: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WaitsFile {
    first_token_ms: Option<u64>,
    idle_ms: Option<u64>,
    total_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdmissionFile {
    concurrent: usize,
    queue: Option<usize>,
    max_wait_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DegradeFile {
    cached_seconds: Option<u64>,
    model: Option<String>,
    apology: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    jurisdictions: Option<Vec<String>>,
    context_tokens: Option<u64>,
    max_concurrency: Option<u32>,
    adaptive_concurrency: Option<bool>,
    breaker: Option<BreakerFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BreakerFile {
    shift_at: Option<f64>,
    down_at: Option<f64>,
    window: Option<usize>,
    min_calls: Option<usize>,
    probes: Option<u32>,
    cooldown_seconds: Option<f64>,
    longest_seconds: Option<f64>,
}

impl RouteFile {
    fn strategy(&self, read: impl Fn(&str) -> Result<String, String>) -> Result<Strategy, RouteFileError> {
        let wanted = |key: &str| RouteFileError::Form(format!("the key `{key}` is missing or of the wrong kind"));
        let text = |value: &Option<String>, key: &str| value.clone().ok_or_else(|| wanted(key));
        let names = || match &self.models {
            Some(Models::Names(names)) => Ok(names.clone()),
            Some(Models::Weights(_)) | None => Err(wanted("models")),
        };
        Ok(match self.strategy.as_deref().unwrap_or("static") {
            "static" => Strategy::Static(text(&self.model, "model")?),
            "weighted" => {
                let Some(Models::Weights(weights)) = &self.models else { return Err(wanted("models")) };
                let sticky = match self.sticky.as_deref().unwrap_or("session") {
                    "session" => Sticky::Session,
                    "user" => Sticky::User,
                    "none" => Sticky::None,
                    _ => return Err(wanted("sticky")),
                };
                let canary = self.canary.as_ref().map(|canary| (canary.model.clone(), canary.percent));
                Strategy::Weighted { models: weights.clone().into_iter().collect(), sticky, canary }
            }
            "content" => {
                let rules = self.rules.iter().map(RuleFile::rule).collect();
                Strategy::Content { rules, otherwise: text(&self.model, "model")? }
            }
            "metric" => {
                let by = match self.by.as_deref().unwrap_or("latency") {
                    "latency" => Metric::Latency,
                    "cost" => Metric::Cost,
                    "errors" => Metric::Errors,
                    "quota" => Metric::Quota,
                    "replicas" => Metric::Replicas,
                    _ => return Err(wanted("by")),
                };
                Strategy::Metric { models: names()?, by }
            }
            "learned" => {
                let file = text(&self.router, "router")?;
                let bad = |reason: String| RouteFileError::Router { file: file.clone(), reason };
                let router = Router::parse(&read(&file).map_err(bad)?).map_err(bad)?;
                let (cheap, strong) = (text(&self.cheap, "cheap")?, text(&self.strong, "strong")?);
                Strategy::Learned { cheap, strong, router: Arc::new(router) }
            }
            "cascade" => Strategy::Cascade { tiers: self.tiers.iter().map(TierFile::tier).collect() },
            "ensemble" => {
                let aggregate = match self.aggregate.as_deref().unwrap_or("majority") {
                    "majority" => Aggregate::Majority,
                    "first" => Aggregate::First,
                    "best_of" => Aggregate::BestOf { judge: text(&self.judge, "judge")? },
                    _ => return Err(wanted("aggregate")),
                };
                Strategy::Ensemble { models: names()?, aggregate }
            }
            _ => return Err(wanted("strategy")),
        })
    }
}

impl RuleFile {
    fn rule(&self) -> Rule {
        Rule {
            model: self.model.clone(),
            min_tokens: self.min_tokens,
            max_tokens: self.max_tokens,
            tools: self.tools,
            images: self.images,
            languages: self.languages.clone(),
            pattern: self.pattern.clone(),
            tags: self.tags.clone(),
            agent: self.agent.clone(),
            team: self.team.clone(),
        }
    }
}

impl TierFile {
    fn tier(&self) -> TierConfig {
        TierConfig {
            model: self.model.clone(),
            accept: Accept {
                schema: self.json_schema.clone(),
                confidence: self.confidence,
                logprob: self.logprob,
                no_refusal: self.no_refusal,
                denied: self.deny.clone(),
                pattern: self.pattern.clone(),
            },
        }
    }
}
