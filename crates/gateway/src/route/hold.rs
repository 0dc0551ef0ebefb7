//! An answer is held until its first token: what breaks before that has never been seen by anybody, and counts as a
//! failed attempt. After it the answer passes through, watched for silence.

use super::guard::Visit;
use bedplate_core::{
    message::StopReason,
    port::{
        BoxFuture, BoxStream,
        clock::Clock,
        model::{Answer, ModelError, ModelErrorKind, ModelEvent, RawBody, RawPiece, RawReply},
    },
    time::Timestamp,
};
use futures::{
    FutureExt, Stream, StreamExt,
    future::{Either, select},
};
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// How many pieces, at most, are held back for a first token; an answer that says so much is under way.
const MOST_HELD: usize = 64;

/// How an answer is waited for.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// Until when its first token must come.
    pub(crate) until: Option<Timestamp>,
    /// How long it may be silent afterwards.
    pub(crate) idle: Option<Duration>,
    /// Whether nothing of it is passed on before it is whole: nobody sees pieces, so a break in the middle is a failed
    /// attempt like any other.
    pub(crate) whole: bool,
}

/// Waits for the first token of `answer`, then lets it pass. `visit` is told how it ends.
///
/// # Errors
/// What broke it before its first token.
pub(crate) async fn first_token(
    answer: Answer,
    visit: Option<Visit>,
    clock: &Arc<dyn Clock>,
    terms: Terms,
) -> Result<Answer, (ModelError, Option<Visit>)> {
    match answer {
        Answer::Events(events) => {
            hold(events, visit, clock, terms).await.map(|events| Answer::Events(Box::pin(events)))
        }
        Answer::Raw(RawReply { content_type, body: RawBody::Stream(pieces) }) => {
            let pieces = hold(pieces, visit, clock, terms).await?;
            Ok(Answer::Raw(RawReply { content_type, body: RawBody::Stream(Box::pin(pieces)) }))
        }
        Answer::Raw(whole @ RawReply { body: RawBody::Whole(..), .. }) => {
            if let Some(visit) = visit {
                visit.answered();
                drop(visit.succeeded());
            }
            Ok(Answer::Raw(whole))
        }
    }
}

async fn hold<T: Piece>(
    mut pieces: BoxStream<'static, Result<T, ModelError>>,
    visit: Option<Visit>,
    clock: &Arc<dyn Clock>,
    terms: Terms,
) -> Result<Watched<T>, (ModelError, Option<Visit>)> {
    let mut held = VecDeque::new();
    let mut timer = terms.until.map(|until| clock.sleep_until(until));
    let mut answering = false;
    loop {
        let next = match &mut timer {
            None => pieces.next().await,
            Some(timer) => match select(pieces.next(), timer).await {
                Either::Left((next, _)) => next,
                Either::Right(((), _)) if answering => return Err((stopped(), visit)),
                Either::Right(((), _)) => return Err((silent(), visit)),
            },
        };
        let piece = match next {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return Err((error, visit)),
            None => return Err((cut(), visit)),
        };
        if let Some(error) = piece.failure() {
            return Err((error, visit));
        }
        let (begun, ended) = (piece.begins(), piece.ends());
        held.push_back(piece);
        if !answering && (begun || ended || held.len() >= MOST_HELD) {
            answering = true;
            if let Some(visit) = &visit {
                visit.answered();
            }
        }
        if ended {
            let visit = visit.map(Visit::succeeded);
            return Ok(Watched { held, pieces: None, visit, clock: Arc::clone(clock), idle: None, timer: None });
        }
        if answering && !terms.whole {
            let idle = terms.idle;
            return Ok(Watched { held, pieces: Some(pieces), visit, clock: Arc::clone(clock), idle, timer: None });
        }
        if answering {
            timer = terms.idle.map(|idle| clock.sleep_until(clock.now().after(idle)));
        }
    }
}

/// What an answer is made of.
trait Piece: Send + Unpin + 'static {
    /// Returns whether the answer has begun with this.
    fn begins(&self) -> bool;
    /// Returns whether this is the end of an answer that is whole.
    fn ends(&self) -> bool;
    /// Returns why this end is none.
    fn failure(&self) -> Option<ModelError>;
}

impl Piece for ModelEvent {
    fn begins(&self) -> bool {
        match self {
            Self::TextDelta { text, .. } => !text.is_empty(),
            Self::InputDelta { json, .. } => !json.is_empty(),
            Self::ReasoningSeal { .. } | Self::BlockStop { .. } => true,
            Self::BlockStart { .. } | Self::Restart | Self::End(_) => false,
        }
    }

    fn ends(&self) -> bool {
        matches!(self, Self::End(_))
    }

    fn failure(&self) -> Option<ModelError> {
        match self {
            Self::End(reply)
                if reply.stop_reason == StopReason::ModelContextWindowExceeded && reply.message.content.is_empty() =>
            {
                let message = "the conversation is longer than the model can read";
                Some(ModelError { usage: reply.usage, ..ModelError::new(ModelErrorKind::TooLarge, message) })
            }
            _ => None,
        }
    }
}

impl Piece for RawPiece {
    fn begins(&self) -> bool {
        match self {
            Self::Bytes(bytes) => says_something(bytes),
            Self::End(_) => false,
        }
    }

    fn ends(&self) -> bool {
        matches!(self, Self::End(_))
    }

    fn failure(&self) -> Option<ModelError> {
        None
    }
}

/// Returns whether events of any dialect in `bytes` hold a part of an answer. It looks for the names that only such
/// events have; a text that quotes one of them is a part of an answer, too.
fn says_something(bytes: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] = [
        b"content_block_delta",
        b"content_block_stop",
        b"contentBlockDelta",
        b"tool_calls\":[{",
        b".delta\"",
        b"\"finish_reason\":\"",
        b"\"reasoning",
        b"\"refusal\":\"",
    ];
    NAMES.iter().any(|name| find(bytes, name).is_some()) || has_content(bytes)
}

/// Returns whether a `"content"` that is not empty stands in `bytes`.
fn has_content(mut bytes: &[u8]) -> bool {
    const NAME: &[u8] = b"\"content\"";
    while let Some(at) = find(bytes, NAME) {
        bytes = &bytes[at + NAME.len()..];
        let mut rest = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
        if let (Some(b':'), Some(b'"'), Some(first)) = (rest.next(), rest.next(), rest.next())
            && *first != b'"'
        {
            return true;
        }
    }
    false
}

fn find(bytes: &[u8], name: &[u8]) -> Option<usize> {
    bytes.windows(name.len()).position(|window| window == name)
}

/// An answer after its first token.
struct Watched<T> {
    held: VecDeque<T>,
    pieces: Option<BoxStream<'static, Result<T, ModelError>>>,
    visit: Option<Visit>,
    clock: Arc<dyn Clock>,
    idle: Option<Duration>,
    // Made at the first wait after a piece, because most pieces are there.
    timer: Option<BoxFuture<'static, ()>>,
}

impl<T: Piece> Watched<T> {
    fn end(&mut self, error: Option<&ModelError>) {
        self.pieces = None;
        if let Some(visit) = self.visit.take() {
            drop(match error {
                None => visit.succeeded(),
                Some(error) => visit.failed(error, false),
            });
        }
    }

    fn is_silent(&mut self, context: &mut Context<'_>) -> bool {
        let Some(idle) = self.idle else { return false };
        let clock = &self.clock;
        self.timer.get_or_insert_with(|| clock.sleep_until(clock.now().after(idle))).poll_unpin(context).is_ready()
    }
}

impl<T: Piece> Stream for Watched<T> {
    type Item = Result<T, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(piece) = this.held.pop_front() {
            if piece.ends() {
                this.visit = None;
            }
            return Poll::Ready(Some(Ok(piece)));
        }
        let Some(pieces) = &mut this.pieces else { return Poll::Ready(None) };
        match pieces.poll_next_unpin(context) {
            Poll::Pending if this.is_silent(context) => {
                let error = stopped();
                this.end(Some(&error));
                Poll::Ready(Some(Err(error)))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(piece))) => {
                this.timer = None;
                if piece.ends() {
                    this.end(None);
                }
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.end(Some(&error));
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                let error = cut();
                this.end(Some(&error));
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}

fn silent() -> ModelError {
    ModelError::new(ModelErrorKind::Timeout, "the model did not begin to answer in time")
}

fn stopped() -> ModelError {
    ModelError::new(ModelErrorKind::Timeout, "the model stopped in the middle of its answer")
}

fn cut() -> ModelError {
    ModelError::new(ModelErrorKind::BrokenStream, "the reply was cut before its end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_stream_begins_with_its_first_words_and_not_with_its_opening() {
        for silent in [
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[],\"usage\":{}}}\n\n",
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
            "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            ": keep-alive\n\n",
        ] {
            assert!(!says_something(silent.as_bytes()), "{silent}");
        }
        for speaking in [
            "event: content_block_delta\ndata: {}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\": \"H\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        ] {
            assert!(says_something(speaking.as_bytes()), "{speaking}");
        }
    }
}
