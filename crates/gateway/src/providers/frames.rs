//! AWS's event streams (`application/vnd.amazon.eventstream`) from a provider: frames out of bytes, and what is in them.

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;
use bedplate_core::{message::Usage, port::model::ModelEvent};
use bedplate_dialects::{
    DecodeError, StreamDecoder, StreamError, bedrock_converse,
    raw::{ConverseWatch, InvokeWatch, RawWatch},
};
use bytes::{Bytes, BytesMut};

/// The longest frame, in bytes: what AWS allows (24 MiB of payload and 128 KiB of headers) and a little.
const MAX_FRAME: usize = 25 << 20;

/// Prelude, its checksum, and that of the whole.
const MIN_FRAME: usize = 16;

/// Cuts frames out of bytes that come in any pieces.
#[derive(Default)]
struct Frames {
    held: BytesMut,
}

/// A frame and its bytes.
struct Frame {
    message: Message,
    bytes: Bytes,
}

impl Frames {
    fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Returns the next whole frame; none when more bytes must come.
    fn next(&mut self) -> Result<Option<Frame>, StreamError> {
        let Some(length) = self.held.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if !(MIN_FRAME..=MAX_FRAME).contains(&length) {
            return Err(broken("a frame has an impossible length"));
        }
        // A wrong length must not make us wait for what never comes: the prelude has its own checksum.
        if self.held.len() >= 12 && self.held.len() < length && !prelude_is_good(&self.held) {
            return Err(broken("the beginning of a frame does not match its checksum"));
        }
        if self.held.len() < length {
            return Ok(None);
        }
        let bytes = self.held.split_to(length).freeze();
        let message = read_message_from(bytes.clone()).map_err(|error| broken(&error.to_string()))?;
        Ok(Some(Frame { message, bytes }))
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

fn prelude_is_good(bytes: &[u8]) -> bool {
    let said = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    let mut crc = u32::MAX;
    for byte in &bytes[..8] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc == said
}

fn broken(message: &str) -> StreamError {
    StreamError::Decode(DecodeError { path: String::new(), message: message.to_owned() })
}

impl Frame {
    fn header(&self, name: &str) -> &str {
        let found = self.message.headers().iter().find(|header| header.name().as_str() == name);
        found.and_then(|header| header.value().as_string().ok()).map_or("", |text| text.as_str())
    }

    /// Returns the event's kind.
    ///
    /// # Errors
    /// What an exception or an error tells of.
    fn event(&self) -> Result<&str, StreamError> {
        match self.header(":message-type") {
            "exception" => {
                Err(bedrock_converse::Decoder::exception(self.header(":exception-type"), self.message.payload()))
            }
            "error" => {
                let said = serde_json::json!({ "message": self.header(":error-message") }).to_string();
                Err(bedrock_converse::Decoder::exception(self.header(":error-code"), said.as_bytes()))
            }
            _ => Ok(self.header(":event-type")),
        }
    }
}

/// Reads the events of a ConverseStream.
pub(crate) struct ConverseDecoder {
    frames: Frames,
    decoder: bedrock_converse::Decoder,
    usage: Usage,
}

impl ConverseDecoder {
    pub(crate) fn new(decoder: bedrock_converse::Decoder) -> Self {
        Self { frames: Frames::default(), decoder, usage: Usage::default() }
    }
}

impl StreamDecoder for ConverseDecoder {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        self.frames.feed(bytes);
        while !self.decoder.is_done()
            && let Some(frame) = self.frames.next()?
        {
            self.decoder.event(frame.event()?, frame.message.payload(), out)?;
        }
        if let Some(ModelEvent::End(reply)) = out.last() {
            self.usage = reply.usage;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        if !self.decoder.is_done() && !self.frames.is_empty() {
            return Err(StreamError::Cut);
        }
        self.decoder.finish(out)
    }

    fn is_done(&self) -> bool {
        self.decoder.is_done()
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

/// Which events a raw stream of Bedrock holds.
pub(crate) enum Kind {
    Converse(ConverseWatch),
    Invoke(InvokeWatch),
}

/// Watches frames that pass as they are.
pub(crate) struct FrameWatch {
    frames: Frames,
    kind: Kind,
    done: bool,
}

impl FrameWatch {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { frames: Frames::default(), kind, done: false }
    }
}

impl RawWatch for FrameWatch {
    fn feed(&mut self, bytes: Bytes) -> Result<Bytes, StreamError> {
        if self.done {
            return Ok(Bytes::new());
        }
        let untouched = self.frames.is_empty();
        self.frames.feed(&bytes);
        let (mut passed, mut length) = (BytesMut::new(), 0);
        while !self.done
            && let Some(frame) = self.frames.next()?
        {
            let (kind, payload) = (frame.event()?, frame.message.payload());
            self.done = match &mut self.kind {
                Kind::Converse(watch) => watch.event(kind, payload)?,
                Kind::Invoke(watch) => watch.event(kind, payload)?,
            };
            length += frame.bytes.len();
            if !untouched {
                passed.extend_from_slice(&frame.bytes);
            }
        }
        // Where nothing was held before, what passes is the beginning of what came.
        Ok(if untouched { bytes.slice(..length) } else { passed.freeze() })
    }

    fn finish(&mut self) -> Result<Bytes, StreamError> {
        self.done |= self.frames.is_empty() && matches!(&self.kind, Kind::Converse(watch) if watch.may_end());
        if self.done { Ok(Bytes::new()) } else { Err(StreamError::Cut) }
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn usage(&self) -> Usage {
        match &self.kind {
            Kind::Converse(watch) => watch.usage(),
            Kind::Invoke(watch) => watch.usage(),
        }
    }
}

/// Takes the bytes of another stream out of the frames of a SageMaker endpoint (`PayloadPart`).
#[derive(Default)]
pub(crate) struct Parts {
    frames: Frames,
}

impl Parts {
    fn feed(&mut self, bytes: &[u8]) -> Result<Bytes, StreamError> {
        self.frames.feed(bytes);
        let mut inner = BytesMut::new();
        while let Some(frame) = self.frames.next()? {
            if frame.event()? == "PayloadPart" {
                inner.extend_from_slice(frame.message.payload());
            }
        }
        Ok(inner.freeze())
    }
}

/// A decoder behind the frames of a SageMaker endpoint.
pub(crate) struct PartDecoder(pub(crate) Parts, pub(crate) Box<dyn StreamDecoder>);

impl StreamDecoder for PartDecoder {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        let inner = self.0.feed(bytes)?;
        self.1.feed(&inner, out)
    }

    fn finish(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        self.1.finish(out)
    }

    fn is_done(&self) -> bool {
        self.1.is_done()
    }

    fn usage(&self) -> Usage {
        self.1.usage()
    }
}

/// A watch behind the frames of a SageMaker endpoint: what passes is what they hold.
pub(crate) struct PartWatch(pub(crate) Parts, pub(crate) Box<dyn RawWatch>);

impl RawWatch for PartWatch {
    fn feed(&mut self, bytes: Bytes) -> Result<Bytes, StreamError> {
        let inner = self.0.feed(&bytes)?;
        self.1.feed(inner)
    }

    fn finish(&mut self) -> Result<Bytes, StreamError> {
        self.1.finish()
    }

    fn is_done(&self) -> bool {
        self.1.is_done()
    }

    fn usage(&self) -> Usage {
        self.1.usage()
    }
}
