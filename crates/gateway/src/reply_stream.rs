//! The stream that a caller of the gateway gets: a provider's events, held to the port's promises.

use crate::target::{Target, deadline_passed};
use bedplate_core::{
    port::{
        BoxFuture, BoxStream,
        clock::Clock,
        model::{ModelError, ModelErrorKind, ModelEvent, RawPiece},
    },
    time::Timestamp,
};
use futures::{FutureExt, Stream, StreamExt};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// A piece of a reply, in either form.
pub(crate) trait Piece: Unpin {
    /// Returns whether it is the reply's end.
    fn is_end(&self) -> bool;

    /// Puts into the end what its provider does not say.
    fn complete(self, target: &Target) -> Self;
}

impl Piece for ModelEvent {
    fn is_end(&self) -> bool {
        matches!(self, Self::End(_))
    }

    fn complete(self, target: &Target) -> Self {
        match self {
            Self::End(mut reply) => {
                let info = &target.info;
                reply.provider.clone_from(&info.provider);
                if reply.model.is_empty() {
                    reply.model.clone_from(&info.model);
                }
                reply.cost = reply.cost.or_else(|| info.price.map(|price| price.cost(&reply.usage)));
                Self::End(reply)
            }
            other => other,
        }
    }
}

impl Piece for RawPiece {
    fn is_end(&self) -> bool {
        matches!(self, Self::End(_))
    }

    fn complete(self, target: &Target) -> Self {
        match self {
            Self::End(end) => Self::End(target.priced(end)),
            other => other,
        }
    }
}

/// Passes a provider's pieces on; puts provider, model and cost into the reply; ends with exactly one `End` or one
/// error; and keeps the deadline. Dropping it drops the provider's stream, which cancels the call upstream.
pub(crate) struct ReplyStream<P> {
    inner: Option<BoxStream<'static, Result<P, ModelError>>>,
    target: Arc<Target>,
    clock: Arc<dyn Clock>,
    deadline: Option<Timestamp>,
    // Made at the first wait, because most scripted and rehearsed replies never wait.
    sleep: Option<BoxFuture<'static, ()>>,
}

impl<P: Piece> ReplyStream<P> {
    pub(crate) fn new(
        inner: BoxStream<'static, Result<P, ModelError>>,
        target: Arc<Target>,
        clock: Arc<dyn Clock>,
        deadline: Option<Timestamp>,
    ) -> Self {
        Self { inner: Some(inner), target, clock, deadline, sleep: None }
    }

    fn past_deadline(&mut self, context: &mut Context<'_>) -> bool {
        let Some(deadline) = self.deadline else { return false };
        let clock = &self.clock;
        self.sleep.get_or_insert_with(|| clock.sleep_until(deadline)).poll_unpin(context).is_ready()
    }
}

impl<P: Piece> Stream for ReplyStream<P> {
    type Item = Result<P, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let (item, last) = match inner.poll_next_unpin(context) {
            Poll::Pending if this.past_deadline(context) => (Err(deadline_passed()), true),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(piece))) => {
                let last = piece.is_end();
                (Ok(piece.complete(&this.target)), last)
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
