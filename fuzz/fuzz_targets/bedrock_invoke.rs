//! A client's body of InvokeModel: its family is told or it is refused, and each reader takes or refuses it.
#![no_main]

use bedplate_dialects::bedrock_invoke::{Family, family, nova, titan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match family(data, "amazon.nova-lite-v1:0") {
        Ok(Family::Nova) => drop(nova::decode_request(data, "amazon.nova-lite-v1:0")),
        Ok(Family::Titan) => {
            if let Ok(request) = titan::decode_request(data) {
                let said = titan::encode_reply(&request, vec![0.0, 1.0, -2.0], 1);
                assert!(said["embedding"].is_array());
            }
        }
        Ok(Family::Anthropic) | Err(_) => {}
    }
});
