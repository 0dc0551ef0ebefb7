//! What a call is counted against: the accounts of its plans and budgets, and how much it may come to.

use crate::{
    call::Call,
    policy::{Budget, BudgetAction, Plan, Policy, Rate, Subject},
};
use bedplate_core::{
    agent::Price,
    message::Usage,
    port::{
        Caller,
        ledger::{Account, Claim, Hold, Period},
        model::{Meter, ModelError, RateLimits},
    },
    time::Timestamp,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// How many output tokens are reserved for a request that says none, unless the project says otherwise.
const RESERVE_OUTPUT: u64 = 4_096;

/// The plans and budgets of a project, ready to be asked.
#[derive(Debug)]
pub(crate) struct Rules {
    each: Vec<(Subject, Arc<NamedPlan>)>,
    named: HashMap<(Subject, String), Arc<NamedPlan>>,
    subjects: Vec<Subject>,
    pub(crate) budgets: BTreeMap<Arc<str>, Arc<Budget>>,
    reserve_output: u64,
}

#[derive(Debug)]
pub(crate) struct NamedPlan {
    name: String,
    plan: Plan,
}

/// What an amount counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Requests,
    InputTokens,
    OutputTokens,
    Tokens,
    Money,
}

impl Measure {
    fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Tokens => "tokens",
            Self::Money => "money",
        }
    }

    /// Returns how much of it a call is that used so many tokens and so much money.
    pub(super) fn of(self, usage: &Usage, money: u64) -> u64 {
        match self {
            Self::Requests => 1,
            Self::InputTokens => usage.input.saturating_add(usage.cache_read).saturating_add(usage.cache_write),
            Self::OutputTokens => usage.output,
            Self::Tokens => usage.total(),
            Self::Money => money,
        }
    }
}

/// Where a claim comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Plan { plan: Arc<NamedPlan>, subject: Subject },
    Budget { name: Arc<str>, budget: Arc<Budget>, who: String },
}

/// A claim with where it comes from and what it counts.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    pub(super) claim: Claim,
    pub(super) measure: Measure,
    pub(super) source: Source,
}

impl Rules {
    /// Returns the rules of a policy; none when it limits nothing. A plan that is named but not declared limits nothing:
    /// whoever read the project's files has said so.
    pub(crate) fn of(policy: &Policy) -> Option<Self> {
        let plan = |name: &String| {
            let plan = policy.plans.get(name)?;
            Some(Arc::new(NamedPlan { name: name.clone(), plan: *plan }))
        };
        let each: Vec<_> =
            policy.each.iter().filter_map(|(subject, name)| Some((subject.clone(), plan(name)?))).collect();
        let named: HashMap<_, _> =
            policy.named.iter().filter_map(|(who, name)| Some((who.clone(), plan(name)?))).collect();
        let mut subjects: Vec<Subject> = each.iter().map(|(subject, _)| subject.clone()).collect();
        subjects.extend(named.keys().map(|(subject, _)| subject.clone()));
        subjects.sort();
        subjects.dedup();
        let budgets = policy.budgets.iter().map(|(name, budget)| (name.as_str().into(), Arc::new(budget.clone())));
        let budgets: BTreeMap<Arc<str>, Arc<Budget>> = budgets.collect();
        let reserve_output = policy.tokens.reserve_output.unwrap_or(RESERVE_OUTPUT);
        let limits = !(subjects.is_empty() && budgets.is_empty());
        limits.then_some(Self { each, named, subjects, budgets, reserve_output })
    }

    /// Returns what `call` is counted against. `price` is the highest of the models that may answer.
    ///
    /// # Errors
    /// When the request cannot be read and its tokens are counted.
    pub(super) fn demands(&self, call: &Call, price: Option<Price>) -> Result<Vec<Demand>, ModelError> {
        self.demands_of(&call.caller, &call.route, price, || {
            let request = call.core()?;
            let output = request.params.max_tokens.map_or(self.reserve_output, u64::from);
            Ok(Usage { input: crate::tokens::estimate(request), output, ..Usage::default() })
        })
    }

    /// Returns what a call of `caller` on `route` is counted against; `need` says how many tokens it may come to, where
    /// that is asked for.
    ///
    /// # Errors
    /// Those of `need`.
    pub(super) fn demands_of(
        &self,
        caller: &Caller,
        route: &str,
        price: Option<Price>,
        need: impl FnOnce() -> Result<Usage, ModelError>,
    ) -> Result<Vec<Demand>, ModelError> {
        let mut demands = Vec::new();
        for subject in &self.subjects {
            let Some(who) = subject.of(caller, route) else { continue };
            let found = self.named.get(&(subject.clone(), who.clone()));
            let Some(plan) = found.or_else(|| self.each.iter().find(|(it, _)| it == subject).map(|(_, plan)| plan))
            else {
                continue;
            };
            demands.extend(plan_demands(caller, subject, &who, plan));
        }
        for (name, budget) in &self.budgets {
            let Some(who) = budget.of.of(caller, route) else { continue };
            if budget.who.is_empty() || budget.who.contains(&who) {
                demands.push(budget_demand(caller, name, budget, who));
            }
        }
        if demands.iter().any(|demand| demand.measure != Measure::Requests) {
            fill(&mut demands, &need()?, price);
        }
        Ok(demands)
    }
}

/// Says how much each demand of a call that uses as much as `usage` may come to.
fn fill(demands: &mut [Demand], usage: &Usage, price: Option<Price>) {
    // Input that is written to the provider's cache may cost more than other input.
    let dearest = price.map(|price| Price { input: price.input.max(price.cache_write), ..price });
    let money = dearest.map_or(0, |price| price.cost(usage));
    for demand in demands {
        demand.claim.amount = demand.measure.of(usage, money);
    }
}

fn plan_demands<'a>(
    caller: &'a Caller,
    subject: &'a Subject,
    who: &'a str,
    plan: &'a Arc<NamedPlan>,
) -> impl Iterator<Item = Demand> + 'a {
    let Plan { requests, input_tokens, output_tokens, tokens } = plan.plan;
    let rates: [(Measure, Rate); 4] = [
        (Measure::Requests, requests),
        (Measure::InputTokens, input_tokens),
        (Measure::OutputTokens, output_tokens),
        (Measure::Tokens, tokens),
    ];
    let periods = |(measure, rate): (Measure, Rate)| {
        [(Period::Minute, rate.per_minute), (Period::Day, rate.per_day)]
            .into_iter()
            .filter_map(move |(period, limit)| Some((measure, period, limit?)))
    };
    rates.into_iter().flat_map(periods).map(move |(measure, period, limit)| {
        // The plan is no part of the name: whoever gets another plan keeps what was counted.
        let name = format!("plan/{}/{}/{who}", measure.word(), subject.name());
        let account = Account { tenant: caller.tenant.clone(), name: name.into(), period };
        Demand {
            claim: Claim { account, amount: 1, limit: Some(limit) },
            measure,
            source: Source::Plan { plan: Arc::clone(plan), subject: subject.clone() },
        }
    })
}

fn budget_demand(caller: &Caller, name: &Arc<str>, budget: &Arc<Budget>, who: String) -> Demand {
    let account = Account {
        tenant: caller.tenant.clone(),
        name: format!("{}{who}", budget_prefix(name)).into(),
        period: budget.period,
    };
    let limit = match budget.action {
        BudgetAction::Block | BudgetAction::Degrade(_) => Some(budget.limit),
        BudgetAction::Allow => None,
    };
    Demand {
        claim: Claim { account, amount: 0, limit },
        measure: Measure::Money,
        source: Source::Budget { name: Arc::clone(name), budget: Arc::clone(budget), who },
    }
}

/// Returns what the names of a budget's accounts begin with; whom each is for comes after it.
pub(crate) fn budget_prefix(name: &str) -> String {
    format!("budget/{name}/")
}

impl Demand {
    /// Returns in words what does not allow a call.
    pub(super) fn refusal(&self) -> String {
        let per = match self.claim.account.period {
            Period::Minute => "a minute",
            Period::Day => "a day",
            Period::Month => "a month",
            Period::Ever => "in all",
        };
        match &self.source {
            Source::Plan { plan, subject } => {
                let what = self.measure.word().replace('_', " ");
                let limit = self.claim.limit.unwrap_or_default();
                let each = match subject {
                    Subject::Tenant => "everybody together".to_owned(),
                    subject => format!("this {}", subject.name()),
                };
                format!("the plan `{}` allows {each} {limit} {what} {per}", plan.name)
            }
            Source::Budget { name, budget, .. } => {
                #[expect(clippy::cast_precision_loss, reason = "an amount of money for people")]
                let dollars = budget.limit as f64 / 1_000_000.0;
                format!("the budget `{name}` of {dollars} US dollars {per} is used up")
            }
        }
    }
}

/// Returns how the limits of plans stand, each measure by the account that is nearest to its end.
pub(super) fn meters(demands: &[Demand], holds: &[Hold], now: Timestamp) -> Option<Box<RateLimits>> {
    let mut limits = RateLimits::default();
    for (demand, hold) in demands.iter().zip(holds) {
        let Some(limit) = demand.claim.limit else { continue };
        let meter = match demand.measure {
            Measure::Requests => &mut limits.requests,
            Measure::InputTokens => &mut limits.input_tokens,
            Measure::OutputTokens => &mut limits.output_tokens,
            Measure::Tokens => &mut limits.tokens,
            Measure::Money => continue,
        };
        let remaining = limit.saturating_sub(hold.balance.used.saturating_add(hold.balance.held));
        let reset = hold.balance.frees_at.map_or(std::time::Duration::ZERO, |end| end.since(now));
        if meter.is_none_or(|nearest: Meter| remaining < nearest.remaining) {
            *meter = Some(Meter { limit, remaining, reset });
        }
    }
    (limits != RateLimits::default()).then(|| Box::new(limits))
}
