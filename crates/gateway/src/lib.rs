//! Model providers, routing and prices behind the Model port.
//!
//! A call names a route; the route chooses among models (`route/`) and survives their failures (`resilience/`); the model
//! has a provider. What a provider does with the call is in `providers/`, one file each, and `providers/mod.rs` is the
//! list of them.
//!
//! Invariant: nothing here reads the environment or knows a route of the HTTP API. A call is repeated only where its
//! route says so, within the route's budget, and never after something of its answer has been passed on.

mod budget;
mod cache;
mod call;
pub mod config;
mod control;
pub mod discover;
mod embed;
mod gateway;
mod http;
mod http1;
mod limit;
pub mod policy;
mod prices;
mod providers;
mod record;
mod reply_stream;
mod resilience;
mod route;
pub mod script;
mod secret;
mod target;
mod tokens;
mod watch;

pub use config::{
    AwsAuth, AwsKeys, BedrockConfig, CompatibleConfig, Config, ConfigError, Endpoint, ModelConfig, Options,
    ProviderConfig, SageMakerConfig, Timeouts,
};
pub use gateway::Gateway;
pub use policy::Policy;
pub use prices::{Billing, PriceTable, PriceTableError, Tariff};
pub use record::Recorder;
pub use resilience::{breaker::BreakerPolicy, concurrency::ConcurrencyPolicy, deadline::Waits, retry::RetryPolicy};
pub use route::{
    config::{
        Accept, AdmissionConfig, Aggregate, DegradeConfig, ModelPolicy, RouteConfig, Rule, Sticky, Strategy, TierConfig,
    },
    experience::examples,
    facts::knows_language,
    file::RouteFileError,
    guard::GuardPolicy,
    learned::{Example, Prompt, Report, Router},
    pick::Metric,
    residency::Place,
};
pub use secret::Secret;
