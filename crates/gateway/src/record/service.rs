//! The layer that records: the outermost of every route.

use super::{
    Recorder,
    draft::{Draft, Ending, Replied},
};
use crate::{
    call::{Answering, Call, Serve, Stack},
    policy::{LogPolicy, Payloads},
    watch::{End, Guess, Watcher, watched},
};
use bedplate_core::{
    message::Usage,
    port::{
        clock::Clock,
        model::{ModelError, ModelErrorKind},
    },
};
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::OwnedPermit;
use tower_layer::Layer;

/// Records the calls of a route.
#[derive(Clone)]
pub(crate) struct RecordLayer {
    pub(crate) recorder: Recorder,
    pub(crate) log: Arc<LogPolicy>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Layer<Stack> for RecordLayer {
    type Service = RecordService;

    fn layer(&self, inner: Stack) -> RecordService {
        RecordService { layer: self.clone(), inner }
    }
}

#[derive(Clone)]
pub(crate) struct RecordService {
    layer: RecordLayer,
    inner: Stack,
}

impl Serve for RecordService {
    fn serve(&self, call: Call) -> Answering {
        let Self { layer: RecordLayer { recorder, log, clock }, inner } = self.clone();
        let begun = Instant::now();
        Box::pin(async move {
            let Ok(place) = recorder.0.queue.clone().reserve_owned().await else {
                return Err(ModelError::new(ModelErrorKind::Unavailable, "the server is shutting down"));
            };
            let mut pen = Pen::new(&recorder, place, &call, log, clock, begun);
            match inner.serve(call).await {
                Ok(answer) => Ok(watched(answer, pen)),
                Err(error) => {
                    pen.end(End::Failed(&error));
                    Err(error)
                }
            }
        })
    }
}

/// Writes one draft; if it is dropped before the end, the client went away.
pub(super) struct Pen {
    place: Option<OwnedPermit<Box<Draft>>>,
    draft: Option<Box<Draft>>,
    begun: Instant,
}

impl Pen {
    fn new(
        recorder: &Recorder,
        place: OwnedPermit<Box<Draft>>,
        call: &Call,
        log: Arc<LogPolicy>,
        clock: Arc<dyn Clock>,
        begun: Instant,
    ) -> Self {
        let at = clock.now();
        let draft = Draft {
            id: recorder.id(at),
            at,
            caller: Arc::clone(&call.caller),
            notes: Arc::clone(&call.notes),
            route: Arc::clone(&call.route),
            dialect: call.raw().map_or("core", |raw| raw.dialect),
            stream: call.stream,
            ending: Ending::Cancelled,
            spent: None,
            guess: Guess::default(),
            first: None,
            total: Duration::ZERO,
            asked: Some(call.clone()),
            input: None,
            replied: Replied::Nothing,
            log,
            is_last: false,
        };
        Self::of(place, draft, begun)
    }

    pub(super) fn of(place: OwnedPermit<Box<Draft>>, draft: Draft, begun: Instant) -> Self {
        Self { place: Some(place), draft: Some(Box::new(draft)), begun }
    }

    /// Writes that the call ended so, having spent this.
    pub(super) fn finish(mut self, ending: Ending, spent: Option<(Usage, Option<u64>)>) {
        let Some(mut draft) = self.draft.take() else { return };
        draft.total = self.begun.elapsed();
        (draft.ending, draft.spent) = (ending, spent);
        if let Some(place) = self.place.take() {
            place.send(draft);
        }
    }
}

impl Watcher for Pen {
    fn first(&mut self) {
        if let Some(draft) = &mut self.draft {
            draft.first = Some(self.begun.elapsed());
        }
    }

    fn piece(&mut self, text: usize) {
        if let Some(draft) = &mut self.draft {
            draft.guess.text(text);
        }
    }

    fn raw(&mut self, bytes: &Bytes) {
        let Some(draft) = &mut self.draft else { return };
        if draft.log.payloads != Payloads::None {
            match &mut draft.replied {
                Replied::Raw(pieces) => pieces.push(bytes.clone()),
                replied => *replied = Replied::Raw(vec![bytes.clone()]),
            }
        }
        if draft.stream {
            draft.guess.raw(bytes);
        }
    }

    fn end(&mut self, end: End<'_>) {
        let Some(mut draft) = self.draft.take() else { return };
        draft.total = self.begun.elapsed();
        draft.spent = end.spent();
        draft.ending = match &end {
            End::Reply(_) | End::Raw(_) => Ending::Ok,
            End::Failed(error) => Ending::Failed(error.kind.code(), error.message.clone()),
            End::Dropped => Ending::Cancelled,
        };
        let is_logged = match draft.log.payloads {
            Payloads::None => false,
            Payloads::Errors => matches!(draft.ending, Ending::Failed(..)),
            Payloads::All => true,
        };
        if let (true, End::Reply(reply)) = (is_logged, &end) {
            draft.replied = Replied::Reply(Box::new((*reply).clone()));
        }
        // Whoever has all figures needs the request only for the log.
        if !is_logged && draft.spent.is_some() {
            draft.asked = None;
        }
        if let Some(place) = self.place.take() {
            place.send(draft);
        }
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.end(End::Dropped);
    }
}
