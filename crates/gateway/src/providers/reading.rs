//! Reading of a provider's reply as it comes: with time-outs, into events or as it is.

use super::upstream::{Upstream, no_answer};
use crate::{config::Timeouts, http::Incoming};
use bedplate_core::port::model::{ModelError, ModelErrorKind, ModelEvent, RawEnd, RawPiece};
use bedplate_dialects::{StreamDecoder, StreamError, raw::RawWatch};
use bytes::{Bytes, BytesMut};
use futures::{FutureExt, Stream, future::poll_fn};
use hyper::body::Body as _;
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::time::{Instant, Sleep, sleep_until};

/// The greatest reply that is kept in memory or made into events, in bytes.
const MAX_REPLY: usize = 64 << 20;

/// The body of a reply. Dropping it closes the connection, which ends the work upstream.
pub(crate) struct Body {
    incoming: Incoming,
    timeouts: Timeouts,
    /// Until when the next bytes are waited for.
    until: Instant,
    /// Made at the first wait and moved at most once for each wait, because most pieces come without one.
    sleep: Option<Pin<Box<Sleep>>>,
    read: usize,
}

impl Body {
    pub(crate) fn new(incoming: Incoming, until: Instant, timeouts: Timeouts) -> Self {
        Self { incoming, timeouts, until, sleep: None, read: 0 }
    }

    /// Returns the next bytes; none at the end.
    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ModelError>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(context) {
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "a provider's reply broke off");
                    let message = "the connection broke in the middle of the reply";
                    return Poll::Ready(Err(ModelError::new(ModelErrorKind::BrokenStream, message)));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if data.is_empty() {
                        continue;
                    }
                    self.read += data.len();
                    self.until = Instant::now() + self.timeouts.idle;
                    return Poll::Ready(Ok(Some(data)));
                }
                Poll::Pending => {
                    ready!(self.poll_sleep(context));
                    let error = match self.read {
                        0 => no_answer(),
                        _ => {
                            ModelError::new(ModelErrorKind::Timeout, "the provider stopped in the middle of its reply")
                        }
                    };
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    fn poll_sleep(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(self.until)));
        loop {
            ready!(sleep.as_mut().poll_unpin(context));
            if sleep.deadline() >= self.until {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(self.until);
        }
    }

    /// Reads all of it.
    pub(crate) async fn whole(mut self) -> Result<Bytes, ModelError> {
        let Some(first) = poll_fn(|context| self.poll_data(context)).await? else { return Ok(Bytes::new()) };
        // Most replies come in one piece, which needs no copy.
        if self.incoming.is_end_stream() {
            return Ok(first);
        }
        let mut whole = BytesMut::from(first);
        while let Some(data) = poll_fn(|context| self.poll_data(context)).await? {
            whole.extend_from_slice(&data);
            if whole.len() > MAX_REPLY {
                return Err(too_large());
            }
        }
        Ok(whole.freeze())
    }

    /// Reads what can be had of its first bytes; one that breaks off is as long as it is.
    pub(crate) async fn beginning(mut self, most: usize) -> Vec<u8> {
        let mut text = Vec::new();
        while let Ok(Some(data)) = poll_fn(|context| self.poll_data(context)).await {
            text.extend_from_slice(&data[..data.len().min(most - text.len())]);
            if text.len() == most {
                break;
            }
        }
        text
    }

    /// Takes what is at hand after the reply's end, so that the connection can serve the next call.
    fn drain(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some(Ok(_))) = Pin::new(&mut self.incoming).poll_frame(context) {}
    }
}

fn too_large() -> ModelError {
    ModelError::new(ModelErrorKind::InvalidReply, "the provider's reply is larger than 64 MiB")
}

fn stream_error(upstream: &Upstream, error: &StreamError) -> ModelError {
    match error {
        StreamError::Upstream(fault) => upstream.error(fault.kind, &fault.message),
        StreamError::Decode(_) | StreamError::Cut => upstream.error(ModelErrorKind::BrokenStream, &error.to_string()),
    }
}

/// A reply on its way into events.
pub(crate) struct EventReading {
    upstream: Arc<Upstream>,
    body: Body,
    decoder: Box<dyn StreamDecoder>,
    events: VecDeque<ModelEvent>,
    pending: Vec<ModelEvent>,
    over: bool,
}

impl EventReading {
    pub(crate) fn new(upstream: Arc<Upstream>, body: Body, decoder: Box<dyn StreamDecoder>) -> Self {
        Self { upstream, body, decoder, events: VecDeque::new(), pending: Vec::new(), over: false }
    }

    fn fail(&mut self, error: ModelError) -> Poll<Option<Result<ModelEvent, ModelError>>> {
        self.over = true;
        // What came before the fault was shown or is void either way; the error alone counts.
        self.events.clear();
        Poll::Ready(Some(Err(ModelError { usage: self.decoder.usage(), ..error })))
    }
}

impl Stream for EventReading {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(event) = this.events.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if this.over || this.decoder.is_done() {
                return Poll::Ready(None);
            }
            let decoded = match ready!(this.body.poll_data(context)) {
                Ok(Some(_)) if this.body.read > MAX_REPLY => return this.fail(too_large()),
                Ok(Some(data)) => this.decoder.feed(&data, &mut this.pending),
                Ok(None) => {
                    this.over = true;
                    this.decoder.finish(&mut this.pending)
                }
                Err(error) => return this.fail(error),
            };
            this.events.extend(this.pending.drain(..));
            if this.decoder.is_done() {
                this.body.drain(context);
            }
            if let Err(error) = decoded {
                let error = stream_error(&this.upstream, &error);
                return this.fail(error);
            }
        }
    }
}

/// A reply that passes as it is.
pub(crate) struct RawReading {
    upstream: Arc<Upstream>,
    body: Body,
    watch: Box<dyn RawWatch>,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Open,
    /// The last bytes were passed on; the end is to be said.
    Ending,
    Over,
}

impl RawReading {
    pub(crate) fn new(upstream: Arc<Upstream>, body: Body, watch: Box<dyn RawWatch>) -> Self {
        Self { upstream, body, watch, state: State::Open }
    }

    fn fail(&mut self, error: ModelError) -> Poll<Option<Result<RawPiece, ModelError>>> {
        self.state = State::Over;
        Poll::Ready(Some(Err(ModelError { usage: self.watch.usage(), ..error })))
    }
}

impl Stream for RawReading {
    type Item = Result<RawPiece, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match this.state {
                State::Over => return Poll::Ready(None),
                State::Ending => {
                    this.state = State::Over;
                    let end = RawEnd { usage: this.watch.usage(), cost: None };
                    return Poll::Ready(Some(Ok(RawPiece::End(end))));
                }
                State::Open => {}
            }
            let passed = match ready!(this.body.poll_data(context)) {
                Ok(Some(data)) => this.watch.feed(data),
                Ok(None) => this.watch.finish(),
                Err(error) => return this.fail(error),
            };
            let bytes = match passed {
                Ok(bytes) => bytes,
                Err(error) => {
                    let error = stream_error(&this.upstream, &error);
                    return this.fail(error);
                }
            };
            if this.watch.is_done() {
                this.body.drain(context);
                this.state = State::Ending;
            }
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(RawPiece::Bytes(bytes))));
            }
        }
    }
}
