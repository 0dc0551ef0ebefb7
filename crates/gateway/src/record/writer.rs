//! The task that makes records of drafts and keeps them in batches.

use super::{BATCH, WAIT, draft::Draft, totals::Totals};
use bedplate_core::port::records::{CallRecord, Records};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{broadcast, mpsc},
    time::sleep,
};

/// How often a failing store is tried again with one batch, and how long is waited in between at first.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(200);

/// Writes until the last draft, or until nobody can send one any more.
pub(super) async fn write(
    mut drafts: mpsc::Receiver<Box<Draft>>,
    records: Arc<dyn Records>,
    live: broadcast::Sender<Arc<CallRecord>>,
    totals: Totals,
) {
    let mut queued = Vec::new();
    while drafts.recv_many(&mut queued, BATCH).await > 0 {
        let (is_full, is_last) = (queued.len() == BATCH, queued.iter().any(|draft| draft.is_last));
        let ended = queued.drain(..).take_while(|draft| !draft.is_last);
        let batch: Vec<CallRecord> = ended.map(|draft| draft.into_record()).collect();
        if !batch.is_empty() {
            totals.add(&batch);
            keep(batch.into(), &*records, &live).await;
        }
        if is_last {
            return;
        }
        if !is_full {
            // Nobody wakes this task while it sleeps, so the end of a call hands nothing over to another thread.
            sleep(WAIT).await;
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
