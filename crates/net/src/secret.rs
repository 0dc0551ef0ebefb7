//! Secrets that a request uses, and keeping them out of what anybody reads.

use serde_json::Value;

/// The secrets of one request.
#[derive(Default)]
pub struct Secrets {
    /// Each form in which a value may come back, and what is shown in its place; the longest first.
    forms: Vec<(String, String)>,
}

impl Secrets {
    /// Adds the secret `name`, in every form in which a server may repeat it.
    pub fn add(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let shown = format!("[secret {name}]");
        let json = Value::from(value).to_string();
        let json = json[1..json.len() - 1].to_owned();
        let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        for text in [value.to_owned(), json, percent_encoded(value), form] {
            if !self.forms.iter().any(|(known, _)| *known == text) {
                self.forms.push((text, shown.clone()));
            }
        }
        self.forms.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    }

    /// Returns `text` without the secrets.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (form, shown) in &self.forms {
            if text.contains(form.as_str()) {
                text = text.replace(form.as_str(), shown);
            }
        }
        text
    }

    /// Takes the secrets out of `value`, keys included.
    pub fn redact_json(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.redact(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_json(item)),
            Value::Object(map) => {
                let entries = std::mem::take(map);
                for (key, mut value) in entries {
                    self.redact_json(&mut value);
                    map.insert(self.redact(&key), value);
                }
            }
            Value::Number(number) => {
                let text = number.to_string();
                let shown = self.redact(&text);
                if shown != text {
                    *value = Value::String(shown);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.forms.len())
    }
}

/// Returns `text` with every byte percent-encoded that is not unreserved in RFC 3986.
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
