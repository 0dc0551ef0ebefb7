//! Model providers, routing and prices behind the Model port.
//!
//! A call names a route; the route names a model; the model has a provider. What a provider does with the call is in
//! `providers/`, one file each, and `providers/mod.rs` is the list of them.
//!
//! Invariant: nothing here reads the environment, knows a route of the HTTP API, or retries; whoever called decides
//! whether to call again.

mod call;
pub mod config;
pub mod discover;
mod gateway;
mod http;
mod prices;
mod providers;
mod reply_stream;
pub mod script;
mod secret;
mod target;

pub use config::{Config, ConfigError, Endpoint, ModelConfig, Options, ProviderConfig, Timeouts};
pub use gateway::Gateway;
pub use prices::{PriceTable, PriceTableError};
pub use secret::Secret;
