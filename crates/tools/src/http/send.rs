//! What a server's answer means to a model.

use bedplate_core::{message::ToolResultContent, tool::ToolOutput};
use bedplate_net::{Answer, Secrets};
use hyper::{
    StatusCode,
    header::{CONTENT_TYPE, LOCATION, RETRY_AFTER},
};
use std::time::Duration;

/// The most bytes of an error's body that the model reads.
const MAX_ERROR_BYTES: usize = 2_000;

/// An answer, as a model reads it.
#[derive(Debug)]
pub struct Meaning(pub Answer);

impl Meaning {
    /// Returns whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        self.0.status == StatusCode::TOO_MANY_REQUESTS || self.0.status.is_server_error()
    }

    /// Returns how long the server asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.0.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        // The date's own clock is the server's, as far as it tells it.
        let now = self
            .0
            .headers
            .get("date")
            .and_then(|date| jiff::fmt::rfc2822::parse(date.to_str().ok()?).ok())?
            .timestamp();
        u64::try_from(until.as_second() - now.as_second()).ok().map(Duration::from_secs)
    }

    /// Returns what the model reads: JSON or text; for a failure the status and the beginning of the body. Secrets go
    /// before anything is cut, so that no half of one is left.
    pub fn output(&self, secrets: &Secrets) -> ToolOutput {
        let text = secrets.redact(&String::from_utf8_lossy(&self.0.body));
        let name = self.0.status.canonical_reason().unwrap_or_default();
        if self.0.status.is_redirection() {
            let place =
                self.0.headers.get(LOCATION).and_then(|place| place.to_str().ok()).unwrap_or("an unknown address");
            let place = secrets.redact(place);
            let place = &place[..place.floor_char_boundary(300.min(place.len()))];
            return ToolOutput::error(format!(
                "HTTP {} {name}: the server points to {place:?}; redirects are not followed",
                self.0.status.as_u16()
            ));
        }
        if !self.0.status.is_success() {
            let shown = &text[..text.floor_char_boundary(MAX_ERROR_BYTES.min(text.len()))];
            let more = if shown.len() < text.len() || !self.0.whole { " …" } else { "" };
            return ToolOutput::error(format!("HTTP {} {name}: {shown}{more}", self.0.status.as_u16()));
        }
        if self.0.body.is_empty() {
            return ToolOutput::text(format!("HTTP {} {name}, without a body.", self.0.status.as_u16()));
        }
        if !self.0.whole {
            let mut output = ToolOutput::text(text);
            output.content.push(ToolResultContent::text("[The response was longer; the rest was not read.]"));
            return output;
        }
        let kind = self.0.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let media = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let json = (media == "application/json" || media.ends_with("+json"))
            .then(|| serde_json::from_slice(&self.0.body).ok());
        match json.flatten() {
            Some(json) => {
                let output = ToolOutput { content: vec![ToolResultContent::Json { json }], is_error: false };
                redact_output(secrets, output)
            }
            None if std::str::from_utf8(&self.0.body).is_err() && !media.starts_with("text/") => ToolOutput::error(
                format!("the server answered with {} bytes of {media:?}, which is no text", self.0.body.len()),
            ),
            None => ToolOutput::text(text),
        }
    }
}

/// Returns `output` without the secrets.
fn redact_output(secrets: &Secrets, mut output: ToolOutput) -> ToolOutput {
    for part in &mut output.content {
        match part {
            ToolResultContent::Text { text } => *text = secrets.redact(text),
            ToolResultContent::Json { json } => secrets.redact_json(json),
            ToolResultContent::Image { .. } => {}
        }
    }
    output
}
