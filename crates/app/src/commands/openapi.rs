//! `bedplate openapi`: prints the OpenAPI document, for `docs/reference/openapi.json`.

use crate::{error::Error, terminal::json};

/// Print the OpenAPI document
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints the document.
///
/// # Errors
/// None; the signature is that of every command.
#[expect(clippy::unnecessary_wraps, reason = "the signature is that of every command")]
pub fn run(_: &Args) -> Result<(), Error> {
    json(&bedplate_server::routes::document());
    Ok(())
}
