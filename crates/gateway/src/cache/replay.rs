//! Recording an answer as it passes, and playing it again in the same form.

use super::shelf::{Form, Kept};
use bedplate_core::port::model::{Answer, ModelError, ModelEvent, RawBody, RawEnd, RawPiece, RawReply};
use bytes::Bytes;
use futures::{Stream, stream};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Takes a whole reply: its form, its bytes, and what it had cost. Called once at most.
pub(super) type Taker = Box<dyn FnOnce(Form, usize, u64) + Send>;

/// Returns `answer`, and has `take` called when it has come to its end and fits.
pub(super) fn recorded(answer: Answer, max_bytes: usize, take: Taker) -> Answer {
    match answer {
        Answer::Events(inner) => {
            let tape = Tape::<ModelEvent> { pieces: Vec::new(), bytes: 0, max_bytes, content_type: String::new() };
            Answer::Events(Box::pin(Recorded { inner, tape: Some((tape, take)) }))
        }
        Answer::Raw(RawReply { content_type, body }) => {
            let body = match body {
                RawBody::Whole(bytes, end) => {
                    if bytes.len() <= max_bytes {
                        let cost = end.cost.unwrap_or(0);
                        let form =
                            Form::Whole { content_type: content_type.clone(), body: bytes.clone(), end: end.clone() };
                        take(form, bytes.len(), cost);
                    }
                    RawBody::Whole(bytes, end)
                }
                RawBody::Stream(inner) => {
                    let tape =
                        Tape::<Bytes> { pieces: Vec::new(), bytes: 0, max_bytes, content_type: content_type.clone() };
                    RawBody::Stream(Box::pin(Recorded { inner, tape: Some((tape, take)) }))
                }
            };
            Answer::Raw(RawReply { content_type, body })
        }
    }
}

/// Returns the answer that was kept, as if it came anew.
pub(super) fn replayed(kept: Arc<Kept>) -> Answer {
    match &kept.form {
        Form::Events(events) => {
            let count = events.len();
            let event = move |index| match &kept.form {
                Form::Events(events) => events.get(index).cloned().map(free).map(Ok),
                Form::Whole { .. } | Form::Stream { .. } => None,
            };
            Answer::Events(Box::pin(stream::iter((0..count).filter_map(event))))
        }
        Form::Whole { content_type, body, end } => {
            let body = RawBody::Whole(body.clone(), free_end(end));
            Answer::Raw(RawReply { content_type: content_type.clone(), body })
        }
        Form::Stream { content_type, pieces, end } => {
            let mut all: Vec<Result<RawPiece, ModelError>> =
                pieces.iter().cloned().map(RawPiece::Bytes).map(Ok).collect();
            all.push(Ok(RawPiece::End(free_end(end))));
            let body = RawBody::Stream(Box::pin(stream::iter(all)));
            Answer::Raw(RawReply { content_type: content_type.clone(), body })
        }
    }
}

/// What comes from the cache costs nothing; the tokens stay as the client saw them the first time.
fn free(event: ModelEvent) -> ModelEvent {
    match event {
        ModelEvent::End(mut reply) => {
            reply.cost = Some(0);
            ModelEvent::End(reply)
        }
        event => event,
    }
}

fn free_end(end: &RawEnd) -> RawEnd {
    RawEnd { cost: Some(0), ..end.clone() }
}

struct Tape<P> {
    pieces: Vec<P>,
    bytes: usize,
    max_bytes: usize,
    content_type: String,
}

struct Recorded<S, P> {
    inner: S,
    /// None once the reply was taken, or cannot be.
    tape: Option<(Tape<P>, Taker)>,
}

/// What a piece is to the tape.
enum Seen {
    More(usize),
    Void,
    End(u64),
}

impl<S> Stream for Recorded<S, ModelEvent>
where
    S: Stream<Item = Result<ModelEvent, ModelError>> + Unpin,
{
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let next = ready!(Pin::new(&mut this.inner).poll_next(context));
        let Some(Ok(event)) = &next else {
            this.tape = None;
            return Poll::Ready(next);
        };
        let seen = match event {
            ModelEvent::TextDelta { text, .. } => Seen::More(text.len()),
            ModelEvent::InputDelta { json, .. } => Seen::More(json.len()),
            ModelEvent::ReasoningSeal { seal, .. } => {
                let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
                Seen::More(length(&seal.signature) + length(&seal.redacted))
            }
            ModelEvent::BlockStart { .. } | ModelEvent::BlockStop { .. } => Seen::More(0),
            ModelEvent::Restart => Seen::Void,
            ModelEvent::End(reply) => Seen::End(reply.cost.unwrap_or(0)),
        };
        match seen {
            Seen::More(bytes) => this.push(event.clone(), bytes),
            Seen::Void => {
                if let Some((tape, _)) = &mut this.tape {
                    tape.pieces.clear();
                    tape.bytes = 0;
                }
            }
            Seen::End(cost) => {
                // The reply repeats what its deltas said.
                let again = this.tape.as_ref().map_or(0, |(tape, _)| tape.bytes);
                this.push(event.clone(), again);
                if let Some((tape, take)) = this.tape.take() {
                    take(Form::Events(tape.pieces), tape.bytes, cost);
                }
            }
        }
        Poll::Ready(next)
    }
}

impl<S> Stream for Recorded<S, Bytes>
where
    S: Stream<Item = Result<RawPiece, ModelError>> + Unpin,
{
    type Item = Result<RawPiece, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let next = ready!(Pin::new(&mut this.inner).poll_next(context));
        match &next {
            Some(Ok(RawPiece::Bytes(bytes))) => this.push(bytes.clone(), bytes.len()),
            Some(Ok(RawPiece::End(end))) => {
                if let Some((tape, take)) = this.tape.take() {
                    let Tape { pieces, bytes, content_type, .. } = tape;
                    take(Form::Stream { content_type, pieces, end: end.clone() }, bytes, end.cost.unwrap_or(0));
                }
            }
            Some(Err(_)) | None => this.tape = None,
        }
        Poll::Ready(next)
    }
}

/// What a piece of a tape takes besides its content, in bytes.
const PIECE: usize = 64;

impl<S, P> Recorded<S, P> {
    fn push(&mut self, piece: P, bytes: usize) {
        let Some((tape, _)) = &mut self.tape else { return };
        tape.bytes += bytes + PIECE;
        if tape.bytes > tape.max_bytes {
            self.tape = None;
        } else {
            tape.pieces.push(piece);
        }
    }
}
