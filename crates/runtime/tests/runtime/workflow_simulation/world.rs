//! A world: one execution of a drawn definition on one store, processes that die, and somebody who answers callbacks.

use super::{
    definition,
    lines::{Line, difference, lines},
};
use crate::{
    simulation::process::Process,
    support::{EPOCH, options_with},
};
use bedplate_core::{
    event::{Entry, Event},
    id::{ContentHash, RunId, Tenant},
    port::{
        BoxFuture,
        clock::Clock,
        journal::{Head, RunQuery},
        workflows::{PinnedWorkflow, ResolveError, Workflows},
    },
    time::Timestamp,
    workflow_event::WorkflowEvent,
};
use bedplate_runtime::{StartExecution, StartExecutionError, TokenError};
use bedplate_store::memory::MemoryStore;
use bedplate_testkit::{
    clock::{Rng, SimClock},
    sim::{Crash, Fate, SimJournal, SimTasks, TaskLedger},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// A world that is not at its end after this much virtual time never will be.
const LONGEST: Duration = Duration::from_secs(100_000);

const ARN: &str = "arn:aws:states:us-east-1:000000000000:execution:drawn:one";

/// What became of a world.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub definition: Value,
    pub appends: u64,
    pub crashes: u64,
    pub events: u64,
    /// How often a Retry permitted a repetition of what may have been done.
    pub permitted: u64,
    pub doubled: u64,
    pub lines: BTreeMap<String, Line>,
    /// Those of the child executions of distributed Maps, by their inputs.
    pub children: BTreeMap<String, BTreeMap<String, Line>>,
    pub output: Option<Value>,
    pub problem: Option<String>,
}

impl Outcome {
    /// Returns how another run of the same world differs.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.output != other.output {
            return Some(format!("the output is {:?} and was {:?}", other.output, self.output));
        }
        if let Some(lost) = self.children.keys().find(|input| !other.children.contains_key(*input)) {
            return Some(format!("the child execution of {lost} is lost"));
        }
        let differs = |(input, lines)| difference(self.children.get(input)?, lines);
        difference(&self.lines, &other.lines).or_else(|| other.children.iter().find_map(differs))
    }
}

/// A world.
pub struct World {
    seed: u64,
    clock: SimClock,
    store: MemoryStore,
    fate: Arc<Fate>,
    ledger: Arc<TaskLedger>,
    tasks: Arc<SimTasks>,
    definition: Value,
    input: Value,
    process: Process,
    crashes: u64,
    /// What the client has yet to do, and what it was told.
    errands: Vec<Errand>,
    told: Arc<Mutex<Vec<(usize, bool)>>>,
}

#[derive(Clone)]
struct Errand {
    wish: Wish,
    sent: bool,
    done: bool,
}

#[derive(Clone)]
enum Wish {
    Start,
    Answer(Arc<str>, Value),
}

/// The state machines of a world.
struct Machines;

fn pinned(name: &str, definition: &Value) -> PinnedWorkflow {
    let text = definition.to_string();
    PinnedWorkflow {
        arn: format!("arn:aws:states:us-east-1:000000000000:stateMachine:{name}").into(),
        name: name.into(),
        qualified: None,
        version: None,
        role: "arn:aws:iam::000000000000:role/r".into(),
        express: false,
        hash: ContentHash::of(text.as_bytes()),
        text: text.into(),
    }
}

impl Workflows for Machines {
    fn resolve(
        &self,
        _: &Tenant,
        machine: &str,
        _: [u8; 16],
    ) -> BoxFuture<'static, Result<PinnedWorkflow, ResolveError>> {
        let found = match machine {
            "child" => Ok(pinned("child", &definition::child())),
            other => Err(ResolveError::NotFound(other.to_owned())),
        };
        Box::pin(std::future::ready(found))
    }
}

impl World {
    pub fn new(seed: u64, crashes: Vec<Crash>) -> Self {
        let mut rng = Rng::new(seed);
        let definition = definition::draw(&mut rng);
        Self::of(seed, rng, crashes, definition, json!({"items": [1, 2, 3]}))
    }

    /// Returns the world of an execution of a given definition.
    pub fn with(seed: u64, crashes: Vec<Crash>, definition: Value, input: Value) -> Self {
        Self::of(seed, Rng::new(seed), crashes, definition, input)
    }

    fn of(seed: u64, mut rng: Rng, crashes: Vec<Crash>, definition: Value, input: Value) -> Self {
        let clock = SimClock::at(EPOCH);
        let time = clock.clone();
        let store = MemoryStore::with_time(move || time.now());
        let ledger = Arc::<TaskLedger>::default();
        let tasks = Arc::new(SimTasks::new(rng.draw(), clock.clone(), Arc::clone(&ledger)));
        let fate = Fate::new(rng.draw(), crashes, 0, 0);
        let process = start(&store, &fate, &clock, &tasks);
        let errands = vec![Errand { wish: Wish::Start, sent: false, done: false }];
        let (crashes, told) = (0, Arc::default());
        Self { seed, clock, store, fate, ledger, tasks, definition, input, process, crashes, errands, told }
    }

    /// Drives the world to its end.
    pub fn run(mut self) -> Outcome {
        let end = EPOCH.after(LONGEST);
        let mut problem = None;
        loop {
            self.settle();
            self.send();
            self.settle();
            if self.at_end() {
                break;
            }
            let next = [self.clock.next_wake(), self.ledger.next()].into_iter().flatten().min();
            match next {
                Some(next) if self.clock.now() < end => {
                    self.clock.advance_to(next.max(Timestamp(self.clock.now().0 + 1)));
                }
                _ => {
                    let heads = self.heads();
                    let last: Vec<String> =
                        heads.iter().map(|head| format!("{head:?}\n{:?}", self.entries(head).last())).collect();
                    problem = Some(format!("it does not come to its end: {}", last.join("\n")));
                    break;
                }
            }
        }
        self.outcome(problem)
    }

    fn outcome(self, mut problem: Option<String>) -> Outcome {
        let heads = self.heads();
        let ours = RunId::execution(&Tenant::default(), ARN);
        let (mut told, mut children) = (BTreeMap::new(), BTreeMap::new());
        let (mut events, mut unknown) = (0, 0);
        for head in &heads {
            let entries = self.entries(head);
            events += entries.len() as u64;
            unknown += entries.iter().filter(|entry| is_unknown(&entry.event)).count() as u64;
            if head.run.id == ours {
                told = lines(&entries);
            }
            if let Some(input) = map_child(&entries)
                && children.insert(input.clone(), lines(&entries)).is_some()
            {
                problem.get_or_insert_with(|| format!("two child executions have the input {input}"));
            }
        }
        let records = self.ledger.records();
        let doubled = records.values().filter(|record| record.times > 1 && !record.repeatable).count() as u64;
        let output = match self.view() {
            Some((status, output)) => Some(json!({"status": status, "output": output})),
            None => {
                problem.get_or_insert_with(|| format!("seed {}: the execution is lost", self.seed));
                None
            }
        };
        Outcome {
            definition: self.definition.clone(),
            appends: self.fate.appends(),
            crashes: self.crashes,
            events,
            permitted: unknown,
            doubled,
            lines: told,
            children,
            output,
            problem,
        }
    }

    fn view(&self) -> Option<(&'static str, Value)> {
        let run = RunId::execution(&Tenant::default(), ARN);
        let runtime = self.process.runtime.clone();
        let view = at_once(async move { runtime.execution(&Tenant::default(), run).await })?.ok()?;
        let output = view.output.as_deref().cloned().unwrap_or_default();
        Some((view.status.word(), json!({"output": output, "error": view.error, "cause": view.cause})))
    }

    fn settle(&mut self) {
        loop {
            self.process.settle();
            if !self.process.journal.is_dead() {
                break;
            }
            self.crashes += 1;
            self.store = self.store.reopen();
            self.process = start(&self.store, &self.fate, &self.clock, &self.tasks);
            for errand in &mut self.errands {
                errand.sent = errand.done;
            }
        }
        for (number, done) in std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner)) {
            self.errands[number].done |= done;
            self.errands[number].sent = done;
        }
    }

    /// Sends what the client wants: the start until it is acknowledged, and answers to callbacks when they are due.
    fn send(&mut self) {
        for (token, value) in self.ledger.due(self.clock.now()) {
            self.errands.push(Errand { wish: Wish::Answer(token, value), sent: false, done: false });
        }
        for (number, errand) in self.errands.iter_mut().enumerate().filter(|(_, errand)| !errand.sent) {
            errand.sent = true;
            let (runtime, told) = (self.process.runtime.clone(), Arc::clone(&self.told));
            let (wish, workflow) = (errand.wish.clone(), pinned("drawn", &self.definition));
            let input = Arc::new(self.input.clone());
            self.process.spawn(async move {
                let tenant = Tenant::default();
                let done = match wish {
                    Wish::Start => {
                        let request = StartExecution {
                            tenant,
                            user: "ann".into(),
                            execution: ARN.into(),
                            name: "one".into(),
                            workflow,
                            input,
                            trace_header: None,
                        };
                        match runtime.start_execution(request).await {
                            Ok(_) | Err(StartExecutionError::AlreadyExists { same_input: true, .. }) => true,
                            Err(error) => panic!("a start was refused: {error}"),
                        }
                    }
                    Wish::Answer(token, value) => {
                        let answered = runtime.task_succeeded(&tenant, &token, Arc::new(value)).await;
                        matches!(answered, Ok(()) | Err(TokenError::TimedOut | TokenError::Invalid))
                    }
                };
                told.lock().unwrap_or_else(PoisonError::into_inner).push((number, done));
            });
        }
    }

    fn at_end(&self) -> bool {
        let heads = self.heads();
        !heads.is_empty()
            && self.errands.iter().all(|errand| errand.done)
            && self.ledger.next().is_none()
            && heads.iter().all(|head| head.status.is_at_rest())
    }

    fn heads(&self) -> Vec<Head> {
        let mut query = RunQuery { tenant: Tenant::default(), limit: 200, ..RunQuery::default() };
        let mut heads = Vec::new();
        while let Some(Ok(page)) = at_once(self.store.journal().list(query.clone())) {
            heads.extend(page.runs);
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        heads
    }

    fn entries(&self, head: &Head) -> Vec<Entry> {
        at_once(self.store.journal().read(head.run, 0, usize::MAX)).and_then(Result::ok).unwrap_or_default()
    }
}

fn start(store: &MemoryStore, fate: &Arc<Fate>, clock: &SimClock, tasks: &Arc<SimTasks>) -> Process {
    let journal = SimJournal::new(store.journal(), Arc::clone(fate), clock.clone());
    let tasks = Arc::clone(tasks);
    Process::start(journal, |journal| options_with(clock, Arc::new(journal), tasks, Arc::new(Machines)))
}

/// Returns the input of a child execution of a distributed Map.
fn map_child(entries: &[Entry]) -> Option<String> {
    entries.iter().find_map(|entry| match &entry.event {
        Event::Workflow(WorkflowEvent::Started(started)) if started.map_run.is_some() => {
            Some(started.input.to_string())
        }
        _ => None,
    })
}

fn is_unknown(event: &Event) -> bool {
    match event {
        Event::Workflow(WorkflowEvent::TaskFailed(failed)) => {
            failed.cause.as_ref().is_some_and(|cause| cause.starts_with("outcome unknown"))
        }
        _ => false,
    }
}

/// Returns what a future gives that needs nobody: those of the store in memory.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
