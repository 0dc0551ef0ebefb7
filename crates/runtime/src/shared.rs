//! What all parts of a runtime share, and the registry of the runs that are in memory or watched.

use crate::{
    actor::{Actor, Command},
    driven::{Boot, Driven},
    live::Hub,
    pinned::Pinned,
    stats::Counters,
    workflow::{Activities, Children, Histories},
};
use bedplate_core::{
    event::RunKind,
    id::{RunId, Tenant, UserId},
    port::{
        clock::{Clock, Entropy},
        definitions::Definitions,
        journal::{Head, Journal},
        model::Model,
        tasks::Tasks,
        tools::Tools,
        workflows::Workflows,
    },
    time::Timestamp,
};
use bedplate_engine::{
    agent::Agent,
    definition::Definition,
    workflow::{self as machine, Workflow},
};
use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, mpsc, oneshot};

/// How many words wait for one run at most; further senders wait.
const MAX_WAITING: usize = 64;

const SHARDS: usize = 32;

/// What a runtime is made of.
pub struct Options {
    /// The runs.
    pub journal: Arc<dyn Journal>,
    /// The models.
    pub model: Arc<dyn Model>,
    /// The tools.
    pub tools: Arc<dyn Tools>,
    /// The project.
    pub definitions: Arc<dyn Definitions>,
    /// What the tasks of workflows can do.
    pub tasks: Arc<dyn Tasks>,
    /// The state machines.
    pub workflows: Arc<dyn Workflows>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// How long a claim holds; a run whose process is gone is taken up again after it.
    pub lease: Duration,
    /// How long an idle run stays in memory.
    pub idle: Duration,
    /// Whether what is due, or was left behind, is taken up. Without it only what is asked for is done: for looking at
    /// journals without setting anything in motion.
    pub recover: bool,
}

/// A run as its tenant addresses it. The tenant is part of the key, so that one tenant's word can never reach, load or
/// disturb another's run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RunKey {
    pub tenant: Tenant,
    pub run: RunId,
}

/// The way to a run.
pub(crate) struct Found<M: Driven> {
    pub words: mpsc::Sender<Command<M>>,
    pub hub: Arc<Hub>,
    /// Whether it was brought into memory just now.
    pub fresh: bool,
}

/// What all parts of a runtime share.
pub(crate) struct Shared {
    pub options: Options,
    pub counters: Counters,
    pub pinned: Pinned<Definition>,
    pub machines: Pinned<machine::Definition>,
    pub activities: Activities,
    pub children: Children,
    pub histories: Histories,
    /// Held while this process claims runs, so that a loaded run can tell its own process's claims from another's.
    pub claims: tokio::sync::Mutex<()>,
    /// Tells the scheduler to look again.
    pub look: Notify,
    /// When the scheduler looks next by itself.
    pub next_look: AtomicI64,
    /// Nothing new is begun any more.
    pub stopping: AtomicBool,
    /// Tells the scheduler that.
    pub stopped: Notify,
    shards: [Mutex<HashMap<RunKey, Slot>>; SHARDS],
    serial: AtomicU64,
    tokio: tokio::runtime::Handle,
    this: Weak<Shared>,
}

#[derive(Default)]
struct Slot {
    hub: Arc<Hub>,
    actor: Option<Handle>,
    /// The execution whose prepared answers the children of its Maps get.
    answers: Option<Arc<str>>,
}

struct Handle {
    serial: u64,
    words: Words,
}

/// The way to a run in memory, whichever machine interprets it.
#[derive(Clone)]
pub(crate) enum Words {
    Agent(mpsc::Sender<Command<Agent>>),
    Workflow(mpsc::Sender<Command<Workflow>>),
}

impl Words {
    fn is_closed(&self) -> bool {
        match self {
            Self::Agent(words) => words.is_closed(),
            Self::Workflow(words) => words.is_closed(),
        }
    }

    /// Says that this process claimed the run; returns the claim when the run has left memory.
    async fn claimed(&self, head: Head) -> Result<(), Head> {
        match self {
            Self::Agent(words) => claimed(words, head).await,
            Self::Workflow(words) => claimed(words, head).await,
        }
    }

    /// Asks the run to leave memory, all of them or those of one user; returns what tells when it has.
    pub(crate) async fn leave(&self, user: Option<&UserId>) -> oneshot::Receiver<()> {
        let (reply, gone) = oneshot::channel();
        match self {
            Self::Agent(words) => drop(words.send(Command::leave(user, reply)).await),
            Self::Workflow(words) => drop(words.send(Command::leave(user, reply)).await),
        }
        gone
    }
}

/// Why there is no way to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoWay {
    /// The runtime stops.
    Stopping,
    /// Another machine interprets the run.
    OtherKind,
}

impl Shared {
    pub(crate) fn new(options: Options) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            options,
            counters: Counters::default(),
            pinned: Pinned::default(),
            machines: Pinned::default(),
            activities: Activities::default(),
            children: Children::default(),
            histories: Histories::default(),
            claims: tokio::sync::Mutex::default(),
            look: Notify::new(),
            next_look: AtomicI64::new(i64::MAX),
            stopping: AtomicBool::new(false),
            stopped: Notify::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
            serial: AtomicU64::new(0),
            tokio: tokio::runtime::Handle::current(),
            this: Weak::clone(this),
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Returns the way to the run's actor, if it is in memory.
    pub(crate) fn find<M: Driven>(&self, key: &RunKey) -> Option<mpsc::Sender<Command<M>>> {
        let shard = self.shard(key);
        M::words(&shard.get(key)?.actor.as_ref()?.words).cloned()
    }

    /// Returns the way to the run's actor of whichever machine, if it is in memory.
    pub(crate) fn find_any(&self, key: &RunKey) -> Option<Words> {
        let shard = self.shard(key);
        Some(shard.get(key)?.actor.as_ref()?.words.clone())
    }

    /// Says whose prepared answers the children of an execution's Maps get; it is in memory while they run.
    pub(crate) fn gets_answers(&self, key: &RunKey, answers: Arc<str>) {
        if let Some(slot) = self.shard(key).get_mut(key) {
            slot.answers = Some(answers);
        }
    }

    /// Returns whose prepared answers the children of an execution's Maps get; none: nobody's.
    pub(crate) fn answers_of(&self, key: &RunKey) -> Option<Arc<str>> {
        self.shard(key).get(key)?.answers.clone()
    }

    /// Returns the way to the run's actor, and brings it into memory by `boot` if it is not there; the flag says
    /// whether it was brought in.
    pub(crate) fn find_or_spawn<M: Driven>(&self, key: &RunKey, boot: Boot) -> Result<Found<M>, NoWay> {
        let mut shard = self.shard(key);
        if self.is_stopping() {
            return Err(NoWay::Stopping);
        }
        let slot = shard.entry(key.clone()).or_default();
        if let Some(handle) = &slot.actor
            && !handle.words.is_closed()
        {
            let words = M::words(&handle.words).ok_or(NoWay::OtherKind)?;
            return Ok(Found { words: words.clone(), hub: Arc::clone(&slot.hub), fresh: false });
        }
        let (words, inbox) = mpsc::channel(MAX_WAITING);
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        slot.actor = Some(Handle { serial, words: M::into_words(words.clone()) });
        let shared = self.this.upgrade().expect("a method of a shared value runs while it is shared");
        let actor = Actor::new(shared, key.clone(), serial, Arc::clone(&slot.hub), inbox);
        self.tokio.spawn(actor.run(boot));
        Ok(Found { words, hub: Arc::clone(&slot.hub), fresh: true })
    }

    /// Brings a run into memory that this process claimed, or tells it of the claim when it is there already: a claim
    /// that nobody learns of would hold the run up until it ends.
    pub(crate) async fn hand_over(&self, head: Head) {
        if let Some((words, head)) = self.spawn_claimed(head) {
            self.tell_claimed(words, head).await;
        }
    }

    /// Tells a run in memory of its claim; one that leaves meanwhile comes in again.
    pub(crate) async fn tell_claimed(&self, mut words: Words, mut head: Head) {
        while let Err(claim) = words.claimed(head).await {
            match self.spawn_claimed(claim) {
                Some(found) => (words, head) = found,
                None => return,
            }
        }
    }

    /// Brings a run into memory that was just claimed; returns whom to tell of the claim when it is there already.
    pub(crate) fn spawn_claimed(&self, head: Head) -> Option<(Words, Head)> {
        match head.kind {
            RunKind::Agent => self.spawn_claimed_by::<Agent>(head),
            RunKind::Workflow => self.spawn_claimed_by::<Workflow>(head),
        }
    }

    fn spawn_claimed_by<M: Driven>(&self, head: Head) -> Option<(Words, Head)> {
        let key = RunKey { tenant: head.tenant.clone(), run: head.run.id };
        let found = self.find_or_spawn::<M>(&key, Boot::Claimed(Box::new(head.clone()))).ok()?;
        if found.fresh {
            return None;
        }
        found.hub.note_claim(head.epoch, head.seq);
        Some((M::into_words(found.words), head))
    }

    /// Returns the run's hub, for a subscriber that will release it with [`Shared::release_hub`].
    pub(crate) fn hub(&self, key: &RunKey) -> (Arc<Hub>, u64) {
        let mut shard = self.shard(key);
        let slot = shard.entry(key.clone()).or_default();
        (Arc::clone(&slot.hub), slot.hub.subscribe())
    }

    /// Takes a subscriber from its hub, and the hub from the registry when nobody needs it.
    pub(crate) fn release_hub(&self, key: &RunKey, hub: &Hub, subscriber: u64) {
        let mut shard = self.shard(key);
        if hub.unsubscribe(subscriber) && shard.get(key).is_some_and(|slot| slot.actor.is_none()) {
            shard.remove(key);
        }
    }

    /// Takes an actor from the registry, unless `still_needed` says no to it; returns whether it is out.
    pub(crate) fn release_actor(&self, key: &RunKey, serial: u64, still_needed: impl FnOnce() -> bool) -> bool {
        let mut shard = self.shard(key);
        if still_needed() {
            return false;
        }
        if let Some(slot) = shard.get_mut(key)
            && slot.actor.as_ref().is_some_and(|handle| handle.serial == serial)
        {
            slot.actor = None;
            slot.hub.forget_partial();
            if !slot.hub.is_watched() {
                shard.remove(key);
            }
        }
        true
    }

    /// Returns the ways to all actors, or to those of one tenant.
    pub(crate) fn actors(&self, tenant: Option<&Tenant>) -> Vec<Words> {
        let mut actors = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let wanted = shard.iter().filter(|(key, _)| tenant.is_none_or(|tenant| key.tenant == *tenant));
            actors.extend(wanted.filter_map(|(_, slot)| slot.actor.as_ref().map(|handle| handle.words.clone())));
        }
        actors
    }

    /// Runs a future on its own.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.tokio.spawn(future);
    }

    /// Tells the scheduler that a run which leaves memory is due at `at`.
    pub(crate) fn due(&self, at: Timestamp) {
        if at.0 < self.next_look.load(Ordering::Acquire) {
            self.look.notify_one();
        }
    }

    fn shard(&self, key: &RunKey) -> MutexGuard<'_, HashMap<RunKey, Slot>> {
        let shard = usize::from(key.run.0[0]) % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn claimed<M: Driven>(words: &mpsc::Sender<Command<M>>, head: Head) -> Result<(), Head> {
    match words.send(Command::Claimed(Box::new(head))).await {
        Err(mpsc::error::SendError(Command::Claimed(head))) => Err(*head),
        // Nothing else comes back than what was sent.
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unconfigured;
    use bedplate_core::{
        event::{Event, RunStarted},
        port::journal::{Batch, NewRun, RunStatus},
    };
    use bedplate_store::memory::MemoryStore;
    use bedplate_testkit::{
        clock::{SimClock, SimEntropy},
        scripted::{FixedDefinitions, ScriptedModel, ScriptedTools},
    };

    const LEASE: Duration = Duration::from_secs(60);

    /// Returns what a process shares that finds one run under way, and that run under a new claim.
    async fn left_behind() -> (Arc<Shared>, RunKey, Head) {
        let (clock, store) = (SimClock::at(Timestamp(1_000)), MemoryStore::new());
        let shared = Shared::new(Options {
            journal: store.journal(),
            model: ScriptedModel::new([]),
            tools: ScriptedTools::echo(),
            definitions: FixedDefinitions::new([]),
            tasks: Arc::new(Unconfigured),
            workflows: Arc::new(Unconfigured),
            clock: Arc::new(clock),
            entropy: Arc::new(SimEntropy::new(1)),
            lease: LEASE,
            idle: LEASE,
            recover: false,
        });
        let (id, user, name, session) = (RunId([7; 16]), UserId::from("ann"), "helper", "chat");
        let run = NewRun {
            id,
            tenant: Tenant::default(),
            kind: RunKind::Agent,
            name: name.to_owned(),
            user: user.clone(),
            session: session.to_owned(),
            parent: None,
        };
        let started =
            RunStarted { kind: RunKind::Agent, name: name.to_owned(), user, session: session.to_owned(), parent: None };
        let batch = Batch {
            at: shared.now(),
            title: None,
            events: Arc::new(vec![Event::RunStarted(started)]),
            status: RunStatus::Running,
            wake_at: Some(shared.now().after(LEASE)),
            consumed: Vec::new(),
            blobs: Vec::new(),
        };
        let journal = &shared.options.journal;
        journal.create(run, batch).await.expect("the run is new");
        let claimed = journal.claim(&Tenant::default(), id, shared.now().after(LEASE)).await.expect("it is read");
        (Arc::clone(&shared), RunKey { tenant: Tenant::default(), run: id }, claimed.expect("the run is there"))
    }

    async fn is_taken_up(shared: &Shared) -> bool {
        // Every task here is ready at once, and time stands still.
        for _ in 0..1_000 {
            if shared.counters.read().recovered == 1 {
                return true;
            }
            tokio::task::yield_now().await;
        }
        false
    }

    #[tokio::test]
    async fn a_claim_that_comes_before_the_word_that_begins_a_run_is_used() {
        let (shared, key, head) = left_behind().await;
        assert!(shared.find_or_spawn::<Agent>(&key, Boot::Create).is_ok_and(|found| found.fresh));
        shared.hand_over(head).await;
        assert!(is_taken_up(&shared).await);
    }

    #[tokio::test]
    async fn a_claim_that_comes_to_a_run_on_its_way_out_brings_it_in_again() {
        let (shared, key, head) = left_behind().await;
        let Ok(found) = shared.find_or_spawn::<Agent>(&key, Boot::Create) else { panic!("nothing stops") };
        Words::Agent(found.words).leave(None).await;
        shared.hand_over(head).await;
        assert!(is_taken_up(&shared).await);
    }
}
