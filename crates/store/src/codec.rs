//! How a batch's events become bytes and events again, in both adapters.
//!
//! The form is a JSON array of events, packed (see `pack`). An event whose encoding is larger than [`MAX_INLINE_BYTES`] is replaced by
//! `{"$blob":"<hash>"}` and stored as a blob; no event can look like that, since no variant's name has a `$`.

use crate::pack;
use bedplate_core::{
    event::Event,
    id::ContentHash,
    port::journal::{AppendError, MAX_BATCH_BYTES, MAX_EVENT_BYTES, MAX_INLINE_BYTES},
};
use bytes::Bytes;
use serde_json::value::RawValue;

/// The events of one batch as they are stored.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    /// The JSON array, packed unless it says so where it is made.
    pub(crate) payload: Bytes,
    /// How many events it has.
    pub(crate) count: u64,
    /// The events that became blobs.
    pub(crate) large: Vec<(ContentHash, Bytes)>,
}

/// Why stored bytes could not be read.
#[derive(Debug)]
pub(crate) enum DecodeError<E> {
    /// They are no events.
    Damaged(String),
    /// A blob could not be fetched.
    Fetch(E),
}

const MARK: &str = r#"{"$blob":""#;

impl Encoded {
    /// Packs what [`encode_plain`] gave.
    pub(crate) fn packed(self) -> Self {
        Self { payload: pack::pack(self.payload.into()).into(), ..self }
    }
}

/// Encodes events and checks the limits of the port.
pub(crate) fn encode(events: &[Event]) -> Result<Encoded, AppendError> {
    encode_plain(events).map(Encoded::packed)
}

/// As [`encode`], without packing: for those who pack many batches together.
pub(crate) fn encode_plain(events: &[Event]) -> Result<Encoded, AppendError> {
    let mut payload = Vec::with_capacity(256 * events.len() + 2);
    let mut large = Vec::new();
    payload.push(b'[');
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            payload.push(b',');
        }
        let start = payload.len();
        serde_json::to_writer(&mut payload, event)
            .map_err(|error| AppendError::Invalid(format!("an event cannot be encoded: {error}")))?;
        let bytes = payload.len() - start;
        if bytes > MAX_EVENT_BYTES {
            return Err(AppendError::TooLarge { what: "an event", bytes, limit: MAX_EVENT_BYTES });
        }
        if bytes > MAX_INLINE_BYTES {
            let content = Bytes::from(payload.split_off(start));
            let hash = ContentHash::of(&content);
            payload.extend_from_slice(format!("{MARK}{hash}\"}}").as_bytes());
            large.push((hash, content));
        }
    }
    payload.push(b']');
    if payload.len() > MAX_BATCH_BYTES {
        return Err(AppendError::TooLarge { what: "the batch", bytes: payload.len(), limit: MAX_BATCH_BYTES });
    }
    Ok(Encoded { payload: payload.into(), count: events.len() as u64, large })
}

/// Decodes what [`encode`] made; `blob` fetches the events that were too large.
pub(crate) fn decode<E>(
    payload: &[u8],
    blob: impl FnMut(ContentHash) -> Result<Option<Bytes>, E>,
) -> Result<Vec<Event>, DecodeError<E>> {
    decode_plain(&pack::unpack(payload).map_err(DecodeError::Damaged)?, blob)
}

/// Decodes what [`encode_plain`] made.
pub(crate) fn decode_plain<E>(
    json: &[u8],
    mut blob: impl FnMut(ContentHash) -> Result<Option<Bytes>, E>,
) -> Result<Vec<Event>, DecodeError<E>> {
    let damaged = |error: serde_json::Error| DecodeError::Damaged(error.to_string());
    let texts: Vec<&RawValue> = serde_json::from_slice(json).map_err(damaged)?;
    let mut events = Vec::with_capacity(texts.len());
    for text in texts {
        let text = text.get();
        let event = match text.strip_prefix(MARK) {
            None => serde_json::from_str(text).map_err(damaged)?,
            Some(rest) => {
                let hash = rest
                    .strip_suffix("\"}")
                    .and_then(|hex| hex.parse().ok())
                    .ok_or_else(|| DecodeError::Damaged(format!("{text} names no blob")))?;
                let content = blob(hash)
                    .map_err(DecodeError::Fetch)?
                    .ok_or_else(|| DecodeError::Damaged(format!("the blob {hash} is missing")))?;
                serde_json::from_slice(&content).map_err(damaged)?
            }
        };
        events.push(event);
    }
    Ok(events)
}
