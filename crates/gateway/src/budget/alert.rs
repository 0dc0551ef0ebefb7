//! Alerts: in the log, and to a webhook that can tell by the signature who sent them.

use crate::{
    http::HttpClient,
    policy::{Budget, Webhook},
};
use bedplate_core::{
    id::Tenant,
    port::{clock::Clock, ledger::Settled},
};
use hyper::{
    HeaderMap, Method, Uri,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};

/// How often an alert is sent before it is given up, and how long is waited in between at first.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A budget came to one of the parts of it at which somebody wants to know.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    tenant: Tenant,
    budget: Arc<str>,
    of: String,
    who: String,
    period: &'static str,
    percent: u8,
    limit: u64,
    spent: u64,
    action: &'static str,
    webhook: Option<Webhook>,
}

impl Alert {
    /// Returns the alert for the highest part that a settlement passed; none when it passed none.
    pub(crate) fn crossed(
        tenant: &Tenant,
        name: &Arc<str>,
        budget: &Budget,
        who: &str,
        settled: Settled,
    ) -> Option<Self> {
        let part = |percent: u8| u128::from(budget.limit) * u128::from(percent);
        let [before, after] = [settled.before, settled.after].map(|spent| u128::from(spent) * 100);
        let crossed = budget.alerts.iter().copied().filter(|&it| before < part(it) && after >= part(it)).max()?;
        Some(Self {
            tenant: tenant.clone(),
            budget: Arc::clone(name),
            of: budget.of.name(),
            who: who.to_owned(),
            period: budget.period.as_str(),
            percent: crossed,
            limit: budget.limit,
            spent: settled.after,
            action: budget.action.word(),
            webhook: budget.webhook.clone(),
        })
    }
}

/// The way of alerts to people.
#[derive(Clone)]
pub(crate) struct Alerts {
    pub(crate) http: HttpClient,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Alerts {
    /// Gives an alert. The webhook is called on a task of its own; it is tried a few times and not kept across a restart.
    pub(crate) fn give(&self, alert: Option<Alert>) {
        let Some(alert) = alert else { return };
        tracing::warn!(
            budget = %alert.budget, of = %alert.of, who = %alert.who, percent = alert.percent,
            "a budget was spent to {} %", alert.percent
        );
        let Some(webhook) = alert.webhook.clone() else { return };
        let (http, clock) = (self.http.clone(), Arc::clone(&self.clock));
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(send(http, clock, webhook, alert))),
            Err(_) => tracing::warn!("an alert could not be sent: the server has stopped"),
        }
    }
}

async fn send(http: HttpClient, clock: Arc<dyn Clock>, webhook: Webhook, alert: Alert) {
    #[expect(clippy::cast_precision_loss, reason = "an amount of money for people")]
    let dollars = |micros: u64| micros as f64 / 1_000_000.0;
    let now = clock.now();
    let body = json!({
        "type": "budget.alert", "tenant": alert.tenant.as_str(), "budget": &*alert.budget, "for": alert.of,
        "who": (!alert.who.is_empty()).then_some(&alert.who), "period": alert.period, "percent": alert.percent,
        "limit_usd": dollars(alert.limit), "spent_usd": dollars(alert.spent), "action": alert.action,
        "at_ms": now.0,
    });
    let body = bytes::Bytes::from(body.to_string());
    let Ok(uri) = webhook.url.parse::<Uri>() else {
        return tracing::warn!(budget = %alert.budget, "the webhook's address cannot be read");
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(secret) = &webhook.secret
        && let Ok(signature) = HeaderValue::from_str(&signature(secret.expose().as_bytes(), now.0 / 1_000, &body))
    {
        headers.insert(HeaderName::from_static("x-bedplate-signature"), signature);
    }
    let mut pause = PAUSE;
    for left in (0..TRIES).rev() {
        let sending = http.send(Method::POST, uri.clone(), headers.clone(), body.clone());
        match tokio::time::timeout(PATIENCE, sending).await {
            Ok(Ok(response)) if response.status().is_success() => return,
            Ok(Ok(response)) => {
                tracing::warn!(budget = %alert.budget, status = %response.status(), "a webhook refused an alert");
            }
            Ok(Err(_)) | Err(_) => tracing::warn!(budget = %alert.budget, "a webhook did not answer"),
        }
        if left > 0 {
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

/// Returns `t=<seconds>,v1=<HMAC-SHA256 over "<seconds>.<body>", hexadecimal>`.
fn signature(secret: &[u8], seconds: i64, body: &[u8]) -> String {
    let mut signed = format!("{seconds}.").into_bytes();
    signed.extend_from_slice(body);
    let mac = hmac_sha256(secret, &signed);
    let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

/// HMAC (RFC 2104) with SHA-256.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{BudgetAction, Subject};
    use bedplate_core::port::ledger::Period;

    #[test]
    fn an_alert_is_signed_as_rfc_4231_says() {
        let hex = |mac: [u8; 32]| mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mac = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let mac = hmac_sha256(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hex(mac), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn an_alert_is_given_once_for_the_highest_part_that_was_passed() {
        let budget = Budget {
            of: Subject::Tenant,
            who: Vec::new(),
            period: Period::Month,
            limit: 1_000,
            alerts: vec![80, 100],
            action: BudgetAction::Block,
            webhook: None,
        };
        let crossed = |before, after| {
            let alert = Alert::crossed(&Tenant::default(), &"b".into(), &budget, "", Settled { before, after });
            alert.map(|alert| alert.percent)
        };
        assert_eq!(crossed(0, 799), None);
        assert_eq!(crossed(799, 800), Some(80));
        assert_eq!(crossed(800, 999), None);
        assert_eq!(crossed(999, 1_000), Some(100));
        assert_eq!(crossed(0, 5_000), Some(100));
    }
}
