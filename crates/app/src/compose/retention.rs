//! Removing sessions that nobody touched, and records of calls, after as long as the project says.

use bedplate_core::{
    port::{clock::Clock, journal::Journal, records::Records},
    time::Timestamp,
};
use bedplate_runtime::system::SystemClock;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// How often is looked.
const INTERVAL: Duration = Duration::from_secs(3_600);

/// How many runs are removed in one go, so that other work comes in between.
const AT_ONCE: usize = 100;

/// Removes idle runs that were last touched more than `days` days ago, now and then every hour.
pub fn keep(journal: Arc<dyn Journal>, days: u32) -> JoinHandle<()> {
    let kept = i64::from(days) * 86_400_000;
    tokio::spawn(async move {
        loop {
            sweep(&*journal, Timestamp(SystemClock.now().0.saturating_sub(kept))).await;
            tokio::time::sleep(INTERVAL).await;
        }
    })
}

/// Removes the records of calls from more than `days` days ago, now and then every hour.
pub fn keep_records(records: Arc<dyn Records>, days: u32) -> JoinHandle<()> {
    let kept = i64::from(days) * 86_400_000;
    tokio::spawn(async move {
        loop {
            match records.expire(Timestamp(SystemClock.now().0.saturating_sub(kept))).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "removed records of calls that were kept long enough"),
                Err(error) => tracing::warn!(%error, "old records could not be removed; the next look tries again"),
            }
            tokio::time::sleep(INTERVAL).await;
        }
    })
}

async fn sweep(journal: &dyn Journal, before: Timestamp) {
    loop {
        match journal.retain(before, AT_ONCE).await {
            Ok(deleted) if deleted.runs == 0 => return,
            Ok(deleted) => {
                tracing::info!(runs = deleted.runs, blobs = deleted.blobs, "removed what was kept long enough")
            }
            Err(error) => {
                tracing::warn!(%error, "old sessions could not be removed; the next look tries again");
                return;
            }
        }
    }
}
