//! A client's request in the form of Responses: it decodes or is refused, and what decoded can be said and read again.
#![no_main]

use bedplate_dialects::openai_responses::{decode_request, encode_request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(request) = decode_request(data) else { return };
    let Ok((wire, _)) = encode_request(&request, false) else { return };
    let said = wire.to_json();
    if let Err(error) = decode_request(&said) {
        panic!("{error}: {}", String::from_utf8_lossy(&said));
    }
});
