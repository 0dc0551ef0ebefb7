//! What the fuzz targets share.

use bedplate_core::port::model::ModelEvent;
use bedplate_dialects::{Envelope, StreamDecoder};

/// Returns the outer shape under which decoded replies are said again.
#[must_use]
pub fn envelope() -> Envelope {
    Envelope { id: "fuzz".into(), created: 0, model: "fuzz".into() }
}

/// Cuts `data` into pieces whose lengths its own first byte chooses.
pub fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let length = data.first().map_or(1, |first| usize::from(*first % 17) + 1);
    data.chunks(length)
}

/// Returns what `decoder` makes of `pieces`, and whether the stream was one of its dialect.
pub fn decode<'a>(mut decoder: impl StreamDecoder, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<ModelEvent>, bool) {
    let mut events = Vec::new();
    for piece in pieces {
        if decoder.feed(piece, &mut events).is_err() {
            return (events, false);
        }
    }
    let whole = decoder.finish(&mut events).is_ok();
    assert!(!whole || decoder.is_done(), "a stream ended well and without its end");
    (events, whole)
}
