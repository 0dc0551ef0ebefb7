//! An upstream's response: it decodes or is refused, and what decoded can be said and read again.
#![no_main]

use bedplate_dialects::{
    NameMap,
    openai_responses::{About, decode_reply, encode_reply},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let names = NameMap::default();
    let Ok(reply) = decode_reply(data, &names) else { return };
    let said = encode_reply(&reply, &bedplate_fuzz::envelope(), &About::default()).to_json();
    if let Err(error) = decode_reply(&said, &names) {
        panic!("{error}: {}", String::from_utf8_lossy(&said));
    }
});
