//! The Webhooks port: words to servers that callers name.

use super::BoxFuture;
use bytes::Bytes;

/// Posts to servers that callers name. An address that is not public is refused unless the project allows it.
pub trait Webhooks: Send + Sync {
    /// Posts `body` and returns the status of the answer, whatever it is.
    ///
    /// # Errors
    /// [`WebhookError`] when there was no answer.
    fn post(
        &self,
        url: &str,
        headers: Vec<(&'static str, String)>,
        body: Bytes,
    ) -> BoxFuture<'static, Result<u16, WebhookError>>;

    /// Returns why `url` will never be posted to; none when it can be tried.
    fn refuses(&self, url: &str) -> Option<String>;
}

/// A word that had no answer; it may be sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to reach the webhook: {0}")]
pub struct WebhookError(pub String);
