//! Recorded conversations of a real model, played again: model and tools answer from the recording, everything between
//! them is the real thing (engine, runtime, SQLite, gateway, Chat Completions over HTTP, streamed).
//!
//! What would be lost if these failed: that what a model is shown is what was said, also after a crash at any moment.

mod case;
mod tools;
mod upstream;

use bedplate_core::{
    event::TurnOutcome,
    id::{Tenant, UserId},
    message::Message,
    port::journal::Journal,
};
use bedplate_gateway::{Config, Endpoint, Gateway, ModelConfig, ProviderConfig, Timeouts};
use bedplate_runtime::{
    Options, Runtime, StartTurn, TurnState,
    system::{SystemClock, SystemEntropy},
};
use bedplate_store::Store;
use bedplate_testkit::{
    faulty::{Counted, Crash, FaultyJournal, Moment, Then},
    scripted::FixedDefinitions,
};
use case::Case;
use serde_json::Value;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tools::RecordedTools;
use upstream::Upstream;

/// What the user calls the conversation.
const SESSION: &str = "recorded";

#[test]
fn a_real_models_conversations_play_again_word_for_word() {
    let Some(cases) = case::load() else { return };
    let upstream = Upstream::start(&cases);
    let mut messages = 0;
    for case in &cases {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let world = World::new(case, &upstream);
        let said = world.live(folder.path(), None).expect("an undisturbed life ends");
        assert_eq!(said, case.expected(), "conversation {}", case.index);
        messages += said.len();
    }
    upstream.assert_all_requests_matched();
    println!("{} conversations, {messages} messages, all equal", cases.len());
}

#[test]
fn a_real_models_conversations_survive_a_crash_on_either_side_of_every_message() {
    let Some(cases) = case::load() else { return };
    let upstream = Upstream::start(&cases);
    let crashes = AtomicUsize::new(0);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    crashes.fetch_add(survive(case, &upstream), Ordering::Relaxed);
                }
            });
        }
    });
    upstream.assert_all_requests_matched();
    println!("{} conversations, {} crashes, all equal, nothing doubled", cases.len(), crashes.into_inner());
}

/// Plays a conversation through as many lives as it takes, and returns how many of them ended in a crash.
fn survive(case: &Case, upstream: &Upstream) -> usize {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let world = World::new(case, upstream);
    let mut lives = 0;
    // A life's first append says what the crash before left, the second brings a new message; one more is counted when
    // two claims of the recovery meet. So the place moves on from pair to pair of lives, of which one dies before the
    // append and the other right after it.
    let said = loop {
        let moment = if lives % 2 == 0 { Moment::Before } else { Moment::After };
        let at = 2 + lives as u64 / 2 % 3;
        let crash = Crash { counted: Counted::Appends, at, moment, then: Then::Hang };
        match world.live(folder.path(), Some(crash)) {
            Some(said) => break said,
            None => lives += 1,
        }
        assert!(lives < 10 * case.messages.len(), "conversation {} does not get on", case.index);
    };
    assert_eq!(said, case.expected(), "conversation {} after {lives} crashes", case.index);
    world.tools.assert_nothing_doubled();
    lives
}

/// What outlives a crash: the model's provider and the systems behind the tools.
struct World<'a> {
    case: &'a Case,
    upstream: &'a Upstream,
    tools: Arc<RecordedTools>,
}

impl<'a> World<'a> {
    fn new(case: &'a Case, upstream: &'a Upstream) -> Self {
        Self { case, upstream, tools: RecordedTools::new(case) }
    }

    /// Opens the store, recovers, and plays the conversation on; returns what was said, or none when the life ended
    /// in a crash.
    fn live(&self, folder: &Path, crash: Option<Crash>) -> Option<Vec<Value>> {
        let store = Store::open(folder, bedplate_store::Options::default()).expect("the store opens");
        let journal = FaultyJournal::new(store.journal(), crash);
        let tokio =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
        let outcome = tokio.block_on(async {
            let runtime = self.runtime(Arc::new(journal.clone()));
            tokio::select! {
                said = self.play(&runtime) => Some(said),
                () = died(&journal) => None,
            }
        });
        tokio.shutdown_background();
        drop(store);
        outcome
    }

    fn runtime(&self, journal: Arc<dyn Journal>) -> Runtime {
        let endpoint = Endpoint { base_url: Some(self.upstream.base_url()), api_key: None };
        let name = self.case.name();
        let model = ModelConfig {
            provider: ProviderConfig::OpenAi(endpoint),
            model: name.clone(),
            max_tokens: None,
            price: None,
            billing: bedplate_gateway::Billing::Standard,
        };
        let config = Config {
            models: [(name, model)].into(),
            routes: [("default".into(), self.case.name().into())].into(),
            ..Config::default()
        };
        let options = bedplate_gateway::Options {
            clock: Arc::new(SystemClock),
            timeouts: Timeouts::default(),
            recorder: None,
            ledger: None,
        };
        Runtime::start(Options {
            journal,
            model: Gateway::new(config, options).expect("the gateway starts"),
            tools: self.tools.clone(),
            definitions: FixedDefinitions::new([self.case.agent()]),
            tasks: Arc::new(bedplate_runtime::Unconfigured),
            workflows: Arc::new(bedplate_runtime::Unconfigured),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            lease: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            recover: true,
        })
    }

    /// Says every user's message of the recording in turn, and returns the whole conversation as the model reads it.
    async fn play(&self, runtime: &Runtime) -> Vec<Value> {
        let (tenant, user) = (Tenant::default(), UserId::from("customer"));
        let mut run = None;
        for (index, text) in self.case.turns() {
            let start = StartTurn {
                tenant: tenant.clone(),
                user: user.clone(),
                agent: "recorded".into(),
                session: Some(SESSION.into()),
                message: Message::user(text),
                idempotency_key: Some(format!("message-{index}")),
                policy: None,
                timeout_seconds: None,
                adapted: None,
                billing: None,
            };
            let started = runtime.start_turn(start).await.expect("the turn starts");
            let result = runtime.wait_turn(&tenant, started.run, started.turn).await.expect("the turn is waited for");
            // The last turn of a recording may end on a tool's result, where the model has nothing more to say.
            let over = matches!(result.state, TurnState::Ended(TurnOutcome::Completed));
            assert!(over || index == self.case.last_turn(), "turn at {index}: {:?} {:?}", result.state, result.message);
            run = Some(started.run);
        }
        let run = run.expect("a recording has a turn");
        let view = runtime.view(&tenant, run, None).await.expect("the run is there");
        self.case.as_chat(view.messages.into_iter().map(|(_, message)| message).collect())
    }
}

/// Returns when the journal has died by its script.
async fn died(journal: &FaultyJournal) {
    while !journal.crashed() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
