//! The promises of the Keys port.

use bedplate_core::{
    port::keys::{ApiKey, Keys},
    time::Timestamp,
};
use std::sync::Arc;

/// Checks every promise, each on fresh keys.
///
/// # Panics
/// When a promise is broken.
pub async fn all(fresh: impl Fn() -> Arc<dyn Keys>) {
    a_key_reads_back_as_it_was(fresh()).await;
    an_id_is_given_once(fresh()).await;
    keys_are_listed_newest_first(fresh()).await;
    a_key_is_revoked_once_and_still_known(fresh()).await;
    a_key_counts_until_it_is_revoked_or_expires(fresh()).await;
}

/// A key and the hash of its secret come back with every field.
///
/// # Panics
/// When the promise is broken.
pub async fn a_key_reads_back_as_it_was(keys: Arc<dyn Keys>) {
    assert!(keys.get("k1").await.expect("the store works").is_none());
    let bare = key("k1", 1);
    let mut full = key("k2", 2);
    full.user = Some("ann".into());
    full.team = Some("search".into());
    full.agents = Some(vec!["helper".into(), "\"quoted\", 漢".into()]);
    full.expires_at = Some(Timestamp(99));
    full.revoked_at = Some(Timestamp(98));
    let mut none = key("k3", 3);
    none.agents = Some(Vec::new());
    for (index, key) in (1..).zip([bare, full, none]) {
        keys.insert(key.clone(), [index; 32]).await.expect("the id is new");
        let found = keys.get(&key.id).await.expect("the store works");
        assert_eq!(found, Some((key, [index; 32])));
    }
    assert!(keys.get("K1").await.expect("the store works").is_none(), "ids are exact");
}

/// A second key with an id is refused and changes nothing.
///
/// # Panics
/// When the promise is broken.
pub async fn an_id_is_given_once(keys: Arc<dyn Keys>) {
    keys.insert(key("k", 1), [1; 32]).await.expect("the id is new");
    assert!(keys.insert(key("k", 2), [2; 32]).await.is_err());
    assert_eq!(keys.get("k").await.expect("the store works"), Some((key("k", 1), [1; 32])));
}

/// Lists show every key, the newest first.
///
/// # Panics
/// When the promise is broken.
pub async fn keys_are_listed_newest_first(keys: Arc<dyn Keys>) {
    for (id, at) in [("b", 2), ("c", 3), ("a", 1)] {
        keys.insert(key(id, at), [0; 32]).await.expect("the id is new");
    }
    assert_eq!(keys.list().await.expect("the store works"), [key("c", 3), key("b", 2), key("a", 1)]);
}

/// Revoking says whether it changed anything, and keeps the key and the first time.
///
/// # Panics
/// When the promise is broken.
pub async fn a_key_is_revoked_once_and_still_known(keys: Arc<dyn Keys>) {
    keys.insert(key("k", 1), [1; 32]).await.expect("the id is new");
    assert!(!keys.revoke("other", Timestamp(5)).await.expect("the store works"));
    assert!(keys.revoke("k", Timestamp(5)).await.expect("the store works"));
    assert!(!keys.revoke("k", Timestamp(6)).await.expect("the store works"));
    let (found, secret) = keys.get("k").await.expect("the store works").expect("a revoked key is known");
    assert_eq!((found.revoked_at, secret), (Some(Timestamp(5)), [1; 32]));
}

/// `any` sees only keys that open something at the time it is asked about.
///
/// # Panics
/// When the promise is broken.
pub async fn a_key_counts_until_it_is_revoked_or_expires(keys: Arc<dyn Keys>) {
    assert!(!keys.any(Timestamp(0)).await.expect("the store works"));
    let mut ending = key("ending", 1);
    ending.expires_at = Some(Timestamp(10));
    keys.insert(ending, [1; 32]).await.expect("the id is new");
    assert!(keys.any(Timestamp(9)).await.expect("the store works"));
    assert!(!keys.any(Timestamp(10)).await.expect("the store works"));
    keys.insert(key("open", 1), [1; 32]).await.expect("the id is new");
    assert!(keys.any(Timestamp(10)).await.expect("the store works"));
    keys.revoke("open", Timestamp(20)).await.expect("the store works");
    assert!(!keys.any(Timestamp(20)).await.expect("the store works"));
}

fn key(id: &str, created_at: i64) -> ApiKey {
    ApiKey {
        id: id.into(),
        name: format!("key {id}"),
        tenant: "acme".into(),
        user: None,
        team: None,
        agents: None,
        created_at: Timestamp(created_at),
        expires_at: None,
        revoked_at: None,
    }
}
