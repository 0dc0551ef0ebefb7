//! OpenAI, and every server that speaks Chat Completions (vLLM, Ollama, llama.cpp, …): one dialect, small profiles.

use super::{
    Provider, ProviderCall, ProviderEmbed, no_embeddings,
    upstream::{Exchange, Upstream},
};
use crate::{
    config::{ConfigError, Endpoint, Options},
    http::{HttpClient, api_address},
};
use bedplate_core::port::{
    BoxFuture,
    model::{Embeddings, Events, ModelError, ModelErrorKind},
};
use bedplate_dialects::openai_chat::{self, Decoder, EncodeOptions, MaxTokensField};
use std::sync::Arc;

const VENDOR: &str = "https://api.openai.com/v1";

pub(crate) struct OpenAi {
    upstream: Arc<Upstream>,
    encode: EncodeOptions,
}

pub(crate) fn provider(endpoint: &Endpoint, http: &HttpClient, options: &Options) -> Result<OpenAi, ConfigError> {
    let uri = api_address(endpoint.base_url.as_deref().unwrap_or(VENDOR), "/chat/completions")?;
    // Only the vendor's newer models insist on the new name; other servers may not know it.
    let max_tokens_field = match uri.host() {
        Some("api.openai.com") => MaxTokensField::MaxCompletionTokens,
        _ => MaxTokensField::MaxTokens,
    };
    let mut upstream = Upstream::new(http, Arc::clone(&options.clock), uri, endpoint.api_key.clone());
    if let Some(key) = &endpoint.api_key {
        upstream = upstream.header("authorization", &format!("Bearer {}", key.expose()), true)?;
    }
    let encode = EncodeOptions { max_tokens_field, stream: true, extensions: false };
    Ok(OpenAi { upstream: Arc::new(upstream), encode })
}

impl Provider for OpenAi {
    fn call(&self, call: ProviderCall) -> BoxFuture<'static, Result<Events, ModelError>> {
        let upstream = Arc::clone(&self.upstream);
        let encode = self.encode;
        Box::pin(async move {
            let (request, names) = openai_chat::encode_request(&call.request, encode)
                .map_err(|error| ModelError::new(ModelErrorKind::InvalidRequest, error.to_string()))?;
            let exchange = Exchange {
                body: request.to_json(),
                decoder: Box::new(Decoder::new(names.clone())),
                whole: openai_chat::decode_reply,
                names,
            };
            upstream.exchange(exchange).await
        })
    }

    fn embed(&self, _: ProviderEmbed) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        no_embeddings()
    }
}
