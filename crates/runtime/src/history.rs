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
        journal::{AppendError, Batch, Head, Journal, NewRun, RunRef},
        model::Model,
    },
};
use bedplate_engine::{
    agent::{Agent, AgentState},
    definition::Definition,
    machine::{Context, Machine},
};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

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

/// A place in a journal where a copy may end.
pub(crate) struct Cut<S> {
    /// The last position that is copied.
    pub at: Seq,
    /// The end of the last batch that is copied whole; 0: none is.
    pub whole: Seq,
    /// What of the batch after it is copied, as events of the copy's own first batch.
    pub rest: Vec<Event>,
    /// The state there.
    pub state: S,
}

/// Finds the last place at or before `at` where a copy of a run may end: the end of a batch, or a position within one
/// that `place` names for one of its entries. None when there is no such place.
pub(crate) async fn cut<M: Driven>(
    journal: &dyn Journal,
    run: RunRef,
    at: Seq,
    place: fn(&Entry) -> Option<Seq>,
) -> Result<Option<Cut<M::State>>, RunError> {
    let whole = batch_end(journal, run, at).await?;
    let next = journal.read(run, whole, 1).await?;
    let at = next.iter().filter_map(place).filter(|seq| *seq <= at).fold(whole, Seq::max);
    if at == 0 {
        return Ok(None);
    }
    let (state, _) = fold::<M>(journal, run, at).await?;
    let rest = next.into_iter().take_while(|entry| entry.seq <= at).map(|entry| entry.event).collect();
    Ok(Some(Cut { at, whole, rest, state }))
}

/// Writes a copy that ends at `cut`: `batch` holds what follows it.
pub(crate) async fn copy<S>(
    journal: &dyn Journal,
    from: RunRef,
    cut: Cut<S>,
    run: NewRun,
    mut batch: Batch,
) -> Result<Head, AppendError> {
    let mut events = cut.rest;
    events.extend(Arc::unwrap_or_clone(batch.events));
    batch.events = Arc::new(events);
    match cut.whole {
        0 => journal.create(run, batch).await,
        whole => journal.fork(from, whole, run, batch).await,
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

/// How runs of a machine are run again.
pub(crate) trait Rerun {
    type Machine: Driven;

    fn journal(&self) -> &dyn Journal;
    fn run(&self) -> RunRef;

    /// Returns what the machine of today would decide before `next`.
    async fn decide(&self, state: &<Self::Machine as Machine>::State, next: &Entry) -> Result<Vec<Event>, RunError>;

    /// Returns whether a decision is the recorded one, but for what is not recorded.
    fn alike(&self, decided: &Event, recorded: &Event) -> bool;

    /// Returns whether an event can be what an input means in `state`, so that no decision stands behind it; `begun` are
    /// the tool calls that have begun.
    fn comes_from_outside(state: &<Self::Machine as Machine>::State, event: &Event, begun: &BTreeSet<CallId>) -> bool;

    /// Folds the run up to `at`, asks the machine at each point what it would decide, and compares.
    async fn compare(&self, at: Seq) -> Result<(u64, <Self::Machine as Machine>::State, Vec<Difference>), RunError> {
        let mut state = <Self::Machine as Machine>::State::default();
        let mut differences = Vec::new();
        let mut begun = BTreeSet::new();
        let mut count = 0;
        let mut after = 0;
        while after < at {
            let batch = self.journal().read(self.run(), after, 1).await?;
            let Some(last) = batch.last() else { break };
            after = last.seq;
            // Of a batch that is looked at in part, the decision may say more.
            let is_cut = last.seq > at;
            let batch: Vec<Entry> = batch.into_iter().filter(|entry| entry.seq <= at).collect();
            count += batch.len() as u64;
            let found = self.compare_batch(&mut state, &batch, is_cut, &mut begun).await?;
            differences.extend(found);
        }
        Ok((count, state, differences))
    }

    async fn compare_batch(
        &self,
        state: &mut <Self::Machine as Machine>::State,
        batch: &[Entry],
        is_cut: bool,
        begun: &mut BTreeSet<CallId>,
    ) -> Result<Vec<Difference>, RunError> {
        let mut differences = Vec::new();
        let mut rest = batch;
        while let Some(next) = rest.first() {
            let decided = self.decide(state, next).await?;
            let same = decided.iter().zip(rest).take_while(|(event, entry)| self.alike(event, &entry.event)).count();
            // A fork may cut a decision short, and so may the end of the look.
            let cut_here = match rest.get(same) {
                Some(entry) => matches!(entry.event, Event::Forked(_)),
                None => is_cut,
            };
            let agreed = if same == decided.len() || cut_here { same } else { 0 };
            if agreed == 0 && !Self::comes_from_outside(state, &next.event, begun) {
                let decided = decided.get(same).map_or_else(|| "nothing".to_owned(), describe);
                let recorded = rest.get(same).map_or_else(|| "nothing".to_owned(), |entry| describe(&entry.event));
                differences.push(Difference { seq: next.seq + same as u64, recorded, decided });
            }
            let (folded, left) = rest.split_at(agreed.max(1));
            for entry in folded {
                begun.extend(begins(entry));
                Self::Machine::apply(state, entry.seq, entry.at, &entry.event);
            }
            rest = left;
        }
        Ok(differences)
    }
}

/// A run of an agent that is run again.
pub(crate) struct AgentRerun<'a> {
    pub journal: &'a dyn Journal,
    pub model: &'a dyn Model,
    pub pinned: &'a Pinned<Definition>,
    pub tenant: &'a Tenant,
    pub run: RunRef,
}

impl Rerun for AgentRerun<'_> {
    type Machine = Agent;

    fn journal(&self) -> &dyn Journal {
        self.journal
    }

    fn run(&self) -> RunRef {
        self.run
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

    /// Jitter and prices are not recorded, so what hangs on them alone is no difference.
    fn alike(&self, decided: &Event, recorded: &Event) -> bool {
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

    /// A call that has begun begins again when its run was recovered after a crash, which is an input too.
    fn comes_from_outside(_: &AgentState, event: &Event, begun: &BTreeSet<CallId>) -> bool {
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
}

/// Returns the tool call that begins with an entry.
fn begins(entry: &Entry) -> Option<CallId> {
    match &entry.event {
        Event::ToolRequested(requested) => requested.deadline.map(|_| entry.seq),
        Event::ToolBegun(begun) => Some(begun.call),
        _ => None,
    }
}

fn describe(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_else(|_| "an event that has no text".to_owned())
}
