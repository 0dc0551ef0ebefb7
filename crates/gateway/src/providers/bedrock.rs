//! Amazon Bedrock over plain HTTPS: Converse and ConverseStream, InvokeModel as it is, and Titan's embeddings.

use super::{
    Dialect, PassCall, Provider, ProviderCall, ProviderEmbed,
    aws::{Signer, region, segment},
    frames::{ConverseDecoder, FrameWatch, Kind},
    upstream::{Passing, Reader, Sending, Upstream},
};
use crate::{
    call::invalid,
    config::{AwsAuth, BedrockConfig, ConfigError, Options},
    http::{HttpClient, address},
};
use bedplate_core::{
    message::Usage,
    port::{
        BoxFuture,
        model::{Answer, Embeddings, Events, ModelError, ModelErrorKind},
    },
};
use bedplate_dialects::{
    NameMap, anthropic_messages,
    bedrock_converse::{self, Decoder},
    raw::{ConverseWatch, InvokeWatch},
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use hyper::Uri;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many texts are embedded at once: Titan takes one a request.
const EMBED_AT_ONCE: usize = 8;

pub(crate) struct Bedrock {
    upstream: Arc<Upstream>,
    base: String,
}

pub(crate) fn provider(config: &BedrockConfig, http: &HttpClient, options: &Options) -> Result<Bedrock, ConfigError> {
    let place = region(&config.region)?;
    let base = match &config.endpoint {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("https://bedrock-runtime.{place}.amazonaws.com"),
    };
    address(&base, "")?;
    let clock = Arc::clone(&options.clock);
    let upstream = match &config.auth {
        AwsAuth::Bearer(token) => Upstream::new(http, clock, Some(token.clone())).header(
            "authorization",
            &format!("Bearer {}", token.expose()),
            true,
        )?,
        AwsAuth::Keys(keys) => {
            let secret = Some(keys.secret_access_key.clone());
            Upstream::new(http, clock, secret).signed(Some(Signer::new(keys, place, "bedrock")))
        }
    };
    Ok(Bedrock { upstream: Arc::new(upstream), base })
}

impl Bedrock {
    /// Returns the address of an operation on a model.
    fn uri(&self, model: &str, operation: &str) -> Result<Uri, ModelError> {
        address(&self.base, &format!("/model/{}/{operation}", segment(model)))
            .map_err(|_| ModelError::new(ModelErrorKind::InvalidRequest, "the model's id makes no address"))
    }
}

impl Provider for Bedrock {
    fn dialect(&self) -> Dialect {
        bedrock_converse::NAME
    }

    fn call(&self, mut call: ProviderCall) -> BoxFuture<'static, Result<Events, ModelError>> {
        let upstream = Arc::clone(&self.upstream);
        let uri = self.uri(&call.model, if call.stream { "converse-stream" } else { "converse" });
        Box::pin(async move {
            let (request, names) = bedrock_converse::encode_request(call.outgoing()).map_err(invalid)?;
            let sending =
                Sending { uri: uri?, body: request.to_json().into(), stream: call.stream, headers: Vec::new() };
            upstream.events(sending, reader(names, call.model)).await
        })
    }

    fn pass(&self, call: PassCall<'_>) -> Option<BoxFuture<'static, Result<Answer, ModelError>>> {
        let raw = call.raw;
        // A body of InvokeModel is that of the model's family; only Anthropic's has a bound that is known here.
        let body = match (raw.dialect, call.max_tokens) {
            (bedrock_converse::NAME | anthropic_messages::INVOKE_NAME, None) => raw.body.clone(),
            _ => return None,
        };
        let (operation, kind, reader): (_, _, fn() -> Reader) = match (raw.dialect, call.stream) {
            (bedrock_converse::NAME, true) => {
                ("converse-stream", Kind::Converse(ConverseWatch::default()), converse_reader)
            }
            (bedrock_converse::NAME, false) => ("converse", Kind::Converse(ConverseWatch::default()), converse_reader),
            (_, true) => {
                ("invoke-with-response-stream", Kind::Invoke(InvokeWatch::default()), super::anthropic::reader)
            }
            (_, false) => ("invoke", Kind::Invoke(InvokeWatch::default()), super::anthropic::reader),
        };
        let passing =
            Passing { dialect: raw.dialect, watch: Box::new(FrameWatch::new(kind)), reader, content_type: None };
        let headers = raw.headers.clone();
        let uri = self.uri(call.model, operation);
        let (upstream, stream) = (Arc::clone(&self.upstream), call.stream);
        Some(Box::pin(async move { upstream.pass(Sending { uri: uri?, body, stream, headers }, passing).await }))
    }

    fn embed(&self, call: ProviderEmbed) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        let upstream = Arc::clone(&self.upstream);
        let uri = self.uri(&call.model, "invoke");
        // Only the second version takes a length and refuses what it does not know.
        let dimensions = call.dimensions;
        Box::pin(async move {
            let uri = uri?;
            let one = |text: String| {
                let (upstream, uri) = (Arc::clone(&upstream), uri.clone());
                async move {
                    let body = serde_json::to_vec(&TitanRequest { input_text: text, dimensions }).map_err(invalid)?;
                    let sending = Sending { uri, body: body.into(), stream: false, headers: Vec::new() };
                    titan_reply(&upstream.whole(sending).await?)
                }
            };
            let replies: Vec<TitanReply> =
                stream::iter(call.inputs.into_iter().map(one)).buffered(EMBED_AT_ONCE).try_collect().await?;
            let input = replies.iter().map(|reply| reply.input_text_token_count).sum();
            Ok(Embeddings {
                vectors: replies.into_iter().map(|reply| reply.embedding).collect(),
                usage: Usage { input, ..Usage::default() },
                cost: None,
                model: call.model,
                provider: String::new(),
            })
        })
    }
}

fn reader(names: NameMap, model: String) -> Reader {
    Reader {
        decoder: Box::new(ConverseDecoder::new(Decoder::new(names.clone(), model.clone()))),
        whole: Box::new(move |body| bedrock_converse::decode_reply(body, &names, &model)),
    }
}

fn converse_reader() -> Reader {
    reader(NameMap::default(), String::new())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TitanRequest {
    input_text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TitanReply {
    embedding: Vec<f32>,
    #[serde(default)]
    input_text_token_count: u64,
}

fn titan_reply(body: &Bytes) -> Result<TitanReply, ModelError> {
    serde_json::from_slice(body).map_err(|error| {
        ModelError::new(ModelErrorKind::InvalidReply, format!("the provider's embedding cannot be understood: {error}"))
    })
}
