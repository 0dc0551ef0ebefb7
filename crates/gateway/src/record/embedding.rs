//! The record of a call for embeddings.

use super::{
    RecordLayer,
    draft::{Draft, Ending},
    service::Pen,
};
use bedplate_core::{
    message::Usage,
    port::{
        BoxFuture, Caller,
        model::{Embeddings, ModelError, ModelErrorKind, Notes},
    },
};
use std::{sync::Arc, time::Instant};

/// What such a record says that the client spoke.
const DIALECT: &str = "openai_embeddings";

impl RecordLayer {
    /// Records what comes of `work`, which makes embeddings of about `input` tokens on behalf of `caller`.
    pub(crate) fn embedding(
        self,
        route: Arc<str>,
        caller: Caller,
        notes: Arc<Notes>,
        input: u64,
        work: BoxFuture<'static, Result<Embeddings, ModelError>>,
    ) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        let begun = Instant::now();
        Box::pin(async move {
            let Ok(place) = self.recorder.0.queue.clone().reserve_owned().await else {
                return Err(ModelError::new(ModelErrorKind::Unavailable, "the server is shutting down"));
            };
            let at = self.clock.now();
            let draft = Draft {
                id: self.recorder.id(at),
                at,
                caller: Arc::new(caller),
                notes,
                route,
                dialect: DIALECT,
                ending: Ending::Cancelled,
                input: Some(input),
                log: self.log,
                is_last: false,
                ..Draft::last()
            };
            let pen = Pen::of(place, draft, begun);
            let made = work.await;
            match &made {
                Ok(made) => pen.finish(Ending::Ok, Some((made.usage, made.cost))),
                Err(error) => {
                    let ending = Ending::Failed(error.kind.code(), error.message.clone());
                    pen.finish(ending, Some((Usage::default(), Some(0))));
                }
            }
            made
        })
    }
}
