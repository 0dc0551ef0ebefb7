//! The few places of a passing request that its provider must see otherwise: splices into the client's bytes.

use super::scan;
use crate::{DecodeError, anthropic_messages, bedrock_converse, openai_chat};
use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// What a provider must see.
#[derive(Clone, Copy, Debug)]
pub struct RewriteOptions<'a> {
    /// The model, as the provider calls it.
    pub model: &'a str,
    /// The most that the bound of the reply may be.
    pub max_tokens: Option<u32>,
    /// Under which name a bound goes that the client left out (Chat Completions).
    pub max_tokens_name: &'a str,
    /// Whether the end of a stream must tell its usage, which servers of Chat Completions do when they are asked to.
    pub ask_usage: bool,
}

/// A request as it goes to its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The body; the client's own where nothing had to be changed.
    pub body: Bytes,
    /// Whether usage was asked for that the client does not expect.
    pub asked_usage: bool,
}

/// Returns the request with what its provider must see; none where that takes the core form (a bound in Converse).
///
/// # Errors
/// [`DecodeError`] for a bound that is no number, or one that stands twice.
pub fn rewrite(
    dialect: &str,
    body: &Bytes,
    model_at: Range<usize>,
    options: RewriteOptions<'_>,
) -> Result<Option<Rewrite>, DecodeError> {
    let mut splices = Splices::default();
    let mut asked_usage = false;
    match dialect {
        openai_chat::NAME | anthropic_messages::NAME => splices.set(body, model_at, options.model)?,
        _ => {}
    }
    match (dialect, options.max_tokens) {
        (_, None) => {}
        (openai_chat::NAME, Some(most)) => {
            clamp(body, &["max_tokens", "max_completion_tokens"], options.max_tokens_name, most, &mut splices)?;
        }
        (anthropic_messages::NAME | anthropic_messages::INVOKE_NAME, Some(most)) => {
            clamp(body, &["max_tokens"], "max_tokens", most, &mut splices)?;
        }
        (bedrock_converse::NAME, Some(_)) => return Ok(None),
        (_, Some(_)) => return Ok(None),
    }
    if options.ask_usage && dialect == openai_chat::NAME {
        asked_usage = ask_usage(body, &mut splices);
    }
    Ok(Some(Rewrite { body: splices.apply(body), asked_usage }))
}

fn clamp(body: &[u8], names: &[&str], missing: &str, most: u32, splices: &mut Splices) -> Result<(), DecodeError> {
    let mut seen: Vec<&str> = Vec::new();
    for field in scan::fields(body).flatten() {
        let Some(name) = names.iter().find(|name| name.as_bytes() == &*field.name) else { continue };
        let value = &body[field.value.clone()];
        if value == b"null" {
            continue;
        }
        if seen.contains(name) {
            return Err(DecodeError::new(*name, "the field stands twice"));
        }
        seen.push(name);
        let wanted: f64 = serde_json::from_slice(value).map_err(|_| DecodeError::new(*name, "not a number"))?;
        if wanted > f64::from(most) {
            splices.0.push((field.value, most.to_string()));
        }
    }
    if seen.is_empty() {
        splices.add(body, &format!("\"{missing}\":{most}"));
    }
    Ok(())
}

/// Returns whether the client had not asked for it.
fn ask_usage(body: &[u8], splices: &mut Splices) -> bool {
    let asked = scan::fields(body).flatten().filter(|field| &*field.name == b"stream_options").last();
    match asked {
        Some(field) => {
            let value = &body[field.value.clone()];
            if scan::field(value, b"include_usage") == Some(b"true") {
                return false;
            }
            splices.0.push((field.value, ASK.to_owned()));
        }
        None => splices.add(body, &format!("\"stream_options\":{ASK}")),
    }
    true
}

const ASK: &str = "{\"include_usage\":true}";

/// Texts that replace ranges of a body.
#[derive(Default)]
struct Splices(Vec<(Range<usize>, String)>);

impl Splices {
    fn set(&mut self, body: &[u8], at: Range<usize>, text: &str) -> Result<(), DecodeError> {
        let quoted = crate::json::to_string(&text);
        match body.get(at.clone()) {
            Some(there) if there == quoted.as_bytes() => {}
            Some(there) if !there.is_empty() => self.0.push((at, quoted)),
            _ => return Err(DecodeError::new("", "missing field `model`")),
        }
        Ok(())
    }

    /// Adds a field at the end of the object.
    fn add(&mut self, body: &[u8], field: &str) {
        let end = memchr::memrchr(b'}', body).unwrap_or(body.len());
        let before = body[..end].iter().rev().find(|byte| !byte.is_ascii_whitespace());
        let comma = if before == Some(&b'{') { "" } else { "," };
        self.0.push((end..end, format!("{comma}{field}")));
    }

    fn apply(mut self, body: &Bytes) -> Bytes {
        if self.0.is_empty() {
            return body.clone();
        }
        self.0.sort_by_key(|(range, _)| range.start);
        let grown: usize = self.0.iter().map(|(_, text)| text.len()).sum();
        let mut out = BytesMut::with_capacity(body.len() + grown);
        let mut from = 0;
        for (range, text) in &self.0 {
            out.extend_from_slice(&body[from..range.start]);
            out.extend_from_slice(text.as_bytes());
            from = range.end;
        }
        out.extend_from_slice(&body[from..]);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::head;

    const PLAIN: RewriteOptions<'_> =
        RewriteOptions { model: "real", max_tokens: None, max_tokens_name: "max_tokens", ask_usage: false };

    fn rewritten(dialect: &str, body: &str, options: RewriteOptions<'_>) -> (String, bool) {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let at = head(&bytes).unwrap().model_at;
        let rewrite = rewrite(dialect, &bytes, at, options).unwrap().unwrap();
        (String::from_utf8(rewrite.body.to_vec()).unwrap(), rewrite.asked_usage)
    }

    #[test]
    fn only_the_model_is_changed_and_every_other_byte_is_the_clients() {
        let body = "{ \"x\" : 1e400, \"model\" : \"alias\" ,\"x\":{\"\\u00e9\":[ ]} }\n";
        let (said, _) = rewritten(openai_chat::NAME, body, PLAIN);
        assert_eq!(said, body.replace("\"alias\"", "\"real\""));
        let same = Bytes::from_static(b"{\"model\":\"real\"}");
        let kept = rewrite(anthropic_messages::NAME, &same, 9..15, PLAIN).unwrap().unwrap();
        assert_eq!(kept.body.as_ptr(), same.as_ptr(), "nothing to change, nothing copied");
        let converse = "{\"model\":\"mine\"}";
        assert_eq!(rewritten(bedrock_converse::NAME, converse, PLAIN).0, converse);
    }

    #[test]
    fn usage_is_asked_for_where_the_client_did_not() {
        let ask = RewriteOptions { ask_usage: true, ..PLAIN };
        for (body, said, asked) in [
            (r#"{"model":"a"}"#, r#"{"model":"real","stream_options":{"include_usage":true}}"#, true),
            (
                r#"{"model":"a","stream_options":{"include_usage":false}}"#,
                r#"{"model":"real","stream_options":{"include_usage":true}}"#,
                true,
            ),
            (
                r#"{"model":"a","stream_options":{"include_usage":true,"x":1}}"#,
                r#"{"model":"real","stream_options":{"include_usage":true,"x":1}}"#,
                false,
            ),
        ] {
            assert_eq!(rewritten(openai_chat::NAME, body, ask), (said.to_owned(), asked), "{body}");
        }
    }

    #[test]
    fn a_clamp_holds_whatever_the_bound_is_called() {
        let most = RewriteOptions { max_tokens: Some(50), max_tokens_name: "max_completion_tokens", ..PLAIN };
        for (body, said) in [
            (r#"{"model":"a","max_tokens":9}"#, r#"{"model":"real","max_tokens":9}"#),
            (r#"{"model":"a","max_completion_tokens":90}"#, r#"{"model":"real","max_completion_tokens":50}"#),
            (r#"{"model":"a"}"#, r#"{"model":"real","max_completion_tokens":50}"#),
        ] {
            assert_eq!(rewritten(openai_chat::NAME, body, most).0, said, "{body}");
        }
        let twice = Bytes::from_static(br#"{"model":"a","max_tokens":9,"max_tokens":90}"#);
        assert!(rewrite(anthropic_messages::NAME, &twice, 9..12, most).is_err());
        assert_eq!(rewrite(bedrock_converse::NAME, &twice, 9..12, most), Ok(None));
    }
}
