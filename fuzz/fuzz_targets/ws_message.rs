//! The messages of a WebSocket: none may panic, and none may name a path outside the API.
#![no_main]

use bedplate_server::ws::Said;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(Ok(Some(call))) = Said::read(text).map(Said::call) {
        assert!(call.path.starts_with("/v1/agents/") || call.path.starts_with("/v1/runs/"));
        assert!(!call.path.contains("..") && call.path.matches('?').count() <= 1);
    }
});
