//! The body of an answer as it comes, and its connection's way back into the pool.

use super::{Connection, Failure, Pool, READ, head::Framing};
use bytes::{Buf, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncReadExt;

/// The longest line about a chunk, and all that may follow the last one, in bytes.
const MAX_LINE: usize = 16 << 10;

/// The body of an answer. Dropping it before its end closes the connection.
pub(crate) struct Body {
    /// None: the body is over.
    connection: Option<Connection>,
    /// Where the connection goes afterwards; none: nowhere.
    home: Option<(Arc<Pool>, Arc<str>)>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes are to come.
    Length(u64),
    /// The size of a chunk is to come.
    Size,
    /// So many bytes of a chunk are to come.
    Chunk(u64),
    /// The line's end after a chunk is to come.
    ChunkEnd,
    /// Lines up to an empty one are to come, of which so many bytes came.
    Trailer(usize),
    /// All that comes until the connection ends.
    Close,
}

/// What was found in a buffer.
enum Step {
    Data(Bytes),
    /// More must be read.
    More,
    Over,
}

impl Body {
    pub(super) fn new(
        connection: Connection,
        framing: Framing,
        home: Option<(Arc<Pool>, Arc<str>)>,
    ) -> Result<Self, Failure> {
        let (state, home) = match framing {
            Framing::Length(length) => (State::Length(length), home),
            Framing::Chunked => (State::Size, home),
            Framing::Close => (State::Close, None),
        };
        let mut body = Self { connection: Some(connection), home, state };
        body.settle()?;
        Ok(body)
    }

    /// Reads what is in the buffer until data or something missing, and returns the connection at the end.
    fn step(&mut self) -> Result<Step, Failure> {
        let Some(connection) = &mut self.connection else { return Ok(Step::Over) };
        let buffer = &mut connection.buffer;
        loop {
            match self.state {
                State::Length(0) => break,
                State::Length(left) | State::Chunk(left) => {
                    let count = left.min(buffer.len() as u64);
                    if count == 0 {
                        return Ok(Step::More);
                    }
                    let rest = left - count;
                    self.state = match self.state {
                        State::Chunk(_) if rest == 0 => State::ChunkEnd,
                        State::Chunk(_) => State::Chunk(rest),
                        _ => State::Length(rest),
                    };
                    // It fits: it is no more than the buffer's length.
                    return Ok(Step::Data(buffer.split_to(count as usize).freeze()));
                }
                State::Close if buffer.is_empty() => return Ok(Step::More),
                State::Close => return Ok(Step::Data(buffer.split().freeze())),
                State::ChunkEnd => {
                    let Some(line) = line(buffer)? else { return Ok(Step::More) };
                    if line > 0 {
                        return Err(Failure::Malformed("a chunk is longer than it said"));
                    }
                    buffer.advance(END.len());
                    self.state = State::Size;
                }
                State::Size => {
                    let Some(line) = line(buffer)? else { return Ok(Step::More) };
                    let size = size(&buffer[..line]).ok_or(Failure::Malformed("the size of a chunk is no number"))?;
                    buffer.advance(line + END.len());
                    self.state = if size == 0 { State::Trailer(0) } else { State::Chunk(size) };
                }
                State::Trailer(read) => {
                    let Some(line) = line(buffer)? else { return Ok(Step::More) };
                    buffer.advance(line + END.len());
                    if line == 0 {
                        break;
                    }
                    if read + line > MAX_LINE {
                        return Err(Failure::Malformed("its trailer is too long"));
                    }
                    self.state = State::Trailer(read + line);
                }
            }
        }
        // Bytes that nobody asked for would be taken for the next answer.
        if let (Some(Connection { stream, buffer }), Some((pool, place))) = (self.connection.take(), self.home.take())
            && buffer.is_empty()
        {
            pool.put(place, stream);
        }
        Ok(Step::Over)
    }

    /// Notices an end that is in the buffer already, so that the connection serves others while the data is read.
    fn settle(&mut self) -> Result<(), Failure> {
        let ends = match (&self.connection, self.state) {
            (_, State::Length(0)) => true,
            (Some(connection), State::ChunkEnd) => connection.buffer.starts_with(b"\r\n0\r\n"),
            (Some(connection), State::Size) => connection.buffer.starts_with(b"0\r\n"),
            (_, State::Trailer(_)) => true,
            _ => false,
        };
        // In these states a step finds no data.
        if ends { self.step().map(drop) } else { Ok(()) }
    }

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            match self.step() {
                Err(failure) => return self.fail(failure),
                Ok(Step::Over) => return Poll::Ready(None),
                Ok(Step::Data(data)) => {
                    return match self.settle() {
                        Ok(()) => Poll::Ready(Some(Ok(data))),
                        Err(failure) => self.fail(failure),
                    };
                }
                Ok(Step::More) => {}
            }
            let Some(Connection { stream, buffer }) = &mut self.connection else { return Poll::Ready(None) };
            // What has a length is taken in one piece where it is not great.
            let wanted =
                if let State::Length(left) = self.state { left.clamp(1, 8 * READ as u64) } else { READ as u64 };
            buffer.reserve(wanted as usize);
            // The future keeps nothing between polls.
            match ready!(pin!(stream.read_buf(buffer)).poll(context)) {
                Ok(0) if self.state == State::Close => {
                    self.connection = None;
                    return Poll::Ready(None);
                }
                Ok(0) => return self.fail(Failure::Cut),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.fail(error.into()),
            }
        }
    }

    fn fail(&mut self, failure: Failure) -> Poll<Option<Result<Bytes, Failure>>> {
        self.connection = None;
        Poll::Ready(Some(Err(failure)))
    }
}

const END: &[u8] = b"\r\n";

/// Returns the length of the line at the beginning of `buffer`; none where its end is not there yet.
fn line(buffer: &[u8]) -> Result<Option<usize>, Failure> {
    match buffer.iter().take(MAX_LINE).position(|byte| *byte == b'\n') {
        Some(0) => Err(Failure::Malformed("a line of its chunks has no end")),
        Some(end) if buffer[end - 1] == b'\r' => Ok(Some(end - 1)),
        Some(_) => Err(Failure::Malformed("a line of its chunks has no end")),
        None if buffer.len() >= MAX_LINE => Err(Failure::Malformed("a line of its chunks is too long")),
        None => Ok(None),
    }
}

/// Reads the size of a chunk; what may follow it is left alone (RFC 9112, section 7.1.1).
fn size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u64::from_str_radix(digits, 16).ok()
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        self.get_mut().poll_data(context).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.state {
            State::Length(left) => SizeHint::with_exact(left),
            _ => SizeHint::default(),
        }
    }
}
