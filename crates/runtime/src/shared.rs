//! What all parts of a runtime share, and the registry of the runs that are in memory or watched.

use crate::{
    actor::{Actor, Boot, Command},
    live::Hub,
    pinned::Pinned,
    stats::Counters,
};
use bedplate_core::{
    id::{RunId, Tenant},
    port::{
        clock::{Clock, Entropy},
        definitions::Definitions,
        journal::Journal,
        model::Model,
        tools::Tools,
    },
    time::Timestamp,
};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, mpsc};

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

/// What all parts of a runtime share.
pub(crate) struct Shared {
    pub options: Options,
    pub counters: Counters,
    pub pinned: Pinned,
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

struct Slot {
    hub: Arc<Hub>,
    actor: Option<Handle>,
}

struct Handle {
    serial: u64,
    words: mpsc::Sender<Command>,
}

impl Shared {
    pub(crate) fn new(options: Options) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            options,
            counters: Counters::default(),
            pinned: Pinned::default(),
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
    pub(crate) fn find(&self, key: &RunKey) -> Option<mpsc::Sender<Command>> {
        let shard = self.shard(key);
        let handle = shard.get(key)?.actor.as_ref()?;
        Some(handle.words.clone())
    }

    /// Returns the way to the run's actor, and brings it into memory by `boot` if it is not there; the flag says
    /// whether it was brought in. None: the runtime stops.
    pub(crate) fn find_or_spawn(&self, key: &RunKey, boot: Boot) -> Option<(mpsc::Sender<Command>, Arc<Hub>, bool)> {
        let mut shard = self.shard(key);
        if self.is_stopping() {
            return None;
        }
        let slot = match shard.entry(key.clone()) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(slot) => slot.insert(Slot { hub: Arc::default(), actor: None }),
        };
        if let Some(handle) = &slot.actor
            && !handle.words.is_closed()
        {
            return Some((handle.words.clone(), Arc::clone(&slot.hub), false));
        }
        let (words, inbox) = mpsc::channel(MAX_WAITING);
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        slot.actor = Some(Handle { serial, words: words.clone() });
        let shared = self.this.upgrade().expect("a method of a shared value runs while it is shared");
        let actor = Actor::new(shared, key.clone(), serial, Arc::clone(&slot.hub), inbox);
        self.tokio.spawn(actor.run(boot));
        Some((words, Arc::clone(&slot.hub), true))
    }

    /// Returns the run's hub, for a subscriber that will release it with [`Shared::release_hub`].
    pub(crate) fn hub(&self, key: &RunKey) -> (Arc<Hub>, u64) {
        let mut shard = self.shard(key);
        let slot = shard.entry(key.clone()).or_insert_with(|| Slot { hub: Arc::default(), actor: None });
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
    pub(crate) fn actors(&self, tenant: Option<&Tenant>) -> Vec<mpsc::Sender<Command>> {
        let mut actors = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let wanted = shard.iter().filter(|(key, _)| tenant.is_none_or(|tenant| key.tenant == *tenant));
            actors.extend(wanted.filter_map(|(_, slot)| slot.actor.as_ref().map(|handle| handle.words.clone())));
        }
        actors
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
