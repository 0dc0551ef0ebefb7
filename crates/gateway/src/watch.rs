//! Following an answer to its end, whichever form it has: for the record of a call and for what it is charged.

use bedplate_core::{
    message::Usage,
    port::model::{Answer, ModelError, ModelEvent, ModelReply, RawBody, RawEnd, RawPiece, RawReply},
};
use bytes::Bytes;
use futures::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// How an answer ended.
pub(crate) enum End<'a> {
    /// With its whole reply.
    Reply(&'a ModelReply),
    /// With its whole reply in the provider's bytes.
    Raw(&'a RawEnd),
    /// With an error.
    Failed(&'a ModelError),
    /// Nobody wanted the rest.
    Dropped,
}

impl End<'_> {
    /// Returns tokens and money as far as the end tells them.
    pub(crate) fn spent(&self) -> Option<(Usage, Option<u64>)> {
        match self {
            Self::Reply(reply) => Some((reply.usage, reply.cost)),
            Self::Raw(end) => Some((end.usage, end.cost)),
            Self::Failed(error) => Some((error.usage, None)),
            Self::Dropped => None,
        }
    }
}

/// Somebody who follows an answer. It is dropped after its end.
pub(crate) trait Watcher: Send + Unpin + 'static {
    /// Sees the first piece.
    fn first(&mut self);

    /// Sees a piece of `bytes` of text, about `events` tokens of it.
    fn piece(&mut self, text: usize);

    /// Sees bytes of a raw reply.
    fn raw(&mut self, bytes: &Bytes);

    /// Sees the end, once.
    fn end(&mut self, end: End<'_>);
}

/// Returns `answer` with `watcher` following it.
pub(crate) fn watched<W: Watcher>(answer: Answer, mut watcher: W) -> Answer {
    match answer {
        Answer::Events(inner) => Answer::Events(Box::pin(Watched { inner, watcher, began: false, ended: false })),
        Answer::Raw(RawReply { content_type, body }) => {
            let body = match body {
                RawBody::Whole(bytes, end) => {
                    watcher.first();
                    watcher.raw(&bytes);
                    watcher.end(End::Raw(&end));
                    RawBody::Whole(bytes, end)
                }
                RawBody::Stream(inner) => {
                    RawBody::Stream(Box::pin(Watched { inner, watcher, began: false, ended: false }))
                }
            };
            Answer::Raw(RawReply { content_type, body })
        }
    }
}

struct Watched<S, W: Watcher> {
    inner: S,
    watcher: W,
    began: bool,
    ended: bool,
}

impl<S, W: Watcher> Watched<S, W> {
    fn finish(&mut self, end: End<'_>) {
        if !self.ended {
            self.ended = true;
            self.watcher.end(end);
        }
    }
}

/// A piece of a stream, of either form.
trait Piece {
    fn show(&self, to: &mut impl Watcher) -> Option<End<'_>>;
}

impl Piece for ModelEvent {
    fn show(&self, to: &mut impl Watcher) -> Option<End<'_>> {
        match self {
            Self::TextDelta { text, .. } => to.piece(text.len()),
            Self::InputDelta { json, .. } => to.piece(json.len()),
            Self::End(reply) => return Some(End::Reply(reply)),
            Self::BlockStart { .. } | Self::ReasoningSeal { .. } | Self::BlockStop { .. } | Self::Restart => {}
        }
        None
    }
}

impl Piece for RawPiece {
    fn show(&self, to: &mut impl Watcher) -> Option<End<'_>> {
        match self {
            Self::Bytes(bytes) => to.raw(bytes),
            Self::End(end) => return Some(End::Raw(end)),
        }
        None
    }
}

impl<S, W, P> Stream for Watched<S, W>
where
    S: Stream<Item = Result<P, ModelError>> + Unpin,
    W: Watcher,
    P: Piece,
{
    type Item = Result<P, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let next = ready!(Pin::new(&mut this.inner).poll_next(context));
        match &next {
            Some(Ok(piece)) => {
                if !this.began {
                    this.began = true;
                    this.watcher.first();
                }
                if let Some(end) = piece.show(&mut this.watcher)
                    && !this.ended
                {
                    this.ended = true;
                    this.watcher.end(end);
                }
            }
            Some(Err(error)) => this.finish(End::Failed(error)),
            // A stream that ends without its end was cut; whoever reads it says so.
            None => this.finish(End::Dropped),
        }
        Poll::Ready(next)
    }
}

impl<S, W: Watcher> Drop for Watched<S, W> {
    fn drop(&mut self) {
        self.finish(End::Dropped);
    }
}

/// Guesses the output of an answer that nobody read to its end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guess {
    text: usize,
    events: u64,
}

impl Guess {
    pub(crate) fn text(&mut self, bytes: usize) {
        self.text += bytes;
    }

    /// Counts the events in raw bytes: of a stream of deltas each is about a token. Events of Bedrock are not told apart
    /// by blank lines; there a hundred bytes are one.
    pub(crate) fn raw(&mut self, bytes: &Bytes) {
        let events = bytes.windows(2).filter(|pair| *pair == b"\n\n").count();
        let events = if events == 0 { bytes.len().div_ceil(100) } else { events };
        self.events = self.events.saturating_add(events as u64);
    }

    /// Returns about how many tokens came.
    pub(crate) fn output(&self) -> u64 {
        self.events.saturating_add(bedplate_core::size::tokens(self.text))
    }
}
