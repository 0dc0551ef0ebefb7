//! Events as they lie in a journal: what decodes encodes to the same event.
#![no_main]

use bedplate_core::event::Event;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(event) = serde_json::from_slice::<Event>(data) else { return };
    let said = serde_json::to_vec(&event).expect("an event encodes");
    let again: Event = serde_json::from_slice(&said).expect("an encoded event decodes");
    assert_eq!(event, again);
});
