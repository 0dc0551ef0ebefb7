//! The step: inputs in, one append out, then everything that waited for the commit.

use super::{
    Actor, Leave, Loaded, Woken,
    admit::Ack,
    wait::{HOLD_OFF, lease_half},
};
use crate::{
    api::{RunError, TurnResult, TurnState},
    live::closed_model_call,
    perform::{InFlight, Work, call_model},
    stats::add,
};
use bedplate_core::{
    event::{Entry, Event, RunStarted},
    id::{CallId, ContentHash, RunId, Seq, idempotency_key},
    message::Message,
    port::{
        Caller,
        journal::{AppendError, Batch, Expected, Head, NewRun, RunStatus, SNAPSHOT_INTERVAL, SignalId},
        model::ModelCall,
        tools::ToolCall,
    },
    time::Timestamp,
};
use bedplate_engine::{
    agent::{Agent, AgentSignal, AgentState},
    machine::{Context, Decision, Input, Intent, Machine},
};
use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

/// How long a store that fails is left alone at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// After so many failures of the store, whoever waits for the append is told.
const PATIENCE: u32 = 3;

/// How many characters of a question the lists show.
const TITLE_CHARS: usize = 80;

/// What a step decided.
#[derive(Default)]
pub(super) struct Plan {
    pub events: Vec<Event>,
    intents: Vec<Intent>,
    abandoned: Vec<CallId>,
    pub acks: Vec<Ack>,
    pub blobs: Vec<ContentHash>,
    consumed: Vec<SignalId>,
}

impl Actor {
    /// Feeds what woke the run to its machine, commits what follows, and only then shows, answers and performs it.
    pub(super) async fn step(&mut self, loaded: &mut Loaded, woken: Woken) -> Result<(), Leave> {
        let Woken { commands, inputs, signals, claimed } = woken;
        if let Some(head) = claimed {
            take_claim(loaded, head)?;
        }
        let mut plan = Plan::default();
        let mut context = Context {
            now: self.shared.now(),
            entropy: self.shared.options.entropy.bytes(),
            definition: loaded.definition.clone(),
            price: None,
            partial: None,
            workflow: None,
        };
        let asked = Agent::wake_at(&loaded.state).is_some_and(|at| at <= context.now);
        if commands.iter().any(|command| command.asks_to_leave(&loaded.user)) {
            return self.leave_with(loaded, plan, context, inputs).await;
        }
        for input in inputs {
            self.feed(loaded, &mut plan, &mut context, input).await;
        }
        if signals {
            self.read_inbox(loaded, &mut plan, &mut context).await;
        }
        for command in commands {
            self.obey(loaded, &mut plan, &mut context, command).await;
        }
        self.settle(loaded, &mut plan, &mut context).await;
        loaded.hold_off = match asked && plan.events.is_empty() {
            true => context.now.after(HOLD_OFF),
            false => Timestamp::default(),
        };
        self.commit(loaded, &mut plan, context.now).await?;
        for ack in std::mem::take(&mut plan.acks) {
            ack.send(self.key.run, &loaded.session);
        }
        answer_waiters(self.key.run, loaded);
        self.perform(loaded, plan, context.now);
        Ok(())
    }

    /// Keeps the results that are here and begins nothing new: what would follow is decided when the run comes back.
    async fn leave_with(
        &mut self,
        loaded: &mut Loaded,
        mut plan: Plan,
        mut context: Context,
        inputs: Vec<Input<AgentSignal>>,
    ) -> Result<(), Leave> {
        for input in inputs {
            self.refresh(loaded, &mut context).await;
            let decision = Agent::accept(&loaded.state, input, &context);
            absorb(loaded, &mut plan, decision, context.now);
        }
        plan.intents.clear();
        loaded.in_flight.clear();
        self.commit(loaded, &mut plan, context.now).await?;
        answer_waiters(self.key.run, loaded);
        Err(Leave::Quiet)
    }

    /// Feeds one input, and decides until nothing more follows from it.
    pub(super) async fn feed(
        &self,
        loaded: &mut Loaded,
        plan: &mut Plan,
        context: &mut Context,
        input: Input<AgentSignal>,
    ) {
        self.refresh(loaded, context).await;
        let decision = Agent::accept(&loaded.state, input, context);
        absorb(loaded, plan, decision, context.now);
        self.settle(loaded, plan, context).await;
    }

    /// Makes the run exist, before its first input.
    pub(super) fn begin_run(&self, loaded: &mut Loaded, plan: &mut Plan, now: Timestamp) {
        let started = RunStarted {
            kind: loaded.kind,
            name: loaded.name.clone(),
            user: loaded.user.clone(),
            session: loaded.session.clone(),
            parent: None,
        };
        absorb(loaded, plan, Decision { events: vec![Event::RunStarted(started)], intents: Vec::new() }, now);
    }

    async fn settle(&self, loaded: &mut Loaded, plan: &mut Plan, context: &mut Context) {
        loop {
            self.refresh(loaded, context).await;
            let decision = Agent::decide(&loaded.state, context);
            if decision.events.is_empty() {
                return;
            }
            absorb(loaded, plan, decision, context.now);
        }
    }

    /// Brings what a decision may depend on up to date: the definition changes with the turn, prices with the project.
    async fn refresh(&self, loaded: &mut Loaded, context: &mut Context) {
        let hash = loaded.state.definition();
        if context.definition.as_ref().map(|definition| definition.hash()) != hash {
            context.definition = match hash {
                Some(hash) => self.definition(hash).await,
                None => None,
            };
            loaded.definition.clone_from(&context.definition);
            context.price = None;
        }
        if context.price.is_none()
            && let Some(definition) = &context.definition
        {
            context.price = self.shared.options.model.describe(&definition.model).and_then(|info| info.price);
        }
        let model_call = loaded.in_flight.iter().find(|call| matches!(call.work, Work::Model(_)));
        context.partial = model_call.and_then(|call| self.hub.partial(call.call));
    }

    /// Returns a definition, waiting for a store that fails; without it nothing can be decided.
    async fn definition(&self, hash: ContentHash) -> Option<Arc<bedplate_engine::definition::Definition>> {
        let mut pause = BACKOFF.0;
        loop {
            match self.shared.pinned.load(&*self.shared.options.journal, &self.key.tenant, hash).await {
                Ok(definition) => return Some(definition),
                Err(RunError::Store(error)) if !self.shared.is_stopping() => {
                    tracing::warn!(run = %self.key.run, error, "failed to read a definition; trying again");
                    pause = self.back_off(pause).await;
                }
                Err(error) => {
                    tracing::error!(run = %self.key.run, %error, "the run cannot go on");
                    return None;
                }
            }
        }
    }

    async fn read_inbox(&self, loaded: &mut Loaded, plan: &mut Plan, context: &mut Context) {
        match self.shared.options.journal.signals(loaded.run).await {
            Ok(signals) => {
                for signal in signals {
                    plan.consumed.push(signal.id);
                    match serde_json::from_slice(&signal.body) {
                        Ok(said) => self.feed(loaded, plan, context, Input::Signal(said)).await,
                        Err(error) => tracing::error!(run = %self.key.run, %error, "dropped a signal nobody can read"),
                    }
                }
            }
            // The run stays due, so the scheduler comes back to it.
            Err(error) => tracing::warn!(run = %self.key.run, %error, "failed to read the inbox"),
        }
    }

    async fn commit(&mut self, loaded: &mut Loaded, plan: &mut Plan, now: Timestamp) -> Result<(), Leave> {
        let performs = |intent: &Intent| !matches!(intent, Intent::Abandon { .. });
        let remains = |call: &InFlight| !plan.abandoned.contains(&call.call);
        let busy = plan.intents.iter().any(performs) || loaded.in_flight.iter().any(remains);
        let lease = self.shared.options.lease;
        let wake_at = match busy {
            // A stable time: the index of due runs is not touched by every append.
            true => {
                let holds = |end: &Timestamp| {
                    *end <= now.after(lease) && lease_half(Some(*end), lease).is_some_and(|half| half > now)
                };
                Some(loaded.wake_at.filter(holds).unwrap_or_else(|| now.after(lease)))
            }
            false => Agent::wake_at(&loaded.state),
        };
        let nothing_to_say = plan.events.is_empty() && plan.consumed.is_empty();
        if nothing_to_say && (wake_at == loaded.wake_at || !loaded.exists) {
            return Ok(());
        }
        let batch = Batch {
            at: now,
            title: title(&loaded.state, &plan.events),
            events: std::mem::take(&mut plan.events),
            status: Agent::status(&loaded.state),
            wake_at,
            consumed: std::mem::take(&mut plan.consumed),
            blobs: std::mem::take(&mut plan.blobs),
        };
        let kept = self.append(loaded, plan, batch).await?;
        loaded.wake_at = wake_at;
        self.publish(loaded, kept, now);
        if loaded.seq - loaded.snapshot >= SNAPSHOT_INTERVAL {
            loaded.snapshot = loaded.seq;
            let state = Agent::snapshot(&loaded.state).into();
            if let Err(error) = self.shared.options.journal.put_snapshot(loaded.run, loaded.seq, state).await {
                tracing::warn!(run = %self.key.run, %error, "failed to keep a snapshot; the next load takes longer");
            }
        }
        Ok(())
    }

    /// Appends until it is known that the batch is written or never will be; returns its events. A store that fails
    /// loses nothing: the results wait here.
    async fn append(&mut self, loaded: &mut Loaded, plan: &mut Plan, batch: Batch) -> Result<Vec<Event>, Leave> {
        let mut pause = BACKOFF.0;
        let mut failures = 0_u32;
        loop {
            let attempt = self.try_append(loaded, batch.clone()).await;
            let error = match attempt {
                Ok(seq) => {
                    loaded.seq = seq;
                    loaded.exists = true;
                    return Ok(batch.events);
                }
                Err(error) => error,
            };
            match error {
                AppendError::Conflict if !loaded.exists => return Err(Leave::Quiet),
                AppendError::Conflict => {
                    if failures > 0 && self.is_written(loaded, &batch).await {
                        loaded.seq += batch.events.len() as u64;
                        return Ok(batch.events);
                    }
                    if self.adopt_own_claim(loaded).await {
                        continue;
                    }
                    add(&self.shared.counters.conflicts, 1);
                    return Err(Leave::Fenced);
                }
                AppendError::NotFound => {
                    plan.fail(&RunError::NotFound);
                    return Err(Leave::Quiet);
                }
                AppendError::TooLarge { .. } | AppendError::Invalid(_) => {
                    tracing::error!(run = %self.key.run, %error, "the store refuses a batch for good");
                    plan.fail(&RunError::Store(error.to_string()));
                    return Err(Leave::Quiet);
                }
                AppendError::Store(message) => {
                    failures += 1;
                    add(&self.shared.counters.store_errors, 1);
                    tracing::warn!(run = %self.key.run, message, failures, "failed to append; trying again");
                    if failures >= PATIENCE || !loaded.exists || self.shared.is_stopping() {
                        plan.fail(&RunError::Store(message));
                    }
                    if !loaded.exists || self.shared.is_stopping() {
                        return Err(Leave::Quiet);
                    }
                    pause = self.back_off(pause).await;
                }
            }
        }
    }

    /// Calls under way go on while the store writes.
    async fn try_append(&self, loaded: &mut Loaded, batch: Batch) -> Result<Seq, AppendError> {
        let journal = &self.shared.options.journal;
        if !loaded.exists {
            let run = NewRun {
                id: self.key.run,
                tenant: self.key.tenant.clone(),
                kind: loaded.kind,
                name: loaded.name.clone(),
                user: loaded.user.clone(),
                session: loaded.session.clone(),
                parent: None,
            };
            let head = journal.create(run, batch).await?;
            loaded.run = head.run;
            loaded.epoch = head.epoch;
            return Ok(head.seq);
        }
        let expected = Expected { seq: loaded.seq, epoch: loaded.epoch };
        let mut append = journal.append(loaded.run, expected, batch);
        let clock = &*self.shared.options.clock;
        poll_fn(|cx| {
            if let Poll::Ready(result) = append.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            let mut at = 0;
            while at < loaded.in_flight.len() {
                match loaded.in_flight[at].poll(cx, clock) {
                    Poll::Ready(input) => {
                        let call = loaded.in_flight.remove(at);
                        loaded.arrived.push((call.call, input));
                    }
                    Poll::Pending => at += 1,
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Returns whether a batch of which the store did not say so is in the journal. The events themselves are compared:
    /// a claim may have been taken over and back, so positions and epochs alone prove nothing.
    async fn is_written(&self, loaded: &mut Loaded, batch: &Batch) -> bool {
        let mut pause = BACKOFF.0;
        loop {
            match self.shared.options.journal.read(loaded.run, loaded.seq, batch.events.len().max(1)).await {
                Ok(entries) => {
                    let ours = |(entry, event): (&Entry, &Event)| entry.at == batch.at && entry.event == *event;
                    return entries.len() >= batch.events.len() && entries.iter().zip(&batch.events).all(ours);
                }
                Err(_) if self.shared.is_stopping() => return false,
                Err(_) => pause = self.back_off(pause).await,
            }
        }
    }

    /// Returns whether the claim that stands in the way is one of this process and found the run where it stands here;
    /// it then is used.
    async fn adopt_own_claim(&self, loaded: &mut Loaded) -> bool {
        let _claims = self.shared.claims.lock().await;
        let (epoch, seq) = self.hub.noted_claim();
        let adopted = epoch > loaded.epoch && seq == loaded.seq;
        if adopted {
            loaded.epoch = epoch;
        }
        adopted
    }

    async fn back_off(&self, pause: Duration) -> Duration {
        let clock = &self.shared.options.clock;
        clock.sleep_until(clock.now().after(pause)).await;
        (pause * 2).min(BACKOFF.1)
    }

    fn publish(&self, loaded: &Loaded, events: Vec<Event>, at: Timestamp) {
        self.shared.counters.count(&events);
        if self.hub.is_watched() {
            let first = loaded.seq + 1 - events.len() as u64;
            let entry = |(event, seq)| Entry { seq, at, event };
            let entries: Arc<[Entry]> = events.into_iter().zip(first..).map(entry).collect();
            self.hub.publish(&entries);
        } else if events.iter().any(|event| closed_model_call(event).is_some()) {
            self.hub.forget_partial();
        }
    }

    fn perform(&self, loaded: &mut Loaded, plan: Plan, now: Timestamp) {
        if !plan.abandoned.is_empty() {
            loaded.in_flight.retain(|call| !plan.abandoned.contains(&call.call));
            loaded.arrived.retain(|(call, _)| !plan.abandoned.contains(call));
        }
        for intent in plan.intents {
            let begun = match self.begin(loaded, intent, now) {
                Some(begun) => begun,
                None => continue,
            };
            loaded.in_flight.push(begun);
        }
    }

    fn begin(&self, loaded: &Loaded, intent: Intent, now: Timestamp) -> Option<InFlight> {
        let options = &self.shared.options;
        let run = self.key.run;
        let caller = Caller {
            tenant: self.key.tenant.clone(),
            user: loaded.user.clone(),
            run: Some(run),
            agent: Some(loaded.name.clone()),
            session: Some(loaded.session.clone()),
            ..Caller::default()
        };
        let (call, deadline, work) = match intent {
            Intent::CallModel { call, request, deadline, not_before } => {
                let asked = ModelCall { deadline: Some(deadline), ..ModelCall::new(caller, request) };
                let (hub, model, clock) =
                    (Arc::clone(&self.hub), Arc::clone(&options.model), Arc::clone(&options.clock));
                let work = Box::pin(call_model(hub, model, clock, call, asked, not_before));
                (call, deadline, Work::Model(work))
            }
            Intent::PrepareTool { call, tool, input, deadline } => {
                let idempotency_key = idempotency_key(run, call);
                let looked = ToolCall { caller, tool, input, idempotency_key, deadline, now };
                (call, deadline, Work::Prepare(options.tools.prepare(looked)))
            }
            Intent::CallTool { call, tool, input, deadline } => {
                let idempotency_key = idempotency_key(run, call);
                let called = ToolCall { caller, tool, input, idempotency_key, deadline, now };
                (call, deadline, Work::Tool(options.tools.call(called)))
            }
            // No agent decides this; should it ever, the log says why nothing happens.
            Intent::RunTask { call, resource, .. } => {
                tracing::error!(%run, call, %resource, "an agent's run cannot perform a workflow's task");
                return None;
            }
            Intent::Abandon { .. } => return None,
        };
        Some(InFlight { call, deadline, begun: now, work })
    }
}

/// Takes over a claim that this process's scheduler made.
fn take_claim(loaded: &mut Loaded, head: Box<Head>) -> Result<(), Leave> {
    if head.seq > loaded.seq {
        // Another process has appended, so what is in memory is of the past.
        return Err(Leave::Again(head));
    }
    if head.seq == loaded.seq && head.epoch > loaded.epoch {
        loaded.epoch = head.epoch;
        loaded.wake_at = head.wake_at;
    }
    Ok(())
}

/// Folds a decision into the state and the plan.
fn absorb(loaded: &mut Loaded, plan: &mut Plan, decision: Decision, now: Timestamp) {
    let mut seq = Agent::position(&loaded.state);
    for event in &decision.events {
        seq += 1;
        Agent::apply(&mut loaded.state, seq, now, event);
    }
    if plan.events.is_empty() {
        plan.events = decision.events;
    } else {
        plan.events.extend(decision.events);
    }
    for intent in decision.intents {
        if let Intent::Abandon { call } = intent {
            // What this very step began is never performed; what was under way before ends after the commit.
            plan.intents.retain(|begun| intent_call(begun) != call);
            plan.abandoned.push(call);
        } else {
            plan.intents.push(intent);
        }
    }
}

fn intent_call(intent: &Intent) -> CallId {
    match intent {
        Intent::CallModel { call, .. }
        | Intent::PrepareTool { call, .. }
        | Intent::CallTool { call, .. }
        | Intent::RunTask { call, .. }
        | Intent::Abandon { call } => *call,
    }
}

/// Answers everybody who waits for a turn that ended, or that a person holds up.
fn answer_waiters(run: RunId, loaded: &mut Loaded) {
    let mut at = 0;
    while at < loaded.waiters.len() {
        let turn = loaded.waiters[at].turn;
        match turn_result(run, &loaded.state, turn) {
            Some(result) => {
                let waiter = loaded.waiters.swap_remove(at);
                // A waiter that went away needs no answer.
                drop(waiter.reply.send(result));
            }
            None if loaded.waiters[at].reply.is_closed() => drop(loaded.waiters.swap_remove(at)),
            None => at += 1,
        }
    }
}

/// Returns the result of a turn; none while it goes on by itself.
pub(crate) fn turn_result(run: RunId, state: &AgentState, turn: Seq) -> Option<Result<TurnResult, RunError>> {
    let Some(view) = state.turn(turn) else {
        return Some(Err(RunError::NoSuch { what: "turn", seq: turn }));
    };
    let state_of_turn = match view.outcome {
        Some(outcome) => TurnState::Ended(outcome),
        None if Agent::status(state) == RunStatus::Waiting => TurnState::Waiting(state.open_questions().collect()),
        None => return None,
    };
    Some(Ok(TurnResult {
        run,
        turn,
        state: state_of_turn,
        answer: view.answer.and_then(|at| state.message_at(at)),
        message: view.message.clone(),
        usage: view.usage,
        cost: view.cost,
        model: view.model.to_string(),
        iterations: view.iterations,
        tool_calls: view.tool_calls,
    }))
}

/// Returns a line that says what the turn which begins here asks.
fn title(state: &AgentState, events: &[Event]) -> Option<String> {
    let positions = (1..=Agent::position(state)).rev();
    events.iter().rev().zip(positions).find_map(|(event, seq)| match event {
        Event::TurnStarted(input) => Some(first_line(&input.message)),
        Event::QueuedTurnStarted(_) => state.message_at(seq).map(|question| first_line(&question)),
        _ => None,
    })
}

fn first_line(message: &Message) -> String {
    let text = message.text();
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let mut title: String = line.chars().take(TITLE_CHARS).collect();
    if title.len() < line.len() {
        title.push('…');
    }
    title
}
