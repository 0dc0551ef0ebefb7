//! Upstreams that fail in every way there is, over TCP, and what a route makes of them. Time is the test's own: a tick
//! of some real time is a longer one of virtual time, so that a stopped or starved process loses nothing.

use crate::support::{call_of, options};
use bedplate_core::{
    message::Message,
    port::{
        clock::Clock,
        model::{Answer, Asked, Model, ModelCall, ModelErrorKind, ModelEvent, RawBody, RawPiece, RawRequest},
    },
    time::Timestamp,
};
use bedplate_gateway::{
    ConcurrencyPolicy, Config, Endpoint, Gateway, GuardPolicy, ModelConfig, ModelPolicy, Options, ProviderConfig,
    RetryPolicy, RouteConfig, Strategy, Waits,
};
use bedplate_testkit::clock::{Rng, SimClock};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A real millisecond is so many virtual ones.
const PACE: u64 = 20;

/// How many calls are under way at once.
const AT_ONCE: usize = 32;

/// Starts a clock that moves as long as this process does.
fn ticking() -> SimClock {
    let clock = SimClock::at(Timestamp(1_000_000));
    let ticker = clock.clone();
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(Duration::from_millis(1));
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            ticker.advance(Duration::from_millis(PACE));
        }
    });
    clock
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    TooMany,
    Internal,
    Hang,
    CutBefore,
    CutAfter,
    BadFrame,
    SlowFirstByte,
}

const FAULTS: [Fault; 7] = [
    Fault::TooMany,
    Fault::Internal,
    Fault::Hang,
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::BadFrame,
    Fault::SlowFirstByte,
];

/// A server of the Chat Completions API, `percent` of whose answers are faults.
struct Fake {
    base: String,
    calls: Arc<AtomicU64>,
}

impl Fake {
    async fn start(clock: &SimClock, percent: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let calls = Arc::new(AtomicU64::new(0));
        let rng = Arc::new(Mutex::new(Rng::new(percent + 7)));
        let (counted, clock) = (Arc::clone(&calls), clock.clone());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                connection.set_nodelay(true).unwrap();
                let (counted, rng, clock) = (Arc::clone(&counted), Arc::clone(&rng), clock.clone());
                tokio::spawn(serve(connection, counted, rng, clock, percent));
            }
        });
        Self { base, calls }
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut connection: TcpStream,
    counted: Arc<AtomicU64>,
    rng: Arc<Mutex<Rng>>,
    clock: SimClock,
    percent: u64,
) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut connection, &mut buffer).await {
        counted.fetch_add(1, Ordering::SeqCst);
        let fault = {
            let mut rng = rng.lock().unwrap();
            rng.chance(percent).then(|| FAULTS[rng.below(7) as usize])
        };
        if answer(&mut connection, &request, fault, &clock).await.is_none() {
            return;
        }
    }
}

/// Reads a request's body.
async fn read(connection: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Value> {
    loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..at]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse::<usize>();
            let end = at + 4 + length.ok()?;
            if buffer.len() >= end {
                let body = serde_json::from_slice(&buffer[at + 4..end]).ok()?;
                buffer.drain(..end);
                return Some(body);
            }
        }
        let mut piece = [0; 8192];
        let read = connection.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        buffer.extend_from_slice(&piece[..read]);
    }
}

/// What the fakes say to question `n`.
fn full_answer(n: &str) -> String {
    format!("Number {n} is answered with forty-two.")
}

/// Answers a request; none when the connection is to be closed.
async fn answer(connection: &mut TcpStream, request: &Value, fault: Option<Fault>, clock: &SimClock) -> Option<()> {
    let messages = request["messages"].as_array()?;
    let n = messages.iter().find(|message| message["role"] == "user")?["content"].as_str()?.to_owned();
    let full = full_answer(&n);
    // Who is shown the beginning of its own answer goes on where that ends.
    let begun = messages.iter().rev().find(|message| message["role"] == "assistant");
    let begun = begun.and_then(|message| message["content"].as_str()).unwrap_or_default().to_owned();
    let text = full.strip_prefix(begun.as_str()).unwrap_or(&full);
    let streamed = request["stream"] == true;
    match fault {
        Some(Fault::TooMany) => {
            let head = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\n";
            return whole(connection, head, json!({"error": {"message": "slow down"}})).await;
        }
        Some(Fault::Internal) => {
            let head = "HTTP/1.1 500 Internal Server Error\r\n";
            return whole(connection, head, json!({"error": {"message": "no idea"}})).await;
        }
        Some(Fault::Hang) => {
            let mut byte = [0];
            let _ = connection.read(&mut byte).await;
            return None;
        }
        Some(Fault::SlowFirstByte) => clock.sleep_until(clock.now().after(Duration::from_secs(30))).await,
        Some(Fault::CutBefore | Fault::CutAfter | Fault::BadFrame) | None => {}
    }
    if !streamed {
        let body = json!({
            "id": "x", "model": "fake", "object": "chat.completion",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        });
        let head = "HTTP/1.1 200 OK\r\n";
        if matches!(fault, Some(Fault::CutBefore | Fault::CutAfter | Fault::BadFrame)) {
            let body = body.to_string();
            let half = format!(
                "{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
                body.len(),
                &body[..40]
            );
            connection.write_all(half.as_bytes()).await.ok()?;
            return None;
        }
        return whole(connection, head, body).await;
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    connection.write_all(head.as_bytes()).await.ok()?;
    let delta = |delta: Value, finish: Value| {
        json!({"id": "x", "model": "fake", "object": "chat.completion.chunk",
               "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        .to_string()
    };
    chunk(connection, &delta(json!({"role": "assistant", "content": ""}), Value::Null)).await?;
    match fault {
        Some(Fault::CutBefore) => return None,
        Some(Fault::BadFrame) => {
            chunk(connection, "{\"id\": \"x\", \"choices\": [{").await?;
            return None;
        }
        _ => {}
    }
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    for (index, word) in words.iter().enumerate() {
        if fault == Some(Fault::CutAfter) && index == words.len() / 2 {
            return None;
        }
        chunk(connection, &delta(json!({"content": word}), Value::Null)).await?;
    }
    chunk(connection, &delta(json!({}), json!("stop"))).await?;
    let usage = json!({"id": "x", "model": "fake", "object": "chat.completion.chunk", "choices": [],
                       "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}});
    chunk(connection, &usage.to_string()).await?;
    chunk(connection, "[DONE]").await?;
    connection.write_all(b"0\r\n\r\n").await.ok()
}

async fn whole(connection: &mut TcpStream, head: &str, body: Value) -> Option<()> {
    let body = body.to_string();
    let text = format!("{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    connection.write_all(text.as_bytes()).await.ok()
}

async fn chunk(connection: &mut TcpStream, data: &str) -> Option<()> {
    let event = format!("data: {data}\n\n");
    connection.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await.ok()
}

fn model(fake: &Fake) -> ModelConfig {
    let endpoint = Endpoint { base_url: Some(fake.base.clone()), api_key: None };
    ModelConfig { model: "fake".into(), provider: ProviderConfig::OpenAi(endpoint), ..ModelConfig::rehearsal() }
}

fn gateway(clock: &SimClock, models: BTreeMap<String, ModelConfig>, fallback: &[&str]) -> Arc<Gateway> {
    let route = RouteConfig {
        fallback: fallback.iter().map(|name| (*name).to_owned()).collect(),
        waits: Waits { first_token: Some(Duration::from_secs(4)), idle: Some(Duration::from_secs(4)), total: None },
        resume: true,
        retry: RetryPolicy { attempts: 3, ..RetryPolicy::default() },
        ..RouteConfig::new(Strategy::Static("faulty".into()))
    };
    let routes = [("default".to_owned(), route)].into();
    // The limits that adapt are on, so that it shows if they starve a model that is well.
    let concurrency = ConcurrencyPolicy { adaptive: true, ..ConcurrencyPolicy::default() };
    let policy = ModelPolicy { guard: GuardPolicy { concurrency, ..GuardPolicy::default() }, ..ModelPolicy::default() };
    let policies = models.keys().map(|name| (name.clone(), policy.clone())).collect();
    let options = Options { clock: Arc::new(clock.clone()), ..options() };
    Gateway::new(Config { models, routes, policies, ..Config::default() }, options).unwrap()
}

/// How one call ended, and how long it took in virtual time.
struct Ended {
    said: Result<String, (ModelErrorKind, String)>,
    took: Duration,
}

/// Makes `count` calls; two of three stream, and one of three is raw.
async fn calls(gateway: &Arc<Gateway>, clock: &SimClock, count: usize, deadline: Duration) -> Vec<Ended> {
    stream::iter(0..count)
        .map(|n| {
            let (gateway, clock) = (Arc::clone(gateway), clock.clone());
            async move {
                let begun = clock.now();
                let mut call = call_of(vec![Message::user(n.to_string())], &[]);
                call.stream = n % 3 != 0;
                call.deadline = Some(begun.after(deadline));
                if n % 3 == 1 {
                    let body = json!({"model": "default", "stream": true,
                                      "messages": [{"role": "user", "content": n.to_string()}]});
                    call.asked = Asked::Raw(raw(&body.to_string()));
                }
                let said = said(&gateway, call).await.map_err(|error| (error.kind, error.message));
                (n, Ended { said, took: clock.now().since(begun) })
            }
        })
        .buffer_unordered(AT_ONCE)
        .map(|(n, ended)| {
            if let Ok(text) = &ended.said {
                assert_eq!(*text, full_answer(&n.to_string()), "an answer is neither cut nor mixed up");
            }
            ended
        })
        .collect()
        .await
}

fn raw(body: &str) -> RawRequest {
    let name = "\"default\"";
    let at = body.find(name).unwrap();
    RawRequest {
        dialect: bedplate_dialects::openai_chat::NAME,
        model: "default".into(),
        body: body.to_owned().into(),
        model_at: at..at + name.len(),
        headers: Vec::new(),
    }
}

/// Returns the text of the reply that a client would see, put together from its pieces.
async fn said(gateway: &Gateway, call: ModelCall) -> Result<String, bedplate_core::port::model::ModelError> {
    match gateway.call(call).await?.answer {
        Answer::Events(mut events) => {
            let mut seen = String::new();
            while let Some(event) = events.next().await {
                match event? {
                    ModelEvent::TextDelta { text, .. } => seen.push_str(&text),
                    ModelEvent::Restart => seen.clear(),
                    ModelEvent::End(reply) => {
                        let whole = reply.message.text();
                        assert!(
                            seen.is_empty() || seen == whole,
                            "the pieces say what the reply says: {seen} / {whole}"
                        );
                        return Ok(whole);
                    }
                    _ => {}
                }
            }
            panic!("a stream ended without an end");
        }
        Answer::Raw(reply) => {
            let mut bytes = Vec::new();
            match reply.body {
                RawBody::Whole(whole, _) => bytes.extend_from_slice(&whole),
                RawBody::Stream(mut pieces) => {
                    while let Some(piece) = pieces.next().await {
                        if let RawPiece::Bytes(piece) = piece? {
                            bytes.extend_from_slice(&piece);
                        }
                    }
                }
            }
            let text = String::from_utf8(bytes).unwrap();
            let deltas =
                text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
            Ok(deltas.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect())
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_a_healthy_fallback_saves_the_calls_and_the_breaker_moves_the_traffic() {
    const CALLS: usize = 20_000;
    let clock = ticking();
    let (faulty, healthy) = (Fake::start(&clock, 30).await, Fake::start(&clock, 0).await);
    let models = [("faulty".to_owned(), model(&faulty)), ("healthy".to_owned(), model(&healthy))].into();
    let gateway = gateway(&clock, models, &["healthy"]);
    let ended = calls(&gateway, &clock, CALLS, Duration::from_secs(60)).await;
    let failed: Vec<_> = ended.iter().filter_map(|ended| ended.said.as_ref().err()).collect();
    let (to_faulty, to_healthy) = (faulty.calls(), healthy.calls());
    #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
    let (share, each) =
        (100.0 * (CALLS - failed.len()) as f64 / CALLS as f64, (to_faulty + to_healthy) as f64 / CALLS as f64);
    println!(
        "chaos: {share:.3} % of {CALLS} calls succeeded, {each:.4} upstream calls each ({to_faulty} to the faulty one, \
         {to_healthy} to the healthy one)"
    );
    assert!(share >= 99.9, "{share} %: {:?}", &failed[..failed.len().min(5)]);
    assert!(each <= 1.2, "{each} upstream calls each");
    assert!(to_faulty > 0 && to_faulty < CALLS as u64 / 5, "the breaker moves the traffic: {to_faulty}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_without_a_healthy_one_every_call_ends_in_a_clear_error_within_its_deadline() {
    const CALLS: usize = 2_000;
    let clock = ticking();
    let (one, other) = (Fake::start(&clock, 100).await, Fake::start(&clock, 100).await);
    let models = [("faulty".to_owned(), model(&one)), ("other".to_owned(), model(&other))].into();
    let gateway = gateway(&clock, models, &["other"]);
    let deadline = Duration::from_secs(10);
    let ended = calls(&gateway, &clock, CALLS, deadline).await;
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut longest = Duration::ZERO;
    for ended in &ended {
        let (kind, message) = ended.said.as_ref().expect_err("nobody can have answered");
        assert!(kind.retryable() && !message.is_empty(), "{kind:?}: {message}");
        *kinds.entry(kind.code()).or_default() += 1;
        longest = longest.max(ended.took);
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
    let each = (one.calls() + other.calls()) as f64 / CALLS as f64;
    println!(
        "chaos: {CALLS} calls, all failed clearly: {kinds:?}; the longest took {longest:?}; {each:.3} upstream calls each"
    );
    // Between the deadline and the moment at which this task looks at the clock some ticks pass.
    assert!(longest <= deadline + Duration::from_secs(2), "{longest:?}");
    assert!(each <= 1.2, "a storm is not made worse: {each}");
}
