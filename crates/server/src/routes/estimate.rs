//! How large a request is, where no tokeniser of its model is known.

use axum::http::HeaderName;
use bedplate_core::{
    message::{Message, Role},
    port::model::ModelRequest,
};
use bedplate_engine::agent::size;

/// Returns the estimated input tokens: one for 3.5 bytes of texts, tools and arguments, 4 for a message, 1,500 for a
/// picture.
pub(crate) fn tokens(request: &ModelRequest) -> u64 {
    let system = match request.system.is_empty() {
        true => 0,
        false => size::message(&Message { role: Role::User, content: request.system.clone() }),
    };
    let messages: usize = request.messages.iter().map(|message| size::message(message)).sum();
    let tools: usize = request.tools.iter().map(size::spec).sum();
    size::tokens(system.saturating_add(messages).saturating_add(tools))
}

/// Returns the header that names the rule.
pub(crate) fn header() -> [(HeaderName, &'static str); 1] {
    [(HeaderName::from_static("x-bedplate-estimate"), "bytes/3.5")]
}
