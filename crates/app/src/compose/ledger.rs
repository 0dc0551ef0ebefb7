//! Where limits and budgets are counted: in the store of this process, or in Redis, which several servers share.

use crate::error::{Error, Kind};
use bedplate_core::port::ledger::Ledger;
use bedplate_project::{LedgerConfig, LedgerUrl};
use bedplate_store::{RedisLedger, RedisOptions, Store};
use std::{sync::Arc, time::Duration};

/// Returns the ledger that the project asks for; one that does not answer yet is a notice, because servers may start
/// before it does.
///
/// # Errors
/// When its address is missing or none.
pub async fn ledger(
    config: Option<&LedgerConfig>,
    store: &Store,
    notices: &mut Vec<String>,
) -> Result<Arc<dyn Ledger>, Error> {
    let Some(config) = config else { return Ok(store.ledger()) };
    let url = match &config.url {
        LedgerUrl::Is(url) => url.clone(),
        LedgerUrl::Env(name) => std::env::var(name).map_err(|_| {
            Error::new(Kind::Problems, format!("the address of the ledger is not set: {name}"))
                .hint(format!("set {name} to redis://host:6379/0, or take [ledger] out of bedplate.toml"))
        })?,
    };
    let timeout = Duration::from_millis(config.timeout_ms.into());
    let ledger = RedisLedger::open(RedisOptions { url, prefix: config.prefix.clone(), timeout })
        .map_err(|_| Error::new(Kind::Problems, "the address of the ledger is no address of Redis"))?;
    if let Err(error) = ledger.check().await {
        notices.push(format!("calls with limits are refused until the shared ledger answers: {error}"));
    }
    Ok(Arc::new(ledger))
}
