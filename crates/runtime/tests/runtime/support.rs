//! What every test here needs: a runtime on virtual time, and a driver that moves time when nothing else moves.

use bedplate_core::{
    id::{RunId, Seq, Tenant},
    message::Message,
    port::{journal::Journal, model::Model, tasks::Tasks, tools::Tools, workflows::Workflows},
    time::Timestamp,
};
use bedplate_runtime::{Options, Runtime, StartTurn, Started, TurnResult, Unconfigured};
use bedplate_store::memory::MemoryStore;
use bedplate_testkit::{
    clock::{SimClock, SimEntropy},
    scripted::{FixedDefinitions, ScriptedModel, ScriptedTools},
};
use std::{future::Future, sync::Arc, time::Duration};

/// Where virtual time begins.
pub const EPOCH: Timestamp = Timestamp(1_700_000_000_000);

/// A runtime under test.
pub struct Bench {
    pub clock: SimClock,
    pub store: MemoryStore,
    pub definitions: Arc<FixedDefinitions>,
    pub model: Arc<dyn Model>,
    pub tools: Arc<dyn Tools>,
    pub runtime: Runtime,
}

impl Bench {
    pub fn new(definitions: Arc<FixedDefinitions>, model: Arc<dyn Model>, tools: Arc<dyn Tools>) -> Self {
        let clock = SimClock::at(EPOCH);
        let time = clock.clone();
        let store = MemoryStore::with_time(move || bedplate_core::port::clock::Clock::now(&time));
        let runtime = Runtime::start(options(&clock, store.journal(), &definitions, &model, &tools));
        Self { clock, store, definitions, model, tools, runtime }
    }

    /// Starts another process on the same store, as after a crash.
    pub fn restart(&mut self) {
        self.store = self.store.reopen();
        self.runtime =
            Runtime::start(options(&self.clock, self.store.journal(), &self.definitions, &self.model, &self.tools));
    }

    /// Runs `future`, and moves time on whenever everything waits.
    pub async fn drive<T>(&self, future: impl Future<Output = T>) -> T {
        drive(&self.clock, future).await
    }

    pub async fn start(&self, request: StartTurn) -> Started {
        self.drive(self.runtime.start_turn(request)).await.expect("the turn starts")
    }

    pub async fn wait(&self, started: &Started) -> TurnResult {
        self.wait_for(started.run, started.turn).await
    }

    pub async fn wait_for(&self, run: RunId, turn: Seq) -> TurnResult {
        self.drive(self.runtime.wait_turn(&Tenant::default(), run, turn)).await.expect("the turn can be waited for")
    }
}

pub fn options(
    clock: &SimClock,
    journal: Arc<dyn Journal>,
    definitions: &Arc<FixedDefinitions>,
    model: &Arc<dyn Model>,
    tools: &Arc<dyn Tools>,
) -> Options {
    Options {
        journal,
        model: Arc::clone(model),
        tools: Arc::clone(tools),
        definitions: Arc::clone(definitions) as _,
        tasks: Arc::new(Unconfigured),
        workflows: Arc::new(Unconfigured),
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SimEntropy::new(7)),
        lease: Duration::from_secs(30),
        idle: Duration::from_secs(60),
        recover: true,
    }
}

/// Returns the options of a process that drives executions alone.
pub fn options_with(
    clock: &SimClock,
    journal: Arc<dyn Journal>,
    tasks: Arc<dyn Tasks>,
    workflows: Arc<dyn Workflows>,
) -> Options {
    let model: Arc<dyn Model> = ScriptedModel::new([]);
    let tools: Arc<dyn Tools> = ScriptedTools::echo();
    Options { tasks, workflows, ..options(clock, journal, &FixedDefinitions::new([]), &model, &tools) }
}

/// Runs `future`, and moves virtual time on whenever everything else waits for it.
pub async fn drive<T>(clock: &SimClock, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut quiet = 0;
    loop {
        let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx))).await;
        if let std::task::Poll::Ready(value) = poll {
            return value;
        }
        // Tasks hand work to each other; only when many rounds changed nothing does time move.
        quiet += 1;
        if quiet > 50 {
            quiet = 0;
            if let Some(next) = clock.next_wake() {
                clock.advance_to(next);
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Returns a start on the session `chat` of `ann`.
pub fn says(text: &str) -> StartTurn {
    StartTurn {
        tenant: Tenant::default(),
        user: "ann".into(),
        agent: "helper".to_owned(),
        session: Some("chat".to_owned()),
        message: Message::user(text),
        idempotency_key: None,
        policy: None,
        timeout_seconds: None,
        adapted: None,
        billing: None,
    }
}

pub fn keyed(text: &str, key: &str) -> StartTurn {
    StartTurn { idempotency_key: Some(key.to_owned()), ..says(text) }
}
