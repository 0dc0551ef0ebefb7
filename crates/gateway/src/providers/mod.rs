//! The providers: a visible list, and what each of them does with a call.

mod anthropic;
mod aws;
mod bedrock;
mod frames;
mod openai;
mod profiles;
mod reading;
mod rehearsal;
mod scripted;
mod upstream;

pub(crate) use profiles::PROFILES;

use crate::{
    call::invalid,
    config::{CompatibleConfig, ConfigError, Options, ProviderConfig},
    http::HttpClient,
};
use bedplate_core::{
    id::RunId,
    port::{
        BoxFuture,
        model::{Answer, Embeddings, Events, ModelError, ModelErrorKind, ModelRequest, RawRequest},
    },
};
use bedplate_dialects::DecodeError;
use std::sync::Arc;

/// A call as a provider gets it.
pub(crate) struct ProviderCall {
    /// What is asked, as the layers above left it; a provider that sends it takes [`ProviderCall::outgoing`].
    pub(crate) request: Arc<ModelRequest>,
    /// The provider's own id of the model.
    pub(crate) model: String,
    /// How long a reply the model's configuration allows, in tokens.
    pub(crate) max_tokens: Option<u32>,
    pub(crate) run: Option<RunId>,
    /// Whether the reply is wanted piece by piece.
    pub(crate) stream: bool,
}

impl ProviderCall {
    /// Returns the request with the provider's id of the model and the model's limit in it; it is copied only if
    /// somebody else holds it.
    pub(crate) fn outgoing(&mut self) -> &ModelRequest {
        let request = Arc::make_mut(&mut self.request);
        request.model.clone_from(&self.model);
        if let Some(most) = self.max_tokens {
            request.params.max_tokens = Some(request.params.max_tokens.map_or(most, |wanted| wanted.min(most)));
        }
        request
    }
}

/// A call for embeddings as a provider gets it.
pub(crate) struct ProviderEmbed {
    pub(crate) model: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) dimensions: Option<u32>,
}

/// A call whose request may pass as the client sent it.
pub(crate) struct PassCall<'a> {
    pub(crate) raw: &'a RawRequest,
    /// The provider's own id of the model.
    pub(crate) model: &'a str,
    pub(crate) stream: bool,
    /// The most that the bound of the reply may be.
    pub(crate) max_tokens: Option<u32>,
}

/// The name of a dialect.
pub(crate) type Dialect = &'static str;

/// Serves models. Dropping the future or the stream cancels the call. `provider` and `cost` of a reply are filled in by
/// the target.
pub(crate) trait Provider: Send + Sync {
    /// Returns the dialect that its requests are said in; none for one that reads the core form.
    fn dialect(&self) -> Dialect;

    /// Sends a request as the client sent it; none where the provider must have it in core form.
    fn pass(&self, call: PassCall<'_>) -> Option<BoxFuture<'static, Result<Answer, ModelError>>>;

    fn call(&self, call: ProviderCall) -> BoxFuture<'static, Result<Events, ModelError>>;

    /// Returns the embeddings of texts; a provider without such models returns [`no_embeddings`].
    fn embed(&self, call: ProviderEmbed) -> BoxFuture<'static, Result<Embeddings, ModelError>>;
}

/// Returns the failure of a raw request that is not what its dialect allows.
pub(crate) fn refused(error: &DecodeError) -> BoxFuture<'static, Result<Answer, ModelError>> {
    Box::pin(std::future::ready(Err(invalid(error))))
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

/// Returns the provider that `config` asks for, for its model `model`.
pub(crate) fn build(
    config: &ProviderConfig,
    model: &str,
    http: &HttpClient,
    options: &Options,
) -> Result<Built, ConfigError> {
    Ok(match config {
        ProviderConfig::Anthropic(endpoint) => {
            real("anthropic", Arc::new(anthropic::provider(endpoint, http, options)?))
        }
        ProviderConfig::OpenAi(endpoint) => {
            let config = CompatibleConfig { endpoint: endpoint.clone(), ..CompatibleConfig::of("openai") };
            let (provider, name) = openai::provider(&config, model, http, options)?;
            real(name, Arc::new(provider))
        }
        ProviderConfig::Compatible(config) => {
            let (provider, name) = openai::provider(config, model, http, options)?;
            real(name, Arc::new(provider))
        }
        ProviderConfig::Bedrock(config) => real("bedrock", Arc::new(bedrock::provider(config, http, options)?)),
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
