//! What `bedplate.toml` says about limits, budgets, caches, token counts, prices and the log of model calls.

use std::collections::BTreeMap;

/// Everything that limits, prices, caches and records model calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UsageConfig {
    /// What each plan allows.
    pub plans: BTreeMap<String, PlanConfig>,
    /// The plan of each one of a kind (`tenant`, `key`, `user`, `team`, `agent`, `model`).
    pub each: BTreeMap<&'static str, String>,
    /// The plan of one of them instead, by kind and name.
    pub named: BTreeMap<(&'static str, String), String>,
    /// Budgets by name.
    pub budgets: BTreeMap<String, BudgetConfig>,
    /// Caches by name.
    pub caches: BTreeMap<String, CacheConfig>,
    /// How token limits are kept.
    pub tokens: TokensConfig,
    /// What of a call is logged.
    pub log: LogConfig,
    /// Prices by model id.
    pub prices: BTreeMap<String, PriceConfig>,
    /// Where limits and budgets are counted; none: in this process and its store.
    pub ledger: Option<LedgerConfig>,
}

/// A ledger in Redis, which servers share.
#[derive(Clone, PartialEq, Eq)]
pub struct LedgerConfig {
    /// Its address, or the environment variable with it.
    pub url: LedgerUrl,
    /// What its keys begin with.
    pub prefix: String,
    /// How long a word to it may take.
    pub timeout_ms: u32,
}

/// Where the address of a ledger stands; it may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub enum LedgerUrl {
    /// In the file.
    Is(String),
    /// In this environment variable.
    Env(String),
}

impl std::fmt::Debug for LedgerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerConfig").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// What a plan allows; absent: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanConfig {
    /// Requests a minute and a day.
    pub requests: [Option<u64>; 2],
    /// Input tokens a minute and a day.
    pub input_tokens: [Option<u64>; 2],
    /// Output tokens a minute and a day.
    pub output_tokens: [Option<u64>; 2],
    /// Both together a minute and a day.
    pub tokens: [Option<u64>; 2],
}

/// An amount of money for a stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetConfig {
    /// US dollars.
    pub limit_usd: f64,
    /// `day`, `month` or `run`.
    pub period: &'static str,
    /// `tenant`, `user`, `key`, `team`, `agent`, `model`, `run` or `tag:NAME`.
    pub of: String,
    /// For which of them; empty: for each on its own.
    pub who: Vec<String>,
    /// At which per cent an alert is given.
    pub alerts: Vec<u8>,
    /// `block`, `degrade` or `allow`.
    pub action: &'static str,
    /// Where calls go with `degrade`.
    pub degrade_to: Option<String>,
    /// Where alerts are sent.
    pub webhook: Option<String>,
    /// The environment variable with the secret that they are signed with.
    pub webhook_secret_env: Option<String>,
}

/// Which replies are given again.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheConfig {
    /// The routes.
    pub routes: Vec<String>,
    /// For how long.
    pub ttl_seconds: u64,
    /// Whether users of a tenant share them.
    pub shared: bool,
    /// How much is kept.
    pub max_mebibytes: u64,
    /// The model of embeddings and the similarity from which on requests have one meaning.
    pub semantic: Option<(String, f64)>,
}

/// How token limits are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokensConfig {
    /// `send`, `refuse` or `truncate`; none: send.
    pub overflow: Option<&'static str>,
    /// Output tokens that are reserved for a request that says none.
    pub reserve_output: Option<u64>,
    /// The routes on which prompt caches of providers are used.
    pub prompt_cache: Vec<String>,
}

/// What of a call is logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// `none`, `errors` or `all`; none: none.
    pub payloads: Option<&'static str>,
    /// Whether e-mail addresses are taken out.
    pub redact_emails: bool,
    /// Whether telephone numbers are taken out.
    pub redact_phones: bool,
    /// Regular expressions of what else is taken out.
    pub patterns: Vec<String>,
    /// The longest request or response, in bytes.
    pub max_payload_bytes: Option<usize>,
    /// After how many days records are removed; none: never.
    pub retention_days: Option<u32>,
}

/// Prices of a model in US dollars for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PriceConfig {
    /// Input.
    pub input: f64,
    /// Output.
    pub output: f64,
    /// Input from the provider's cache; absent: as input.
    pub cache_read: Option<f64>,
    /// Input into the provider's cache; absent: as input.
    pub cache_write: Option<f64>,
    /// Input and output in a batch or flex tier.
    pub batch: Option<(f64, f64)>,
    /// Input and output with provisioned capacity.
    pub provisioned: Option<(f64, f64)>,
}
