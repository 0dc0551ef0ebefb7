//! What a project says about limits, budgets, caches, token counts and the log of its calls.

use crate::secret::Secret;
use bedplate_core::port::{Caller, ledger::Period};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Everything of a project that limits, prices, caches and records calls.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// What each plan allows.
    pub plans: BTreeMap<String, Plan>,
    /// The plan that holds for each one of a kind.
    pub each: BTreeMap<Subject, String>,
    /// The plan that holds for one of them instead.
    pub named: BTreeMap<(Subject, String), String>,
    /// Budgets by name.
    pub budgets: BTreeMap<String, Budget>,
    /// Caches by name.
    pub caches: BTreeMap<String, CacheRule>,
    /// How token limits are kept.
    pub tokens: TokenRule,
    /// What of a call is logged besides its figures.
    pub log: LogPolicy,
    /// Prices that the project sets, by model id.
    pub prices: BTreeMap<String, crate::Tariff>,
}

/// What a plan allows each of those whom it holds for; what is absent is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Requests.
    pub requests: Rate,
    /// Input tokens, those of the provider's cache included.
    pub input_tokens: Rate,
    /// Output tokens.
    pub output_tokens: Rate,
    /// Both together.
    pub tokens: Rate,
}

/// How much in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// In any 60 seconds.
    pub per_minute: Option<u64>,
    /// In a day, UTC.
    pub per_day: Option<u64>,
}

/// For whom something is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The tenant as a whole.
    Tenant,
    /// Each API key.
    Key,
    /// Each user.
    User,
    /// Each team.
    Team,
    /// Each agent.
    Agent,
    /// Each route or model that is asked for.
    Model,
    /// Each value of a tag.
    Tag(String),
    /// Each run.
    Run,
}

impl Subject {
    /// Returns what it is called.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Tenant => "tenant".into(),
            Self::Key => "key".into(),
            Self::User => "user".into(),
            Self::Team => "team".into(),
            Self::Agent => "agent".into(),
            Self::Model => "model".into(),
            Self::Tag(name) => format!("tag:{name}"),
            Self::Run => "run".into(),
        }
    }

    /// Returns which one a call belongs to; none: it belongs to none of them.
    pub(crate) fn of(&self, caller: &Caller, route: &str) -> Option<String> {
        match self {
            Self::Tenant => Some(String::new()),
            Self::Key => caller.key.clone(),
            Self::User => Some(caller.user.to_string()),
            Self::Team => caller.team.clone(),
            Self::Agent => caller.agent.clone(),
            Self::Model => Some(route.to_owned()),
            Self::Tag(name) => caller.tags.get(name).cloned(),
            Self::Run => caller.run.map(|run| run.to_string()),
        }
    }
}

/// An amount of money for a stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// For whom it counts.
    pub of: Subject,
    /// For which of them; empty: for each of them on its own.
    pub who: Vec<String>,
    /// Over which stretch of time.
    pub period: Period,
    /// The limit, in millionths of a US dollar.
    pub limit: u64,
    /// At which parts of it an alert is given, in per cent.
    pub alerts: Vec<u8>,
    /// What happens when it is used up.
    pub action: BudgetAction,
    /// Where alerts are sent besides the log.
    pub webhook: Option<Webhook>,
}

/// What happens when a budget is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetAction {
    /// Calls are refused.
    Block,
    /// Calls go to this route or model instead.
    Degrade(String),
    /// Calls go on.
    Allow,
}

impl BudgetAction {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Degrade(_) => "degrade",
            Self::Allow => "allow",
        }
    }
}

/// Where alerts are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// What the requests are signed with.
    pub secret: Option<Secret>,
}

/// Which replies are kept for the same request, and how long.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheRule {
    /// The routes whose replies it keeps.
    pub routes: Vec<String>,
    /// How long a reply may be given again.
    pub ttl: Duration,
    /// Whether users of a tenant share replies.
    pub shared: bool,
    /// How much it holds, in bytes.
    pub max_bytes: usize,
    /// Whether requests of the same meaning are answered too.
    pub semantic: Option<SemanticRule>,
}

/// When two requests have the same meaning.
#[derive(Clone, Debug, PartialEq)]
pub struct SemanticRule {
    /// The route or model that makes the embeddings.
    pub model: String,
    /// The cosine similarity from which on they do, 0 to 1.
    pub threshold: f32,
}

/// How token limits are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRule {
    /// What happens to a request that does not fit into its model's window.
    pub overflow: Overflow,
    /// How many output tokens are reserved for a request that says none.
    pub reserve_output: Option<u64>,
    /// The routes on which the provider's prompt cache is used where it pays.
    pub prompt_cache_routes: Vec<String>,
}

/// What happens to a request that does not fit into its model's window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// It goes to the provider as it is.
    #[default]
    Send,
    /// It is refused before anything is sent; a route with a fallback goes on to the next model.
    Refuse,
    /// The oldest turns are left out until it fits.
    Truncate,
}

/// What of a call is logged besides its figures.
#[derive(Clone, Debug)]
pub struct LogPolicy {
    /// Of which calls.
    pub payloads: Payloads,
    /// Whether e-mail addresses are taken out.
    pub redact_emails: bool,
    /// Whether telephone numbers are taken out.
    pub redact_phones: bool,
    /// Patterns of what else is taken out.
    pub patterns: Vec<Arc<regex_lite::Regex>>,
    /// The longest request or response that is logged, in bytes; a longer one is left out.
    pub max_bytes: usize,
}

impl LogPolicy {
    /// How much of a call is logged unless the project says otherwise, in bytes.
    pub const MAX_BYTES: usize = 256 * 1024;
}

impl Default for LogPolicy {
    fn default() -> Self {
        Self {
            payloads: Payloads::None,
            redact_emails: false,
            redact_phones: false,
            patterns: Vec::new(),
            max_bytes: Self::MAX_BYTES,
        }
    }
}

/// The requests and responses of which calls are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payloads {
    /// Of none.
    #[default]
    None,
    /// Of those that failed.
    Errors,
    /// Of all.
    All,
}
