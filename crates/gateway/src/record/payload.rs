//! Request and response of a call as they are logged: as JSON, without what must not be kept.

use super::draft::{Draft, Ending, Replied};
use crate::policy::{LogPolicy, Payloads};
use bedplate_core::port::{model::ModelRequest, records::Payload};
use bytes::Bytes;
use regex_lite::Regex;
use serde_json::{Value, json};
use std::{borrow::Cow, sync::LazyLock};

/// What takes the place of a secret.
const REDACTED: &str = "[redacted]";

/// The longest text without a blank that is kept; longer ones are encoded bytes.
const LONG: usize = 2_048;

/// Keys of providers, of ours, of AWS, and signed tokens.
static KEYS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}|bp_[A-Za-z0-9]+_[A-Za-z0-9]{16,}|(?:AKIA|ASIA)[A-Z0-9]{16}|gh[opsu]_[A-Za-z0-9]{20,}|xox[abp]-[A-Za-z0-9-]{10,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+|(?i:bearer) [A-Za-z0-9._~+/-]{16,}=*",
    )
    .expect("a test compiles it")
});

static EMAILS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}").expect("a test compiles it"));

/// A `+` or `0` and at least seven digits, with what people write between them.
static PHONES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:\+|\b0)[0-9](?:[ ()./-]{0,2}[0-9]){6,14}\b").expect("a test compiles it"));

/// Returns what is logged of a call; none where the policy says nothing is.
pub(super) fn of(draft: &Draft) -> Option<Box<Payload>> {
    match (draft.log.payloads, &draft.ending) {
        (Payloads::None, _) | (Payloads::Errors, Ending::Ok | Ending::Cancelled) => return None,
        (Payloads::Errors, Ending::Failed(..)) | (Payloads::All, _) => {}
    }
    let asked = draft.asked.as_ref()?;
    let request = match asked.raw() {
        Some(raw) => raw_json(&raw.body),
        None => asked.core().ok().map_or(Value::Null, |request| core_json(request)),
    };
    let response = match &draft.replied {
        Replied::Nothing => Value::Null,
        Replied::Reply(reply) => serde_json::to_value(reply).unwrap_or_default(),
        Replied::Raw(pieces) => raw_json(&pieces.concat()),
    };
    let [request, response] = [request, response].map(|value| text(value, &draft.log));
    Some(Box::new(Payload { request, response }))
}

/// Returns a body as JSON: as it is when it is JSON, else as text.
fn raw_json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

fn core_json(request: &ModelRequest) -> Value {
    let messages: Vec<_> = request.messages.iter().map(|message| json!(**message)).collect();
    json!({
        "model": request.model, "system": request.system, "messages": messages, "tools": *request.tools,
        "tool_choice": request.tool_choice, "params": request.params,
    })
}

fn text(mut value: Value, log: &LogPolicy) -> Bytes {
    if value.is_null() {
        return Bytes::new();
    }
    redact(&mut value, log);
    let text = value.to_string();
    if text.len() <= log.max_bytes {
        return text.into();
    }
    json!({ "left_out": format!("{} bytes are more than [log] max_payload_bytes allows", text.len()) })
        .to_string()
        .into()
}

/// Takes out of every text what must not be kept. Names of fields stay: they are the form and not the content.
fn redact(value: &mut Value, log: &LogPolicy) {
    match value {
        Value::String(text) => {
            if let Some(clean) = clean(text, log) {
                *text = clean;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact(item, log)),
        Value::Object(fields) => fields.values_mut().for_each(|item| redact(item, log)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn clean(text: &str, log: &LogPolicy) -> Option<String> {
    if text.len() > LONG && !text.contains(char::is_whitespace) {
        return Some(format!("[{} bytes]", text.len()));
    }
    let mut clean = Cow::Borrowed(text);
    let options = [(log.redact_emails, &*EMAILS), (log.redact_phones, &*PHONES)];
    let optional = options.into_iter().filter_map(|(wanted, pattern)| wanted.then_some(pattern));
    for pattern in std::iter::once(&*KEYS).chain(optional).chain(log.patterns.iter().map(|pattern| &**pattern)) {
        if let Cow::Owned(replaced) = pattern.replace_all(&clean, REDACTED) {
            clean = Cow::Owned(replaced);
        }
    }
    match clean {
        Cow::Owned(clean) => Some(clean),
        Cow::Borrowed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_log_keeps_no_key_and_no_address_that_it_was_told_to_leave_out() {
        let mut value = json!({
            "messages": [{"content": "my key is sk-proj-abcdefghijklmnop1234, mail ann@example.com, call +49 (0)30 123456-78"}],
            "auth": "Bearer abcdefghijklmnopqrstuv==", "aws": "AKIAIOSFODNN7EXAMPLE", "order": "MA-10234 costs 1200 for 2",
            "image": "A".repeat(5_000),
        });
        let log = LogPolicy {
            redact_emails: true,
            redact_phones: true,
            patterns: vec![Arc::new(Regex::new(r"MA-\d+").expect("it is a pattern"))],
            ..LogPolicy::default()
        };
        redact(&mut value, &log);
        let wanted = json!({
            "messages": [{"content": "my key is [redacted], mail [redacted], call [redacted]"}],
            "auth": "[redacted]", "aws": "[redacted]", "order": "[redacted] costs 1200 for 2", "image": "[5000 bytes]",
        });
        assert_eq!(value, wanted);
    }

    #[test]
    fn what_is_too_long_for_the_log_says_so_and_is_still_json() {
        let log = LogPolicy { max_bytes: 10, ..LogPolicy::default() };
        let text = text(json!({"a": "long enough to be left out"}), &log);
        assert!(serde_json::from_slice::<Value>(&text).expect("it is JSON")["left_out"].is_string());
    }
}
