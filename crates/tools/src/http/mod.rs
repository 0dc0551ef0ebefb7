//! Tools that make one HTTP request.

use std::{sync::Arc, time::Duration};

/// Looks up the value of a secret that the project declares.
pub type SecretLookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The bounds of all HTTP tools.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// The most bytes of a response that are read; what comes after is not.
    pub max_response_bytes: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), max_response_bytes: 2 * 1024 * 1024 }
    }
}
