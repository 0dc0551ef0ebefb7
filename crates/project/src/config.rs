//! What `bedplate.toml` says: the project, its server, models, routes, databases and secrets.

use crate::usage::UsageConfig;
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};

/// The name of the file.
pub const FILE: &str = "bedplate.toml";

/// What `bedplate.toml` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The project's name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The agent that a request without a name means.
    pub default_agent: Option<String>,
    /// The server.
    pub server: ServerConfig,
    /// Models by name.
    pub models: BTreeMap<String, ModelConfig>,
    /// Routes by name; there is always one called `default`.
    pub routes: BTreeMap<String, RouteTarget>,
    /// Model ids that clients send, and the route each means.
    pub model_ids: BTreeMap<String, String>,
    /// Databases, sorted by name.
    pub databases: Vec<DatabaseConfig>,
    /// The names of the secrets that tools may use; values come from the environment.
    pub secrets: Vec<String>,
    /// Work that nobody waits for.
    pub bulk: BulkConfig,
    /// After how many days a session that nobody touched is removed, 1 to 36,500; none: never.
    pub retention_days: Option<u32>,
    /// Limits, budgets, caches, prices and the log of model calls.
    pub usage: UsageConfig,
    /// What tasks of workflows reach: the object `{functions, connections, aws, buckets}` for the room of tasks.
    pub tasks: Value,
    /// What workflows are besides their definition, by name.
    pub workflows: BTreeMap<String, WorkflowConfig>,
}

impl Config {
    /// Returns whether something is configured that answers for the function called `name`.
    #[must_use]
    pub fn has_function(&self, name: &str) -> bool {
        let endpoints = &self.tasks["aws"]["endpoints"];
        self.tasks["functions"].get(name).is_some()
            || ["lambda", "default"].iter().any(|service| endpoints.get(service).is_some())
    }
}

/// What a workflow is besides its definition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkflowConfig {
    /// Whether its executions are Express ones.
    pub express: bool,
    /// The role that it names.
    pub role: Option<String>,
    /// What of its executions is logged, as `loggingConfiguration` says it.
    pub logging: Option<Value>,
    /// The line of its table in the file, from 1.
    pub line: u32,
    /// The column of its table.
    pub column: u32,
}

/// How the server listens and whom it lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerConfig {
    /// The address, `host:port`.
    pub listen: Option<String>,
    /// Origins besides the loopback ones.
    pub allowed_origins: Vec<String>,
    /// `Host` values besides the loopback ones.
    pub allowed_hosts: Vec<String>,
}

/// How work that nobody waits for (batches and jobs) is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkConfig {
    /// How much of it is under way at once, 1 to 1,024.
    pub concurrency: u32,
    /// How many requests begin in a minute at most; none: as many as there is room for.
    pub per_minute: Option<u32>,
    /// `host:port`s of webhooks that may be private addresses.
    pub private_webhooks: Vec<String>,
    /// Buckets that results of asynchronous invocations may be written to.
    pub output_buckets: Vec<String>,
}

impl Default for BulkConfig {
    fn default() -> Self {
        Self { concurrency: 4, per_minute: None, private_webhooks: Vec::new(), output_buckets: Vec::new() }
    }
}

/// A model that a route can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelConfig {
    /// Who provides it.
    pub provider: Provider,
    /// The provider's own id of the model; for `scripted` the file of the script.
    pub model: String,
    /// The environment variable that holds the key.
    pub api_key_env: Option<String>,
    /// Where the provider is, when not at its usual address.
    pub base_url: Option<String>,
    /// The most output tokens of a reply.
    pub max_tokens: Option<u32>,
    /// How its provider bills it: `standard`, `batch` or `provisioned`; none: standard.
    pub billing: Option<&'static str>,
    /// What the file says of it for routes: an object with the keys `jurisdictions`, `context_tokens`,
    /// `max_concurrency`, `adaptive_concurrency` and `breaker`, as far as they are there; else null.
    pub policy: Value,
    /// The region of AWS; absent: what `AWS_REGION` or `AWS_DEFAULT_REGION` says.
    pub region: Option<String>,
    /// The version of Azure's API.
    pub api_version: Option<String>,
    /// The name of a SageMaker endpoint; absent: `model`.
    pub endpoint: Option<String>,
    /// The variables of an access key of AWS; absent: the usual ones.
    pub aws: AwsEnv,
}

/// The environment variables that hold an access key of AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsEnv {
    /// The key's id; absent: `AWS_ACCESS_KEY_ID`.
    pub access_key_id: Option<String>,
    /// Its secret; absent: `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: Option<String>,
    /// The token of a temporary key; absent: `AWS_SESSION_TOKEN`.
    pub session_token: Option<String>,
}

/// Who provides a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Anthropic's Messages API.
    Anthropic,
    /// OpenAI's Chat Completions API, or a server that speaks it.
    OpenAi,
    /// Amazon Bedrock: Converse.
    Bedrock,
    /// A SageMaker endpoint that speaks Chat Completions.
    SageMaker,
    /// Azure OpenAI; `model` is the deployment.
    Azure,
    /// Google's Gemini at its compatible endpoint.
    Gemini,
    /// vLLM.
    Vllm,
    /// SGLang.
    SgLang,
    /// Ollama.
    Ollama,
    /// llama.cpp's server.
    LlamaCpp,
    /// LiteLLM's proxy.
    LiteLlm,
    /// Any other server of Chat Completions.
    Compatible,
    /// The embedded stand-in.
    Rehearsal,
    /// Replies from a file, for tests.
    Scripted,
}

impl Provider {
    /// All of them.
    const ALL: [Self; 14] = [
        Self::Anthropic,
        Self::OpenAi,
        Self::Bedrock,
        Self::SageMaker,
        Self::Azure,
        Self::Gemini,
        Self::Vllm,
        Self::SgLang,
        Self::Ollama,
        Self::LlamaCpp,
        Self::LiteLlm,
        Self::Compatible,
        Self::Rehearsal,
        Self::Scripted,
    ];

    /// The words for all of them.
    pub(crate) const WORDS: [&'static str; 14] = {
        let mut words = [""; 14];
        let mut at = 0;
        while at < words.len() {
            words[at] = Self::ALL[at].as_str();
            at += 1;
        }
        words
    };

    /// Returns whether nobody can guess where it is.
    pub(crate) fn needs_base_url(self) -> bool {
        matches!(self, Self::Azure | Self::Compatible)
    }

    /// Returns the word for it in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Bedrock => "bedrock",
            Self::SageMaker => "sagemaker",
            Self::Azure => "azure",
            Self::Gemini => "gemini",
            Self::Vllm => "vllm",
            Self::SgLang => "sglang",
            Self::Ollama => "ollama",
            Self::LlamaCpp => "llama_cpp",
            Self::LiteLlm => "litellm",
            Self::Compatible => "openai_compatible",
            Self::Rehearsal => "rehearsal",
            Self::Scripted => "scripted",
        }
    }

    /// Returns the one that `word` means.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// The first real model that is found, else rehearsal.
    Auto,
    /// The embedded stand-in.
    Rehearsal,
    /// A model by its name in the file.
    Model(String),
    /// More than a name: the table as the file has it, checked, for the gateway.
    Strategy(Value),
}

/// A SQLite database that tools use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// Its name.
    pub name: String,
    /// The files that it is built from, in order.
    pub seed: Vec<PathBuf>,
}
