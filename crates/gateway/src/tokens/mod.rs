//! Counting tokens before a request is sent: what does not fit, and what may be cached.

mod count;
mod fit;
mod mark;
mod service;

pub(crate) use service::TokenLayer;

use bedplate_core::{port::model::ModelRequest, size};

/// Returns about how many input tokens a request has.
pub(crate) fn estimate(request: &ModelRequest) -> u64 {
    size::tokens(bytes(request))
}

/// Returns about how many bytes of text a request counts for.
fn bytes(request: &ModelRequest) -> usize {
    let system: usize = request.system.iter().map(size::block).sum();
    let messages: usize = request.messages.iter().map(|message| size::message(message)).sum();
    let tools: usize = request.tools.iter().map(size::spec).sum();
    system + messages + tools
}
