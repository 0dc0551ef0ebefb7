//! Words to a webhook: signed as the Standard Webhooks specification has it, and sent again until they are taken.

use super::seconds;
use crate::{App, key::Pepper, wire::rfc3339};
use base64::{Engine, engine::general_purpose::STANDARD};
use bedplate_core::id::Tenant;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;

/// How long is waited before each attempt, in seconds.
const WAITS: [i64; 8] = [0, 5, 30, 120, 600, 3_600, 14_400, 43_200];

/// A webhook, and what became of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Webhook {
    pub(super) url: String,
    /// What each attempt came to: a status, or why there was none.
    pub(super) attempts: Vec<Value>,
    pub(super) delivered: bool,
    /// When the next attempt is due, in milliseconds since 1970; none: there is none.
    pub(super) next_at: Option<i64>,
}

impl Webhook {
    /// Makes an attempt and says what became of it.
    pub(super) async fn attempt(&mut self, app: &App, tenant: &Tenant, id: &str, event: &str, data: &Value) {
        let now = app.now();
        let at = seconds(now);
        let body: Bytes = json!({ "type": event, "timestamp": rfc3339(now), "data": data }).to_string().into();
        let secret = secret(&app.0.options.pepper, tenant);
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", signature(&secret, id, at, &body)),
        ];
        let (came, taken) = match app.0.options.webhooks.post(&self.url, headers, body).await {
            Ok(status) => (json!({ "at": rfc3339(now), "status": status }), (200..300).contains(&status)),
            Err(error) => (json!({ "at": rfc3339(now), "error": error.0 }), false),
        };
        self.attempts.push(came);
        self.delivered = taken;
        let wait = WAITS.get(self.attempts.len()).filter(|_| !taken);
        self.next_at = wait.map(|wait| now.0 + wait * 1_000);
    }
}

/// Returns the secret that signs what a tenant is told, 32 bytes.
fn secret(pepper: &Pepper, tenant: &Tenant) -> [u8; 32] {
    pepper.derived("bedplate 2026-11-20 webhook secrets", tenant.as_str())
}

/// Returns the secret as libraries for webhooks take it.
pub(super) fn secret_text(app: &App, tenant: &Tenant) -> String {
    format!("whsec_{}", STANDARD.encode(secret(&app.0.options.pepper, tenant)))
}

fn signature(secret: &[u8], id: &str, at: i64, body: &[u8]) -> String {
    // A key of any length is one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        // The example of the Standard Webhooks specification.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("it is base64");
        let made = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
