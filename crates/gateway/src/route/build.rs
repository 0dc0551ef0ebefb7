//! Makes services out of routes' configurations: each name a leg, each route a stack.

use super::{
    admission::AdmissionLayer,
    cascade::{Cascade, Tiers},
    check::Check,
    choose::{Chooser, Matcher},
    config::{ModelPolicy, RouteConfig, Strategy},
    degrade::DegradeLayer,
    dice::Dice,
    ensemble::{Ensemble, Members},
    guard::Guard,
    pursue::Pursuit,
    residency::Leg,
    routed::{Route, Routed},
};
use crate::{
    call::Stack,
    config::ConfigError,
    resilience::{
        deadline::Waits,
        retry::{RetryBudget, RetryPolicy},
    },
    target::Door,
};
use bedplate_core::port::clock::Clock;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// A name that can be called.
pub(crate) struct Built {
    pub(crate) stack: Stack,
    /// The one of its legs that stands for it in descriptions.
    pub(crate) described: Arc<Leg>,
    /// The models that may make its embeddings.
    pub(crate) legs: Vec<Arc<Leg>>,
}

/// Makes the legs and stacks of one configuration.
pub(crate) struct Builder<'a> {
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) dice: &'a Arc<Dice>,
    pub(crate) doors: &'a BTreeMap<String, Door>,
    pub(crate) policies: &'a BTreeMap<String, ModelPolicy>,
    pub(crate) routes: &'a BTreeMap<String, RouteConfig>,
    /// What is known of models from the configuration before.
    pub(crate) guards: &'a mut HashMap<String, Arc<Guard>>,
    legs: HashMap<String, Arc<Leg>>,
    /// The routes that are being built, outermost first.
    path: Vec<String>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(
        clock: &'a Arc<dyn Clock>,
        dice: &'a Arc<Dice>,
        doors: &'a BTreeMap<String, Door>,
        policies: &'a BTreeMap<String, ModelPolicy>,
        routes: &'a BTreeMap<String, RouteConfig>,
        guards: &'a mut HashMap<String, Arc<Guard>>,
    ) -> Self {
        Self { clock, dice, doors, policies, routes, guards, legs: HashMap::new(), path: Vec::new() }
    }

    /// Returns the route `name`.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub(crate) fn route(&mut self, name: &str, config: &RouteConfig) -> Result<Built, ConfigError> {
        self.path.push(name.to_owned());
        let built = self.assemble(name, config);
        self.path.pop();
        built
    }

    fn assemble(&mut self, name: &str, config: &RouteConfig) -> Result<Built, ConfigError> {
        let pursuit = Arc::new(self.pursuit(config, config.retry));
        let once = Arc::new(self.pursuit(config, RetryPolicy { attempts: 1, ..config.retry }));
        let fallback = self.legs(name, config.fallback.iter().map(String::as_str))?;
        let larger = config.larger.as_deref().map(|larger| self.leg(name, larger)).transpose()?;
        let own = self.legs(name, config.chosen().into_iter())?;
        let mut legs = own.clone();
        let (stack, described) = match &config.strategy {
            Strategy::Cascade { tiers } => {
                let checks = tiers.iter().map(|tier| Check::new(&tier.accept)).collect::<Result<_, _>>()?;
                legs.extend(fallback);
                (
                    Stack::new(Cascade(Arc::new(Tiers {
                        legs: legs.clone(),
                        checks,
                        once,
                        last: Arc::clone(&pursuit),
                    }))),
                    0,
                )
            }
            Strategy::Ensemble { models, aggregate } => {
                legs.extend(fallback);
                let members = Members {
                    legs: legs.clone(),
                    members: models.len(),
                    aggregate: aggregate.clone(),
                    once,
                    last: Arc::clone(&pursuit),
                };
                (Stack::new(Ensemble(Arc::new(members))), 0)
            }
            strategy => {
                let chooser = chooser(name, strategy)?;
                let described = if let Strategy::Content { rules, .. } = strategy { rules.len() } else { 0 };
                let chosen_from = own.len();
                legs.extend(fallback);
                let larger = larger.map(|larger| {
                    legs.push(larger);
                    legs.len() - 1
                });
                let plain = legs.len() == 1
                    && !config.resume
                    && config.hedge.is_none()
                    && pursuit.retry.attempts <= 1
                    && config.waits == Waits::default();
                let route = Route {
                    plain,
                    legs: legs.clone(),
                    chosen_from,
                    larger,
                    chooser,
                    pursuit: Arc::clone(&pursuit),
                    resume: config.resume,
                };
                (Stack::new(Routed(Arc::new(route))), described)
            }
        };
        let described = legs.get(described).or_else(|| legs.first()).cloned();
        let described = described.ok_or_else(|| ConfigError::EmptyRoute(name.to_owned()))?;
        let mut stack = stack;
        if let Some(degrade) = &config.degrade {
            let smaller = degrade.model.as_deref().map(|model| self.leg(name, model)).transpose()?;
            stack = stack.layer(&DegradeLayer::new(degrade.clone(), smaller, pursuit));
        }
        if let Some(admission) = config.admission {
            stack = stack.layer(&AdmissionLayer::new(admission, Arc::clone(self.clock)));
        }
        if let Some(jurisdiction) = &config.jurisdiction {
            stack = stack.layer(&super::bind::BindLayer::new(jurisdiction));
        }
        Ok(Built { stack, described, legs })
    }

    fn legs<'n>(&mut self, route: &str, names: impl Iterator<Item = &'n str>) -> Result<Vec<Arc<Leg>>, ConfigError> {
        names.map(|name| self.leg(route, name)).collect()
    }

    /// Returns what `name` means in `route`: a model or, if there is no such model, another route.
    fn leg(&mut self, route: &str, name: &str) -> Result<Arc<Leg>, ConfigError> {
        if let Some(leg) = self.legs.get(name) {
            return Ok(Arc::clone(leg));
        }
        let unknown = || ConfigError::UnknownModel { route: route.to_owned(), model: name.to_owned() };
        let leg = match (self.doors.get(name), self.routes.get(name)) {
            (Some(door), _) => self.model(name, door.clone()),
            (None, None) => return Err(unknown()),
            (None, Some(_)) if self.path.iter().any(|above| above == name) => {
                return Err(ConfigError::CircularRoute(name.to_owned()));
            }
            (None, Some(config)) => {
                let built = self.route(name, config)?;
                Leg::route(name, &built.described, built.stack)
            }
        };
        let leg = Arc::new(leg);
        self.legs.insert(name.to_owned(), Arc::clone(&leg));
        Ok(leg)
    }

    fn model(&mut self, name: &str, door: Door) -> Leg {
        let policy = self.policies.get(name).cloned().unwrap_or_default();
        let place = match name {
            crate::config::REHEARSAL => super::residency::Place::Here,
            _ => policy.place,
        };
        let guard = match self.guards.get(name).filter(|guard| guard.policy == policy.guard) {
            Some(guard) => Arc::clone(guard),
            None => {
                let guard = Guard::new(policy.guard);
                self.guards.insert(name.to_owned(), Arc::clone(&guard));
                guard
            }
        };
        let service = Stack::new(door.clone());
        Leg::model(name, place, policy.context_tokens, guard, door, service)
    }

    fn pursuit(&self, config: &RouteConfig, retry: RetryPolicy) -> Pursuit {
        Pursuit {
            retry,
            budget: RetryBudget::new(config.retry_percent, if config.retry_percent == 0 { 0 } else { RESERVE }),
            waits: config.waits,
            hedge: config.hedge,
            clock: Arc::clone(self.clock),
            dice: Arc::clone(self.dice),
        }
    }
}

/// How many repeats a quiet route has at hand.
const RESERVE: u32 = 10;

fn chooser(route: &str, strategy: &Strategy) -> Result<Chooser, ConfigError> {
    Ok(match strategy {
        Strategy::Weighted { models, sticky, canary } => Chooser::Weighted {
            weights: models.iter().map(|(_, weight)| *weight).collect(),
            sticky: *sticky,
            canary: canary.as_ref().map(|(_, percent)| (models.len(), *percent)),
        },
        Strategy::Content { rules, .. } => {
            let matcher = |(index, rule): (usize, &super::config::Rule)| {
                let pattern = |error: regex_lite::Error| ConfigError::BadCheck(format!("{route}: {error}"));
                Ok::<_, ConfigError>((Matcher::new(rule.clone()).map_err(pattern)?, index))
            };
            let otherwise = rules.len();
            Chooser::Content { rules: rules.iter().enumerate().map(matcher).collect::<Result<_, _>>()?, otherwise }
        }
        Strategy::Metric { models, by } => Chooser::Metric { metric: *by, count: models.len() },
        Strategy::Learned { router, .. } => Chooser::Learned { router: Arc::clone(router), cheap: 0, strong: 1 },
        Strategy::Static(_) | Strategy::Cascade { .. } | Strategy::Ensemble { .. } => Chooser::First,
    })
}
