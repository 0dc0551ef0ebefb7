//! The Keys port over SQLite.
//!
//! Every request asks for a key, so they are kept in memory; this process is the only one that writes them.

use super::{
    readers::Readers,
    writer::{StoreFailure, WriterHandle},
};
use bedplate_core::{
    port::{
        BoxFuture,
        keys::{ApiKey, FoundKey, Keys, KeysError},
    },
    time::Timestamp,
};
use rusqlite::{Row, types::Type};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The keys of a store.
pub(super) struct SqliteKeys {
    writer: Arc<WriterHandle>,
    readers: Arc<Readers>,
    known: Arc<Known>,
}

/// The keys as last read.
#[derive(Default)]
struct Known(Mutex<Cached>);

#[derive(Default)]
struct Cached {
    keys: Option<Arc<HashMap<String, FoundKey>>>,
    /// How many changes are under way; what is read meanwhile may be of before or after.
    changing: u32,
    /// How many changes have ended.
    changed: u64,
}

/// A change under way. It goes with the writer's job, and so after the commit, also when the caller has gone away.
struct Change(Arc<Known>);

impl Known {
    fn lock(&self) -> MutexGuard<'_, Cached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    fn begin(known: &Arc<Known>) -> Self {
        let mut cached = known.lock();
        cached.changing += 1;
        cached.keys = None;
        drop(cached);
        Self(Arc::clone(known))
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        let mut cached = self.0.lock();
        cached.changing -= 1;
        cached.changed += 1;
    }
}

impl SqliteKeys {
    pub(super) fn new(writer: Arc<WriterHandle>, readers: Arc<Readers>) -> Self {
        Self { writer, readers, known: Arc::default() }
    }
}

/// Returns all keys by id.
async fn all(readers: &Readers, known: &Known) -> Result<Arc<HashMap<String, FoundKey>>, KeysError> {
    let changed = {
        let cached = known.lock();
        if let Some(keys) = &cached.keys {
            return Ok(Arc::clone(keys));
        }
        cached.changed
    };
    let read = |row: &Row<'_>| Ok((row.get(0)?, (from_row(row)?, row.get(8)?)));
    let keys: HashMap<String, FoundKey> = readers
        .run(move |conn| {
            let sql = format!("SELECT {COLUMNS} FROM api_key");
            Ok(Ok(conn.prepare_cached(&sql)?.query_map([], read)?.collect::<rusqlite::Result<_>>()?))
        })
        .await?;
    let keys = Arc::new(keys);
    let mut cached = known.lock();
    if cached.changing == 0 && cached.changed == changed {
        cached.keys = Some(Arc::clone(&keys));
    }
    Ok(keys)
}

const COLUMNS: &str = "id, name, tenant, user, agents, created_at, expires_at, revoked_at, secret_hash, team";

impl StoreFailure for KeysError {
    fn store_failed(message: String) -> Self {
        Self(message)
    }
}

impl Keys for SqliteKeys {
    fn insert(&self, key: ApiKey, secret_hash: [u8; 32]) -> BoxFuture<'static, Result<(), KeysError>> {
        let (writer, change) = (self.writer.clone(), Change::begin(&self.known));
        Box::pin(async move {
            let agents = key.agents.as_ref().map(serde_json::to_string).transpose();
            let agents = agents.map_err(|error| KeysError(error.to_string()))?;
            writer
                .run(move |writer| {
                    let _ = &change;
                    let sql = format!(
                        "INSERT OR IGNORE INTO api_key ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
                    );
                    let time = |at: Option<Timestamp>| at.map(|at| at.0);
                    let values = (
                        &key.id,
                        &key.name,
                        key.tenant.as_str(),
                        key.user.as_ref().map(|user| user.as_str()),
                        &agents,
                        key.created_at.0,
                        time(key.expires_at),
                        time(key.revoked_at),
                        &secret_hash[..],
                        &key.team,
                    );
                    let inserted = writer.conn.prepare_cached(&sql)?.execute(values)? == 1;
                    Ok(if inserted { Ok(()) } else { Err(KeysError(format!("the key {} exists", key.id))) })
                })
                .await
        })
    }

    fn get(&self, id: &str) -> BoxFuture<'static, Result<Option<(ApiKey, [u8; 32])>, KeysError>> {
        let (readers, known, id) = (self.readers.clone(), Arc::clone(&self.known), id.to_owned());
        Box::pin(async move { Ok(all(&readers, &known).await?.get(&id).cloned()) })
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<ApiKey>, KeysError>> {
        let readers = self.readers.clone();
        Box::pin(async move {
            readers
                .run(|conn| {
                    let sql = format!("SELECT {COLUMNS} FROM api_key ORDER BY created_at DESC, id");
                    let keys = conn.prepare_cached(&sql)?.query_map([], from_row)?.collect::<rusqlite::Result<_>>()?;
                    Ok(Ok(keys))
                })
                .await
        })
    }

    fn revoke(&self, id: &str, at: Timestamp) -> BoxFuture<'static, Result<bool, KeysError>> {
        let (writer, id, change) = (self.writer.clone(), id.to_owned(), Change::begin(&self.known));
        Box::pin(async move {
            writer
                .run(move |writer| {
                    let _ = &change;
                    let sql = "UPDATE api_key SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
                    Ok(Ok(writer.conn.prepare_cached(sql)?.execute((&id, at.0))? == 1))
                })
                .await
        })
    }

    fn any(&self, now: Timestamp) -> BoxFuture<'static, Result<bool, KeysError>> {
        let (readers, known) = (self.readers.clone(), Arc::clone(&self.known));
        Box::pin(async move {
            let later = |end: Option<Timestamp>| end.is_none_or(|end| end > now);
            let keys = all(&readers, &known).await?;
            Ok(keys.values().any(|(key, _)| later(key.revoked_at) && later(key.expires_at)))
        })
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    let agents = row.get::<_, Option<String>>(4)?.map(|json| serde_json::from_str(&json)).transpose();
    Ok(ApiKey {
        id: row.get(0)?,
        name: row.get(1)?,
        tenant: row.get::<_, String>(2)?.into(),
        user: row.get::<_, Option<String>>(3)?.map(Into::into),
        team: row.get(9)?,
        agents: agents.map_err(|error| rusqlite::Error::FromSqlConversionFailure(4, Type::Text, error.into()))?,
        created_at: Timestamp(row.get(5)?),
        expires_at: row.get::<_, Option<i64>>(6)?.map(Timestamp),
        revoked_at: row.get::<_, Option<i64>>(7)?.map(Timestamp),
    })
}
