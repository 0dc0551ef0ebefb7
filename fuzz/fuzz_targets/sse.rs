//! Server-sent events: the same events however the network cut them, and what is written is read again.
#![no_main]

use bedplate_dialects::sse::{Event, Parser, write};
use libfuzzer_sys::fuzz_target;
use std::iter::once;

fuzz_target!(|data: &[u8]| {
    let whole = parse(once(data));
    assert_eq!(whole, parse(bedplate_fuzz::pieces(data)));
    let mut said = Vec::new();
    for event in &whole {
        write(&mut said, &event.name, &event.data);
    }
    assert_eq!(whole, parse(once(said.as_slice())));
});

fn parse<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Event> {
    let (mut parser, mut events) = (Parser::default(), Vec::new());
    for piece in pieces {
        parser.feed(piece, &mut events);
    }
    parser.finish(&mut events);
    events
}
