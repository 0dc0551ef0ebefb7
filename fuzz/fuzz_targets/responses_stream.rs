//! An upstream's stream of a response: the same events however the network cut it.
#![no_main]

use bedplate_dialects::{NameMap, openai_responses::Decoder};
use libfuzzer_sys::fuzz_target;
use std::iter::once;

fuzz_target!(|data: &[u8]| {
    let decoder = || Decoder::new(NameMap::default());
    let whole = bedplate_fuzz::decode(decoder(), once(data));
    let cut = bedplate_fuzz::decode(decoder(), bedplate_fuzz::pieces(data));
    assert_eq!(whole, cut);
});
