//! The signature that a request says of itself, in a header or a query, and bodies in chunks: none may panic.
#![no_main]

use axum::http::{HeaderMap, HeaderValue};
use bedplate_core::time::Timestamp;
use bedplate_server::sigv4::{Claim, decode_chunked};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let half = data.len() / 2;
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(&data[..half]) {
        headers.insert("authorization", value);
    }
    headers.insert("x-amz-date", HeaderValue::from_static("20261120T184144Z"));
    let query = std::str::from_utf8(&data[half..]).ok();
    for claim in [Claim::of(query, &headers), Claim::of(query, &HeaderMap::new())].into_iter().flatten().flatten() {
        assert_eq!(claim.signature.len(), 64);
        let _ = claim.check_time(Timestamp(1_795_200_104_000));
        let _ = claim.check_time(Timestamp(i64::MAX));
    }
    if let Some(decoded) = decode_chunked(data) {
        assert!(decoded.len() <= data.len());
    }
});
