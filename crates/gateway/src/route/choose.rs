//! Which leg of a route gets a call first, and why.

use super::{
    config::{Rule, Sticky},
    facts,
    learned::{Prompt, Router},
    pick::{Metric, Seen, among, by_metric, hash, mix, weighted},
    residency::Leg,
};
use crate::call::Call;
use bedplate_core::{port::model::ModelError, time::Timestamp};
use regex_lite::Regex;
use std::sync::Arc;

/// How the legs of a route are put in order. Numbers are places among the route's legs.
pub(crate) enum Chooser {
    /// In the order of the configuration.
    First,
    /// By weight.
    Weighted {
        /// The weight of each of the first legs.
        weights: Vec<u32>,
        sticky: Sticky,
        canary: Option<(usize, f64)>,
    },
    /// By the first rule that holds.
    Content { rules: Vec<(Matcher, usize)>, otherwise: usize },
    /// By measurement, among so many of the first legs.
    Metric { metric: Metric, count: usize },
    /// By difficulty.
    Learned { router: Arc<Router>, cheap: usize, strong: usize },
}

/// A rule, ready to be held against requests.
pub(crate) struct Matcher {
    rule: Rule,
    pattern: Option<Regex>,
}

/// What a chooser chose.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The legs in order; those that are not in it are not asked, unless they are fallbacks.
    pub(crate) order: Vec<usize>,
    /// Why.
    pub(crate) reason: String,
}

impl Chooser {
    /// Chooses for `call` among `legs`; `allowed` says which of them it may go to at all.
    ///
    /// # Errors
    /// When a raw request must be read for it and cannot.
    pub(crate) fn choose(
        &self,
        legs: &[Arc<Leg>],
        allowed: impl Fn(usize) -> bool,
        call: &Call,
        tokens: u64,
        now: Timestamp,
        random: u64,
    ) -> Result<Choice, ModelError> {
        match self {
            Self::First => Ok(Choice { order: vec![0], reason: String::new() }),
            Self::Weighted { weights, sticky, canary } => {
                let key = sticky_key(*sticky, call).unwrap_or(random);
                let weights: Vec<(u64, u32)> = weights
                    .iter()
                    .enumerate()
                    .map(|(index, weight)| {
                        (hash(legs[index].name.as_bytes()), if allowed(index) { *weight } else { 0 })
                    })
                    .collect();
                let chosen = weighted(key, &weights);
                let rest = (0..weights.len()).filter(|&index| weights[index].1 > 0 && Some(index) != chosen);
                let canary = canary.filter(|&(index, percent)| allowed(index) && among(key, percent));
                let reason = if canary.is_some() { "canary" } else { "weight" };
                let order = canary.map(|(index, _)| index).into_iter().chain(chosen).chain(rest).collect();
                Ok(Choice { order, reason: reason.into() })
            }
            Self::Content { rules, otherwise } => {
                for (number, (matcher, index)) in rules.iter().enumerate() {
                    if matcher.holds(call, tokens)? {
                        return Ok(Choice { order: vec![*index], reason: format!("rule {}", number + 1) });
                    }
                }
                Ok(Choice { order: vec![*otherwise], reason: "no rule".into() })
            }
            Self::Metric { metric, count } => {
                let prefix = if *metric == Metric::Replicas { prefixes(call)? } else { Vec::new() };
                let indices: Vec<usize> = (0..*count).filter(|&index| allowed(index)).collect();
                let seen: Vec<Seen> = indices.iter().map(|&index| seen(&legs[index], now)).collect();
                let order =
                    by_metric(*metric, &seen, random, &prefix).into_iter().map(|place| indices[place]).collect();
                let reason = match metric {
                    Metric::Latency => "latency",
                    Metric::Cost => "cost",
                    Metric::Errors => "errors",
                    Metric::Quota => "quota",
                    Metric::Replicas => "replica",
                };
                Ok(Choice { order, reason: reason.into() })
            }
            Self::Learned { router, cheap, strong } => {
                let difficulty = router.difficulty(&Prompt::of(call.core()?, tokens));
                let first = if difficulty >= router.threshold { strong } else { cheap };
                let other = if first == strong { cheap } else { strong };
                Ok(Choice { order: vec![*first, *other], reason: format!("difficulty {difficulty:.2}") })
            }
        }
    }
}

impl Matcher {
    /// Returns a rule with its expression compiled.
    ///
    /// # Errors
    /// When that is none.
    pub(crate) fn new(rule: Rule) -> Result<Self, regex_lite::Error> {
        let pattern = rule.pattern.as_deref().map(Regex::new).transpose()?;
        Ok(Self { rule, pattern })
    }

    fn holds(&self, call: &Call, tokens: u64) -> Result<bool, ModelError> {
        let Rule { min_tokens, max_tokens, tools, images, languages, tags, agent, team, .. } = &self.rule;
        // The cheap questions first: they need not read a raw request.
        let cheap = min_tokens.is_none_or(|least| tokens >= least)
            && max_tokens.is_none_or(|most| tokens <= most)
            && tags.iter().all(|(name, value)| call.caller.tags.get(name) == Some(value))
            && (agent.is_none() || call.caller.agent == *agent)
            && (team.is_none() || call.caller.team == *team);
        if !cheap {
            return Ok(false);
        }
        if tools.is_none() && images.is_none() && languages.is_empty() && self.pattern.is_none() {
            return Ok(true);
        }
        let request = call.core()?;
        if tools.is_some_and(|wanted| wanted == request.tools.is_empty())
            || images.is_some_and(|wanted| wanted != facts::has_images(request))
        {
            return Ok(false);
        }
        if languages.is_empty() && self.pattern.is_none() {
            return Ok(true);
        }
        let text = facts::last_words(request);
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(&text)) {
            return Ok(false);
        }
        Ok(languages.is_empty()
            || facts::language(&text).is_some_and(|found| languages.iter().any(|code| facts::is_language(code, found))))
    }
}

/// Returns what stays together, as a number; none when the call belongs to nothing of the kind.
fn sticky_key(sticky: Sticky, call: &Call) -> Option<u64> {
    let caller = &call.caller;
    let of = |kind: &str, name: &str| hash(format!("{kind}\0{}\0{}\0{name}", caller.tenant, caller.user).as_bytes());
    match sticky {
        Sticky::None => None,
        Sticky::User => Some(of("user", "")),
        Sticky::Session => match (&caller.session, &caller.run) {
            (Some(session), _) => Some(of("session", session)),
            (None, Some(run)) => Some(of("run", &run.to_string())),
            (None, None) => None,
        },
    }
}

fn seen(leg: &Leg, now: Timestamp) -> Seen {
    let price = leg.info().price;
    Seen {
        reading: leg.guard.as_ref().map(|guard| guard.health.read(now)).unwrap_or_default(),
        // Most calls read about three times what they write.
        price: price.map(|price| price.output.saturating_add(price.input.saturating_mul(3))),
        hash: hash(leg.name.as_bytes()),
    }
}

/// Returns the hash of what begins the conversation: instructions, tools, and the first message. Later turns of it have
/// the same.
fn prefixes(call: &Call) -> Result<Vec<u64>, ModelError> {
    let request = call.core()?;
    let mut sum = hash(call.caller.tenant.to_string().as_bytes());
    for block in request.system.iter().chain(request.messages.first().into_iter().flat_map(|first| &first.content)) {
        if let bedplate_core::message::ContentBlock::Text { text } = block {
            sum = mix(sum ^ hash(text.as_bytes()));
        }
    }
    for tool in request.tools.iter() {
        sum = mix(sum ^ hash(tool.name.as_bytes()));
    }
    Ok(vec![sum])
}
