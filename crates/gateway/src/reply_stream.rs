//! The stream that a caller of the gateway gets: a provider's events, held to the port's promises.

use crate::target::{Target, deadline_passed};
use bedplate_core::{
    port::{
        BoxFuture, BoxStream,
        clock::Clock,
        model::{ModelError, ModelErrorKind, ModelEvent},
    },
    time::Timestamp,
};
use futures::{FutureExt, Stream, StreamExt};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Passes a provider's events on; puts provider, model and cost into the reply; ends with exactly one `End` or one
/// error; and keeps the deadline. Dropping it drops the provider's stream, which cancels the call upstream.
pub(crate) struct ReplyStream {
    inner: Option<BoxStream<'static, Result<ModelEvent, ModelError>>>,
    target: Arc<Target>,
    clock: Arc<dyn Clock>,
    deadline: Option<Timestamp>,
    // Made at the first wait, because most scripted and rehearsed replies never wait.
    sleep: Option<BoxFuture<'static, ()>>,
}

impl ReplyStream {
    pub(crate) fn new(
        inner: BoxStream<'static, Result<ModelEvent, ModelError>>,
        target: Arc<Target>,
        clock: Arc<dyn Clock>,
        deadline: Option<Timestamp>,
    ) -> Self {
        Self { inner: Some(inner), target, clock, deadline, sleep: None }
    }

    fn complete(&self, event: ModelEvent) -> ModelEvent {
        match event {
            ModelEvent::End(mut reply) => {
                let info = &self.target.info;
                reply.provider.clone_from(&info.provider);
                if reply.model.is_empty() {
                    reply.model.clone_from(&info.model);
                }
                reply.cost = reply.cost.or_else(|| info.price.map(|price| price.cost(&reply.usage)));
                ModelEvent::End(reply)
            }
            other => other,
        }
    }

    fn past_deadline(&mut self, context: &mut Context<'_>) -> bool {
        let Some(deadline) = self.deadline else { return false };
        let clock = &self.clock;
        self.sleep.get_or_insert_with(|| clock.sleep_until(deadline)).poll_unpin(context).is_ready()
    }
}

impl Stream for ReplyStream {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let (item, last) = match inner.poll_next_unpin(context) {
            Poll::Pending if this.past_deadline(context) => (Err(deadline_passed()), true),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(event))) => {
                let last = matches!(event, ModelEvent::End(_));
                (Ok(this.complete(event)), last)
            }
            Poll::Ready(Some(Err(error))) => (Err(error), true),
            Poll::Ready(None) => {
                (Err(ModelError::new(ModelErrorKind::BrokenStream, "the reply was cut before its end")), true)
            }
        };
        if last {
            this.inner = None;
        }
        Poll::Ready(Some(item))
    }
}
