//! OpenAI, and every server that speaks Chat Completions (vLLM, Ollama, Azure, SageMaker, …): one dialect, small
//! profiles.

use super::{
    Dialect, PassCall, Provider, ProviderCall, ProviderEmbed,
    aws::{Signer, region, segment},
    frames::{PartDecoder, PartWatch, Parts},
    no_embeddings,
    profiles::{Paths, Profile, profile},
    refused,
    upstream::{Passing, Reader, Sending, Upstream},
};
use crate::{
    call::invalid,
    config::{CompatibleConfig, ConfigError, Options},
    http::{HttpClient, address, api_address},
};
use bedplate_core::{
    message::Usage,
    port::{
        BoxFuture,
        model::{Answer, Embeddings, Events, ModelError, ModelErrorKind},
    },
};
use bedplate_dialects::{
    NameMap, StreamDecoder,
    openai_chat::{self, Decoder, EncodeOptions, MaxTokensField},
    raw::{self, RawWatch, RewriteOptions, SseWatch},
};
use hyper::Uri;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Azure's version of the API when nobody says another.
const AZURE_VERSION: &str = "2024-10-21";

pub(crate) struct Compatible {
    upstream: Arc<Upstream>,
    chat: Uri,
    /// Where a stream is asked for, which SageMaker has an own address for.
    streamed: Uri,
    embeddings: Option<Uri>,
    max_tokens: MaxTokensField,
    framed: bool,
    tells_usage: bool,
}

/// Returns the provider and the name of its profile.
pub(crate) fn provider(
    config: &CompatibleConfig,
    model: &str,
    http: &HttpClient,
    options: &Options,
) -> Result<(Compatible, &'static str), ConfigError> {
    let profile = profile(&config.profile).ok_or_else(|| ConfigError::UnknownProfile(config.profile.clone()))?;
    let endpoint = &config.endpoint;
    let base = endpoint.base_url.as_deref().or(profile.base_url);
    let mut upstream = Upstream::new(http, Arc::clone(&options.clock), endpoint.api_key.clone());
    let (chat, streamed, embeddings) = match profile.paths {
        Paths::Plain => {
            let base = base.ok_or(ConfigError::NoAddress(profile.name))?;
            if let Some(key) = &endpoint.api_key {
                upstream = upstream.header("authorization", &format!("Bearer {}", key.expose()), true)?;
            }
            let chat = api_address(base, "/chat/completions")?;
            (chat.clone(), chat, Some(api_address(base, "/embeddings")?))
        }
        Paths::Azure => {
            let base = base.ok_or(ConfigError::NoAddress(profile.name))?;
            if let Some(key) = &endpoint.api_key {
                upstream = upstream.header("api-key", key.expose(), true)?;
            }
            let version = segment(config.api_version.as_deref().unwrap_or(AZURE_VERSION));
            let deployment = segment(model);
            let at = |operation| {
                address(base, &format!("/openai/deployments/{deployment}/{operation}?api-version={version}"))
            };
            let chat = at("chat/completions")?;
            (chat.clone(), chat, Some(at("embeddings")?))
        }
        Paths::SageMaker => {
            let aws = config.aws.as_ref().ok_or(ConfigError::NoAwsKeys)?;
            let place = region(&aws.region)?;
            upstream = upstream.signed(Some(Signer::new(&aws.keys, place, "sagemaker")));
            let base = base.map_or_else(|| format!("https://runtime.sagemaker.{place}.amazonaws.com"), str::to_owned);
            let name = segment(aws.endpoint_name.as_deref().unwrap_or(model));
            let at = |operation| address(&base, &format!("/endpoints/{name}/{operation}"));
            (at("invocations")?, at("invocations-response-stream")?, None)
        }
    };
    let max_tokens = max_tokens_field(profile, &chat);
    let (framed, tells_usage) = (profile.paths == Paths::SageMaker, profile.tells_usage);
    let upstream = Arc::new(upstream);
    Ok((Compatible { upstream, chat, streamed, embeddings, max_tokens, framed, tells_usage }, profile.name))
}

/// Only the vendor's newer models insist on the new name; other servers under the vendor's profile may not know it.
fn max_tokens_field(profile: &Profile, uri: &Uri) -> MaxTokensField {
    match (profile.name, uri.host()) {
        ("openai", Some("api.openai.com")) => MaxTokensField::MaxCompletionTokens,
        ("openai", _) => MaxTokensField::MaxTokens,
        _ => profile.max_tokens,
    }
}

impl Compatible {
    fn uri(&self, stream: bool) -> Uri {
        if stream { self.streamed.clone() } else { self.chat.clone() }
    }

    fn reader(&self) -> fn() -> Reader {
        if self.framed { || reader(NameMap::default(), true) } else { || reader(NameMap::default(), false) }
    }
}

impl Provider for Compatible {
    fn dialect(&self) -> Dialect {
        openai_chat::NAME
    }

    fn call(&self, mut call: ProviderCall) -> BoxFuture<'static, Result<Events, ModelError>> {
        let (upstream, uri, framed) = (Arc::clone(&self.upstream), self.uri(call.stream), self.framed);
        let encode = EncodeOptions { max_tokens_field: self.max_tokens, stream: call.stream, extensions: false };
        Box::pin(async move {
            let (request, names) = openai_chat::encode_request(call.outgoing(), encode).map_err(invalid)?;
            let sending = Sending { uri, body: request.to_json().into(), stream: call.stream, headers: Vec::new() };
            upstream.events(sending, reader(names, framed)).await
        })
    }

    fn pass(&self, call: PassCall<'_>) -> Option<BoxFuture<'static, Result<Answer, ModelError>>> {
        let raw = call.raw;
        if raw.dialect != openai_chat::NAME {
            return None;
        }
        let options = RewriteOptions {
            model: call.model,
            max_tokens: call.max_tokens,
            max_tokens_name: match self.max_tokens {
                MaxTokensField::MaxTokens => "max_tokens",
                MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
            },
            ask_usage: call.stream && self.tells_usage,
        };
        let rewrite = match raw::rewrite(raw.dialect, &raw.body, raw.model_at.clone(), options) {
            Ok(rewrite) => rewrite?,
            Err(error) => return Some(refused(&error)),
        };
        let sse: Box<dyn RawWatch> = Box::new(SseWatch::new(raw::Dialect::Chat { hide_usage: rewrite.asked_usage }));
        let watch: Box<dyn RawWatch> = if self.framed { Box::new(PartWatch(Parts::default(), sse)) } else { sse };
        let content_type = self.framed.then_some(if call.stream { "text/event-stream" } else { "application/json" });
        let passing = Passing { dialect: raw.dialect, watch, reader: self.reader(), content_type };
        let headers = raw.headers.clone();
        let sending = Sending { uri: self.uri(call.stream), body: rewrite.body, stream: call.stream, headers };
        Some(Box::pin(Arc::clone(&self.upstream).pass(sending, passing)))
    }

    fn embed(&self, call: ProviderEmbed) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        let Some(uri) = self.embeddings.clone() else { return no_embeddings() };
        let upstream = Arc::clone(&self.upstream);
        Box::pin(async move {
            let (model, dimensions) = (call.model, call.dimensions);
            let request = EmbedRequest { model: &model, input: &call.inputs, dimensions, encoding_format: "float" };
            let body = serde_json::to_vec(&request).map_err(invalid)?;
            let sending = Sending { uri, body: body.into(), stream: false, headers: Vec::new() };
            embeddings_of(&upstream.whole(sending).await?, call.inputs.len())
        })
    }
}

fn reader(names: NameMap, framed: bool) -> Reader {
    let plain = Box::new(Decoder::new(names.clone()));
    let decoder: Box<dyn StreamDecoder> = if framed { Box::new(PartDecoder(Parts::default(), plain)) } else { plain };
    Reader { decoder, whole: Box::new(move |body| openai_chat::decode_reply(body, &names)) }
}

#[derive(Serialize)]
struct EmbedRequest<'a> {
    model: &'a str,
    input: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
    encoding_format: &'static str,
}

#[derive(Deserialize)]
struct EmbedReply {
    data: Vec<EmbedItem>,
    #[serde(default)]
    model: String,
    #[serde(default)]
    usage: Option<EmbedUsage>,
}

#[derive(Deserialize)]
struct EmbedItem {
    #[serde(default)]
    index: usize,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct EmbedUsage {
    #[serde(default)]
    prompt_tokens: u64,
}

/// Reads the vectors of `count` texts; servers may say them in any order.
fn embeddings_of(body: &[u8], count: usize) -> Result<Embeddings, ModelError> {
    let wrong = |what: &str| ModelError::new(ModelErrorKind::InvalidReply, format!("the provider's embeddings {what}"));
    let mut reply: EmbedReply =
        serde_json::from_slice(body).map_err(|error| wrong(&format!("cannot be understood: {error}")))?;
    reply.data.sort_by_key(|item| item.index);
    let vectors: Vec<Vec<f32>> = reply.data.into_iter().map(|item| item.embedding).collect();
    if vectors.len() != count {
        return Err(wrong(&format!("are {} for {count} texts", vectors.len())));
    }
    let input = reply.usage.map_or(0, |usage| usage.prompt_tokens);
    let usage = Usage { input, ..Usage::default() };
    Ok(Embeddings { vectors, usage, cost: None, model: reply.model, provider: String::new() })
}
