//! Anthropic's Messages API.

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
use bedplate_dialects::anthropic_messages::{self, Decoder, EncodeOptions};
use std::sync::Arc;

const VENDOR: &str = "https://api.anthropic.com/v1";

pub(crate) struct Anthropic {
    upstream: Arc<Upstream>,
}

pub(crate) fn provider(endpoint: &Endpoint, http: &HttpClient, options: &Options) -> Result<Anthropic, ConfigError> {
    let uri = api_address(endpoint.base_url.as_deref().unwrap_or(VENDOR), "/messages")?;
    let mut upstream = Upstream::new(http, Arc::clone(&options.clock), uri, endpoint.api_key.clone()).header(
        "anthropic-version",
        "2023-06-01",
        false,
    )?;
    if let Some(key) = &endpoint.api_key {
        upstream = upstream.header("x-api-key", key.expose(), true)?;
    }
    Ok(Anthropic { upstream: Arc::new(upstream) })
}

impl Provider for Anthropic {
    fn call(&self, call: ProviderCall) -> BoxFuture<'static, Result<Events, ModelError>> {
        let upstream = Arc::clone(&self.upstream);
        Box::pin(async move {
            let options = EncodeOptions { stream: true, ..EncodeOptions::default() };
            let (request, names) = anthropic_messages::encode_request(&call.request, options)
                .map_err(|error| ModelError::new(ModelErrorKind::InvalidRequest, error.to_string()))?;
            let exchange = Exchange {
                body: request.to_json(),
                decoder: Box::new(Decoder::new(names.clone())),
                whole: anthropic_messages::decode_reply,
                names,
            };
            upstream.exchange(exchange).await
        })
    }

    fn embed(&self, _: ProviderEmbed) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        no_embeddings()
    }
}
