//! Dates in UTC as text, for system prompts.

use bedplate_core::time::Timestamp;
use bedplate_engine::workflow::time;

/// Returns `at` in RFC 3339 with seconds, in UTC.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    let whole = Timestamp(at.0.div_euclid(1_000).saturating_mul(1_000));
    time::format(whole).replace(".000Z", "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_tells_the_right_day_across_leap_years_and_before_the_epoch() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ];
        for (at, text) in cases {
            assert_eq!(rfc3339(Timestamp(at)), text);
        }
    }
}
