//! Anthropic's Messages API.

use super::{
    Dialect, PassCall, Provider, ProviderCall, ProviderEmbed, no_embeddings, refused,
    upstream::{Passing, Reader, Sending, Upstream},
};
use crate::{
    call::invalid,
    config::{ConfigError, Endpoint, Options},
    http::{HttpClient, api_address},
};
use bedplate_core::port::{
    BoxFuture,
    model::{Answer, Embeddings, Events, ModelError},
};
use bedplate_dialects::{
    NameMap,
    anthropic_messages::{self, Decoder, EncodeOptions},
    raw::{self, RewriteOptions, SseWatch},
};
use hyper::Uri;
use std::sync::Arc;

const VENDOR: &str = "https://api.anthropic.com/v1";

pub(crate) struct Anthropic {
    upstream: Arc<Upstream>,
    uri: Uri,
}

pub(crate) fn provider(endpoint: &Endpoint, http: &HttpClient, options: &Options) -> Result<Anthropic, ConfigError> {
    let uri = api_address(endpoint.base_url.as_deref().unwrap_or(VENDOR), "/messages")?;
    let mut upstream = Upstream::new(http, Arc::clone(&options.clock), endpoint.api_key.clone()).header(
        "anthropic-version",
        "2023-06-01",
        false,
    )?;
    if let Some(key) = &endpoint.api_key {
        upstream = upstream.header("x-api-key", key.expose(), true)?;
    }
    Ok(Anthropic { upstream: Arc::new(upstream), uri })
}

impl Provider for Anthropic {
    fn dialect(&self) -> Dialect {
        anthropic_messages::NAME
    }

    fn call(&self, mut call: ProviderCall) -> BoxFuture<'static, Result<Events, ModelError>> {
        let (upstream, uri) = (Arc::clone(&self.upstream), self.uri.clone());
        Box::pin(async move {
            let stream = call.stream;
            let options = EncodeOptions { stream, ..EncodeOptions::default() };
            let (request, names) = anthropic_messages::encode_request(call.outgoing(), options).map_err(invalid)?;
            let sending = Sending { uri, body: request.to_json().into(), stream, headers: Vec::new() };
            upstream.events(sending, named_reader(names)).await
        })
    }

    fn pass(&self, call: PassCall<'_>) -> Option<BoxFuture<'static, Result<Answer, ModelError>>> {
        let raw = call.raw;
        if raw.dialect != anthropic_messages::NAME {
            return None;
        }
        let options = RewriteOptions {
            model: call.model,
            max_tokens: call.max_tokens,
            max_tokens_name: "max_tokens",
            ask_usage: false,
        };
        let body = match raw::rewrite(raw.dialect, &raw.body, raw.model_at.clone(), options) {
            Ok(rewrite) => rewrite?.body,
            Err(error) => return Some(refused(&error)),
        };
        let watch = Box::new(SseWatch::new(raw::Dialect::Messages));
        let passing = Passing { dialect: raw.dialect, watch, reader, content_type: None };
        let sending = Sending { uri: self.uri.clone(), body, stream: call.stream, headers: raw.headers.clone() };
        Some(Box::pin(Arc::clone(&self.upstream).pass(sending, passing)))
    }

    fn embed(&self, _: ProviderEmbed) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        no_embeddings()
    }
}

fn named_reader(names: NameMap) -> Reader {
    Reader {
        decoder: Box::new(Decoder::new(names.clone())),
        whole: Box::new(move |body| anthropic_messages::decode_reply(body, &names)),
    }
}

pub(super) fn reader() -> Reader {
    named_reader(NameMap::default())
}
