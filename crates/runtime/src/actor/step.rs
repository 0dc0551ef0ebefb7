//! The step: inputs in, one append out, then everything that waited for the commit.

use super::{
    Actor, Command, Leave, Loaded, Woken,
    wait::{HOLD_OFF, lease_half},
};
use crate::{driven::Driven, live::closed_model_call, perform::InFlight};
use bedplate_core::{
    event::{Entry, Event, RunStarted},
    id::{CallId, ContentHash},
    port::journal::{Batch, Head, SNAPSHOT_INTERVAL, SignalId},
    time::Timestamp,
};
use bedplate_engine::machine::{Context, Decision, Input, Intent};
use std::sync::Arc;

/// How many results that are known at once one commit takes up; the rest is performed after it, so that no reply with
/// many calls makes a batch too large.
const AT_ONCE: usize = 16;

/// What a step decided.
pub(crate) struct Plan<M: Driven> {
    pub events: Vec<Event>,
    intents: Vec<Intent>,
    abandoned: Vec<CallId>,
    pub acks: Vec<M::Ack>,
    pub blobs: Vec<ContentHash>,
    consumed: Vec<SignalId>,
    /// About how much the events weigh, as far as the machine minds.
    pub weight: usize,
}

impl<M: Driven> Default for Plan<M> {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            intents: Vec::new(),
            abandoned: Vec::new(),
            acks: Vec::new(),
            blobs: Vec::new(),
            consumed: Vec::new(),
            weight: 0,
        }
    }
}

impl<M: Driven> Plan<M> {
    /// Tells everybody who waits for this commit that it does not come.
    pub(super) fn fail(&mut self, error: &crate::api::RunError) {
        for ack in std::mem::take(&mut self.acks) {
            M::fail(ack, error);
        }
    }
}

impl<M: Driven> Actor<M> {
    /// Feeds what woke the run to its machine, commits what follows, and only then shows, answers and performs it.
    pub(super) async fn step(&mut self, loaded: &mut Loaded<M>, woken: Woken<M>) -> Result<(), Leave> {
        let Woken { words, inputs, signals, claimed } = woken;
        if let Some(head) = claimed {
            take_claim(loaded, head)?;
        }
        let mut plan = Plan::default();
        let mut context = self.context();
        let asked = M::wake_at(&loaded.state).is_some_and(|at| at <= context.now);
        if words.iter().any(|word| word.asks_to_leave(&loaded.user)) {
            return self.leave_with(loaded, plan, context, inputs).await;
        }
        for input in inputs {
            self.feed(loaded, &mut plan, &mut context, input).await;
        }
        if signals {
            self.read_inbox(loaded, &mut plan, &mut context).await;
        }
        for word in words {
            if let Command::Say(word) = word {
                M::obey(self, loaded, &mut plan, &mut context, word).await;
            }
        }
        self.shortcut(loaded, &mut plan, &mut context).await;
        let mut more = self.settle(loaded, &mut plan, &mut context).await;
        loaded.hold_off = match asked && plan.events.is_empty() {
            true => context.now.after(HOLD_OFF),
            false => Timestamp::default(),
        };
        self.conclude(loaded, plan, context.now).await?;
        while more {
            let mut plan = Plan::default();
            let mut context = self.context();
            more = self.settle(loaded, &mut plan, &mut context).await;
            self.conclude(loaded, plan, context.now).await?;
        }
        Ok(())
    }

    fn context(&self) -> Context {
        let options = &self.shared.options;
        Context { run: self.key.run, ..Context::at(options.clock.now(), options.entropy.bytes()) }
    }

    /// Commits, and then does what waited for it.
    async fn conclude(&mut self, loaded: &mut Loaded<M>, mut plan: Plan<M>, now: Timestamp) -> Result<(), Leave> {
        self.commit(loaded, &mut plan, now).await?;
        for ack in std::mem::take(&mut plan.acks) {
            M::acknowledge(ack, self.key.run, &loaded.session);
        }
        M::answer_waiters(self, loaded);
        self.perform(loaded, plan, now);
        Ok(())
    }

    /// Keeps the results that are here and begins nothing new: what would follow is decided when the run comes back.
    async fn leave_with(
        &mut self,
        loaded: &mut Loaded<M>,
        mut plan: Plan<M>,
        mut context: Context,
        inputs: Vec<Input<M::Signal>>,
    ) -> Result<(), Leave> {
        for input in inputs {
            M::refresh(self, loaded, &mut context).await;
            let decision = M::accept(&loaded.state, input, &context);
            absorb(loaded, &mut plan, decision, context.now);
        }
        plan.intents.clear();
        loaded.in_flight.clear();
        self.commit(loaded, &mut plan, context.now).await?;
        M::answer_waiters(self, loaded);
        Err(Leave::Quiet)
    }

    /// Feeds one input, and decides until nothing more follows from it or the batch is full.
    pub(crate) async fn feed(
        &self,
        loaded: &mut Loaded<M>,
        plan: &mut Plan<M>,
        context: &mut Context,
        input: Input<M::Signal>,
    ) {
        M::refresh(self, loaded, context).await;
        if matches!(input, Input::Recovered) {
            M::recover(self, loaded, context);
        }
        let decision = M::accept(&loaded.state, input, context);
        absorb(loaded, plan, decision, context.now);
        self.settle(loaded, plan, context).await;
    }

    /// Makes the run exist, before its first input.
    pub(crate) fn begin_run(&self, loaded: &mut Loaded<M>, plan: &mut Plan<M>, now: Timestamp) {
        let started = RunStarted {
            kind: M::KIND,
            name: loaded.name.clone(),
            user: loaded.user.clone(),
            session: loaded.session.clone(),
            parent: loaded.parent,
        };
        absorb(loaded, plan, Decision { events: vec![Event::RunStarted(started)], intents: Vec::new() }, now);
    }

    /// Decides until nothing more follows; returns whether it stopped before, because the batch is full.
    async fn settle(&self, loaded: &mut Loaded<M>, plan: &mut Plan<M>, context: &mut Context) -> bool {
        loop {
            if M::is_full(plan) {
                return true;
            }
            M::refresh(self, loaded, context).await;
            let decision = M::decide(&loaded.state, context);
            if decision.events.is_empty() {
                return false;
            }
            absorb(loaded, plan, decision, context.now);
        }
    }

    /// Feeds the results of intents that touch nothing outside, so that they share the commit: a crash before it loses
    /// nothing, for nothing has happened but a computation.
    async fn shortcut(&self, loaded: &mut Loaded<M>, plan: &mut Plan<M>, context: &mut Context) {
        let (mut at, mut taken) = (0, 0);
        while at < plan.intents.len() && taken < AT_ONCE && !M::is_full(plan) {
            match M::at_once(self, loaded, &plan.intents[at], context.now) {
                Some(input) => {
                    plan.intents.remove(at);
                    taken += 1;
                    self.feed(loaded, plan, context, input).await;
                }
                None => at += 1,
            }
        }
    }

    async fn read_inbox(&self, loaded: &mut Loaded<M>, plan: &mut Plan<M>, context: &mut Context) {
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

    async fn commit(&mut self, loaded: &mut Loaded<M>, plan: &mut Plan<M>, now: Timestamp) -> Result<(), Leave> {
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
            false => M::wake_at(&loaded.state),
        };
        let nothing_to_say = plan.events.is_empty() && plan.consumed.is_empty();
        if nothing_to_say && (wake_at == loaded.wake_at || !loaded.exists) {
            return Ok(());
        }
        let batch = Batch {
            at: now,
            title: M::title(&loaded.state, &plan.events),
            events: Arc::new(std::mem::take(&mut plan.events)),
            status: M::status(&loaded.state),
            wake_at,
            consumed: std::mem::take(&mut plan.consumed),
            blobs: std::mem::take(&mut plan.blobs),
        };
        let kept = self.append(loaded, plan, batch).await?;
        loaded.wake_at = wake_at;
        self.publish(loaded, kept, now);
        if loaded.seq - loaded.snapshot >= SNAPSHOT_INTERVAL {
            loaded.snapshot = loaded.seq;
            let state = M::snapshot(&loaded.state).into();
            if let Err(error) = self.shared.options.journal.put_snapshot(loaded.run, loaded.seq, state).await {
                tracing::warn!(run = %self.key.run, %error, "failed to keep a snapshot; the next load takes longer");
            }
        }
        Ok(())
    }

    fn publish(&self, loaded: &Loaded<M>, events: Vec<Event>, at: Timestamp) {
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

    fn perform(&self, loaded: &mut Loaded<M>, plan: Plan<M>, now: Timestamp) {
        if !plan.abandoned.is_empty() {
            let gone = loaded.in_flight.extract_if(.., |call| plan.abandoned.contains(&call.call)).collect();
            M::abandoned(self, gone);
            loaded.arrived.retain(|(call, _)| !plan.abandoned.contains(call));
        }
        for intent in plan.intents {
            if let Some(begun) = M::begin(self, loaded, intent, now) {
                loaded.in_flight.push(begun);
            }
        }
    }
}

/// Takes over a claim that this process's scheduler made.
fn take_claim<M: Driven>(loaded: &mut Loaded<M>, head: Box<Head>) -> Result<(), Leave> {
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
fn absorb<M: Driven>(loaded: &mut Loaded<M>, plan: &mut Plan<M>, decision: Decision, now: Timestamp) {
    let mut seq = M::position(&loaded.state);
    for event in &decision.events {
        seq += 1;
        M::apply(&mut loaded.state, seq, now, event);
        plan.weight += M::event_weight(event);
    }
    if plan.events.is_empty() {
        plan.events = decision.events;
    } else {
        plan.events.extend(decision.events);
    }
    for intent in decision.intents {
        if let Intent::Abandon { call } = intent {
            // What this very step began is never performed; what was under way before ends after the commit.
            plan.intents.retain(|begun| begun.call() != call);
            plan.abandoned.push(call);
        } else {
            plan.intents.push(intent);
        }
    }
}
