//! How the limits of a caller stand, in the headers that clients of each vendor read.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bedplate_core::port::model::{Meter, RateLimits};
use std::time::Duration;

/// Adds `x-ratelimit-*` as OpenAI's clients read them, and `anthropic-ratelimit-*` as Anthropic's do. Tokens that no plan
/// limits together are told by the kind that is nearest to its end.
pub(crate) fn add(headers: &mut HeaderMap, limits: &RateLimits) {
    let now = jiff::Timestamp::now();
    let nearest = [limits.input_tokens, limits.output_tokens].into_iter().flatten().min_by_key(|meter| meter.remaining);
    let tokens = limits.tokens.or(nearest);
    let mut set = |name: String, value: String| {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    };
    for (what, meter) in [("requests", limits.requests), ("tokens", tokens)] {
        let Some(Meter { limit, remaining, reset }) = meter else { continue };
        set(format!("x-ratelimit-limit-{what}"), limit.to_string());
        set(format!("x-ratelimit-remaining-{what}"), remaining.to_string());
        set(format!("x-ratelimit-reset-{what}"), length(reset));
    }
    let all = [
        ("requests", limits.requests),
        ("tokens", limits.tokens),
        ("input-tokens", limits.input_tokens),
        ("output-tokens", limits.output_tokens),
    ];
    for (what, meter) in all {
        let Some(Meter { limit, remaining, reset }) = meter else { continue };
        set(format!("anthropic-ratelimit-{what}-limit"), limit.to_string());
        set(format!("anthropic-ratelimit-{what}-remaining"), remaining.to_string());
        if let Ok(at) = now.checked_add(reset) {
            set(format!("anthropic-ratelimit-{what}-reset"), format!("{at:.0}"));
        }
    }
}

/// Returns a length of time as OpenAI writes it: `850ms`, `6s`, `1m30s`, `2h0m5s`; seconds are rounded up.
fn length(length: Duration) -> String {
    if length < Duration::from_secs(1) {
        return format!("{}ms", length.as_millis());
    }
    let seconds = length.as_secs() + u64::from(length.subsec_nanos() > 0);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_both_vendors_can_read_how_a_limit_stands() {
        let requests = Some(Meter { limit: 60, remaining: 3, reset: Duration::from_millis(59_100) });
        let input_tokens = Some(Meter { limit: 1_000, remaining: 10, reset: Duration::from_secs(7_205) });
        let mut headers = HeaderMap::new();
        add(&mut headers, &RateLimits { requests, input_tokens, ..RateLimits::default() });
        let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        assert_eq!(said("x-ratelimit-limit-requests").as_deref(), Some("60"));
        assert_eq!(said("x-ratelimit-reset-requests").as_deref(), Some("1m0s"));
        assert_eq!(said("x-ratelimit-remaining-tokens").as_deref(), Some("10"));
        assert_eq!(said("x-ratelimit-reset-tokens").as_deref(), Some("2h0m5s"));
        assert_eq!(said("anthropic-ratelimit-input-tokens-remaining").as_deref(), Some("10"));
        assert!(said("anthropic-ratelimit-requests-reset").is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()));
        assert_eq!(said("anthropic-ratelimit-output-tokens-limit"), None);
    }
}
