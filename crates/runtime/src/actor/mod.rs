//! One run in memory: it waits for something, decides, appends once, and performs what was decided.
//!
//! The order is the whole point: nothing is shown, answered or performed before the append that holds it is committed,
//! and nothing is decided on a state that another claim has moved on from.

mod admit;
mod load;
mod step;
mod wait;

pub(crate) use step::turn_result;

use crate::{
    api::{AnswerError, Answered, RunError, StartError, Started, TurnResult},
    live::Hub,
    perform::InFlight,
    shared::{RunKey, Shared},
};
use bedplate_core::{
    agent::SessionPolicy,
    event::RunKind,
    id::{CallId, ContentHash, Epoch, Seq, UserId},
    message::Message,
    port::{
        BoxFuture,
        journal::{Head, RunRef},
    },
    time::Timestamp,
};
use bedplate_engine::{
    agent::{AgentSignal, AgentState},
    definition::Definition,
    machine::Input,
};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// How a run comes into memory.
pub(crate) enum Boot {
    /// Its first turn creates it.
    Create,
    /// It exists; it is claimed and folded.
    Load,
    /// The scheduler has claimed it.
    Claimed(Box<Head>),
}

/// What others say to a run in memory. Whoever's reply channel is dropped without a word asks again.
pub(crate) enum Command {
    Start(Box<StartTicket>, oneshot::Sender<Result<Started, StartError>>),
    Wait {
        turn: Seq,
        reply: oneshot::Sender<Result<TurnResult, RunError>>,
    },
    Answer(AnswerTicket, oneshot::Sender<Result<Answered, AnswerError>>),
    Cancel {
        turn: Option<Seq>,
        by: Option<UserId>,
        reply: oneshot::Sender<Result<bool, RunError>>,
    },
    /// The scheduler claimed the run because something waits for it; this is its head since.
    Claimed(Box<Head>),
    /// Leave memory between two appends; the sender learns it when the channel is dropped.
    Leave {
        _gone: oneshot::Sender<()>,
    },
    /// As `Leave`, if the run belongs to this user.
    LeaveIfOf {
        user: UserId,
        _gone: oneshot::Sender<()>,
    },
}

/// A turn that somebody wants, ready to be decided on.
#[derive(Clone)]
pub(crate) struct StartTicket {
    pub user: UserId,
    pub agent: String,
    pub session: String,
    pub key: String,
    pub request_hash: ContentHash,
    pub message: Arc<Message>,
    pub bytes: usize,
    pub definition: Arc<Definition>,
    pub system: Arc<str>,
    pub policy: SessionPolicy,
    pub timeout_seconds: Option<u64>,
}

/// A person's answer.
pub(crate) struct AnswerTicket {
    pub call: CallId,
    pub approved: bool,
    pub by: Option<UserId>,
    pub note: Option<String>,
}

/// One run in memory, or on its way there.
pub(crate) struct Actor {
    shared: Arc<Shared>,
    key: RunKey,
    serial: u64,
    hub: Arc<Hub>,
    inbox: mpsc::Receiver<Command>,
}

/// A run that is folded.
struct Loaded {
    run: RunRef,
    /// Whether the store has it; not before its first append.
    exists: bool,
    user: UserId,
    kind: RunKind,
    name: String,
    session: String,
    /// The position of the last committed event.
    seq: Seq,
    epoch: Epoch,
    /// What the head row says.
    wake_at: Option<Timestamp>,
    state: AgentState,
    definition: Option<Arc<Definition>>,
    in_flight: Vec<InFlight>,
    /// Results that came while the store wrote.
    arrived: Vec<(CallId, Input<AgentSignal>)>,
    waiters: Vec<Waiter>,
    timer: Option<(Timestamp, BoxFuture<'static, ()>)>,
    /// When something last happened.
    touched: Timestamp,
    /// Where the last snapshot stands.
    snapshot: Seq,
    /// A wake-up that led to nothing is not looked at again before this.
    hold_off: Timestamp,
}

struct Waiter {
    turn: Seq,
    reply: oneshot::Sender<Result<TurnResult, RunError>>,
}

/// What woke a run.
#[derive(Default)]
struct Woken {
    commands: Vec<Command>,
    inputs: Vec<Input<AgentSignal>>,
    /// The inbox must be read.
    signals: bool,
    /// The head under a claim of this process's scheduler.
    claimed: Option<Box<Head>>,
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

impl Actor {
    pub(crate) fn new(
        shared: Arc<Shared>,
        key: RunKey,
        serial: u64,
        hub: Arc<Hub>,
        inbox: mpsc::Receiver<Command>,
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
        // Dropping the inbox drops the reply channels in it, and so their owners ask again.
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
    fn last_words(&self, loaded: &mut Loaded) {
        loaded.in_flight.clear();
        if let Some(at) = loaded.wake_at {
            self.shared.due(at);
        }
    }
}

impl Command {
    /// Returns whether this ends the stay in memory of a run of `user`.
    fn asks_to_leave(&self, user: &UserId) -> bool {
        match self {
            Self::Leave { .. } => true,
            Self::LeaveIfOf { user: whose, .. } => whose == user,
            _ => false,
        }
    }
}
