//! A clock, an upstream that does what it is told, and short ways to call a gateway.

use bedplate_core::{
    message::Message,
    port::{
        BoxFuture, Caller,
        clock::Clock,
        model::{Asked, Model, ModelCall, ModelError, ModelEvent, ModelParams, ModelReply, ModelRequest, ToolChoice},
    },
    time::Timestamp,
    tool::ToolSpec,
};
use bedplate_gateway::{Billing, Config, Endpoint, Gateway, ModelConfig, Options, ProviderConfig, Timeouts};
use futures::StreamExt;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp(i64::try_from(now.as_millis()).unwrap())
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(until.since(self.now())))
    }
}

/// The world with the time-outs of production; a test that waits for one brings its own.
pub fn options() -> Options {
    Options { clock: Arc::new(WallClock), timeouts: Timeouts::default(), recorder: None, ledger: None }
}

pub fn gateway(model: ModelConfig) -> Arc<Gateway> {
    gateway_with(model, options())
}

pub fn gateway_with(model: ModelConfig, options: Options) -> Arc<Gateway> {
    let models = [("it".to_owned(), model)].into();
    Gateway::new(Config { models, routes: [("default".to_owned(), "it".into())].into(), ..Config::default() }, options)
        .unwrap()
}

pub fn remote(openai: bool, base_url: &str) -> ModelConfig {
    let endpoint = Endpoint { base_url: Some(base_url.to_owned()), api_key: Some("top-secret-key".into()) };
    let (provider, model) = if openai {
        (ProviderConfig::OpenAi(endpoint), "gpt-4o")
    } else {
        (ProviderConfig::Anthropic(endpoint), "claude-sonnet-4-5")
    };
    ModelConfig { provider, model: model.into(), max_tokens: None, price: None, billing: Billing::Standard }
}

pub fn call_of(messages: Vec<Message>, tools: &[&str]) -> ModelCall {
    let spec = |name: &&str| ToolSpec {
        name: (*name).to_owned(),
        description: String::new(),
        input_schema: serde_json::json!({"type": "object"}),
    };
    let tools: Vec<ToolSpec> = tools.iter().map(spec).collect();
    let caller = Caller { user: "ann".into(), ..Caller::default() };
    let request = ModelRequest {
        model: "default".into(),
        system: vec![],
        messages: messages.into_iter().map(Arc::new).collect(),
        tools: tools.into(),
        tool_choice: ToolChoice::Auto,
        params: ModelParams::default(),
    };
    ModelCall::new(caller, request)
}

/// The core request of a call.
pub fn asked(call: &mut ModelCall) -> &mut ModelRequest {
    match &mut call.asked {
        Asked::Core(request) => request,
        Asked::Raw(_) => panic!("a raw request"),
    }
}

pub fn hello() -> ModelCall {
    call_of(vec![Message::user("hello")], &[])
}

/// Calls and collects all events.
pub async fn events(gateway: &Gateway, call: ModelCall) -> Result<Vec<ModelEvent>, ModelError> {
    let mut stream = gateway.call(call).await?.answer.into_events()?;
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event?);
    }
    Ok(events)
}

/// Calls and returns the reply that ends the stream.
pub async fn reply(gateway: &Gateway, call: ModelCall) -> Result<ModelReply, ModelError> {
    match events(gateway, call).await?.pop() {
        Some(ModelEvent::End(reply)) => Ok(*reply),
        other => panic!("the stream ended with {other:?}"),
    }
}

/// What an upstream does with a connection after it has read the request; at the end it closes it.
#[derive(Clone)]
pub enum Act {
    Send(Vec<u8>),
    /// Says nothing until the other side closes, and reports that.
    AwaitClose,
    /// Reads the next request on the connection and begins again.
    AwaitNext,
}

pub struct Upstream {
    pub base: String,
    /// The requests that came, head and body.
    pub requests: mpsc::UnboundedReceiver<(String, serde_json::Value)>,
    /// Their bodies as they came.
    pub bodies: mpsc::UnboundedReceiver<String>,
    /// One item for each connection that the other side closed while it was waited for.
    pub closed: mpsc::UnboundedReceiver<()>,
    /// How many connections were made.
    pub connections: Arc<AtomicUsize>,
}

impl Upstream {
    pub async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let (seen, requests) = mpsc::unbounded_channel();
        let (said, bodies) = mpsc::unbounded_channel();
        let (hung_up, closed) = mpsc::unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (acts, seen, said, hung_up) = (acts.clone(), seen.clone(), said.clone(), hung_up.clone());
                tokio::spawn(async move {
                    while let Some((head, body)) = read_request(&mut connection).await {
                        let _ = seen.send((head, serde_json::from_str(&body).unwrap_or_default()));
                        let _ = said.send(body);
                        if !perform(&mut connection, &acts, &hung_up).await {
                            return;
                        }
                    }
                });
            }
        });
        Self { base, requests, bodies, closed, connections }
    }
}

/// Returns whether the connection goes on.
async fn perform(connection: &mut TcpStream, acts: &[Act], hung_up: &mpsc::UnboundedSender<()>) -> bool {
    for act in acts {
        match act {
            Act::Send(bytes) => {
                if connection.write_all(bytes).await.is_err() {
                    return false;
                }
            }
            Act::AwaitClose => {
                let mut byte = [0];
                if matches!(connection.read(&mut byte).await, Ok(0) | Err(_)) {
                    let _ = hung_up.send(());
                }
            }
            Act::AwaitNext => return true,
        }
    }
    false
}

async fn read_request(connection: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = connection.read(&mut piece).await.ok()?;
        if read == 0 {
            return None;
        }
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length:")
                    .map(|value| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
    }
}

/// An answer with a body that ends when the connection does.
pub fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\n\r\n").into_bytes();
    out.extend_from_slice(body.as_ref());
    out
}

pub fn stream(body: impl AsRef<[u8]>) -> Vec<u8> {
    answer("200 OK", "content-type: text/event-stream\r\n", body)
}

/// Reads a stream to its end.
pub async fn finish(
    mut stream: bedplate_core::port::model::Events,
) -> Result<(Vec<ModelEvent>, ModelReply), ModelError> {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        match event? {
            ModelEvent::End(reply) => return Ok((events, *reply)),
            event => events.push(event),
        }
    }
    Err(ModelError::new(bedplate_core::port::model::ModelErrorKind::BrokenStream, "it was cut"))
}
