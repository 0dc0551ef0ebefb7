//! Looking at the past: folding a prefix, and running a run again against its own records.

use crate::{
    api::{Difference, RunError, RunView},
    driven::Driven,
    pinned::Pinned,
};
use bedplate_core::{
    event::{Entry, Event},
    id::{CallId, Seq, Tenant},
    message::Usage,
    port::{
        journal::{Head, Journal, RunRef},
        model::Model,
    },
};
use bedplate_engine::{
    agent::{Agent, AgentState},
    definition::Definition,
    machine::{Context, Machine},
};
use std::collections::{BTreeSet, VecDeque};

/// How many entries are read at once.
const PAGE: usize = 256;

/// Folds a run up to `at`; returns the state and where the snapshot that it began with stands (0: none).
pub(crate) async fn fold<M: Driven>(journal: &dyn Journal, run: RunRef, at: Seq) -> Result<(M::State, Seq), RunError> {
    let mut state = M::State::default();
    let mut snapshot = 0;
    if let Some((seq, bytes)) = journal.get_snapshot(run).await?
        && seq <= at
        && let Some((mut restored, wanted)) = M::restore(&bytes)
    {
        restore::<M>(journal, run, &mut restored, wanted).await?;
        (state, snapshot) = (restored, seq);
    }
    let mut after = snapshot;
    while after < at {
        let entries = journal.read(run, after, PAGE).await?;
        let Some(last) = entries.last() else { break };
        after = last.seq;
        for entry in entries.iter().filter(|entry| entry.seq <= at) {
            M::apply(&mut state, entry.seq, entry.at, &entry.event);
        }
    }
    Ok((state, snapshot))
}

/// Gives a restored state the entries that its snapshot refers to.
async fn restore<M: Driven>(
    journal: &dyn Journal,
    run: RunRef,
    state: &mut M::State,
    mut wanted: Vec<Seq>,
) -> Result<(), RunError> {
    wanted.sort_unstable();
    let mut wanted = VecDeque::from(wanted);
    while let Some(&first) = wanted.front() {
        let entries = journal.read(run, first.saturating_sub(1), PAGE).await?;
        if entries.is_empty() {
            return Err(RunError::NoSuch { what: "position", seq: first });
        }
        for entry in entries {
            while wanted.front().is_some_and(|next| *next < entry.seq) {
                wanted.pop_front();
            }
            if wanted.front() == Some(&entry.seq) {
                wanted.pop_front();
                M::restore_entry(state, entry.seq, entry.at, &entry.event);
            }
        }
    }
    Ok(())
}

/// Returns the end of the last batch that ends at or before `at`.
pub(crate) async fn batch_end(journal: &dyn Journal, run: RunRef, at: Seq) -> Result<Seq, RunError> {
    let mut end = 0;
    loop {
        let page = journal.read(run, end, PAGE).await?;
        match page.last() {
            Some(last) if last.seq <= at => end = last.seq,
            _ => break,
        }
    }
    loop {
        // The smallest read is one whole batch.
        let batch = journal.read(run, end, 1).await?;
        match batch.last() {
            Some(last) if last.seq <= at => end = last.seq,
            _ => return Ok(end),
        }
    }
}

/// Returns the view that a state gives.
pub(crate) fn view(head: Head, state: &AgentState) -> RunView {
    let (mut usage, mut cost) = (Usage::default(), 0_u64);
    for turn in state.turns() {
        usage += turn.usage;
        cost = cost.saturating_add(turn.cost);
    }
    RunView {
        head,
        at: Agent::position(state),
        messages: state.messages().collect(),
        turns: state.turns().cloned().collect(),
        questions: state.open_questions().collect(),
        current_turn: state.current_turn(),
        usage,
        cost,
    }
}

/// A run that is run again.
pub(crate) struct Rerun<'a> {
    pub journal: &'a dyn Journal,
    pub model: &'a dyn Model,
    pub pinned: &'a Pinned<Definition>,
    pub tenant: &'a Tenant,
    pub run: RunRef,
}

impl Rerun<'_> {
    /// Folds the run up to `at`, asks the machine at each point what it would decide, and compares. Jitter and prices
    /// are not recorded, so what hangs on them alone is no difference.
    pub(crate) async fn differences(&self, at: Seq) -> Result<(u64, AgentState, Vec<Difference>), RunError> {
        let mut state = AgentState::default();
        let mut differences = Vec::new();
        let mut begun = BTreeSet::new();
        let mut count = 0;
        let mut after = 0;
        while after < at {
            let batch = self.journal.read(self.run, after, 1).await?;
            let Some(last) = batch.last() else { break };
            after = last.seq;
            let batch: Vec<Entry> = batch.into_iter().filter(|entry| entry.seq <= at).collect();
            count += batch.len() as u64;
            self.rerun_batch(&mut state, &batch, &mut begun, &mut differences).await?;
        }
        Ok((count, state, differences))
    }

    async fn rerun_batch(
        &self,
        state: &mut AgentState,
        batch: &[Entry],
        begun: &mut BTreeSet<CallId>,
        differences: &mut Vec<Difference>,
    ) -> Result<(), RunError> {
        let mut rest = batch;
        while let Some(next) = rest.first() {
            let decided = self.decide(state, next).await?;
            let same = decided.iter().zip(rest).take_while(|(event, entry)| alike(event, &entry.event)).count();
            let agreed = if same == decided.len() { same } else { 0 };
            if agreed == 0 && !comes_from_outside(&next.event, begun) {
                let decided = decided.get(same).map_or_else(|| "nothing".to_owned(), describe);
                let recorded = rest.get(same).map_or_else(|| "nothing".to_owned(), |entry| describe(&entry.event));
                differences.push(Difference { seq: next.seq + same as u64, recorded, decided });
            }
            let (folded, left) = rest.split_at(agreed.max(1));
            for entry in folded {
                begun.extend(begins(entry));
                Agent::apply(state, entry.seq, entry.at, &entry.event);
            }
            rest = left;
        }
        Ok(())
    }

    async fn decide(&self, state: &AgentState, next: &Entry) -> Result<Vec<Event>, RunError> {
        let definition = match state.definition() {
            Some(hash) => Some(self.pinned.load(self.journal, self.tenant, hash).await?),
            None => None,
        };
        let route = definition.as_ref().map(|definition| definition.model.as_str());
        let price = route.and_then(|route| self.model.describe(route)).and_then(|info| info.price);
        let context = Context { definition, price, ..Context::at(next.at, [0; 16]) };
        Ok(Agent::decide(state, &context).events)
    }
}

fn alike(decided: &Event, recorded: &Event) -> bool {
    match (decided, recorded) {
        (Event::ModelCalled(decided), Event::ModelCalled(recorded)) => {
            let mut decided = decided.clone();
            decided.not_before = recorded.not_before;
            decided.reserved = recorded.reserved;
            decided.deadline = recorded.deadline;
            decided == *recorded
        }
        // What a reply said when it was cut is known to its driver alone.
        (Event::ModelReplied(decided), Event::ModelReplied(recorded)) => decided.call == recorded.call,
        _ => decided == recorded,
    }
}

/// Returns the tool call that begins with an entry.
fn begins(entry: &Entry) -> Option<CallId> {
    match &entry.event {
        Event::ToolRequested(requested) => requested.deadline.map(|_| entry.seq),
        Event::ToolBegun(begun) => Some(begun.call),
        _ => None,
    }
}

/// Returns whether an event can be what an input means, so that no decision stands behind it. A call in `begun` begins
/// again when its run was recovered after a crash, which is an input too.
fn comes_from_outside(event: &Event, begun: &BTreeSet<CallId>) -> bool {
    match event {
        Event::ToolBegun(again) if begun.contains(&again.call) => true,
        Event::RunStarted(_)
        | Event::Forked(_)
        | Event::TurnQueued(_)
        | Event::TurnStarted(_)
        | Event::ModelReplied(_)
        | Event::ModelFailed(_)
        | Event::ToolPrepared(_)
        | Event::QuestionAsked(_)
        | Event::QuestionAnswered(_)
        | Event::ToolReturned(_)
        | Event::CancelRequested(_) => true,
        Event::QueuedTurnStarted(_)
        | Event::ModelCalled(_)
        | Event::ToolRequested(_)
        | Event::ToolBegun(_)
        | Event::TurnEnded(_)
        | Event::Workflow(_) => false,
    }
}

fn describe(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_else(|_| "an event that has no text".to_owned())
}
