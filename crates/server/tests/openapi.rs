//! The committed OpenAPI document is the one that the routes make.
//!
//! What would be lost if this failed: clients that were generated from the document no longer fit the server.

use std::path::Path;

#[test]
fn the_committed_document_is_what_the_routes_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi.json");
    let committed = std::fs::read_to_string(&path).expect("docs/reference/openapi.json is there");
    let made = bedplate_server::routes::document().to_pretty_json().expect("the document is JSON");
    assert!(
        committed.trim() == made.trim(),
        "run `cargo run -p bedplate -- openapi > docs/reference/openapi.json` and look at the difference"
    );
}
