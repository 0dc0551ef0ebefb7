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
use bedplate_engine::definition::Definition;
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

/// The cache of definitions.
#[derive(Default)]
pub(crate) struct Pinned {
    parsed: Mutex<Parsed>,
    stored: Mutex<HashMap<(Tenant, ContentHash), Timestamp>>,
}

#[derive(Default)]
struct Parsed {
    definitions: HashMap<ContentHash, (Arc<Definition>, u64)>,
    uses: u64,
}

impl Pinned {
    /// Makes sure that the store holds `agent`, and returns it parsed.
    pub(crate) async fn pin(
        &self,
        journal: &dyn Journal,
        tenant: &Tenant,
        agent: &PinnedAgent,
        now: Timestamp,
    ) -> Result<Arc<Definition>, AppendError> {
        let key = (tenant.clone(), agent.hash);
        let fresh = lock(&self.stored).get(&key).is_some_and(|at| now.since(*at) < STORED_FOR && now >= *at);
        if !fresh {
            journal.put_blob(tenant, Bytes::copy_from_slice(&agent.json)).await?;
            let mut stored = lock(&self.stored);
            stored.retain(|_, at| now.since(*at) < STORED_FOR);
            stored.insert(key, now);
        }
        let mut parsed = lock(&self.parsed);
        Ok(parsed.get(agent.hash).unwrap_or_else(|| parsed.insert(Arc::new(Definition::from(agent)))))
    }

    /// Returns the definition called `hash` if it is at hand.
    pub(crate) fn get(&self, hash: ContentHash) -> Option<Arc<Definition>> {
        lock(&self.parsed).get(hash)
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
        Ok(lock(&self.parsed).insert(Arc::new(Definition::new(hash, Arc::new(agent)))))
    }

    /// Forgets what the store holds: a deletion may have removed any of it.
    pub(crate) fn forget_stored(&self) {
        lock(&self.stored).clear();
    }
}

impl Parsed {
    fn get(&mut self, hash: ContentHash) -> Option<Arc<Definition>> {
        self.uses += 1;
        let (definition, used) = self.definitions.get_mut(&hash)?;
        *used = self.uses;
        Some(Arc::clone(definition))
    }

    fn insert(&mut self, definition: Arc<Definition>) -> Arc<Definition> {
        if self.definitions.len() >= MAX_PARSED
            && let Some(oldest) = self.definitions.iter().min_by_key(|(_, (_, used))| *used).map(|(hash, _)| *hash)
        {
            self.definitions.remove(&oldest);
        }
        self.uses += 1;
        self.definitions.insert(definition.hash(), (Arc::clone(&definition), self.uses));
        definition
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
