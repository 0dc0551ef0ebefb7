//! What a gateway is made from: models, routes, and the world around it.

use crate::{
    policy::Policy,
    prices::Billing,
    record::Recorder,
    route::config::{ModelPolicy, RouteConfig},
    script::Script,
    secret::Secret,
};
use bedplate_core::{
    agent::Price,
    port::{clock::Clock, ledger::Ledger},
};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// The name of the model that discovery sets; before that it is the rehearsal.
pub const AUTO: &str = "auto";

/// The name of the embedded stand-in, which is always there.
pub const REHEARSAL: &str = "rehearsal";

/// Models by name, and routes to them.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The models that a route can name. A model can also be called by its own name.
    pub models: BTreeMap<String, ModelConfig>,
    /// What is said of models besides who provides them.
    pub policies: BTreeMap<String, ModelPolicy>,
    /// The routes; they name models, [`AUTO`], [`REHEARSAL`] or other routes.
    pub routes: BTreeMap<String, RouteConfig>,
    /// What limits, prices, caches and records calls.
    pub policy: Policy,
}

/// A model.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// Who serves it.
    pub provider: ProviderConfig,
    /// Its id as the provider names it.
    pub model: String,
    /// A clamp on the output tokens of a reply.
    pub max_tokens: Option<u32>,
    /// Its price; absent: that of the price table, if it is there.
    pub price: Option<Price>,
    /// How the provider bills it: which price of the table holds.
    pub billing: Billing,
}

impl ModelConfig {
    /// Returns the rehearsal model.
    #[must_use]
    pub fn rehearsal() -> Self {
        let (provider, model) = (ProviderConfig::Rehearsal, REHEARSAL.into());
        Self { provider, model, max_tokens: None, price: None, billing: Billing::Standard }
    }

    /// Returns a model that answers from `script`.
    #[must_use]
    pub fn scripted(script: Arc<Script>) -> Self {
        let model = "scripted".into();
        let provider = ProviderConfig::Scripted(script);
        Self { provider, model, max_tokens: None, price: None, billing: Billing::Standard }
    }
}

/// The providers, and what each must be told.
#[derive(Clone, Debug)]
pub enum ProviderConfig {
    /// Anthropic's Messages API.
    Anthropic(Endpoint),
    /// OpenAI, or any server of the Chat Completions API at another address.
    OpenAi(Endpoint),
    /// A server of the Chat Completions API by its profile.
    Compatible(CompatibleConfig),
    /// Amazon Bedrock.
    Bedrock(BedrockConfig),
    /// The embedded stand-in.
    Rehearsal,
    /// Replies from a script.
    Scripted(Arc<Script>),
}

/// Where a provider is and how one is let in.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// The address that the dialect's paths are appended to, with the version (`https://api.openai.com/v1`); one
    /// without any path means `/v1` on it; absent: the vendor's own.
    pub base_url: Option<String>,
    /// The key; local servers need none.
    pub api_key: Option<Secret>,
}

/// A server of the Chat Completions API.
#[derive(Clone, Debug, Default)]
pub struct CompatibleConfig {
    /// The name of its profile, one of [`profiles`].
    pub profile: String,
    /// Its address and key.
    pub endpoint: Endpoint,
    /// The version of the API (`azure`).
    pub api_version: Option<String>,
    /// Keys and region (`sagemaker`).
    pub aws: Option<SageMakerConfig>,
}

impl CompatibleConfig {
    /// Returns a server with this profile at its usual address, without a key.
    #[must_use]
    pub fn of(profile: &str) -> Self {
        Self { profile: profile.to_owned(), ..Self::default() }
    }
}

/// Returns the names of all profiles.
pub fn profiles() -> impl Iterator<Item = &'static str> {
    crate::providers::PROFILES.iter().map(|profile| profile.name)
}

/// Where a SageMaker endpoint is.
#[derive(Clone, Debug)]
pub struct SageMakerConfig {
    /// The region (`eu-west-1`).
    pub region: String,
    /// The keys that sign.
    pub keys: AwsKeys,
    /// The endpoint's name; absent: the model's.
    pub endpoint_name: Option<String>,
}

/// Where Bedrock is and how one is let in.
#[derive(Clone, Debug)]
pub struct BedrockConfig {
    /// The region (`eu-west-1`).
    pub region: String,
    /// The address; absent: that of the region.
    pub endpoint: Option<String>,
    /// The credential.
    pub auth: AwsAuth,
}

/// How AWS lets one in.
#[derive(Clone, Debug)]
pub enum AwsAuth {
    /// Signed requests (Signature Version 4).
    Keys(AwsKeys),
    /// A Bedrock API key (`AWS_BEARER_TOKEN_BEDROCK`).
    Bearer(Secret),
}

/// An access key of AWS.
#[derive(Clone, Debug)]
pub struct AwsKeys {
    /// Its id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Secret,
    /// The token of temporary keys.
    pub session_token: Option<Secret>,
}

/// The world around a gateway.
#[derive(Clone)]
pub struct Options {
    /// The clock of deadlines, of scripted delays and of the rehearsal's present time.
    pub clock: Arc<dyn Clock>,
    /// How long a provider is waited for.
    pub timeouts: Timeouts,
    /// Keeps the record of each call; none: nobody does.
    pub recorder: Option<Recorder>,
    /// Counts what limits and budgets are about; without one none of them holds.
    pub ledger: Option<Arc<dyn Ledger>>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}

/// How long a provider is waited for. A stream has no total time-out, only the call's own deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// From the request until the first bytes of a stream…
    pub first_byte: Duration,
    /// …or of a whole reply, which a model first makes to its end.
    pub whole: Duration,
    /// Between two pieces of the body.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(120),
            whole: Duration::from_secs(600),
            idle: Duration::from_secs(60),
        }
    }
}

/// A configuration that no gateway can be made from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A route to nowhere.
    #[error("route `{route}` names the model `{model}`, which is not declared")]
    UnknownModel {
        /// The route.
        route: String,
        /// What it names.
        model: String,
    },
    /// A route without any model.
    #[error("the route `{0}` names no model")]
    EmptyRoute(String),
    /// A route that leads back to itself.
    #[error("the route `{0}` leads back to itself")]
    CircularRoute(String),
    /// A regular expression or schema that is none.
    #[error("a rule or check of a route cannot be used: {0}")]
    BadCheck(String),
    /// A model under a name that is taken.
    #[error("`{0}` is the name of a built-in model")]
    ReservedName(String),
    /// An address that is none.
    #[error("`{0}` is not an http or https address")]
    BadAddress(String),
    /// A profile that is not in the list.
    #[error("there is no provider profile `{0}`")]
    UnknownProfile(String),
    /// A server whose address nobody can guess.
    #[error("a model of the provider `{0}` needs a base_url")]
    NoAddress(&'static str),
    /// A provider in AWS without keys.
    #[error("a model in AWS needs a region and an access key")]
    NoAwsKeys,
    /// A region that is none.
    #[error("`{0}` is not a region of AWS")]
    BadRegion(String),
    /// A key that cannot stand in a header.
    #[error("the key of a model holds characters that no HTTP header can carry")]
    BadKey,
}
