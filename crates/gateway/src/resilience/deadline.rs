//! How long a call is waited for: until its first token, between two pieces, and in all.

use bedplate_core::time::Timestamp;
use std::time::Duration;

/// The waits that a route sets besides those of the connection itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// From the call until the first token of its answer, for each attempt of a call that streams.
    pub first_token: Option<Duration>,
    /// Between two pieces of an answer.
    pub idle: Option<Duration>,
    /// From the call until the whole answer, for calls that do not stream; a live stream is never cut by it.
    pub total: Option<Duration>,
}

impl Waits {
    /// Returns the deadline of a whole call that begins at `now`: the caller's own, or the route's if that is sooner
    /// and the call does not stream.
    #[must_use]
    pub fn of_call(&self, now: Timestamp, asked: Option<Timestamp>, streams: bool) -> Option<Timestamp> {
        let total = self.total.filter(|_| !streams).map(|total| now.after(total));
        earlier(asked, total)
    }

    /// Returns until when the first token of an attempt that begins at `now` is waited for.
    #[must_use]
    pub fn of_first_token(&self, now: Timestamp, call: Option<Timestamp>) -> Option<Timestamp> {
        earlier(call, self.first_token.map(|wait| now.after(wait)))
    }

    /// Returns until when the next piece is waited for.
    #[must_use]
    pub fn of_next_piece(&self, now: Timestamp, call: Option<Timestamp>) -> Option<Timestamp> {
        earlier(call, self.idle.map(|wait| now.after(wait)))
    }
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pain_28_a_routes_total_never_cuts_a_live_stream() {
        let waits = Waits { total: Some(Duration::from_secs(60)), ..Waits::default() };
        assert_eq!(waits.of_call(Timestamp(0), None, true), None);
        assert_eq!(waits.of_call(Timestamp(0), None, false), Some(Timestamp(60_000)));
    }

    #[test]
    fn the_callers_deadline_bounds_every_wait() {
        let waits =
            Waits { first_token: Some(Duration::from_secs(9)), idle: Some(Duration::from_secs(9)), total: None };
        let call = Some(Timestamp(5_000));
        assert_eq!(waits.of_first_token(Timestamp(0), call), call);
        assert_eq!(waits.of_next_piece(Timestamp(0), call), call);
        assert_eq!(waits.of_first_token(Timestamp(0), None), Some(Timestamp(9_000)));
    }
}
