//! A client's request in Anthropic's form, as `/model/{id}/invoke` takes it and as `/v1/messages` has it.
#![no_main]

use bedplate_dialects::anthropic_messages::{EncodeOptions, decode_invoke, decode_request, encode_request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = decode_invoke(data, "fuzz")
        && let Ok((wire, _)) = encode_request(&request, EncodeOptions { bedrock: true, ..EncodeOptions::default() })
    {
        let said = wire.to_json();
        if let Err(error) = decode_invoke(&said, "fuzz") {
            panic!("{error}: {}", String::from_utf8_lossy(&said));
        }
    }
    if let Ok(inbound) = decode_request(data)
        && let Ok((wire, _)) = encode_request(&inbound.request, EncodeOptions::default())
    {
        let said = wire.to_json();
        if let Err(error) = decode_request(&said) {
            panic!("{error}: {}", String::from_utf8_lossy(&said));
        }
    }
});
