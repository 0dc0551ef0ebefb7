//! One connection: it reads messages, makes the requests that they stand for, and sends what comes of them.

use super::{Call, Said, Who};
use crate::{ApiError, App, inward, routes::shutting_down};
use axum::{
    body::Body,
    extract::ws::{CloseFrame, Message, WebSocket, close_code},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bedplate_dialects::sse;
use futures::{SinkExt, StreamExt, stream::SplitSink};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{collections::HashMap, time::Duration};
use tokio::{
    sync::mpsc,
    task::AbortHandle,
    time::{Instant, interval, timeout},
};

/// How often the server says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a client may say nothing, not even that it lives.
const SILENCE: Duration = Duration::from_secs(60);

/// How long a client may take to say who it is.
const AUTH: Duration = Duration::from_secs(10);

/// How long a client may take to read what it is sent.
const SEND: Duration = Duration::from_secs(30);

/// How many requests of one connection are under way at once.
const MAX_OPEN: usize = 32;

/// How many messages wait for a client; whoever makes more waits for it to read.
const QUEUE: usize = 64;

type Sender = mpsc::Sender<Value>;

/// Serves a connection to the native API until it ends.
pub(super) async fn serve(app: App, mut socket: WebSocket, who: Option<Who>) {
    let who = match who {
        Some(who) => who,
        None => match first_word(&app, &mut socket).await {
            Ok(Some(who)) => who,
            Ok(None) => return,
            Err(error) => return refuse(socket, &error).await,
        },
    };
    let (out, queue) = mpsc::channel(QUEUE);
    let mut open = Open { app: app.clone(), who, out: out.clone(), streams: HashMap::new() };
    // The queue is empty, so this waits for nobody.
    let _ = out.send(json!({ "type": "ready" })).await;
    run(app, socket, queue, |text| open.take(text)).await;
    open.streams.into_values().for_each(|stream| stream.abort());
}

/// Serves a container's connection until it ends: prompts come, events go.
pub(super) async fn serve_container(app: App, socket: WebSocket, who: Who, session: Option<HeaderValue>) {
    let (out, queue) = mpsc::channel(QUEUE);
    let mut last: Option<AbortHandle> = None;
    let server = app.clone();
    run(app, socket, queue, |text| {
        if last.as_ref().is_some_and(|last| !last.is_finished()) {
            return Some(json!({ "error": "a prompt is being answered", "error_type": "session_busy" }));
        }
        let (app, who, out, session, text) =
            (server.clone(), who.clone(), out.clone(), session.clone(), text.to_owned());
        let task = tokio::spawn(async move {
            let call = Call {
                id: String::new(),
                method: "POST",
                path: "/invocations".to_owned(),
                body: None,
                stream: true,
                idempotency_key: None,
            };
            let answered = request(&app, &who, &call, Body::from(text), session).await;
            let told = match answered {
                Ok(response) => stream(response, &out, |event| serde_json::from_str(&event.data).ok()).await,
                Err(error) => Err(error),
            };
            if let Err(error) = told {
                // A client that is gone is told nothing.
                let _ = out.send(json!({ "error": error.message, "error_type": error.code })).await;
            }
        });
        last = Some(task.abort_handle());
        None
    })
    .await;
    if let Some(last) = last {
        last.abort();
    }
}

/// Waits for the message that says who a client is; none when it is gone.
async fn first_word(app: &App, socket: &mut WebSocket) -> Result<Option<Who>, ApiError> {
    let unauthorized = |message: &'static str| ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
    let deadline = Instant::now() + AUTH;
    loop {
        let message = tokio::time::timeout_at(deadline, socket.recv()).await;
        match message.map_err(|_| unauthorized("the first message did not come in time"))? {
            Some(Ok(Message::Text(text))) => {
                return match Said::read(&text) {
                    Ok(Said::Auth { key }) => Who::of_key(app, &key).await.map(Some),
                    _ => Err(unauthorized(r#"say {"type": "auth", "key": "…"} first"#)),
                };
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => return Err(unauthorized("messages are text")),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(None),
        }
    }
}

async fn refuse(mut socket: WebSocket, error: &ApiError) {
    // A client that is gone is told nothing.
    let _ = socket.send(text(&failure(None, error))).await;
    let frame = CloseFrame { code: close_code::POLICY, reason: error.code.into() };
    let _ = socket.send(Message::Close(Some(frame))).await;
}

/// Reads and writes until either side ends. `take` gets each text and may answer at once.
async fn run(
    app: App,
    socket: WebSocket,
    mut queue: mpsc::Receiver<Value>,
    mut take: impl FnMut(&str) -> Option<Value>,
) {
    let (mut sink, mut source) = socket.split();
    let mut beat = interval(HEARTBEAT);
    let mut heard = Instant::now();
    let mut closed = std::pin::pin!(app.closed());
    let code = loop {
        let answer = tokio::select! {
            biased;
            () = &mut closed => {
                let _ = put(&mut sink, text(&failure(None, &shutting_down()))).await;
                break close_code::AWAY;
            }
            said = source.next() => {
                heard = Instant::now();
                match said {
                    Some(Ok(Message::Text(said))) => take(&said),
                    Some(Ok(Message::Binary(_))) => Some(failure(None, &ApiError::bad_request("invalid_message", "messages are text"))),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => None,
                    Some(Ok(Message::Close(_))) | None => return,
                    // Too large, no UTF-8, no WebSocket any more.
                    Some(Err(error)) => {
                        let error = ApiError::bad_request("invalid_message", error.to_string());
                        let _ = put(&mut sink, text(&failure(None, &error))).await;
                        break close_code::PROTOCOL;
                    }
                }
            }
            Some(value) = queue.recv() => Some(value),
            _ = beat.tick() => {
                if heard.elapsed() > SILENCE {
                    break close_code::AWAY;
                }
                if !put(&mut sink, Message::Ping(bytes::Bytes::new())).await {
                    return;
                }
                None
            }
        };
        if let Some(answer) = answer
            && !put(&mut sink, text(&answer)).await
        {
            return;
        }
    };
    let _ = put(&mut sink, Message::Close(Some(CloseFrame { code, reason: "".into() }))).await;
}

/// Sends a message; returns false when the client is gone or reads too slowly.
async fn put(sink: &mut SplitSink<WebSocket, Message>, message: Message) -> bool {
    matches!(timeout(SEND, sink.send(message)).await, Ok(Ok(())))
}

fn text(value: &Value) -> Message {
    Message::Text(value.to_string().into())
}

fn failure(id: Option<&str>, error: &ApiError) -> Value {
    let mut said = json!({ "type": "error", "code": error.code, "message": error.message });
    if let Some(id) = id {
        said["id"] = json!(id);
    }
    said
}

/// The requests of a connection that are under way.
struct Open {
    app: App,
    who: Who,
    out: Sender,
    streams: HashMap<String, AbortHandle>,
}

impl Open {
    /// Takes a message; returns what is answered at once.
    fn take(&mut self, text: &str) -> Option<Value> {
        let said = match Said::read(text) {
            Ok(said) => said,
            Err(message) => return Some(failure(None, &ApiError::bad_request("invalid_message", message))),
        };
        self.streams.retain(|_, stream| !stream.is_finished());
        match &said {
            Said::Ping {} => return Some(json!({ "type": "pong" })),
            Said::Auth { .. } => {
                return Some(failure(None, &ApiError::bad_request("invalid_message", "who you are is known")));
            }
            Said::Stop { id } => {
                return match self.streams.remove(id) {
                    Some(stream) => {
                        stream.abort();
                        Some(json!({ "type": "end", "id": id }))
                    }
                    None => Some(failure(
                        Some(id),
                        &ApiError::not_found("stream_not_found", "there is no stream of that id"),
                    )),
                };
            }
            Said::Invoke { .. } | Said::Subscribe { .. } | Said::Cancel { .. } | Said::Answer { .. } => {}
        }
        let call = match said.call() {
            Ok(call) => call?,
            Err(error) => return Some(failure(None, &error)),
        };
        if self.streams.contains_key(&call.id) {
            let error = ApiError::conflict("id_in_use", "a request of that id is under way");
            return Some(failure(Some(&call.id), &error));
        }
        if self.streams.len() >= MAX_OPEN {
            let message = format!("a connection has at most {MAX_OPEN} requests under way");
            let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", message);
            return Some(failure(Some(&call.id), &error));
        }
        let (app, who, out, id) = (self.app.clone(), self.who.clone(), self.out.clone(), call.id.clone());
        let task = tokio::spawn(async move {
            let last = match answer(&app, &who, &call, &out).await {
                Ok(last) => last,
                Err(error) => failure(Some(&call.id), &error),
            };
            // A client that is gone is told nothing.
            let _ = out.send(last).await;
        });
        self.streams.insert(id, task.abort_handle());
        None
    }
}

/// Makes the request and tells what comes of it; returns the last word.
async fn answer(app: &App, who: &Who, call: &Call, out: &Sender) -> Result<Value, ApiError> {
    let body = call.body.as_ref().map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let response = request(app, who, call, body, None).await?;
    let status = response.status();
    if is_stream(&response) {
        let id = call.id.clone();
        stream(response, out, |event| {
            let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
            Some(json!({ "type": "event", "id": id, "event": event.name, "data": data }))
        })
        .await?;
        return Ok(json!({ "type": "end", "id": call.id }));
    }
    let body = response.into_body().collect().await.map_err(|error| ApiError::store(&error))?.to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status.is_success() {
        return Ok(json!({ "type": "response", "id": call.id, "status": status.as_u16(), "body": body }));
    }
    let error = &body["error"];
    Ok(
        json!({ "type": "error", "id": call.id, "code": error["code"], "message": error["message"], "status": status.as_u16() }),
    )
}

/// Makes a request to the server's own routes on behalf of the client as it is now.
async fn request(
    app: &App,
    who: &Who,
    call: &Call,
    body: Body,
    session: Option<HeaderValue>,
) -> Result<Response, ApiError> {
    let identity = who.now(app).await?;
    let mut request = inward::request(call.method, &call.path, identity);
    if call.stream {
        request = request.header(header::ACCEPT, "text/event-stream");
    }
    if let Some(key) = &call.idempotency_key {
        request = request.header("idempotency-key", key);
    }
    if let Some(session) = session {
        request = request.header(crate::agentcore::SESSION, session);
    }
    let request = request.body(body).map_err(|error| ApiError::bad_request("invalid_message", error.to_string()))?;
    inward::ask(app, request).await
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Tells the events of a response as they come. Whoever reads slowly holds the stream up, and not the server's memory.
async fn stream(
    response: Response,
    out: &Sender,
    mut word: impl FnMut(sse::Event) -> Option<Value>,
) -> Result<(), ApiError> {
    let status = response.status();
    if !is_stream(&response) {
        let body = response.into_body().collect().await.map_err(|error| ApiError::store(&error))?.to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let message = body["error"]["message"].as_str().unwrap_or("the request failed").to_owned();
        return Err(ApiError::new(status, "request_failed", message));
    }
    let (mut parser, mut body) = (sse::Parser::default(), response.into_body());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ApiError::store(&error))?;
        let Some(bytes) = frame.data_ref() else { continue };
        let mut events = Vec::new();
        parser.feed(bytes, &mut events);
        for value in events.into_iter().filter_map(&mut word) {
            if out.send(value).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
