//! Definitions by hash: what runs are pinned to, parsed once, and which of them the store holds already.

use crate::api::RunError;
use bedplate_core::{
    agent::AgentDefinition,
    id::{ContentHash, Tenant},
    port::{
        definitions::PinnedAgent,
        journal::{AppendError, Journal},
    },
    time::Timestamp,
};
use bedplate_engine::{definition::Definition, workflow};
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How many definitions are kept parsed. A project has few; only edits and old runs add more.
const MAX_PARSED: usize = 256;

/// A blob that nothing refers to may be removed after an hour, so a definition is stored again before that.
const STORED_FOR: Duration = Duration::from_secs(20 * 60);

/// The cache of definitions of one kind.
pub(crate) struct Pinned<D> {
    parsed: Mutex<Parsed<D>>,
    stored: Mutex<HashMap<(Tenant, ContentHash), Timestamp>>,
}

struct Parsed<D> {
    definitions: HashMap<ContentHash, (Arc<D>, u64)>,
    uses: u64,
}

impl<D> Default for Pinned<D> {
    fn default() -> Self {
        let parsed = Parsed { definitions: HashMap::new(), uses: 0 };
        Self { parsed: Mutex::new(parsed), stored: Mutex::default() }
    }
}

impl<D> Pinned<D> {
    /// Makes sure that the store holds a definition.
    async fn store(
        &self,
        journal: &dyn Journal,
        tenant: &Tenant,
        hash: ContentHash,
        content: &[u8],
        now: Timestamp,
    ) -> Result<(), AppendError> {
        let key = (tenant.clone(), hash);
        let fresh = lock(&self.stored).get(&key).is_some_and(|at| now.since(*at) < STORED_FOR && now >= *at);
        if !fresh {
            journal.put_blob(tenant, Bytes::copy_from_slice(content)).await?;
            let mut stored = lock(&self.stored);
            stored.retain(|_, at| now.since(*at) < STORED_FOR);
            stored.insert(key, now);
        }
        Ok(())
    }

    /// Returns the definition called `hash` if it is at hand.
    pub(crate) fn get(&self, hash: ContentHash) -> Option<Arc<D>> {
        lock(&self.parsed).get(hash)
    }

    /// Forgets what the store holds: a deletion may have removed any of it.
    pub(crate) fn forget_stored(&self) {
        lock(&self.stored).clear();
    }
}

impl Pinned<Definition> {
    /// Makes sure that the store holds `agent`, and returns it parsed.
    pub(crate) async fn pin(
        &self,
        journal: &dyn Journal,
        tenant: &Tenant,
        agent: &PinnedAgent,
        now: Timestamp,
    ) -> Result<Arc<Definition>, AppendError> {
        self.store(journal, tenant, agent.hash, &agent.json, now).await?;
        let mut parsed = lock(&self.parsed);
        Ok(parsed.get(agent.hash).unwrap_or_else(|| parsed.insert(agent.hash, Arc::new(Definition::from(agent)))))
    }

    /// Returns the definition called `hash`, from the store where it is not at hand.
    pub(crate) async fn load(
        &self,
        journal: &dyn Journal,
        tenant: &Tenant,
        hash: ContentHash,
    ) -> Result<Arc<Definition>, RunError> {
        if let Some(found) = self.get(hash) {
            return Ok(found);
        }
        let blob = journal.get_blob(tenant, hash).await?;
        let blob = blob.ok_or_else(|| RunError::Definition(hash.to_string()))?;
        let agent: AgentDefinition =
            serde_json::from_slice(&blob).map_err(|error| RunError::Definition(format!("{hash} ({error})")))?;
        Ok(lock(&self.parsed).insert(hash, Arc::new(Definition::new(hash, Arc::new(agent)))))
    }
}

/// Why a state machine was not pinned.
pub(crate) enum PinError {
    Invalid(workflow::definition::InvalidDefinition),
    Store(AppendError),
}

impl Pinned<workflow::Definition> {
    /// Makes sure that the store holds a state machine's text, and returns it parsed.
    pub(crate) async fn pin(
        &self,
        journal: &dyn Journal,
        tenant: &Tenant,
        (hash, text): (ContentHash, &str),
        now: Timestamp,
    ) -> Result<Arc<workflow::Definition>, PinError> {
        let parsed = match self.get(hash) {
            Some(parsed) => parsed,
            None => {
                let parsed = Arc::new(workflow::Definition::parse(text).map_err(PinError::Invalid)?);
                lock(&self.parsed).insert(hash, parsed)
            }
        };
        self.store(journal, tenant, hash, text.as_bytes(), now).await.map_err(PinError::Store)?;
        Ok(parsed)
    }

    /// Returns the state machine called `hash`, from the store where it is not at hand.
    pub(crate) async fn load(
        &self,
        journal: &dyn Journal,
        tenant: &Tenant,
        hash: ContentHash,
    ) -> Result<Arc<workflow::Definition>, RunError> {
        if let Some(found) = self.get(hash) {
            return Ok(found);
        }
        let blob = journal.get_blob(tenant, hash).await?;
        let blob = blob.ok_or_else(|| RunError::Definition(hash.to_string()))?;
        let text = std::str::from_utf8(&blob).map_err(|error| RunError::Definition(format!("{hash} ({error})")))?;
        let parsed = workflow::Definition::parse(text);
        let parsed = parsed.map_err(|error| RunError::Definition(format!("{hash} ({error})")))?;
        Ok(lock(&self.parsed).insert(hash, Arc::new(parsed)))
    }
}

impl<D> Parsed<D> {
    fn get(&mut self, hash: ContentHash) -> Option<Arc<D>> {
        self.uses += 1;
        let (definition, used) = self.definitions.get_mut(&hash)?;
        *used = self.uses;
        Some(Arc::clone(definition))
    }

    fn insert(&mut self, hash: ContentHash, definition: Arc<D>) -> Arc<D> {
        if self.definitions.len() >= MAX_PARSED
            && let Some(oldest) = self.definitions.iter().min_by_key(|(_, (_, used))| *used).map(|(hash, _)| *hash)
        {
            self.definitions.remove(&oldest);
        }
        self.uses += 1;
        self.definitions.insert(hash, (Arc::clone(&definition), self.uses));
        definition
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
