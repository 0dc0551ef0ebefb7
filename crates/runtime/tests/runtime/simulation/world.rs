//! A world: processes on one store, clients that start and cancel turns, a person who answers, all drawn from a seed.

use super::{check, process::Process};
use crate::support::{EPOCH, options};
use bedplate_core::{
    agent::{AgentDefinition, Limits, SessionPolicy, Truncation},
    id::{CallId, RunId, Seq, Tenant},
    message::Message,
    port::{
        clock::Clock,
        journal::{Head, RunQuery, RunStatus},
        model::Model,
        tools::Tools,
    },
    time::Timestamp,
};
use bedplate_runtime::{AnswerError, StartError, StartTurn};
use bedplate_store::memory::MemoryStore;
use bedplate_testkit::{
    clock::{Rng, SimClock},
    scripted::{FixedDefinitions, agent},
    sim::{Crash, Fate, Ledger, SimJournal, SimModel, SimTools, sim_tools},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// A world that is not at its end after this much virtual time never will be.
const LONGEST: Duration = Duration::from_secs(3_600);

/// A rule that is broken on purpose, to see whether it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    None,
    /// Every tool is declared idempotent, so that whatever was begun is repeated.
    RepeatsAnything,
}

/// What became of a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub appends: u64,
    pub acknowledged: u64,
    pub crashes: u64,
    pub recoveries: u64,
    pub fenced: u64,
    pub lost: Vec<String>,
    pub doubled: Vec<String>,
    pub broken: Vec<String>,
}

/// A turn whose start was acknowledged.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub run: RunId,
    pub key: String,
    pub turn: Seq,
}

#[derive(Clone, Debug)]
enum Wish {
    Start { session: String, key: String, policy: SessionPolicy, timeout_seconds: Option<u64> },
    Cancel { run: RunId, turn: Option<Seq> },
    Answer { run: RunId, call: CallId, approved: bool },
}

#[derive(Debug)]
struct Errand {
    at: Timestamp,
    wish: Wish,
    /// The process that has it, by number of its start.
    with: Option<u64>,
}

#[derive(Debug)]
enum Word {
    Started(Result<bedplate_runtime::Started, StartError>),
    Cancelled,
    Answered(Result<(), AnswerError>),
}

/// A world.
pub struct World {
    seed: u64,
    rng: Rng,
    clock: SimClock,
    store: MemoryStore,
    fate: Arc<Fate>,
    ledger: Arc<Ledger>,
    definitions: Arc<FixedDefinitions>,
    model: Arc<dyn Model>,
    tools: Arc<dyn Tools>,
    processes: BTreeMap<u64, Process>,
    started: u64,
    /// When a second writer comes, and when the first leaves.
    second: Option<Timestamp>,
    errands: BTreeMap<u64, Errand>,
    next_errand: u64,
    words: Arc<Mutex<Vec<(u64, Word)>>>,
    acknowledged: Vec<Acknowledged>,
    /// Questions that the person has seen.
    seen: BTreeSet<(RunId, CallId, Timestamp)>,
    looked: BTreeMap<RunId, Seq>,
    report: Report,
}

impl World {
    pub fn new(seed: u64, crashes: Vec<Crash>, mutation: Mutation) -> Self {
        let mut rng = Rng::new(seed);
        let clock = SimClock::at(EPOCH);
        let time = clock.clone();
        let ledger = Arc::<Ledger>::default();
        let failing = if rng.chance(20) { 10 } else { 0 };
        let slow = if rng.chance(30) { 40 } else { 0 };
        let mut world = Self {
            seed,
            store: MemoryStore::with_time(move || time.now()),
            fate: Fate::new(rng.draw(), crashes, failing, slow),
            definitions: FixedDefinitions::new([definition(&mut rng, mutation)]),
            model: Arc::new(SimModel::new(rng.draw(), clock.clone())),
            tools: Arc::new(SimTools::new(rng.draw(), clock.clone(), Arc::clone(&ledger))),
            ledger,
            processes: BTreeMap::new(),
            started: 0,
            second: rng.chance(25).then(|| EPOCH.after(Duration::from_millis(rng.below(15_000)))),
            errands: BTreeMap::new(),
            next_errand: 0,
            words: Arc::default(),
            acknowledged: Vec::new(),
            seen: BTreeSet::new(),
            looked: BTreeMap::new(),
            report: Report::default(),
            clock,
            rng,
        };
        world.plan();
        world.start_process();
        world
    }

    /// Drives the world to its end and checks it.
    pub fn run(mut self) -> Report {
        let end = EPOCH.after(LONGEST);
        loop {
            self.settle();
            self.hear();
            self.look_at_questions();
            self.send_errands();
            self.settle();
            self.hear();
            if self.at_end() {
                break;
            }
            let errand = self.errands.values().filter(|errand| errand.with.is_none()).map(|errand| errand.at).min();
            let next = [self.clock.next_wake(), errand, self.second].into_iter().flatten().min();
            match next {
                Some(next) if self.clock.now() < end => {
                    self.clock.advance_to(next.max(Timestamp(self.clock.now().0 + 1)));
                }
                _ => {
                    self.report.lost.push(self.stuck());
                    break;
                }
            }
        }
        self.report.fenced += self.processes.values().map(|process| process.runtime.stats().conflicts).sum::<u64>();
        self.report.appends = self.fate.appends();
        self.report.acknowledged = self.acknowledged.len() as u64;
        let heads = self.heads();
        let journals: Vec<_> = heads.iter().map(|head| (head.clone(), self.entries(head))).collect();
        let past = check::Past {
            seed: self.seed,
            journals: &journals,
            acknowledged: &self.acknowledged,
            records: &self.ledger.records(),
            agents: &bedplate_core::port::definitions::Definitions::agents(&*self.definitions),
        };
        past.check(&mut self.report);
        self.report
    }

    /// Says what holds a world up.
    fn stuck(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!("seed {}: the world does not come to its end; errands {:?}", self.seed, self.errands);
        let (now, wake) = (self.clock.now(), self.clock.next_wake());
        let _ = write!(text, "; at {now:?}, next {wake:?}, processes {:?}", self.processes.keys());
        for process in self.processes.values() {
            let _ = write!(text, "\n{:?}", process.runtime.stats());
        }
        for head in self.heads().iter().filter(|head| head.status != RunStatus::Idle) {
            let _ = write!(text, "\n{head:?}");
            for entry in self.entries(head).iter().rev().take(6).rev() {
                let _ = write!(text, "\n  {entry:?}");
            }
        }
        text
    }

    /// Draws what the clients will do.
    fn plan(&mut self) {
        for session in 0..=self.rng.below(2) {
            let mut at = EPOCH;
            for turn in 0..=self.rng.below(3) {
                let policy = match self.rng.below(4) {
                    0 => SessionPolicy::Reject,
                    1 => SessionPolicy::Interrupt,
                    _ => SessionPolicy::Enqueue,
                };
                let timeout_seconds = self.rng.chance(20).then(|| 5 + self.rng.below(20));
                let session = format!("s{session}");
                let run = RunId::session(&Tenant::default(), &"ann".into(), &session);
                let key = format!("{session}-{turn}");
                self.add(at, Wish::Start { session, key, policy, timeout_seconds });
                if self.rng.chance(15) {
                    let cancel = at.after(Duration::from_millis(self.rng.below(8_000)));
                    self.add(cancel, Wish::Cancel { run, turn: None });
                }
                at = at.after(Duration::from_millis(self.rng.below(20_000)));
            }
        }
    }

    fn add(&mut self, at: Timestamp, wish: Wish) {
        self.errands.insert(self.next_errand, Errand { at, wish, with: None });
        self.next_errand += 1;
    }

    fn start_process(&mut self) {
        self.started += 1;
        let journal = SimJournal::new(self.store.journal(), Arc::clone(&self.fate), self.clock.clone());
        let process = Process::start(journal, |journal| {
            options(&self.clock, Arc::new(journal), &self.definitions, &self.model, &self.tools)
        });
        self.processes.insert(self.started, process);
    }

    /// Runs all processes until they wait, and buries those that died.
    fn settle(&mut self) {
        if self.second.is_some_and(|at| at <= self.clock.now()) {
            // A second writer opens the store while the first still believes in its claims.
            self.second = None;
            self.store = self.store.reopen();
            self.start_process();
        }
        while self.settle_once() {}
    }

    /// Returns whether a process died, so that another one has yet to begin.
    fn settle_once(&mut self) -> bool {
        let mut dead = Vec::new();
        for (number, process) in &self.processes {
            process.settle();
            if process.journal.is_dead() {
                dead.push(*number);
            }
        }
        for number in &dead {
            let Some(process) = self.processes.remove(number) else { continue };
            self.report.fenced += process.runtime.stats().conflicts;
            drop(process);
            self.report.crashes += 1;
            for errand in self.errands.values_mut().filter(|errand| errand.with == Some(*number)) {
                errand.with = None;
            }
            self.report.recoveries += 1;
            self.store = self.store.reopen();
            self.start_process();
        }
        !dead.is_empty()
    }

    /// Takes what the processes said.
    fn hear(&mut self) {
        let words = std::mem::take(&mut *self.words.lock().unwrap_or_else(PoisonError::into_inner));
        for (number, word) in words {
            let Some(errand) = self.errands.get_mut(&number) else { continue };
            let again = match word {
                Word::Started(Ok(started)) => {
                    if let Wish::Start { key, .. } = &errand.wish {
                        let (run, turn, key) = (started.run, started.turn, key.clone());
                        self.acknowledged.push(Acknowledged { run, key, turn });
                    }
                    false
                }
                Word::Started(Err(StartError::Busy { .. })) | Word::Cancelled => false,
                Word::Started(Err(StartError::Store(_))) => true,
                Word::Started(Err(error)) => {
                    self.report.broken.push(format!("seed {}: a start was refused: {error}", self.seed));
                    false
                }
                Word::Answered(Ok(()) | Err(AnswerError::NotOpen(_))) => false,
                Word::Answered(Err(_)) => true,
            };
            if again {
                errand.with = None;
                errand.at = self.clock.now().after(Duration::from_millis(100));
            } else {
                self.errands.remove(&number);
            }
        }
    }

    /// Lets the person see new questions and make up their mind.
    fn look_at_questions(&mut self) {
        for head in self.heads() {
            if self.looked.insert(head.run.id, head.seq) == Some(head.seq) {
                continue;
            }
            for question in check::fold(&self.entries(&head)).open_questions() {
                if !self.seen.insert((head.run.id, question.call, question.deadline)) || self.rng.chance(20) {
                    continue;
                }
                let at = self.clock.now().after(Duration::from_millis(self.rng.below(25_000)));
                let (run, call, approved) = (head.run.id, question.call, self.rng.chance(65));
                self.add(at, Wish::Answer { run, call, approved });
            }
        }
    }

    fn send_errands(&mut self) {
        let now = self.clock.now();
        let numbers: Vec<u64> = self.processes.keys().copied().collect();
        for (number, errand) in &mut self.errands {
            if errand.with.is_some() || errand.at > now {
                continue;
            }
            let pick = usize::try_from(self.rng.below(numbers.len() as u64)).unwrap_or(0);
            let with = numbers[pick];
            errand.with = Some(with);
            let Some(process) = self.processes.get(&with) else { continue };
            let (runtime, words) = (process.runtime.clone(), Arc::clone(&self.words));
            let (number, wish, tenant) = (*number, errand.wish.clone(), Tenant::default());
            process.spawn(async move {
                let word = match wish {
                    Wish::Start { session, key, policy, timeout_seconds } => Word::Started(
                        runtime
                            .start_turn(StartTurn {
                                tenant,
                                user: "ann".into(),
                                agent: "helper".to_owned(),
                                session: Some(session),
                                message: Message::user(format!("question {key}")),
                                idempotency_key: Some(key),
                                policy: Some(policy),
                                timeout_seconds,
                                adapted: None,
                                billing: None,
                            })
                            .await,
                    ),
                    Wish::Cancel { run, turn } => {
                        // A cancel that came too early or too late is no fault.
                        drop(runtime.cancel(&tenant, run, turn, Some("ann".into())).await);
                        Word::Cancelled
                    }
                    Wish::Answer { run, call, approved } => {
                        let by = Some("ann".into());
                        Word::Answered(runtime.answer(&tenant, run, call, approved, by, None).await.map(|_| ()))
                    }
                };
                words.lock().unwrap_or_else(PoisonError::into_inner).push((number, word));
            });
        }
    }

    fn at_end(&self) -> bool {
        self.errands.is_empty()
            && self.second.is_none()
            && self.heads().iter().all(|head| head.status == RunStatus::Idle)
    }

    fn heads(&self) -> Vec<Head> {
        let query = RunQuery { tenant: Tenant::default(), limit: 200, ..RunQuery::default() };
        now(self.store.journal().list(query)).expect("memory can be listed").runs
    }

    fn entries(&self, head: &Head) -> Vec<bedplate_core::event::Entry> {
        now(self.store.journal().read(head.run, 0, usize::MAX)).expect("memory can be read")
    }
}

/// Returns the simulated agent: its limits and window are drawn too.
fn definition(rng: &mut Rng, mutation: Mutation) -> AgentDefinition {
    let mut definition = agent("helper", sim_tools());
    definition.limits = Limits {
        max_iterations: 3 + u32::try_from(rng.below(4)).unwrap_or(0),
        max_tool_calls: 4 + u32::try_from(rng.below(10)).unwrap_or(0),
        timeout_seconds: 10 + rng.below(60),
        ..Limits::default()
    };
    if rng.chance(30) {
        definition.truncation = Truncation::SlidingWindow { messages: 4 };
    }
    if mutation == Mutation::RepeatsAnything {
        for tool in &mut definition.tools {
            tool.annotations.idempotent = true;
        }
    }
    definition
}

/// Returns what a future of the store in memory gives, which is ready at once.
fn now<T>(mut future: bedplate_core::port::BoxFuture<'static, T>) -> T {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the store in memory never waits"),
    }
}
