//! Measures durable steps in process: SQLite with fsync, a model that calls one trivial tool an iteration.
//!
//! `cargo run --release -p bedplate-runtime --example steps -- [RUNS AT ONCE] [SECONDS] [ITERATIONS]`

#![expect(clippy::print_stdout, reason = "figures are what this program is for")]

use bedplate_core::{
    agent::{AgentDefinition, Limits},
    event::Preparation,
    id::{RunId, Tenant},
    message::{ContentBlock, Message, Role, StopReason, ToolUse, Usage},
    port::{
        BoxFuture,
        model::{
            Answered, Asked, EmbedCall, Embeddings, Model, ModelCall, ModelError, ModelErrorKind, ModelEvent,
            ModelInfo, ModelReply,
        },
        tools::{ToolCall, ToolError, Tools},
    },
    tool::{Annotations, Approval, ToolOutput},
};
use bedplate_runtime::{
    Options, Runtime, StartTurn, TurnState,
    system::{SystemClock, SystemEntropy},
};
use bedplate_testkit::scripted::{FixedDefinitions, agent, tool};
use serde_json::json;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// The allocator of the product, so that the figure is its figure.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A stream of one event.
struct Once(Option<Result<ModelEvent, ModelError>>);

impl futures_core::Stream for Once {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take())
    }
}

/// Calls the tool until the conversation holds enough results, then answers.
struct Looping {
    iterations: usize,
}

impl Model for Looping {
    fn call(&self, call: ModelCall) -> BoxFuture<'static, Result<Answered, ModelError>> {
        let Asked::Core(request) = call.asked else { return Box::pin(std::future::ready(Err(only_core()))) };
        let asked = request.messages.iter().filter(|message| message.role == Role::Assistant).count();
        let (content, stop_reason) = if asked < self.iterations {
            let input = json!({"expression": "25 * 47"});
            let call = ToolUse { id: "call_0".into(), name: "calculate".into(), input, malformed: None };
            (ContentBlock::ToolUse(call), StopReason::ToolUse)
        } else {
            (ContentBlock::text("It is 1175."), StopReason::EndTurn)
        };
        let reply = ModelReply {
            message: Message { role: Role::Assistant, content: vec![content] },
            stop_reason,
            stop_sequence: None,
            usage: Usage { input: 100, output: 10, ..Usage::default() },
            cost: None,
            model: "looping".into(),
            provider: "scripted".into(),
        };
        Box::pin(async move { Ok(Answered::events(Box::pin(Once(Some(Ok(ModelEvent::End(Box::new(reply)))))))) })
    }

    fn embed(&self, _call: EmbedCall) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        Box::pin(std::future::ready(Err(only_core())))
    }

    fn describe(&self, _route: &str) -> Option<Arc<ModelInfo>> {
        None
    }

    fn routes(&self) -> Vec<String> {
        Vec::new()
    }
}

fn only_core() -> ModelError {
    ModelError::new(ModelErrorKind::InvalidRequest, "this model answers core requests only")
}

struct Trivial;

impl Tools for Trivial {
    fn prepare(&self, _call: ToolCall) -> BoxFuture<'static, Result<Preparation, ToolError>> {
        Box::pin(async { Ok(Preparation::Run) })
    }

    fn call(&self, _call: ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
        Box::pin(async { Ok(ToolOutput::text("1175")) })
    }
}

fn definition() -> AgentDefinition {
    let promises = Annotations { read_only: true, ..Annotations::default() };
    let mut definition = agent("helper", vec![tool("calculate", promises, Approval::default())]);
    definition.limits = Limits { max_iterations: 10_000, max_tool_calls: 10_000, ..Limits::default() };
    definition
}

async fn one_run(runtime: &Runtime) -> RunId {
    let start = StartTurn {
        tenant: Tenant::default(),
        user: "ann".into(),
        agent: "helper".into(),
        session: None,
        message: Message::user("What is 25 * 47?"),
        idempotency_key: None,
        policy: None,
        timeout_seconds: None,
        adapted: None,
        billing: None,
    };
    let started = runtime.start_turn(start).await.expect("the turn starts");
    let result = runtime.wait_turn(&Tenant::default(), started.run, started.turn).await.expect("the turn ends");
    assert!(matches!(result.state, TurnState::Ended(_)), "it ends");
    started.run
}

fn main() {
    let argument = |at: usize, default: u64| std::env::args().nth(at).and_then(|it| it.parse().ok()).unwrap_or(default);
    let (at_once, seconds, iterations) = (argument(1, 256), argument(2, 5), argument(3, 10));
    let folder = tempfile::tempdir().expect("a folder");
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    tokio.block_on(async {
        let store = bedplate_store::Store::open(folder.path(), bedplate_store::Options::default()).expect("a store");
        let options = |iterations: usize, journal| Options {
            journal,
            model: Arc::new(Looping { iterations }),
            tools: Arc::new(Trivial),
            definitions: FixedDefinitions::new([definition()]),
            tasks: Arc::new(bedplate_runtime::Unconfigured),
            workflows: Arc::new(bedplate_runtime::Unconfigured),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            lease: Duration::from_secs(30),
            idle: Duration::from_millis(500),
            recover: true,
        };
        // Three steps, one run at a time: a model call, a tool call, a model call.
        let runtime = Runtime::start(options(1, store.journal()));
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..300 {
            let begin = Instant::now();
            one_run(&runtime).await;
            times.push(begin.elapsed());
        }
        times.sort_unstable();
        println!("a run of 3 steps, one at a time: p50 {:?}, p10 {:?}, p90 {:?}", times[150], times[30], times[270]);
        runtime.shutdown().await;

        let runtime = Runtime::start(options(usize::try_from(iterations).expect("a count"), store.journal()));
        let begin = Instant::now();
        let until = begin + Duration::from_secs(seconds);
        let workers: Vec<_> = (0..at_once)
            .map(|_| {
                let runtime = runtime.clone();
                tokio::spawn(async move {
                    while Instant::now() < until {
                        one_run(&runtime).await;
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.expect("a worker ends well");
        }
        let (elapsed, stats) = (begin.elapsed().as_secs_f64(), runtime.stats());
        let rate = |count: u64| count as f64 / elapsed;
        println!(
            "{at_once} runs at once, {iterations} iterations: {:.0} steps/s, {:.0} appends/s, {} loaded",
            rate(stats.steps),
            rate(stats.appends),
            stats.loaded_runs
        );
        runtime.shutdown().await;
    });
}
