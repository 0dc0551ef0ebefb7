//! The command line's own client of the native API: it talks to the server that runs on a data folder, or to one that
//! it starts for the length of the command.

use crate::{
    compose::{self, Instance, Setup},
    data::{DataFolder, Running},
    error::{Error, Kind},
    target::Target,
};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use std::time::Duration;

/// How long a server that was announced may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client of a server.
pub struct Client {
    http: HyperClient<HttpConnector, Full<Bytes>>,
    running: Running,
    /// The server that this command started, if none was there.
    own: Option<Instance>,
}

impl Client {
    /// Connects to the server on the target's data folder; without one, serves the project for the length of the
    /// command. `drive` says whether such a server takes up the work that a crash interrupted.
    ///
    /// # Errors
    /// When the project has problems or the data folder is in use by something that does not answer.
    pub async fn connect(target: &Target, model: Option<String>, drive: bool) -> Result<Self, Error> {
        let folder = DataFolder::of(&target.project, target.data.as_deref());
        let http = HyperClient::builder(TokioExecutor::new()).build_http();
        if let Some(running) = folder.announced() {
            let client = Self { http: http.clone(), running, own: None };
            if client.is_answered().await {
                return Ok(client);
            }
        }
        let setup = Setup { listen: Some("127.0.0.1:0".into()), model, drive, ..Setup::of(target) };
        let instance = compose::start(setup).await?;
        let running = instance.running.clone();
        Ok(Self { http, running, own: Some(instance) })
    }

    /// Returns whether the server that was announced answers. What a killed one left behind may name an address that
    /// another server has since, of another project, so the answer must show that the token is its own.
    async fn is_answered(&self) -> bool {
        match tokio::time::timeout(PATIENCE, self.get("/v1/info")).await {
            Ok(Ok(info)) => info["instance"].as_str().is_some_and(|instance| instance == self.running.instance),
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Ends the server that this command started.
    pub async fn close(self) {
        if let Some(instance) = self.own {
            instance.stop().await;
        }
    }

    /// Gets `path` and returns its JSON.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.json(Method::GET, path, None).await
    }

    /// Posts `body` to `path` and returns the answer's JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.json(Method::POST, path, Some(body)).await
    }

    /// Deletes `path` and returns the answer's JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn delete(&self, path: &str) -> Result<Value, Error> {
        self.json(Method::DELETE, path, None).await
    }

    /// Posts `body` to `path` under an idempotency key and returns the answer as a stream of server-sent events.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn stream(&self, path: &str, body: &Value, key: &str) -> Result<Events, Error> {
        let response = self.send(Method::POST, path, Some(body), Some(key)).await?;
        Ok(Events { body: response.into_body(), buffer: BytesMut::new() })
    }

    async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let response = self.send(method, path, body, None).await?;
        let bytes = response.into_body().collect().await.map_err(|error| self.unreachable(&error))?.to_bytes();
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::failed(format!("the server's answer is no JSON: {error}")))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        stream_key: Option<&str>,
    ) -> Result<Response<Incoming>, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.running.url))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.running.token))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = stream_key {
            request = request.header(header::ACCEPT, "text/event-stream").header("idempotency-key", key);
        }
        let request = request
            .body(Full::new(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default()))
            .map_err(|error| Error::new(Kind::Usage, format!("failed to make the request: {error}")))?;
        let response = self.http.request(request).await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    fn unreachable(&self, error: &dyn std::fmt::Display) -> Error {
        Error::failed(format!("failed to reach the server at {}: {error}", self.running.url))
            .hint("is it still running? `bedplate up` starts it")
    }
}

/// Returns the error that a server's answer says.
async fn refusal(response: Response<Incoming>) -> Error {
    let status = response.status();
    let bytes = response.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = |name: &str| body["error"][name].as_str().map(crate::terminal::printable);
    let message = text("message").unwrap_or_else(|| format!("the server answered {status}"));
    let kind = match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Kind::NotFound,
        status if status.is_client_error() => Kind::Refused,
        _ => Kind::Failed,
    };
    Error { kind, message, hint: text("hint") }
}

/// A stream of server-sent events.
pub struct Events {
    body: Incoming,
    buffer: BytesMut,
}

/// One server-sent event.
#[derive(Debug, Default)]
pub struct ServerEvent {
    /// Its name.
    pub name: String,
    /// Its data.
    pub data: Value,
}

impl Events {
    /// Returns the next event; none at the end of the stream.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next(&mut self) -> Result<Option<ServerEvent>, Error> {
        loop {
            if let Some(end) = find(&self.buffer, b"\n\n") {
                let block = self.buffer.split_to(end + 2);
                if let Some(event) = parse(&block) {
                    return Ok(Some(event));
                }
                continue;
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| Error::failed(format!("the stream broke: {error}")))?;
            if let Some(data) = frame.data_ref() {
                self.buffer.extend_from_slice(data);
            }
        }
    }
}

/// Returns the event of a block of lines; none for a comment.
fn parse(block: &[u8]) -> Option<ServerEvent> {
    let text = String::from_utf8_lossy(block);
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(|rest| rest.trim_start().to_owned()))
    };
    let data = field("data")?;
    Some(ServerEvent {
        name: field("event").unwrap_or_else(|| "message".into()),
        data: serde_json::from_str(&data).unwrap_or_default(),
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Returns `text` as a segment of a path or a value of a query.
pub fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
