//! What the driver must know of a machine besides the machine itself.
//!
//! The driver is one, statically dispatched: what differs between an agent's session and a workflow's execution stands
//! here, and nothing of it costs the other an allocation, a lock or a call through a table.

use crate::{
    actor::{Actor, Command, Loaded, Plan},
    api::RunError,
    perform::InFlight,
    shared::Words,
};
use bedplate_core::{
    event::{Event, RunKind},
    id::{RunId, UserId},
    port::journal::Head,
    time::Timestamp,
};
use bedplate_engine::machine::{Context, Input, Intent, Machine};
use std::future::Future;
use tokio::sync::mpsc;

/// A machine that the runtime drives.
pub(crate) trait Driven: Machine<State: Sync, Signal: Sync> + Sized + Send + Sync + 'static {
    /// Which runs it interprets.
    const KIND: RunKind;

    /// What others say to a run in memory, with the way to answer. Whoever's reply channel is dropped asks again.
    type Word: Send + 'static;

    /// An answer that is owed once what was decided is committed.
    type Ack: Send;

    /// What a loaded run holds besides its state: its definition, and who waits for it.
    type Local: Default + Send + Sync;

    /// Returns the way to a run in memory, if it is one of this machine.
    fn words(words: &Words) -> Option<&mpsc::Sender<Command<Self>>>;

    /// Returns the way to a run of this machine as the registry keeps it.
    fn into_words(words: mpsc::Sender<Command<Self>>) -> Words;

    /// Returns the run that a word creates; none when it creates none.
    fn birth(word: &Self::Word) -> Option<Birth>;

    /// Returns about how much a word weighs in a batch, in bytes.
    fn weight(word: &Self::Word) -> usize;

    /// Answers that the run cannot be had.
    fn refuse(word: Self::Word, error: &RunError);

    /// Decides on one word.
    fn obey(
        actor: &Actor<Self>,
        loaded: &mut Loaded<Self>,
        plan: &mut Plan<Self>,
        context: &mut Context,
        word: Self::Word,
    ) -> impl Future<Output = ()> + Send;

    /// Brings what a decision may depend on up to date.
    fn refresh(
        actor: &Actor<Self>,
        loaded: &mut Loaded<Self>,
        context: &mut Context,
    ) -> impl Future<Output = ()> + Send;

    /// Says what of the open calls may be begun again after a crash.
    fn recover(_actor: &Actor<Self>, _loaded: &Loaded<Self>, _context: &mut Context) {}

    /// Says yes, after the commit. Whoever went away needs no answer.
    fn acknowledge(ack: Self::Ack, run: RunId, session: &str);

    /// Says that the commit does not come.
    fn fail(ack: Self::Ack, error: &RunError);

    /// Answers everybody whose wait is over.
    fn answer_waiters(actor: &Actor<Self>, loaded: &mut Loaded<Self>);

    /// Returns whether nothing will happen in the run by itself any more, so that it need not stay in memory.
    fn is_over(_state: &Self::State) -> bool {
        false
    }

    /// Returns whether somebody waits for the run, so that it stays in memory.
    fn is_awaited(local: &Self::Local) -> bool;

    /// Returns the new title that these events give the run.
    fn title(state: &Self::State, events: &[Event]) -> Option<String>;

    /// Begins what an intent says; none when there is nothing to wait for.
    fn begin(actor: &Actor<Self>, loaded: &mut Loaded<Self>, intent: Intent, now: Timestamp) -> Option<InFlight>;

    /// Returns what an intent gives that touches nothing outside; none when it must be performed after the commit.
    fn at_once(
        _actor: &Actor<Self>,
        _loaded: &Loaded<Self>,
        _intent: &Intent,
        _now: Timestamp,
    ) -> Option<Input<Self::Signal>> {
        None
    }

    /// Does what must be done besides about calls that no longer matter.
    fn abandoned(_actor: &Actor<Self>, _calls: Vec<InFlight>) {}

    /// Returns about how much an event weighs in a batch, in bytes; 0: it need not be known.
    fn event_weight(_event: &Event) -> usize {
        0
    }

    /// Returns whether what is decided fills a batch, so that the rest is decided after its commit.
    fn is_full(_plan: &Plan<Self>) -> bool {
        false
    }
}

/// A run that is about to be created.
pub(crate) struct Birth {
    pub user: UserId,
    pub name: String,
    pub session: String,
    pub parent: Option<RunId>,
}

/// How a run comes into memory.
pub(crate) enum Boot {
    /// Its first word creates it.
    Create,
    /// It exists; it is claimed and folded.
    Load,
    /// The scheduler has claimed it.
    Claimed(Box<Head>),
}
