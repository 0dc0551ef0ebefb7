//! The Keys port over SQLite.

use super::{
    readers::Readers,
    writer::{StoreFailure, WriterHandle},
};
use bedplate_core::{
    port::{
        BoxFuture,
        keys::{ApiKey, Keys, KeysError},
    },
    time::Timestamp,
};
use rusqlite::{OptionalExtension, Row, types::Type};
use std::sync::Arc;

/// The keys of a store.
pub(super) struct SqliteKeys {
    pub(super) writer: Arc<WriterHandle>,
    pub(super) readers: Arc<Readers>,
}

const COLUMNS: &str = "id, name, tenant, user, agents, created_at, expires_at, revoked_at, secret_hash, team";

impl StoreFailure for KeysError {
    fn store_failed(message: String) -> Self {
        Self(message)
    }
}

impl Keys for SqliteKeys {
    fn insert(&self, key: ApiKey, secret_hash: [u8; 32]) -> BoxFuture<'static, Result<(), KeysError>> {
        let writer = self.writer.clone();
        Box::pin(async move {
            let agents = key.agents.as_ref().map(serde_json::to_string).transpose();
            let agents = agents.map_err(|error| KeysError(error.to_string()))?;
            writer
                .run(move |writer| {
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
        let (readers, id) = (self.readers.clone(), id.to_owned());
        Box::pin(async move {
            readers
                .run(move |conn| {
                    let sql = format!("SELECT {COLUMNS} FROM api_key WHERE id = ?1");
                    let read = |row: &Row<'_>| Ok((from_row(row)?, row.get(8)?));
                    conn.prepare_cached(&sql)?.query_row([&id], read).optional().map(Ok)
                })
                .await
        })
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
        let (writer, id) = (self.writer.clone(), id.to_owned());
        Box::pin(async move {
            writer
                .run(move |writer| {
                    let sql = "UPDATE api_key SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
                    Ok(Ok(writer.conn.prepare_cached(sql)?.execute((&id, at.0))? == 1))
                })
                .await
        })
    }

    fn any(&self, now: Timestamp) -> BoxFuture<'static, Result<bool, KeysError>> {
        let readers = self.readers.clone();
        Box::pin(async move {
            readers
                .run(move |conn| {
                    let sql =
                        "SELECT 1 FROM api_key WHERE coalesce(revoked_at > ?1, 1) AND coalesce(expires_at > ?1, 1)";
                    Ok(Ok(conn.prepare_cached(sql)?.exists([now.0])?))
                })
                .await
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
