//! A workbench: one run, its journal in memory, and words for what comes from outside. Every step checks every
//! invariant, so that no test has to ask for them.

use bedplate_core::{
    agent::{AgentDefinition, Limits, Price, SessionPolicy, Truncation},
    event::{Entry, Event, Preparation, TurnEnded, TurnInput},
    id::{CallId, ContentHash, Seq},
    message::{ContentBlock, Message, Role, StopReason, ToolUse, Usage},
    port::{
        model::{ModelError, ModelErrorKind, ModelReply, ModelRequest},
        tools::{ToolError, ToolErrorKind},
    },
    time::Timestamp,
    tool::{Annotations, Approval, ApprovalMode, ToolDefinition, ToolOutput, ToolSpec},
};
use bedplate_engine::{
    agent::{Agent, AgentSignal, AgentState, invariants},
    definition::Definition,
    machine::{Context, Decision, Input, Intent, Machine},
};
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// The present time when a bench is made.
pub const START: Timestamp = Timestamp(1_000_000);

/// One run under test.
pub struct Bench {
    pub state: AgentState,
    pub entries: Vec<Entry>,
    pub now: Timestamp,
    pub entropy: [u8; 16],
    pub price: Option<Price>,
    pub partial: Option<Message>,
    /// The intents of the last step.
    pub intents: Vec<Intent>,
    /// Whether every step checks every invariant. Off for runs so long that the last step's check must do.
    pub checked: bool,
    /// Where the last step's events begin in `entries`.
    step: usize,
    pub definitions: HashMap<ContentHash, Arc<Definition>>,
    pinned: ContentHash,
}

/// A tool that changes nothing.
pub fn reader(name: &str) -> ToolDefinition {
    tool(name, Annotations { read_only: true, ..Annotations::default() }, ApprovalMode::Never)
}

/// A tool that moves money: not to be repeated.
pub fn payer(name: &str) -> ToolDefinition {
    tool(name, Annotations { destructive: true, ..Annotations::default() }, ApprovalMode::Never)
}

/// A tool that moves money, and asks before.
pub fn asker(name: &str) -> ToolDefinition {
    tool(name, Annotations { destructive: true, ..Annotations::default() }, ApprovalMode::Always)
}

fn tool(name: &str, annotations: Annotations, mode: ApprovalMode) -> ToolDefinition {
    ToolDefinition {
        spec: ToolSpec {
            name: name.to_owned(),
            description: format!("The tool {name}."),
            input_schema: json!({"type": "object", "properties": {"order": {"type": "string"}}}),
        },
        annotations,
        approval: Approval { mode, deadline_seconds: 3_600, question: None },
        kind: "builtin".to_owned(),
        config: Value::Null,
        timeout_ms: 10_000,
        max_result_bytes: 10_000,
    }
}

/// An agent with a tool of each kind.
pub fn agent() -> AgentDefinition {
    AgentDefinition {
        name: "shop".to_owned(),
        description: String::new(),
        model: "default".to_owned(),
        system: "You help.".to_owned(),
        tools: vec![reader("look"), payer("pay"), asker("refund"), asker("cancel_order")],
        limits: Limits::default(),
        truncation: Truncation::None,
        session_policy: SessionPolicy::Enqueue,
        temperature: None,
    }
}

/// A reply of `content`.
pub fn reply(stop_reason: StopReason, content: Vec<ContentBlock>) -> ModelReply {
    ModelReply {
        message: Message { role: Role::Assistant, content },
        stop_reason,
        stop_sequence: None,
        usage: Usage { input: 100, output: 20, ..Usage::default() },
        cost: None,
        model: "model-1".to_owned(),
        provider: "scripted".to_owned(),
    }
}

/// A call of `name`; its model id is `id`.
pub fn tool_use(id: &str, name: &str) -> ContentBlock {
    ContentBlock::ToolUse(ToolUse {
        id: id.to_owned(),
        name: name.to_owned(),
        input: json!({"order": id}),
        malformed: None,
    })
}

impl Bench {
    pub fn new(agent: AgentDefinition) -> Self {
        let mut bench = Self {
            state: AgentState::default(),
            entries: Vec::new(),
            now: START,
            entropy: [0; 16],
            price: None,
            partial: None,
            intents: Vec::new(),
            checked: true,
            step: 0,
            definitions: HashMap::new(),
            pinned: ContentHash::of(b""),
        };
        bench.pin(agent);
        bench
    }

    /// Lets later turns be pinned to `agent`.
    pub fn pin(&mut self, agent: AgentDefinition) {
        let hash = ContentHash::of(serde_json::to_string(&agent).unwrap().as_bytes());
        self.definitions.insert(hash, Arc::new(Definition::new(hash, Arc::new(agent))));
        self.pinned = hash;
    }

    pub fn context(&self) -> Context {
        let hash = self.state.definition().unwrap_or(self.pinned);
        Context {
            definition: self.definitions.get(&hash).cloned(),
            price: self.price,
            partial: self.partial.clone(),
            ..Context::at(self.now, self.entropy)
        }
    }

    /// Takes the driver's step for one input.
    pub fn step(&mut self, input: Input<AgentSignal>) -> &mut Self {
        self.begin_step();
        let decision = Agent::accept(&self.state, input.clone(), &self.context());
        let again = Agent::accept(&self.state, input, &self.context());
        assert!(same(&decision, &again), "accepting is deterministic: {decision:?} and {again:?}");
        self.take(decision);
        self.settle()
    }

    /// Lets time pass and asks for a decision, as a timer does.
    pub fn pass(&mut self, time: Duration) -> &mut Self {
        self.now = self.now.after(time);
        self.begin_step();
        self.settle()
    }

    /// Lets time pass until the run wakes by itself.
    pub fn sleep(&mut self) -> &mut Self {
        let wake = Agent::wake_at(&self.state).expect("the run waits on time");
        let time = wake.since(self.now);
        self.pass(time)
    }

    fn begin_step(&mut self) {
        self.step = self.entries.len();
        self.intents.clear();
    }

    fn settle(&mut self) -> &mut Self {
        for round in 0.. {
            assert!(round < 20, "deciding comes to an end: {:?}", self.events());
            let decision = Agent::decide(&self.state, &self.context());
            let again = Agent::decide(&self.state, &self.context());
            assert!(same(&decision, &again), "deciding is deterministic: {decision:?} and {again:?}");
            if decision.events.is_empty() {
                assert!(decision.intents.is_empty(), "no intent without an event: {:?}", decision.intents);
                break;
            }
            self.take(decision);
        }
        if self.checked {
            self.check();
        }
        self
    }

    /// Checks all invariants; every step does, unless `checked` is off.
    pub fn check(&self) {
        let find = |hash| self.definitions.get(&hash).cloned();
        if let Err(broken) = invariants::check(&self.entries, &self.state, &find) {
            panic!("{broken}\njournal: {:#?}", self.entries);
        }
    }

    fn take(&mut self, decision: Decision) {
        for event in decision.events {
            let seq = Agent::position(&self.state) + 1;
            Agent::apply(&mut self.state, seq, self.now, &event);
            assert_eq!(Agent::position(&self.state), seq);
            self.entries.push(Entry { seq, at: self.now, event });
        }
        for intent in decision.intents {
            if let Intent::CallModel { call, request, .. } = &intent {
                invariants::well_formed_request(*call, request).unwrap();
                let definition = self.context().definition.unwrap();
                assert_eq!(self.state.request_of(*call, &definition).as_ref(), Some(request), "what the model saw");
            }
            self.intents.push(intent);
        }
    }

    /// The events of the last step.
    pub fn events(&self) -> Vec<&Event> {
        self.entries[self.step..].iter().map(|entry| &entry.event).collect()
    }

    /// The names of the events of the last step.
    pub fn names(&self) -> Vec<String> {
        self.events().into_iter().map(name).collect()
    }

    pub fn input(&self, key: &str, text: &str) -> TurnInput {
        TurnInput {
            key: key.to_owned(),
            request_hash: ContentHash::of(text.as_bytes()),
            message: Arc::new(Message::user(text)),
            definition: self.pinned,
            system: None,
            timeout_seconds: None,
            billing: None,
        }
    }

    /// Starts a turn whose key is its text.
    pub fn start(&mut self, text: &str) -> &mut Self {
        self.start_with(text, SessionPolicy::Enqueue)
    }

    pub fn start_with(&mut self, text: &str, policy: SessionPolicy) -> &mut Self {
        let input = self.input(text, text);
        self.step(Input::Signal(AgentSignal::StartTurn { input, policy }))
    }

    /// The open model call.
    pub fn model_call(&self) -> CallId {
        self.state.open_model_call().expect("a model call is open")
    }

    pub fn model(&mut self, result: Result<ModelReply, ModelError>) -> &mut Self {
        let call = self.model_call();
        self.step(Input::Model { call, result, took_ms: 5 })
    }

    /// The model says `text` and ends its turn.
    pub fn say(&mut self, text: &str) -> &mut Self {
        self.model(Ok(reply(StopReason::EndTurn, vec![ContentBlock::text(text)])))
    }

    /// The model calls tools; their model ids are `a`, `b`, ….
    pub fn call(&mut self, names: &[&str]) -> Vec<CallId> {
        let ids = ["a", "b", "c", "d", "e", "f"];
        let uses = names.iter().zip(ids).map(|(name, id)| tool_use(id, name)).collect();
        self.model(Ok(reply(StopReason::ToolUse, uses)));
        self.requested()
    }

    /// The calls that the last step requested.
    pub fn requested(&self) -> Vec<CallId> {
        let step = self.entries[self.step..].iter();
        step.filter(|entry| matches!(entry.event, Event::ToolRequested(_))).map(|entry| entry.seq).collect()
    }

    pub fn fail(&mut self, kind: ModelErrorKind) -> &mut Self {
        self.model(Err(ModelError::new(kind, "it failed")))
    }

    pub fn returns(&mut self, call: CallId, text: &str) -> &mut Self {
        self.step(Input::Tool { call, result: Ok(ToolOutput::text(text)), took_ms: 7 })
    }

    pub fn tool_fails(&mut self, call: CallId, kind: ToolErrorKind) -> &mut Self {
        let error = ToolError { kind, message: "it broke".to_owned() };
        self.step(Input::Tool { call, result: Err(error), took_ms: 7 })
    }

    /// The look before `call` finds that a person must be asked.
    pub fn ask(&mut self, call: CallId, question: &str) -> &mut Self {
        let preparation = Preparation::Ask { question: question.to_owned(), preview: json!({"amount": 50}) };
        self.step(Input::Prepared { call, result: Ok(preparation) })
    }

    pub fn answer(&mut self, call: CallId, approved: bool) -> &mut Self {
        self.answer_with(call, approved, None)
    }

    pub fn answer_with(&mut self, call: CallId, approved: bool, note: Option<&str>) -> &mut Self {
        let note = note.map(str::to_owned);
        self.step(Input::Signal(AgentSignal::Answer { call, approved, by: Some("ann".into()), note }))
    }

    pub fn cancel(&mut self) -> &mut Self {
        self.cancel_turn(None)
    }

    pub fn cancel_turn(&mut self, turn: Option<Seq>) -> &mut Self {
        self.step(Input::Signal(AgentSignal::Cancel { turn, by: Some("ann".into()) }))
    }

    pub fn recover(&mut self) -> &mut Self {
        self.step(Input::Recovered)
    }

    /// The request of the model call that the last step intends.
    pub fn request(&self) -> &ModelRequest {
        let requests = self.intents.iter().find_map(|intent| match intent {
            Intent::CallModel { request, .. } => Some(request),
            _ => None,
        });
        requests.unwrap_or_else(|| panic!("the last step calls the model, but: {:?}", self.names()))
    }

    /// What the last step intends, in words: `model 3`, `look 5 refund`, `call 6 pay`, `abandon 3`.
    pub fn intended(&self) -> Vec<String> {
        let words = |intent: &Intent| match intent {
            Intent::CallModel { call, .. } => format!("model {call}"),
            Intent::PrepareTool { call, tool, .. } => format!("look {call} {}", tool.spec.name),
            Intent::CallTool { call, tool, .. } => format!("call {call} {}", tool.spec.name),
            Intent::RunTask { call, resource, .. } => format!("task {call} {resource}"),
            Intent::RunChildren { call, .. } => format!("children {call}"),
            Intent::Abandon { call } => format!("abandon {call}"),
        };
        self.intents.iter().map(words).collect()
    }

    /// How the last step ended a turn.
    pub fn ended(&self) -> &TurnEnded {
        let ended = self.entries[self.step..].iter().find_map(|entry| match &entry.event {
            Event::TurnEnded(ended) => Some(ended),
            _ => None,
        });
        ended.unwrap_or_else(|| panic!("the last step ends a turn, but: {:?}", self.names()))
    }

    /// The text of the result that closed `call`, and how it closed.
    pub fn closed(&self, call: CallId) -> (bedplate_core::event::ToolOutcome, String) {
        let returned = self.entries.iter().find_map(|entry| match &entry.event {
            Event::ToolReturned(returned) if returned.call == call => Some(returned),
            _ => None,
        });
        let returned = returned.expect("the call is closed");
        (returned.outcome, text(&returned.output))
    }
}

/// Returns whether two decisions are the same.
fn same(left: &Decision, right: &Decision) -> bool {
    let intents = left.intents.len() == right.intents.len()
        && left.intents.iter().zip(&right.intents).all(|(left, right)| match (left, right) {
            (
                Intent::CallModel { call, request, deadline, not_before },
                Intent::CallModel { call: call_2, request: request_2, deadline: deadline_2, not_before: not_before_2 },
            ) => (call, request, deadline, not_before) == (call_2, request_2, deadline_2, not_before_2),
            (left, right) => format!("{left:?}") == format!("{right:?}"),
        });
    left.events == right.events && intents
}

/// The text of an output.
pub fn text(output: &ToolOutput) -> String {
    let result = bedplate_core::message::ToolResult {
        tool_use_id: String::new(),
        content: output.content.clone(),
        is_error: output.is_error,
    };
    result.text()
}

/// A request's conversation in words: `user hi`, `assistant [a]`, `user (a: 5)`.
pub fn shown(request: &ModelRequest) -> Vec<String> {
    request.messages.iter().map(|message| words(message)).collect()
}

pub fn words(message: &Message) -> String {
    let role = if message.role == Role::User { "user" } else { "assistant" };
    let blocks = message.content.iter().map(|block| match block {
        ContentBlock::Text { text } => text.clone(),
        ContentBlock::ToolUse(call) => format!("[{}]", call.id),
        ContentBlock::ToolResult(result) => format!("({}: {})", result.tool_use_id, result.text()),
        ContentBlock::Reasoning(reasoning) => format!("<{}>", reasoning.text),
        _ => "…".to_owned(),
    });
    std::iter::once(role.to_owned()).chain(blocks).collect::<Vec<_>>().join(" ")
}

/// The name of an event as the journal writes it.
pub fn name(event: &Event) -> String {
    let json = serde_json::to_value(event).unwrap();
    json.as_object().and_then(|fields| fields.keys().next()).cloned().unwrap_or_default()
}
