//! The Ledger port: what is counted against limits and budgets: requests, tokens, money.
//!
//! An amount is *reserved* before the work begins and *settled* with what it came to, so that work which goes on at the
//! same time can never pass a limit together.

use super::BoxFuture;
use crate::{id::Tenant, time::Timestamp};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// Over which stretch of time an account counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// Any 60 seconds: a sliding window in steps of one second. What is counted frees again 60 to 61 seconds later.
    Minute,
    /// A day of the calendar, UTC.
    Day,
    /// A month of the calendar, UTC.
    Month,
    /// For ever: a run's own account.
    Ever,
}

/// How fine the sliding window of [`Period::Minute`] is, and how long.
const STEP: i64 = 1_000;
const WINDOW: i64 = 60_000;
const DAY: i64 = 86_400_000;

impl Period {
    /// All periods.
    pub const ALL: [Self; 4] = [Self::Minute, Self::Day, Self::Month, Self::Ever];

    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
            Self::Month => "month",
            Self::Ever => "ever",
        }
    }

    /// Returns the period that `word` names.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == word)
    }

    /// Returns where the bucket begins that an amount of `now` is counted in, in milliseconds.
    #[must_use]
    pub fn bucket(self, now: Timestamp) -> i64 {
        match self {
            Self::Minute => now.0.div_euclid(STEP) * STEP,
            Self::Day => now.0.div_euclid(DAY) * DAY,
            Self::Month => month(now.0.div_euclid(DAY)).0 * DAY,
            Self::Ever => 0,
        }
    }

    /// Returns when what is in `bucket` counts no more; none: never.
    #[must_use]
    pub fn end(self, bucket: i64) -> Option<Timestamp> {
        match self {
            Self::Minute => Some(Timestamp(bucket.saturating_add(STEP + WINDOW))),
            Self::Day => Some(Timestamp(bucket.saturating_add(DAY))),
            Self::Month => Some(Timestamp(month(bucket.div_euclid(DAY)).1.saturating_mul(DAY))),
            Self::Ever => None,
        }
    }
}

/// Returns the first day of the month that `day` lies in, and of the next; days since 1970-01-01. After Howard
/// Hinnant's description of the proleptic Gregorian calendar.
fn month(day: i64) -> (i64, i64) {
    let day = day.clamp(-100_000_000, 100_000_000);
    let shifted = day + 719_468;
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Months count from March, so that a leap day ends a year.
    let number = (5 * of_year + 2) / 153;
    let first = |number: i64| (153 * number + 2) / 5;
    let start = day - (of_year - first(number));
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match number {
        // February; `year` counts from March, so its February is that of the next civil year.
        11 if is_leap(shifted.div_euclid(146_097) * 400 + year + 1) => 29,
        11 => 28,
        number => first(number + 1) - first(number),
    };
    (start, start + length)
}

/// What is counted: one thing, for one of those who use it, over a period.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// The tenant.
    pub tenant: Tenant,
    /// Which thing, for whom; 1 to 512 bytes.
    pub name: Arc<str>,
    /// Over which stretch of time.
    pub period: Period,
}

/// An amount that is to be reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Where.
    pub account: Account,
    /// How much.
    pub amount: u64,
    /// How much may be used and held there together; none: it is only counted.
    pub limit: Option<u64>,
}

/// How an account stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What was settled in the period.
    pub used: u64,
    /// What is reserved and not settled.
    pub held: u64,
    /// When nothing of it counts any more; none when nothing counts now, or for ever.
    pub frees_at: Option<Timestamp>,
}

/// An amount that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What was claimed.
    pub claim: Claim,
    /// The bucket that it is counted in, as [`Period::bucket`] says it.
    pub bucket: i64,
    /// How the account stands with it.
    pub balance: Balance,
}

/// Amounts that are held together. Whoever holds them settles or releases them; what a crash left held counts as used
/// until its period ends.
#[must_use = "what is reserved must be settled or released"]
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// In the order of the claims.
    pub holds: Vec<Hold>,
}

/// What a settlement changed in one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// What was used before, in the bucket's period.
    pub before: u64,
    /// What is used now.
    pub after: u64,
}

/// A reservation that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveError {
    /// It would pass the limit of a claim; nothing was reserved.
    #[error("claim {claim} passes its limit")]
    Exceeded {
        /// Which of the claims; the one that has to wait longest when several pass.
        claim: usize,
        /// How its account stands.
        balance: Balance,
        /// How long until it would pass no more if nobody else came; none: never, the amount itself is over the limit
        /// or the period does not end.
        retry_after: Option<Duration>,
    },
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The ledger failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to reach the ledger: {0}")]
pub struct LedgerError(pub String);

/// Counts amounts against limits.
///
/// Promise: a reservation takes all its claims or none, and no two that go on at once pass a limit together, whoever
/// shares the ledger. What is settled counts in the period in which it was reserved. A settlement may pass a limit: it
/// says what was spent, and later reservations wait for it.
pub trait Ledger: Send + Sync {
    /// Reserves all `claims` or none. Two claims on one account count together.
    ///
    /// # Errors
    /// [`ReserveError`].
    fn reserve(&self, now: Timestamp, claims: Vec<Claim>) -> BoxFuture<'static, Result<Reservation, ReserveError>>;

    /// Replaces what is held by what was spent, in the order of the claims; a claim without an amount spent nothing.
    /// Returns what that changed, in the same order.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger fails; the amounts stay held then.
    fn settle(
        &self,
        reservation: Reservation,
        spent: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Settled>, LedgerError>>;

    /// Gives back what is held, as if it had never been reserved.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger fails; the amounts stay held then.
    fn release(&self, reservation: Reservation) -> BoxFuture<'static, Result<(), LedgerError>> {
        Box::pin(Releasing(self.settle(reservation, Vec::new())))
    }

    /// Returns the accounts of `tenant` whose names begin with `prefix` and that count something at `now`, sorted; at
    /// most 10,000.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger fails.
    fn balances(
        &self,
        now: Timestamp,
        tenant: &Tenant,
        prefix: &str,
    ) -> BoxFuture<'static, Result<Vec<(Account, Balance)>, LedgerError>>;
}

/// How a budget stands for one of those whom it counts for.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetState {
    /// The budget's name.
    pub name: String,
    /// For what it counts: `tenant`, `user`, `key`, `team`, `agent`, `model`, `tag:NAME` or `run`.
    pub of: String,
    /// Which of them; none for the tenant, and where nobody spent anything yet.
    pub who: Option<String>,
    /// Over which stretch of time.
    pub period: Period,
    /// The limit, in millionths of a US dollar.
    pub limit: u64,
    /// What was spent and what is held, in millionths of a US dollar.
    pub balance: Balance,
    /// The parts of the limit at which an alert is given, in per cent, that were reached.
    pub alerted: Vec<u8>,
    /// What happens when it is used up: `block`, `degrade` or `allow`.
    pub action: &'static str,
}

/// How the budgets stand.
pub trait Budgets: Send + Sync {
    /// Returns every budget of the project as it stands for `tenant` now.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger fails.
    fn states(&self, tenant: &Tenant) -> BoxFuture<'static, Result<Vec<BudgetState>, LedgerError>>;

    /// Returns the day on which the price table was made, `YYYY-MM-DD`.
    fn prices_as_of(&self) -> String;
}

/// A settlement of nothing, whose accounts nobody wants to know.
struct Releasing(BoxFuture<'static, Result<Vec<Settled>, LedgerError>>);

impl Future for Releasing {
    type Output = Result<(), LedgerError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(|settled| settled.map(drop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_where_the_calendar_says() {
        // 2024-02-29T12:00Z, 2025-02-10, 2026-12-31, 2000-02-29, 1969-12-31.
        for (day, start, end) in [
            (19_782, 19_754, 19_783),
            (20_129, 20_120, 20_148),
            (20_818, 20_788, 20_819),
            (11_016, 10_988, 11_017),
            (-1, -31, 0),
        ] {
            let now = Timestamp(day * DAY + DAY / 2);
            let bucket = Period::Month.bucket(now);
            assert_eq!((bucket, Period::Month.end(bucket)), (start * DAY, Some(Timestamp(end * DAY))), "day {day}");
        }
    }

    #[test]
    fn what_is_counted_in_a_minute_counts_for_a_minute_at_least() {
        for now in [0, 1, 999, 1_000, 61_234] {
            let bucket = Period::Minute.bucket(Timestamp(now));
            let end = Period::Minute.end(bucket).map_or(0, |end| end.0);
            assert!(bucket <= now && (now + WINDOW..=now + WINDOW + STEP).contains(&end), "{now}");
        }
    }
}
