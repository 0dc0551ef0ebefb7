//! The Keys port: API keys, of which only a keyed hash is kept.

use super::BoxFuture;
use crate::{
    id::{Tenant, UserId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// What is known of an API key; never its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its public id, part of the key's text.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its tenant.
    pub tenant: Tenant,
    /// The user that it speaks for; absent: the request names the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The team that it belongs to; limits, budgets and bills can go by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The agents that it may use; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<String>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// A key with the keyed hash of its secret.
pub type FoundKey = (ApiKey, [u8; 32]);

/// The store of API keys.
pub trait Keys: Send + Sync {
    /// Stores a key under the keyed hash of its secret.
    ///
    /// # Errors
    /// [`KeysError`] when the store fails or the id exists.
    fn insert(&self, key: ApiKey, secret_hash: [u8; 32]) -> BoxFuture<'static, Result<(), KeysError>>;

    /// Returns the key with this id and the hash of its secret, revoked and expired ones too.
    ///
    /// # Errors
    /// [`KeysError`] when the store fails.
    fn get(&self, id: &str) -> BoxFuture<'static, Result<Option<FoundKey>, KeysError>>;

    /// Returns all keys, newest first.
    ///
    /// # Errors
    /// [`KeysError`] when the store fails.
    fn list(&self) -> BoxFuture<'static, Result<Vec<ApiKey>, KeysError>>;

    /// Revokes a key from `at` on; returns whether there was one that was not yet revoked.
    ///
    /// # Errors
    /// [`KeysError`] when the store fails.
    fn revoke(&self, id: &str, at: Timestamp) -> BoxFuture<'static, Result<bool, KeysError>>;

    /// Returns whether any key that is neither revoked nor expired at `now` exists; without one the server is open to
    /// loopback.
    ///
    /// # Errors
    /// [`KeysError`] when the store fails.
    fn any(&self, now: Timestamp) -> BoxFuture<'static, Result<bool, KeysError>>;
}

/// The store of keys failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("failed to reach the keys: {0}")]
pub struct KeysError(pub String);
