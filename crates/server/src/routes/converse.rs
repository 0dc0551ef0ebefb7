//! `POST /model/{id}/converse`, `/converse-stream` and `/invoke-with-response-stream`: a model as the AWS SDKs call it.

use super::{
    bedrock::AwsError,
    event_stream,
    model_call::{self, Writer},
    passing::{self, Inbound},
};
use crate::{ApiError, App, access::Identity, extract::RawBody};
use axum::{
    extract::{Path, State},
    http::{HeaderName, HeaderValue},
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bedplate_core::{
    message::Usage,
    port::model::{ModelCall, ModelError, ModelErrorKind, ModelEvent, ModelReply},
    time::Timestamp,
};
use bedplate_dialects::{
    anthropic_messages,
    bedrock_converse::{self, Frame},
    bedrock_invoke::{self, Family, nova},
    sse,
};
use bytes::Bytes;
use serde_json::{Value, json};

/// Calls a model with a Converse body and answers in the same form.
#[utoipa::path(post, path = "/model/{id}/converse", tag = "models", operation_id = "converse",
    params(("id" = String, Path, description = "A model id that the project maps to a route, or a route")),
    request_body(content = Object, description = "A Converse body"),
    responses(
        (status = 200, description = "A Converse reply", body = Object),
        (status = "4XX", description = "The request is wrong, in AWS's form", body = AwsError),
        (status = "5XX", description = "The model failed, in AWS's form", body = AwsError),
    )
)]
pub(crate) async fn converse(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    let watch = Watch::start(&app);
    let call = read(&app, &identity, &id, body, false)?;
    let encode = |reply: &ModelReply| bedrock_converse::encode_reply(reply, watch.millis()).to_json();
    Ok(passing::whole(&app, call, encode).await?.response)
}

/// Calls a model with a Converse body and answers with the stream of its reply.
#[utoipa::path(post, path = "/model/{id}/converse-stream", tag = "models", operation_id = "converse_stream",
    params(("id" = String, Path, description = "A model id that the project maps to a route, or a route")),
    request_body(content = Object, description = "A Converse body"),
    responses(
        (status = 200, description = "The events of ConverseStream", body = String, content_type = "application/vnd.amazon.eventstream"),
        (status = "4XX", description = "The request is wrong, in AWS's form", body = AwsError),
        (status = "5XX", description = "The model failed, in AWS's form", body = AwsError),
    )
)]
pub(crate) async fn converse_stream(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    let watch = Watch::start(&app);
    let call = read(&app, &identity, &id, body, true)?;
    let writer = ConverseEvents { encoder: bedrock_converse::Encoder::default(), watch, cut: false };
    passing::streamed(&app, call, writer).await
}

/// Reads a Converse body, which does not say itself whether its reply is a stream.
fn read(app: &App, identity: &Identity, id: &str, body: Bytes, stream: bool) -> Result<ModelCall, ApiError> {
    let Inbound { call, .. } = passing::read(app, identity, bedrock_converse::NAME, Some(id), body, Vec::new())?;
    Ok(ModelCall { stream, ..call })
}

/// Calls a model with a body of its family and answers with the stream of its events, each in a `chunk`.
#[utoipa::path(post, path = "/model/{id}/invoke-with-response-stream", tag = "models", operation_id = "invoke_model_with_response_stream",
    params(("id" = String, Path, description = "A model id that the project maps to a route, or a route")),
    request_body(content = Object, description = "Anthropic's body with `anthropic_version`, or Nova's with `schemaVersion`"),
    responses(
        (status = 200, description = "Chunks with the events of the family in base64", body = String, content_type = "application/vnd.amazon.eventstream"),
        (status = "4XX", description = "The request is wrong, in AWS's form", body = AwsError),
        (status = "5XX", description = "The model failed, in AWS's form", body = AwsError),
    )
)]
pub(crate) async fn invoke_stream(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    let watch = Watch::start(&app);
    let family = bedrock_invoke::family(&body, &id).map_err(model_call::invalid)?;
    let mut response = match family {
        Family::Anthropic => {
            let dialect = anthropic_messages::INVOKE_NAME;
            let Inbound { about, call, .. } = passing::read(&app, &identity, dialect, Some(&id), body, Vec::new())?;
            let writer = InvokeChunks {
                encoder: anthropic_messages::Encoder::new(about.envelope(&app, "msg_bdrk_")),
                parser: sse::Parser::default(),
                watch,
                first_byte: None,
                over: false,
            };
            passing::streamed(&app, ModelCall { stream: true, ..call }, writer).await?
        }
        Family::Nova => {
            let request = nova::decode_request(&body, &id).map_err(model_call::invalid)?;
            let (_, call) = model_call::prepare(&app, &identity, request)?;
            let encoder = bedrock_converse::Encoder::default();
            passing::streamed(&app, call, NovaChunks { encoder, watch, first_byte: None, over: false }).await?
        }
        Family::Titan => return Err(ApiError::bad_request("invalid_request", "an embedding is not streamed")),
    };
    let content_type = HeaderName::from_static("x-amzn-bedrock-content-type");
    response.headers_mut().insert(content_type, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Returns the counts that Bedrock adds to the last chunk of a stream.
fn metrics(usage: &Usage, latency: u64, first_byte: Option<u64>) -> Value {
    json!({
        "inputTokenCount": usage.input,
        "outputTokenCount": usage.output,
        "cacheReadInputTokenCount": usage.cache_read,
        "cacheWriteInputTokenCount": usage.cache_write,
        "invocationLatency": latency,
        "firstByteLatency": first_byte.unwrap_or(latency),
    })
}

/// Returns a chunk of an InvokeModelWithResponseStream.
fn chunk(data: &str) -> Frame {
    let payload = json!({ "bytes": STANDARD.encode(data) }).to_string().into_bytes();
    Frame { kind: "chunk", exception: false, payload }
}

/// Says how long a call has taken.
struct Watch {
    app: App,
    started: Timestamp,
}

impl Watch {
    fn start(app: &App) -> Self {
        Self { app: app.clone(), started: app.now() }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.app.now().0.saturating_sub(self.started.0)).unwrap_or(0)
    }
}

/// Appends the frames; returns false when one of them could not be said, and an exception says so.
fn write_all(frames: Vec<Frame>, out: &mut Vec<u8>) -> bool {
    for frame in frames {
        if let Err(error) = event_stream::write(frame, out) {
            tracing::error!(%error, "a frame of an event stream could not be written");
            let failure = ModelError::new(ModelErrorKind::InvalidReply, "a part of the reply is too long for a frame");
            // The words are ours and short.
            let _ = event_stream::write(exception(&failure), out);
            return false;
        }
    }
    true
}

fn exception(error: &ModelError) -> Frame {
    bedrock_converse::exception(error.kind.into(), &error.message)
}

struct ConverseEvents {
    encoder: bedrock_converse::Encoder,
    watch: Watch,
    /// Whether a frame could not be said.
    cut: bool,
}

impl Writer for ConverseEvents {
    const CONTENT_TYPE: &'static str = event_stream::CONTENT_TYPE;
    const HEARTBEAT: &'static [u8] = b"";

    fn event(&mut self, event: &ModelEvent, out: &mut Vec<u8>) {
        let mut frames = Vec::new();
        self.encoder.event(event, self.watch.millis(), &mut frames);
        self.cut = self.cut || !write_all(frames, out);
    }

    fn fail(&mut self, error: &ModelError, out: &mut Vec<u8>) {
        let mut frames = Vec::new();
        self.encoder.fail(error.kind.into(), &error.message, &mut frames);
        self.cut = self.cut || !write_all(frames, out);
    }

    fn is_over(&self) -> bool {
        self.cut || self.encoder.is_over()
    }
}

struct InvokeChunks {
    encoder: anthropic_messages::Encoder,
    parser: sse::Parser,
    watch: Watch,
    first_byte: Option<u64>,
    over: bool,
}

impl InvokeChunks {
    /// Returns the last event with the counts that Bedrock adds to it.
    fn last(&self, usage: &Usage) -> String {
        let metrics = metrics(usage, self.watch.millis(), self.first_byte);
        json!({ "type": "message_stop", "amazon-bedrock-invocationMetrics": metrics }).to_string()
    }
}

impl Writer for InvokeChunks {
    const CONTENT_TYPE: &'static str = event_stream::CONTENT_TYPE;
    const HEARTBEAT: &'static [u8] = b"";

    fn event(&mut self, event: &ModelEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        // The events are those of Messages; only what they come in differs.
        let (mut text, mut events) = (Vec::new(), Vec::new());
        self.encoder.event(event, &mut text);
        self.parser.feed(&text, &mut events);
        if let (ModelEvent::Restart, true) = (event, self.encoder.is_over()) {
            let broken = ModelError::new(ModelErrorKind::BrokenStream, "the reply broke off and began again");
            return self.fail(&broken, out);
        }
        let millis = self.watch.millis();
        if !events.is_empty() {
            self.first_byte.get_or_insert(millis);
        }
        let frames = events.into_iter().map(|said| {
            let data = match event {
                ModelEvent::End(reply) if said.name == "message_stop" => self.last(&reply.usage),
                _ => said.data,
            };
            chunk(&data)
        });
        self.over = !write_all(frames.collect(), out) || self.encoder.is_over();
    }

    fn fail(&mut self, error: &ModelError, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.over, true) {
            write_all(vec![exception(error)], out);
        }
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

struct NovaChunks {
    encoder: bedrock_converse::Encoder,
    watch: Watch,
    first_byte: Option<u64>,
    over: bool,
}

impl Writer for NovaChunks {
    const CONTENT_TYPE: &'static str = event_stream::CONTENT_TYPE;
    const HEARTBEAT: &'static [u8] = b"";

    fn event(&mut self, event: &ModelEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        let (mut frames, millis) = (Vec::new(), self.watch.millis());
        self.encoder.event(event, millis, &mut frames);
        if !frames.is_empty() {
            self.first_byte.get_or_insert(millis);
        }
        let mut chunks = Vec::with_capacity(frames.len());
        for frame in frames {
            if frame.exception {
                chunks.push(frame);
                continue;
            }
            let Some(mut said) = nova::chunk(&frame) else { continue };
            if let (ModelEvent::End(reply), "metadata") = (event, frame.kind) {
                said["amazon-bedrock-invocationMetrics"] = metrics(&reply.usage, millis, self.first_byte);
            }
            chunks.push(chunk(&said.to_string()));
        }
        self.over = !write_all(chunks, out) || self.encoder.is_over();
    }

    fn fail(&mut self, error: &ModelError, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.over, true) {
            write_all(vec![exception(error)], out);
        }
    }

    fn is_over(&self) -> bool {
        self.over
    }
}
