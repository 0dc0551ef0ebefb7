//! The Keys port over the store in memory.

use super::MemoryStore;
use bedplate_core::{
    port::{
        BoxFuture,
        keys::{ApiKey, Keys, KeysError},
    },
    time::Timestamp,
};

impl Keys for MemoryStore {
    fn insert(&self, key: ApiKey, secret_hash: [u8; 32]) -> BoxFuture<'static, Result<(), KeysError>> {
        let store = self.clone();
        Box::pin(async move {
            let mut state = store.lock();
            if state.keys.contains_key(&key.id) {
                return Err(KeysError(format!("the key {} exists", key.id)));
            }
            state.keys.insert(key.id.clone(), (key, secret_hash));
            Ok(())
        })
    }

    fn get(&self, id: &str) -> BoxFuture<'static, Result<Option<(ApiKey, [u8; 32])>, KeysError>> {
        let (store, id) = (self.clone(), id.to_owned());
        Box::pin(async move { Ok(store.lock().keys.get(&id).cloned()) })
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<ApiKey>, KeysError>> {
        let store = self.clone();
        Box::pin(async move {
            let mut keys: Vec<ApiKey> = store.lock().keys.values().map(|(key, _)| key.clone()).collect();
            keys.sort_by(|a, b| (b.created_at, &a.id).cmp(&(a.created_at, &b.id)));
            Ok(keys)
        })
    }

    fn revoke(&self, id: &str, at: Timestamp) -> BoxFuture<'static, Result<bool, KeysError>> {
        let (store, id) = (self.clone(), id.to_owned());
        Box::pin(async move {
            let mut state = store.lock();
            let open = state.keys.get_mut(&id).filter(|(key, _)| key.revoked_at.is_none());
            Ok(open.map(|(key, _)| key.revoked_at = Some(at)).is_some())
        })
    }

    fn any(&self, now: Timestamp) -> BoxFuture<'static, Result<bool, KeysError>> {
        let store = self.clone();
        Box::pin(async move {
            let later = |end: Option<Timestamp>| end.is_none_or(|end| end > now);
            Ok(store.lock().keys.values().any(|(key, _)| later(key.revoked_at) && later(key.expires_at)))
        })
    }
}
