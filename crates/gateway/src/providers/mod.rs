//! The providers: a visible list, and what each of them does with a call.

pub(crate) mod anthropic;
pub(crate) mod openai;
mod rehearsal;
mod scripted;
mod upstream;

use crate::{
    config::{ConfigError, Options, ProviderConfig},
    http::HttpClient,
};
use bedplate_core::{
    id::RunId,
    port::{
        BoxFuture,
        model::{Embeddings, Events, ModelError, ModelErrorKind, ModelRequest},
    },
};
use std::sync::Arc;

/// A call as a provider gets it: `request.model` is the provider's own id of the model.
pub(crate) struct ProviderCall {
    pub(crate) request: ModelRequest,
    pub(crate) run: Option<RunId>,
    /// Whether the reply is wanted piece by piece.
    #[allow(dead_code, reason = "every provider streams still")]
    pub(crate) stream: bool,
}

/// A call for embeddings as a provider gets it.
#[allow(dead_code, reason = "only the stand-in embeds still")]
pub(crate) struct ProviderEmbed {
    pub(crate) model: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) dimensions: Option<u32>,
}

/// Serves models. Dropping the future or the stream cancels the call. `provider` and `cost` of a reply are filled in by
/// the target.
pub(crate) trait Provider: Send + Sync {
    fn call(&self, call: ProviderCall) -> BoxFuture<'static, Result<Events, ModelError>>;

    /// Returns the embeddings of texts; a provider without such models returns [`no_embeddings`].
    fn embed(&self, call: ProviderEmbed) -> BoxFuture<'static, Result<Embeddings, ModelError>>;
}

/// Returns the failure of a provider that makes no embeddings.
pub(crate) fn no_embeddings() -> BoxFuture<'static, Result<Embeddings, ModelError>> {
    let error = ModelError::new(ModelErrorKind::InvalidRequest, "the provider of this model makes no embeddings");
    Box::pin(std::future::ready(Err(error)))
}

/// A provider, with what is true of all its models.
pub(crate) struct Built {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) name: &'static str,
    pub(crate) foundation_model: bool,
    /// Whether the price table speaks of its models.
    pub(crate) priced: bool,
}

/// Returns the provider that `config` asks for.
pub(crate) fn build(config: &ProviderConfig, http: &HttpClient, options: &Options) -> Result<Built, ConfigError> {
    Ok(match config {
        ProviderConfig::Anthropic(endpoint) => {
            real("anthropic", Arc::new(anthropic::provider(endpoint, http, options)?))
        }
        ProviderConfig::OpenAi(endpoint) => real("openai", Arc::new(openai::provider(endpoint, http, options)?)),
        ProviderConfig::Rehearsal => {
            stand_in("rehearsal", Arc::new(rehearsal::Rehearsal { clock: Arc::clone(&options.clock) }))
        }
        ProviderConfig::Scripted(script) => {
            stand_in("scripted", Arc::new(scripted::Scripted::new(Arc::clone(script), Arc::clone(&options.clock))))
        }
    })
}

fn real(name: &'static str, provider: Arc<dyn Provider>) -> Built {
    Built { provider, name, foundation_model: true, priced: true }
}

fn stand_in(name: &'static str, provider: Arc<dyn Provider>) -> Built {
    Built { provider, name, foundation_model: false, priced: false }
}
