//! The layer of plans and budgets.

use super::{
    charge::{Charge, Held},
    rules::{Demand, Rules, Source, meters},
};
use crate::{
    budget::Alerts,
    call::{Answering, Call, Serve, Stack},
    policy::BudgetAction,
    route::bind::BindLayer,
    watch::{End, Watcher, watched},
};
use bedplate_core::{
    agent::Price,
    id::Tenant,
    port::{
        clock::Clock,
        ledger::{Ledger, Reservation, ReserveError},
        model::{ModelError, ModelErrorKind, Notes, RateLimits},
    },
    time::Timestamp,
};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};
use tower_layer::Layer;

/// The stacks below this layer, by route: where a budget that is used up sends its calls.
pub(crate) type Fallbacks = Arc<OnceLock<HashMap<String, Stack>>>;

/// Returns the highest price of the models that may answer a route now.
pub(crate) type PriceOf = Arc<dyn Fn() -> Option<Price> + Send + Sync>;

/// Counts the calls of a route against plans and budgets.
#[derive(Clone)]
pub(crate) struct LimitLayer {
    pub(crate) rules: Arc<Rules>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alerts: Alerts,
    pub(crate) fallbacks: Fallbacks,
    pub(crate) price: PriceOf,
    /// What the route is bound to, also where it is left.
    pub(crate) bind: Option<BindLayer>,
}

impl Layer<Stack> for LimitLayer {
    type Service = LimitService;

    fn layer(&self, inner: Stack) -> LimitService {
        LimitService { layer: self.clone(), inner }
    }
}

#[derive(Clone)]
pub(crate) struct LimitService {
    layer: LimitLayer,
    inner: Stack,
}

impl Serve for LimitService {
    fn serve(&self, call: Call) -> Answering {
        let Self { layer, inner } = self.clone();
        Box::pin(async move {
            let demands = layer.rules.demands(&call, (layer.price)())?;
            if demands.is_empty() {
                return inner.serve(call).await;
            }
            let (held, degraded) = layer.held(demands, &call.caller.tenant, &call.notes).await?;
            let mut charge = Charge::new(held, call.clone());
            let inner = match degraded {
                None => inner,
                Some(Degraded { to, .. }) => layer.fallback(&to)?,
            };
            match inner.serve(call).await {
                Ok(answer) => Ok(watched(answer, charge)),
                Err(error) => {
                    charge.end(End::Failed(&error));
                    Err(error)
                }
            }
        })
    }
}

/// A budget that is used up sends the call elsewhere.
pub(super) struct Degraded {
    /// The route or model.
    pub(super) to: String,
    /// Why, in words.
    pub(super) why: Arc<str>,
}

impl LimitLayer {
    /// Reserves what is demanded for a call, and notes how its limits stand. A budget that is used up and says so lets the
    /// call go to a smaller model.
    ///
    /// # Errors
    /// What does not allow the call, and when to come again.
    pub(super) async fn held(
        &self,
        mut demands: Vec<Demand>,
        tenant: &Tenant,
        notes: &Notes,
    ) -> Result<(Held, Option<Degraded>), ModelError> {
        let now = self.clock.now();
        let (reservation, degraded) = reserve(&*self.ledger, now, &mut demands).await?;
        let limits = meters(&demands, &reservation.holds, now);
        if limits.is_some() || degraded.is_some() {
            notes.note(|noted| {
                noted.limits = limits;
                noted.degraded = degraded.as_ref().map(|it| Arc::clone(&it.why)).or(noted.degraded.take());
            });
        }
        let (ledger, alerts) = (Arc::clone(&self.ledger), self.alerts.clone());
        Ok((Held { ledger, alerts, reservation, demands, tenant: tenant.clone() }, degraded))
    }

    fn fallback(&self, route: &str) -> Result<Stack, ModelError> {
        let found = self.fallbacks.get().and_then(|stacks| stacks.get(route));
        let bound = |stack: &Stack| match &self.bind {
            Some(bind) => stack.clone().layer(bind),
            None => stack.clone(),
        };
        found.map(bound).ok_or_else(|| {
            let message = format!("a budget sends its calls to `{route}`, which is not declared");
            ModelError::new(ModelErrorKind::LimitExceeded, message)
        })
    }
}

/// Reserves what is demanded.
async fn reserve(
    ledger: &dyn Ledger,
    now: Timestamp,
    demands: &mut [Demand],
) -> Result<(Reservation, Option<Degraded>), ModelError> {
    let mut degraded = None;
    loop {
        let claims = demands.iter().map(|demand| demand.claim.clone()).collect();
        let (claim, retry_after, balance) = match ledger.reserve(now, claims).await {
            Ok(reservation) => return Ok((reservation, degraded)),
            Err(ReserveError::Exceeded { claim, retry_after, balance }) => (claim, retry_after, balance),
            Err(ReserveError::Ledger(error)) => {
                tracing::error!(%error, "limits cannot be kept, so no call is let through");
                return Err(ModelError::new(ModelErrorKind::Unavailable, "the limits cannot be checked; try again"));
            }
        };
        let Some(demand) = demands.get_mut(claim) else {
            return Err(ModelError::new(ModelErrorKind::Unavailable, "the limits cannot be checked; try again"));
        };
        let to = match &demand.source {
            Source::Budget { budget, name, .. } => match &budget.action {
                BudgetAction::Degrade(to) => {
                    Some(Degraded { to: to.clone(), why: format!("the budget `{name}` is used up").into() })
                }
                BudgetAction::Block | BudgetAction::Allow => None,
            },
            Source::Plan { .. } => None,
        };
        match to {
            Some(to) if demand.claim.limit.is_some() => {
                // From here on it is only counted, so this ends after as many rounds as there are budgets.
                demand.claim.limit = None;
                degraded = degraded.or(Some(to));
            }
            _ => return Err(refused(demand, retry_after, balance, now)),
        }
    }
}

fn refused(
    demand: &Demand,
    retry_after: Option<std::time::Duration>,
    balance: bedplate_core::port::ledger::Balance,
    now: Timestamp,
) -> ModelError {
    let is_plan = matches!(demand.source, Source::Plan { .. });
    let refusal = demand.refusal();
    let (kind, message) = match retry_after {
        Some(wait) if is_plan => {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            (ModelErrorKind::RateLimited, format!("{refusal}; try again in {seconds} s"))
        }
        None if is_plan => {
            let amount = demand.claim.amount;
            (ModelErrorKind::LimitExceeded, format!("{refusal}, and this call alone may need {amount}"))
        }
        _ => (ModelErrorKind::LimitExceeded, refusal),
    };
    let hold = bedplate_core::port::ledger::Hold { claim: demand.claim.clone(), bucket: 0, balance };
    let limits: Option<Box<RateLimits>> = meters(std::slice::from_ref(demand), &[hold], now);
    ModelError { retry_after, limits, ..ModelError::new(kind, message) }
}
