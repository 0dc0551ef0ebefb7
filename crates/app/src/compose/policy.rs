//! The gateway's policy out of what a project says about limits, budgets, caches, prices and logs.

use crate::error::{Error, Kind};
use bedplate_core::{agent::Price, port::ledger::Period};
use bedplate_gateway::{
    Policy, Secret, Tariff,
    policy::{
        Budget, BudgetAction, CacheRule, LogPolicy, Overflow, Payloads, Plan, Rate, SemanticRule, Subject, TokenRule,
        Webhook,
    },
};
use bedplate_project::{BudgetConfig, CacheConfig, LogConfig, PlanConfig, PriceConfig, TokensConfig, UsageConfig};
use std::{sync::Arc, time::Duration};

/// Returns the policy.
///
/// # Errors
/// When the secret of a webhook is not set.
pub fn policy(usage: &UsageConfig) -> Result<Policy, Error> {
    let budgets = usage.budgets.iter();
    Ok(Policy {
        plans: usage.plans.iter().map(|(name, it)| (name.clone(), plan(it))).collect(),
        each: usage.each.iter().map(|(of, plan)| (subject(of), plan.clone())).collect(),
        named: usage.named.iter().map(|((of, who), plan)| ((subject(of), who.clone()), plan.clone())).collect(),
        budgets: budgets.map(|(name, it)| Ok((name.clone(), budget(name, it)?))).collect::<Result<_, Error>>()?,
        caches: usage.caches.iter().map(|(name, it)| (name.clone(), cache(it))).collect(),
        tokens: tokens(&usage.tokens),
        log: log(&usage.log),
        prices: usage.prices.iter().map(|(id, it)| (id.clone(), tariff(it))).collect(),
    })
}

fn plan(config: &PlanConfig) -> Plan {
    let rate = |[per_minute, per_day]: [Option<u64>; 2]| Rate { per_minute, per_day };
    Plan {
        requests: rate(config.requests),
        input_tokens: rate(config.input_tokens),
        output_tokens: rate(config.output_tokens),
        tokens: rate(config.tokens),
    }
}

fn subject(word: &str) -> Subject {
    match word {
        "key" => Subject::Key,
        "user" => Subject::User,
        "team" => Subject::Team,
        "agent" => Subject::Agent,
        "model" => Subject::Model,
        "run" => Subject::Run,
        word => match word.strip_prefix("tag:") {
            Some(tag) => Subject::Tag(tag.to_owned()),
            None => Subject::Tenant,
        },
    }
}

fn budget(name: &str, config: &BudgetConfig) -> Result<Budget, Error> {
    let secret = match &config.webhook_secret_env {
        None => None,
        Some(variable) => Some(super::models::environment(variable).map(Secret::from).ok_or_else(|| {
            Error::new(Kind::Problems, format!("the budget `{name}` needs the environment variable {variable}"))
                .hint(format!("set {variable}, or take webhook_secret_env out of bedplate.toml"))
        })?),
    };
    Ok(Budget {
        of: subject(&config.of),
        who: config.who.clone(),
        period: match config.period {
            "day" => Period::Day,
            "run" => Period::Ever,
            _ => Period::Month,
        },
        limit: micros(config.limit_usd),
        alerts: config.alerts.clone(),
        action: match (config.action, &config.degrade_to) {
            ("allow", _) => BudgetAction::Allow,
            ("degrade", Some(to)) => BudgetAction::Degrade(to.clone()),
            _ => BudgetAction::Block,
        },
        webhook: config.webhook.clone().map(|url| Webhook { url, secret }),
    })
}

fn cache(config: &CacheConfig) -> CacheRule {
    #[expect(clippy::cast_possible_truncation, reason = "a similarity of 0 to 1")]
    let semantic =
        |(model, threshold): &(String, f64)| SemanticRule { model: model.clone(), threshold: *threshold as f32 };
    CacheRule {
        routes: config.routes.clone(),
        ttl: Duration::from_secs(config.ttl_seconds),
        shared: config.shared,
        max_bytes: usize::try_from(config.max_mebibytes.saturating_mul(1 << 20)).unwrap_or(usize::MAX),
        semantic: config.semantic.as_ref().map(semantic),
    }
}

fn tokens(config: &TokensConfig) -> TokenRule {
    TokenRule {
        overflow: match config.overflow {
            Some("refuse") => Overflow::Refuse,
            Some("truncate") => Overflow::Truncate,
            _ => Overflow::Send,
        },
        reserve_output: config.reserve_output,
        prompt_cache_routes: config.prompt_cache.clone(),
    }
}

fn log(config: &LogConfig) -> LogPolicy {
    // A pattern that is none was reported when the project was read.
    let patterns = config.patterns.iter().filter_map(|pattern| regex_lite::Regex::new(pattern).ok().map(Arc::new));
    LogPolicy {
        payloads: match config.payloads {
            Some("all") => Payloads::All,
            Some("errors") => Payloads::Errors,
            _ => Payloads::None,
        },
        redact_emails: config.redact_emails,
        redact_phones: config.redact_phones,
        patterns: patterns.collect(),
        max_bytes: config.max_payload_bytes.unwrap_or(LogPolicy::MAX_BYTES),
    }
}

fn tariff(config: &PriceConfig) -> Tariff {
    let cached = |price: Option<f64>| micros(price.unwrap_or(config.input));
    // What is not said of the cache costs what input does.
    let other = |prices: Option<(f64, f64)>| {
        let price = |(input, output)| {
            let input = micros(input);
            Price { input, output: micros(output), cache_read: input, cache_write: input }
        };
        prices.map(price)
    };
    Tariff {
        standard: Price {
            input: micros(config.input),
            output: micros(config.output),
            cache_read: cached(config.cache_read),
            cache_write: cached(config.cache_write),
        },
        batch: other(config.batch),
        provisioned: other(config.provisioned),
    }
}

/// Returns millionths of a dollar; what the project's check lets through is never negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a conversion that saturates")]
fn micros(dollars: f64) -> u64 {
    (dollars * 1_000_000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cent_is_ten_thousand_millionths_and_nothing_is_lost_on_the_way() {
        for (dollars, wanted) in [(0.01, 10_000), (0.1 + 0.2, 300_000), (1e9, 1_000_000_000_000_000)] {
            assert_eq!(micros(dollars), wanted);
        }
    }
}
