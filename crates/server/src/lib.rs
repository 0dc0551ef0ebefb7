//! The HTTP face of Bedplate: routes, authentication, live streams, OpenAPI and the page.
//!
//! Invariant: nothing here knows a store, a provider or a tool; everything goes through the runtime and the ports.
//! Handlers are thin: they parse, call and render.

pub mod access;
mod agentcore;
mod aws;
mod bulk;
mod error;
mod extract;
mod handover;
mod inward;
pub mod key;
mod metrics;
mod model_metrics;
mod opening;
mod page;
mod rate_headers;
mod request;
pub mod routes;
mod said;
mod serve;
pub mod sigv4;
mod sse;
mod state;
mod trial;
mod usage_query;
mod wire;
mod workflows;
pub mod ws;

pub use self::{
    access::Access,
    bulk::BulkLimits,
    error::ApiError,
    serve::{ServeError, serve},
    state::{App, Options, WorkflowFiles},
};
