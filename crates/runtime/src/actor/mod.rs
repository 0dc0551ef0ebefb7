//! One run in memory: it waits for something, decides, appends once, and performs what was decided.
//!
//! The order is the whole point: nothing is shown, answered or performed before the append that holds it is committed,
//! and nothing is decided on a state that another claim has moved on from.

mod append;
mod load;
mod step;
mod wait;

pub(crate) use append::BACKOFF;
pub(crate) use step::Plan;

use crate::{
    driven::{Boot, Driven},
    live::Hub,
    perform::InFlight,
    shared::{RunKey, Shared},
};
use bedplate_core::{
    id::{CallId, Epoch, RunId, Seq, UserId},
    port::{
        BoxFuture,
        journal::{Head, RunRef},
    },
    time::Timestamp,
};
use bedplate_engine::machine::Input;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What others say to a run in memory. Whoever's reply channel is dropped without a word asks again.
pub(crate) enum Command<M: Driven> {
    /// What only a run of this machine understands.
    Say(M::Word),
    /// The scheduler claimed the run because something waits for it; this is its head since.
    Claimed(Box<Head>),
    /// Leave memory between two appends; the sender learns it when the channel is dropped.
    Leave { _gone: oneshot::Sender<()> },
    /// As `Leave`, if the run belongs to this user.
    LeaveIfOf { user: UserId, _gone: oneshot::Sender<()> },
}

/// One run in memory, or on its way there.
pub(crate) struct Actor<M: Driven> {
    pub shared: Arc<Shared>,
    pub key: RunKey,
    serial: u64,
    pub hub: Arc<Hub>,
    inbox: mpsc::Receiver<Command<M>>,
}

/// A run that is folded.
pub(crate) struct Loaded<M: Driven> {
    pub run: RunRef,
    /// Whether the store has it; not before its first append.
    pub exists: bool,
    pub user: UserId,
    pub name: String,
    pub session: String,
    pub parent: Option<RunId>,
    /// The position of the last committed event.
    pub seq: Seq,
    epoch: Epoch,
    /// What the head row says.
    wake_at: Option<Timestamp>,
    pub state: M::State,
    pub local: M::Local,
    pub in_flight: Vec<InFlight>,
    /// Results that came while the store wrote.
    arrived: Vec<(CallId, Input<M::Signal>)>,
    timer: Option<(Timestamp, BoxFuture<'static, ()>)>,
    /// When something last happened.
    touched: Timestamp,
    /// Where the last snapshot stands.
    snapshot: Seq,
    /// A wake-up that led to nothing is not looked at again before this.
    hold_off: Timestamp,
}

/// What woke a run.
struct Woken<M: Driven> {
    words: Vec<Command<M>>,
    inputs: Vec<Input<M::Signal>>,
    /// The inbox must be read.
    signals: bool,
    /// The head under a claim of this process's scheduler.
    claimed: Option<Box<Head>>,
}

impl<M: Driven> Default for Woken<M> {
    fn default() -> Self {
        Self { words: Vec::new(), inputs: Vec::new(), signals: false, claimed: None }
    }
}

/// Why a run leaves memory.
enum Leave {
    /// Nothing happens in it, somebody wants it out, or it does not exist.
    Quiet,
    /// Another claim took over.
    Fenced,
    /// Another claim was found and taken over in turn: fold again from the journal.
    Again(Box<Head>),
}

impl<M: Driven> Actor<M> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        key: RunKey,
        serial: u64,
        hub: Arc<Hub>,
        inbox: mpsc::Receiver<Command<M>>,
    ) -> Self {
        Self { shared, key, serial, hub, inbox }
    }

    /// Drives the run until it leaves memory.
    pub(crate) async fn run(mut self, mut boot: Boot) {
        let counters = &Arc::clone(&self.shared).counters;
        counters.loaded.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        while let Leave::Again(head) = self.life(boot).await {
            boot = Boot::Claimed(head);
        }
        self.shared.release_actor(&self.key, self.serial, || false);
        counters.loaded.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        self.turn_away().await;
    }

    /// Empties the inbox up to the last word that was on its way when it closed; a dropped inbox would keep that one.
    /// With a word its reply channel is dropped, and so its owner asks again; a claim is handed on, for nobody else
    /// would use it before it ends.
    async fn turn_away(&mut self) {
        self.inbox.close();
        while let Some(command) = self.inbox.recv().await {
            if let Command::Claimed(head) = command {
                self.shared.hand_over(*head).await;
            }
        }
    }

    async fn life(&mut self, boot: Boot) -> Leave {
        let (mut loaded, mut woken) = match self.open(boot).await {
            Ok(opened) => opened,
            Err(leave) => return leave,
        };
        loop {
            if let Err(leave) = self.step(&mut loaded, woken).await {
                self.last_words(&mut loaded);
                return leave;
            }
            woken = match self.wait(&mut loaded).await {
                Ok(woken) => woken,
                Err(leave) => {
                    self.last_words(&mut loaded);
                    return leave;
                }
            };
        }
    }

    /// The calls under way are dropped here, and with them their effects where their kind allows that.
    fn last_words(&self, loaded: &mut Loaded<M>) {
        loaded.in_flight.clear();
        if let Some(at) = loaded.wake_at {
            self.shared.due(at);
        }
    }
}

impl<M: Driven> Command<M> {
    /// Returns the word that asks a run, or one of this user, to leave memory.
    pub(crate) fn leave(user: Option<&UserId>, gone: oneshot::Sender<()>) -> Self {
        match user {
            Some(user) => Self::LeaveIfOf { user: user.clone(), _gone: gone },
            None => Self::Leave { _gone: gone },
        }
    }

    /// Returns whether this ends the stay in memory of a run of `user`.
    fn asks_to_leave(&self, user: &UserId) -> bool {
        match self {
            Self::Leave { .. } => true,
            Self::LeaveIfOf { user: whose, .. } => whose == user,
            Self::Say(_) | Self::Claimed(_) => false,
        }
    }
}
