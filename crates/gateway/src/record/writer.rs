//! The task that makes records of drafts and keeps them in batches.

use super::{BATCH, WAIT, draft::Draft, totals::Totals};
use bedplate_core::port::records::{CallRecord, Records};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{broadcast, mpsc},
    time::{Instant, sleep, timeout_at},
};

/// How often a failing store is tried again with one batch, and how long is waited in between at first.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(200);

/// Writes until the last draft, or until nobody can send one any more.
pub(super) async fn write(
    mut drafts: mpsc::Receiver<Draft>,
    records: Arc<dyn Records>,
    live: broadcast::Sender<Arc<CallRecord>>,
    totals: Totals,
) {
    let mut is_last = false;
    while !is_last {
        let Some(first) = drafts.recv().await else { return };
        let mut batch = Vec::new();
        let until = Instant::now() + WAIT;
        let mut next = Some(first);
        while let Some(draft) = next.take() {
            if draft.is_last {
                is_last = true;
                break;
            }
            batch.push(draft.into_record());
            if batch.len() < BATCH {
                next = timeout_at(until, drafts.recv()).await.ok().flatten();
            }
        }
        if !batch.is_empty() {
            totals.add(&batch);
            keep(batch.into(), &*records, &live).await;
        }
    }
}

async fn keep(batch: Arc<[CallRecord]>, records: &dyn Records, live: &broadcast::Sender<Arc<CallRecord>>) {
    let mut pause = PAUSE;
    for left in (0..TRIES).rev() {
        match records.append(Arc::clone(&batch)).await {
            Ok(()) => break,
            Err(error) if left == 0 => {
                tracing::error!(%error, lost = batch.len(), "records of calls could not be written");
            }
            Err(error) => {
                tracing::warn!(%error, "records of calls could not be written; trying again");
                sleep(pause).await;
                pause *= 2;
            }
        }
    }
    if live.receiver_count() > 0 {
        for record in batch.iter() {
            // Without a reader there is nothing to show.
            let _ = live.send(Arc::new(CallRecord {
                payload: record.payload.as_ref().map(|_| Box::default()),
                ..record.clone()
            }));
        }
    }
}
