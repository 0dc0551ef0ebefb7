//! A text that must never be shown.

use std::{fmt, sync::Arc};

/// A secret: it can be used, but prints as `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Returns the secret itself, to be put into a header and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns `text` without this secret and without anything that looks like a provider's key.
    #[must_use]
    pub fn redact(secret: Option<&Self>, text: &str) -> String {
        let mut out = text.to_owned();
        if let Some(secret) = secret.filter(|secret| !secret.0.is_empty()) {
            out = out.replace(&*secret.0, REDACTED);
        }
        if !out.contains("sk-") {
            return out;
        }
        let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*' | '.');
        let mut clean = String::with_capacity(out.len());
        let mut rest = out.as_str();
        while let Some(at) = rest.find("sk-") {
            let (before, key) = rest.split_at(at);
            let end = key.find(|c| !is_key(c)).unwrap_or(key.len());
            clean.push_str(before);
            // A short word such as "task-id" is no key.
            clean.push_str(if end >= 12 && !before.ends_with(char::is_alphanumeric) { REDACTED } else { &key[..end] });
            rest = &key[end..];
        }
        clean.push_str(rest);
        clean
    }
}

const REDACTED: &str = "[redacted]";

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_shows() {
        let key = Secret::from("topsecret");
        assert_eq!(format!("{key:?}"), "[redacted]");
        let text = "key topsecret, sk-proj-********abcd and task-identifier-is-long";
        assert_eq!(Secret::redact(Some(&key), text), "key [redacted], [redacted] and task-identifier-is-long");
    }
}
