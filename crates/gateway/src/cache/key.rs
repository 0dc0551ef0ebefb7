//! What makes two requests the same: a hash over everything that can change the answer, in one canonical form.

use crate::call::Call;
use bedplate_core::{
    message::{ContentBlock, Role},
    port::model::{ModelError, ModelRequest},
};
use serde::Serialize;
use serde_json::Value;

/// The identity of a request for a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key([u8; 32]);

/// Fields of raw requests that change no answer: how it is sent, and for whom it is counted elsewhere.
const IDLE_FIELDS: [&str; 8] =
    ["model", "stream", "stream_options", "user", "metadata", "store", "safety_identifier", "prompt_cache_key"];

/// Returns the identity of a call. A raw request is told apart with every field that it has, whether known here or not,
/// and by the form of its reply.
pub(super) fn exact(call: &Call, shared: bool) -> Result<Key, ModelError> {
    let mut hasher = scope(call, shared);
    match call.raw() {
        Some(raw) => {
            let body: Value = serde_json::from_slice(&raw.body).unwrap_or_else(|_| {
                // What is no JSON will be refused; until then it is only equal to itself.
                Value::String(String::from_utf8_lossy(&raw.body).into_owned())
            });
            part(&mut hasher, b"raw");
            part(&mut hasher, raw.dialect.as_bytes());
            part(&mut hasher, &[u8::from(call.stream)]);
            for (name, value) in &raw.headers {
                part(&mut hasher, name.as_bytes());
                part(&mut hasher, value.as_bytes());
            }
            match &body {
                Value::Object(fields) => {
                    let mut fields: Vec<_> =
                        fields.iter().filter(|(name, _)| !IDLE_FIELDS.contains(&name.as_str())).collect();
                    fields.sort_by_key(|(name, _)| name.as_str());
                    for (name, value) in fields {
                        part(&mut hasher, name.as_bytes());
                        canonical(&mut hasher, value);
                    }
                }
                body => canonical(&mut hasher, body),
            }
        }
        None => request(&mut hasher, call.core()?, None),
    }
    Ok(Key(*hasher.finalize().as_bytes()))
}

/// What a request asks, apart from everything else that it holds.
pub(super) struct Question {
    /// The identity of everything else.
    pub(super) context: Key,
    pub(super) text: String,
}

/// Returns the question of a request whose answer depends on words alone: no tool that could act, no picture. None for
/// any other.
pub(super) fn question(call: &Call, shared: bool) -> Option<Question> {
    let request_of = call.core().ok()?;
    let last = request_of.messages.last()?;
    let words_only = |block: &ContentBlock| matches!(block, ContentBlock::Text { .. } | ContentBlock::CachePoint);
    let plain = request_of.tools.is_empty()
        && last.role == Role::User
        && request_of.messages.iter().flat_map(|message| &message.content).all(words_only);
    let text = last.text();
    if !plain || text.trim().is_empty() {
        return None;
    }
    let mut hasher = scope(call, shared);
    part(&mut hasher, b"question");
    // A reply in a dialect's own bytes answers nobody who speaks another.
    part(&mut hasher, call.raw().map_or("", |raw| raw.dialect).as_bytes());
    part(&mut hasher, &[u8::from(call.stream)]);
    request(&mut hasher, request_of, Some(request_of.messages.len() - 1));
    Some(Question { context: Key(*hasher.finalize().as_bytes()), text })
}

/// Begins with whom the reply may be given to.
fn scope(call: &Call, shared: bool) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    let caller = &call.caller;
    part(&mut hasher, caller.tenant.as_str().as_bytes());
    part(&mut hasher, if shared { b"" } else { caller.user.as_str().as_bytes() });
    part(&mut hasher, &[u8::from(shared)]);
    part(&mut hasher, caller.jurisdiction.as_deref().unwrap_or_default().as_bytes());
    for bound in call.within.iter() {
        part(&mut hasher, bound.as_bytes());
    }
    part(&mut hasher, b"route");
    part(&mut hasher, call.route.as_bytes());
    hasher
}

fn request(hasher: &mut blake3::Hasher, request: &ModelRequest, without: Option<usize>) {
    json(hasher, &request.system);
    part(hasher, &request.messages.len().to_be_bytes());
    for (index, message) in request.messages.iter().enumerate() {
        if Some(index) != without {
            json(hasher, &**message);
        }
    }
    json(hasher, &*request.tools);
    json(hasher, &request.tool_choice);
    json(hasher, &request.params);
}

fn json(hasher: &mut blake3::Hasher, value: &(impl Serialize + ?Sized)) {
    // Values of ours have names and texts alone, which JSON can always say.
    canonical(hasher, &serde_json::to_value(value).unwrap_or_default());
}

fn canonical(hasher: &mut blake3::Hasher, value: &Value) {
    match value {
        Value::Null => part(hasher, b"n"),
        Value::Bool(it) => part(hasher, if *it { b"t" } else { b"f" }),
        Value::Number(number) => {
            part(hasher, b"d");
            // 1 and 1.0 are one number to every provider.
            match number.as_f64() {
                Some(float) => part(hasher, &float.to_bits().to_be_bytes()),
                None => part(hasher, number.to_string().as_bytes()),
            }
        }
        Value::String(text) => {
            part(hasher, b"s");
            part(hasher, text.as_bytes());
        }
        Value::Array(items) => {
            part(hasher, b"a");
            part(hasher, &items.len().to_be_bytes());
            items.iter().for_each(|item| canonical(hasher, item));
        }
        Value::Object(fields) => {
            part(hasher, b"o");
            part(hasher, &fields.len().to_be_bytes());
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| name.as_str());
            for (name, item) in fields {
                part(hasher, name.as_bytes());
                canonical(hasher, item);
            }
        }
    }
}

/// Each part has its length in front, so no two lists of parts are one text.
fn part(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedplate_core::port::{
        Caller,
        model::{Asked, RawRequest},
    };
    use std::sync::Arc;

    fn call(caller: Caller, body: &str, stream: bool) -> Call {
        let raw = RawRequest {
            dialect: "openai_chat",
            model: "default".into(),
            body: body.to_owned().into(),
            model_at: 0..0,
            headers: Vec::new(),
        };
        Call::new(caller, "default".into(), Asked::Raw(raw), stream, None, Arc::default())
    }

    #[test]
    fn the_order_of_fields_changes_no_request_and_anything_else_does() {
        let key = |body| exact(&call(Caller::default(), body, false), false).expect("it is JSON");
        let one = key(r#"{"model":"a","messages":[{"role":"user","content":"x"}],"temperature":1,"user":"u"}"#);
        let same = key(r#"{"temperature":1.0,"messages":[{"content":"x","role":"user"}],"model":"b"}"#);
        assert_eq!(one, same);
        for other in [
            r#"{"messages":[{"role":"user","content":"y"}],"temperature":1}"#,
            r#"{"messages":[{"role":"user","content":"x"}],"temperature":0}"#,
            r#"{"messages":[{"role":"user","content":"x"}],"temperature":1,"unknown_field":true}"#,
            r#"{"messages":[{"role":"user","content":"x"}]}"#,
        ] {
            assert_ne!(key(other), one, "{other}");
        }
    }

    #[test]
    fn pain_28_a_request_of_another_tenant_user_or_jurisdiction_is_another_request() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#;
        let key = |caller: Caller, shared| exact(&call(caller, body, false), shared).expect("it is JSON");
        let ann = Caller { user: "ann".into(), ..Caller::default() };
        let bob = Caller { user: "bob".into(), ..Caller::default() };
        let other = Caller { tenant: "other".into(), user: "ann".into(), ..Caller::default() };
        let bound = Caller { user: "ann".into(), jurisdiction: Some("eu".into()), ..Caller::default() };
        assert_ne!(key(ann.clone(), false), key(bob.clone(), false));
        assert_eq!(key(ann.clone(), true), key(bob, true));
        for (one, two) in [(&ann, &other), (&ann, &bound)] {
            assert_ne!(key(one.clone(), true), key(two.clone(), true));
            let context = |caller: &Caller| question(&call(caller.clone(), body, false), true).map(|it| it.context);
            assert!(context(one).is_some() && context(one) != context(two));
        }
    }

    #[test]
    fn a_request_with_tools_or_pictures_has_no_question_that_another_could_ask_in_other_words() {
        let tools = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"pay"}}]}"#;
        let image = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}"#;
        for body in [tools, image] {
            assert_eq!(call(Caller::default(), body, false).core().err().map(|error| error.message), None);
            assert!(question(&call(Caller::default(), body, false), false).is_none(), "{body}");
        }
    }
}
