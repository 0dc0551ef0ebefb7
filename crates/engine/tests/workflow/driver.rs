//! Drives the machine in process: journals, crashes between appends, answers tasks, moves the clock.

use bedplate_core::{
    event::{Entry, Event},
    id::{CallId, Seq},
    time::Timestamp,
    workflow_event::{BranchId, ExecutionStarted, WorkflowEvent},
};
use bedplate_engine::{
    machine::{Context, Decision, Input, Intent, Machine, TaskReport},
    workflow::{Definition, Workflow, WorkflowSignal, WorkflowState, history::History, history::HistoryEvent},
};
use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// A task that was begun.
#[derive(Clone, Debug)]
pub struct Begun {
    pub call: CallId,
    pub state: Arc<str>,
    pub resource: Arc<str>,
    pub input: Arc<Value>,
    pub token: Arc<str>,
}

/// An execution and its journal.
pub struct Driver {
    pub definition: Arc<Definition>,
    pub state: WorkflowState,
    pub journal: Vec<Entry>,
    pub now: Timestamp,
    pub begun: VecDeque<Begun>,
    names: HashMap<BranchId, Arc<str>>,
    steps: u8,
}

impl Driver {
    pub fn new(definition: Definition, now: Timestamp) -> Self {
        Self {
            definition: Arc::new(definition),
            state: WorkflowState::default(),
            journal: Vec::new(),
            now,
            begun: VecDeque::new(),
            names: HashMap::new(),
            steps: 0,
        }
    }

    pub fn start(&mut self, machine_name: &str, input: Value) {
        let started = ExecutionStarted {
            execution: format!("arn:aws:states:us-east-1:111111111111:execution:{machine_name}:run-1").into(),
            name: "run-1".into(),
            machine: format!("arn:aws:states:us-east-1:111111111111:stateMachine:{machine_name}").into(),
            machine_name: machine_name.into(),
            role: "arn:aws:iam::111111111111:role/sfn_role".into(),
            definition: self.definition.hash,
            input: Arc::new(input),
            start_at: Arc::clone(&self.definition.machine.start_at),
            deadline: self
                .definition
                .timeout_seconds
                .map(|seconds| self.now.after(std::time::Duration::from_secs(seconds))),
            express: false,
            qualified: None,
            version: None,
            map_run: None,
            trace: None,
            answers: None,
        };
        self.step(Input::Signal(WorkflowSignal::Start(started)));
    }

    pub fn context(&self) -> Context {
        Context { workflow: Some(Arc::clone(&self.definition)), ..Context::at(self.now, [self.steps; 16]) }
    }

    /// Takes the driver's step for one input.
    pub fn step(&mut self, input: Input<WorkflowSignal>) {
        self.steps = self.steps.wrapping_add(1);
        let decision = Workflow::accept(&self.state, input, &self.context());
        self.take(decision);
        self.settle();
    }

    pub fn settle(&mut self) {
        loop {
            self.steps = self.steps.wrapping_add(1);
            let decision = Workflow::decide(&self.state, &self.context());
            if decision.events.is_empty() {
                return;
            }
            self.take(decision);
        }
    }

    /// Moves the clock to the next time the machine asks for; false when it asks for none.
    pub fn wait(&mut self) -> bool {
        let Some(at) = Workflow::wake_at(&self.state) else { return false };
        self.now = self.now.max(at);
        let before = self.journal.len();
        self.settle();
        self.journal.len() > before
    }

    pub fn report(&mut self, call: CallId, report: TaskReport) {
        self.step(Input::Task { call, report });
    }

    pub fn signal(&mut self, signal: WorkflowSignal) {
        self.step(Input::Signal(signal));
    }

    /// Loses everything but the journal, as a crash does.
    pub fn crash(&mut self) {
        self.state = fold(&self.journal);
        self.begun.clear();
        self.step(Input::Recovered);
    }

    pub fn history(&self) -> Vec<HistoryEvent> {
        let mut history = History::default();
        self.journal.iter().flat_map(|entry| history.fold(entry)).collect()
    }

    fn take(&mut self, decision: Decision) {
        let mut seq: Seq = Workflow::position(&self.state);
        for event in decision.events {
            seq += 1;
            self.note(&event);
            Workflow::apply(&mut self.state, seq, self.now, &event);
            self.journal.push(Entry { seq, at: self.now, event });
        }
        for intent in decision.intents {
            match intent {
                Intent::RunTask { call, resource, input, token, .. } => {
                    let state = self.state_of(call);
                    self.begun.push_back(Begun { call, state, resource, input, token });
                }
                Intent::Abandon { call } => self.begun.retain(|begun| begun.call != call),
                other => panic!("a workflow never intends {other:?}"),
            }
        }
    }

    fn note(&mut self, event: &Event) {
        if let Event::Workflow(WorkflowEvent::Entered(entered)) = event {
            self.names.insert(entered.branch, Arc::clone(&entered.state));
        }
    }

    fn state_of(&self, call: CallId) -> Arc<str> {
        let branch = self.journal.iter().rev().find(|entry| entry.seq == call).map(|entry| match &entry.event {
            Event::Workflow(WorkflowEvent::TaskScheduled(scheduled)) => scheduled.branch,
            Event::Workflow(WorkflowEvent::ItemsRequested(asked)) => asked.branch,
            other => panic!("no call begins with {other:?}"),
        });
        branch.and_then(|branch| self.names.get(&branch)).cloned().unwrap_or_else(|| "".into())
    }
}

/// Folds a journal, as it is read back from a store.
pub fn fold(journal: &[Entry]) -> WorkflowState {
    let mut state = WorkflowState::default();
    for entry in journal {
        let text = serde_json::to_string(entry).expect("an entry has a form in JSON");
        let entry: Entry = serde_json::from_str(&text).expect("an entry is read back");
        Workflow::apply(&mut state, entry.seq, entry.at, &entry.event);
    }
    state
}
