//! What a route is told: its strategy, and what is done when a target fails. Plain values; `build` makes services.

use super::{pick::Metric, residency::Place};
use crate::resilience::{deadline::Waits, retry::RetryPolicy};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// A route. Names in it are those of models, or of other routes.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteConfig {
    /// How a target is chosen.
    pub strategy: Strategy,
    /// Who is asked, in this order, when the chosen ones fail before their first token.
    pub fallback: Vec<String>,
    /// Who gets a request that is too long for the others.
    pub larger: Option<String>,
    /// How often a failed round over all targets is repeated.
    pub retry: RetryPolicy,
    /// How many per cent of the route's calls may be repeats, 0 to 100.
    pub retry_percent: u32,
    /// How long is waited.
    pub waits: Waits,
    /// After how long without a first token a second target is asked, too.
    pub hedge: Option<Duration>,
    /// Whether an answer that breaks in the middle is continued by another target.
    pub resume: bool,
    /// The jurisdiction that all calls of the route are bound to.
    pub jurisdiction: Option<String>,
    /// How many calls the route takes at once, and how many wait.
    pub admission: Option<AdmissionConfig>,
    /// What is answered when nobody answers.
    pub degrade: Option<DegradeConfig>,
}

impl RouteConfig {
    /// Returns a route of `strategy` with everything else as usual.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            fallback: Vec::new(),
            larger: None,
            retry: RetryPolicy::default(),
            retry_percent: 10,
            waits: Waits::default(),
            hedge: None,
            resume: false,
            jurisdiction: None,
            admission: None,
            degrade: None,
        }
    }

    /// Returns the names that the strategy itself speaks of, as it counts them.
    pub(crate) fn chosen(&self) -> Vec<&str> {
        match &self.strategy {
            Strategy::Static(name) => vec![name],
            Strategy::Weighted { models, canary, .. } => models
                .iter()
                .map(|(name, _)| name.as_str())
                .chain(canary.iter().map(|(name, _)| name.as_str()))
                .collect(),
            Strategy::Content { rules, otherwise } => {
                rules.iter().map(|rule| rule.model.as_str()).chain([otherwise.as_str()]).collect()
            }
            Strategy::Metric { models, .. } => models.iter().map(String::as_str).collect(),
            Strategy::Learned { cheap, strong, .. } => vec![cheap, strong],
            Strategy::Cascade { tiers } => tiers.iter().map(|tier| tier.model.as_str()).collect(),
            Strategy::Ensemble { models, aggregate } => {
                let judge = match aggregate {
                    Aggregate::BestOf { judge } => Some(judge.as_str()),
                    Aggregate::Majority | Aggregate::First => None,
                };
                models.iter().map(String::as_str).chain(judge).collect()
            }
        }
    }
}

/// A plain route to one model: nothing is repeated.
impl From<&str> for RouteConfig {
    fn from(model: &str) -> Self {
        Self::from(model.to_owned())
    }
}

/// A plain route to one model: nothing is repeated.
impl From<String> for RouteConfig {
    fn from(model: String) -> Self {
        let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
        Self { retry, ..Self::new(Strategy::Static(model)) }
    }
}

/// How a route chooses.
#[derive(Clone, Debug, PartialEq)]
pub enum Strategy {
    /// Always this one.
    Static(String),
    /// By weight.
    Weighted {
        /// Names and weights.
        models: Vec<(String, u32)>,
        /// What stays with the model that it was given.
        sticky: Sticky,
        /// A model that gets so many per cent of what sticks together.
        canary: Option<(String, f64)>,
    },
    /// By the first rule that holds.
    Content {
        /// The rules, in order.
        rules: Vec<Rule>,
        /// Who gets what no rule speaks of.
        otherwise: String,
    },
    /// By what is measured.
    Metric {
        /// The models.
        models: Vec<String>,
        /// What is looked at.
        by: Metric,
    },
    /// By how difficult the prompt looks to a small model that learned from the project's own calls.
    Learned {
        /// Who gets what looks easy.
        cheap: String,
        /// Who gets the rest.
        strong: String,
        /// What was learned.
        router: std::sync::Arc<super::learned::Router>,
    },
    /// Cheap ones first, as long as their answers do not pass.
    Cascade {
        /// The tiers, cheapest first.
        tiers: Vec<TierConfig>,
    },
    /// Several at once.
    Ensemble {
        /// The models.
        models: Vec<String>,
        /// How one answer is made of theirs.
        aggregate: Aggregate,
    },
}

/// What stays with the model that it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sticky {
    /// A session; a call outside of one goes anywhere.
    #[default]
    Session,
    /// A user.
    User,
    /// Nothing.
    None,
}

/// A rule over a request: all that it asks for must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    /// Who gets the request.
    pub model: String,
    /// At least so many tokens of input, about.
    pub min_tokens: Option<u64>,
    /// At most so many.
    pub max_tokens: Option<u64>,
    /// Whether tools are on offer.
    pub tools: Option<bool>,
    /// Whether a picture or document is in it.
    pub images: Option<bool>,
    /// One of these languages, as ISO 639 says them in two or three letters.
    pub languages: Vec<String>,
    /// A regular expression that the user's last words match.
    pub pattern: Option<String>,
    /// Tags of the call.
    pub tags: BTreeMap<String, String>,
    /// The agent that calls.
    pub agent: Option<String>,
    /// The team that calls.
    pub team: Option<String>,
}

/// A tier of a cascade.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TierConfig {
    /// Who is asked.
    pub model: String,
    /// What its answer must pass; the last tier's is taken as it is.
    pub accept: Accept,
}

/// What an answer must pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accept {
    /// Its text is JSON of this schema.
    pub schema: Option<Value>,
    /// The model itself gives it at least this, 0 to 1.
    pub confidence: Option<f64>,
    /// The mean logarithm of its tokens' probabilities is at least this; only servers of the Chat Completions API say.
    pub logprob: Option<f64>,
    /// It is no refusal.
    pub no_refusal: bool,
    /// It matches none of these regular expressions.
    pub denied: Vec<String>,
    /// It matches this regular expression.
    pub pattern: Option<String>,
}

/// How one answer is made of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// What most of them say.
    Majority,
    /// What a judge likes best.
    BestOf {
        /// The model that judges.
        judge: String,
    },
    /// The first that is there and no refusal.
    First,
}

/// How many calls a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionConfig {
    /// At once.
    pub concurrent: usize,
    /// Waiting.
    pub queue: usize,
    /// The longest wait, expected or real.
    pub wait: Duration,
}

/// What is answered when nobody answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DegradeConfig {
    /// The last answer to the very same request of the same tenant and user, if it is not older than this.
    pub cached: Option<Duration>,
    /// What this model says.
    pub model: Option<String>,
    /// This text.
    pub apology: Option<String>,
}

/// What is said of a model besides who provides it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelPolicy {
    /// Where it works on what it is sent.
    pub place: Place,
    /// How many tokens it can read.
    pub context_tokens: Option<u64>,
    /// How it is watched over.
    pub guard: super::guard::GuardPolicy,
}
