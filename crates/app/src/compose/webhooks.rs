//! Posting to servers that callers name, with the same guard against private addresses as tools have.

use bedplate_core::port::{
    BoxFuture,
    webhooks::{WebhookError, Webhooks},
};
use bedplate_net::{Client, Limits, Outgoing};
use bytes::Bytes;
use hyper::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use std::time::Duration;
use url::Url;

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Posts over HTTP.
pub struct HttpWebhooks {
    client: Client,
    private: Vec<String>,
}

impl HttpWebhooks {
    /// Returns the sender; `private` are the `host:port`s that may be private addresses.
    pub fn new(private: Vec<String>) -> Self {
        Self { client: Client::new(&Limits::default(), &bedplate_net::system_lookup()), private }
    }
}

impl Webhooks for HttpWebhooks {
    fn post(
        &self,
        url: &str,
        headers: Vec<(&'static str, String)>,
        body: Bytes,
    ) -> BoxFuture<'static, Result<u16, WebhookError>> {
        let (client, allow_private) = (self.client.clone(), self.private.clone());
        let url = Url::parse(url).map_err(|error| WebhookError(error.to_string()));
        Box::pin(async move {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                let value = HeaderValue::from_str(&value).map_err(|error| WebhookError(error.to_string()))?;
                map.insert(HeaderName::from_static(name), value);
            }
            let outgoing = Outgoing { method: Method::POST, url: url?, headers: map, body, allow_private };
            let answer = tokio::time::timeout(TIMEOUT, client.open(&outgoing)).await;
            match answer {
                Ok(Ok(answer)) => Ok(answer.status.as_u16()),
                Ok(Err(failure)) => Err(WebhookError(failure.to_string())),
                Err(_) => Err(WebhookError("it did not answer in time".into())),
            }
        })
    }

    fn refuses(&self, url: &str) -> Option<String> {
        match Url::parse(url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => None,
            Ok(_) => Some("a webhook is an http or https address".into()),
            Err(error) => Some(format!("the webhook is no address: {error}")),
        }
    }
}
