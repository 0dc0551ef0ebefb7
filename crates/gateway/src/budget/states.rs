//! How the budgets of a project stand.

use crate::{
    limit::{Rules, budget_prefix},
    policy::Budget,
};
use bedplate_core::{
    id::Tenant,
    port::ledger::{Balance, BudgetState, Ledger, LedgerError},
    time::Timestamp,
};
use std::sync::Arc;

/// Returns every budget, once for each of those who spent something of it.
pub(crate) async fn states(
    rules: Arc<Rules>,
    ledger: Arc<dyn Ledger>,
    tenant: Tenant,
    now: Timestamp,
) -> Result<Vec<BudgetState>, LedgerError> {
    let mut states = Vec::new();
    for (name, budget) in &rules.budgets {
        let prefix = budget_prefix(name);
        let found = ledger.balances(now, &tenant, &prefix).await?;
        let ours = found.into_iter().filter(|(account, _)| account.period == budget.period);
        let before = states.len();
        states.extend(ours.map(|(account, balance)| {
            let who = account.name.strip_prefix(prefix.as_str()).filter(|who| !who.is_empty());
            state(name, budget, who.map(str::to_owned), balance)
        }));
        if states.len() == before {
            states.push(state(name, budget, None, Balance::default()));
        }
    }
    Ok(states)
}

fn state(name: &str, budget: &Budget, who: Option<String>, balance: Balance) -> BudgetState {
    let reached = |percent: &u8| u128::from(balance.used) * 100 >= u128::from(budget.limit) * u128::from(*percent);
    BudgetState {
        name: name.to_owned(),
        of: budget.of.name(),
        who,
        period: budget.period,
        limit: budget.limit,
        balance,
        alerted: budget.alerts.iter().copied().filter(reached).collect(),
        action: budget.action.word(),
    }
}
