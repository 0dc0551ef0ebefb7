//! The rules of the Ledger port as a pure book of accounts, which all adapters in this crate share.

use bedplate_core::{
    id::Tenant,
    port::ledger::{Account, Balance, Claim, Hold, Period, Reservation, ReserveError, Settled},
    time::Timestamp,
};
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// How many reservations come between two sweeps of what counts no more.
const SWEEP: u32 = 4_096;

/// How long an account that never ends is kept after its last reservation: a run that rests longer begins anew.
pub(crate) const REST: Duration = Duration::from_secs(7 * 86_400);

/// How many accounts a list shows.
const MAX_LIST: usize = 10_000;

/// Accounts with what counts in them.
#[derive(Debug, Default)]
pub(crate) struct Book {
    accounts: HashMap<Account, Buckets>,
    reservations: u32,
}

#[derive(Debug, Default)]
struct Buckets {
    /// Oldest first; no two begin at one time.
    list: VecDeque<Bucket>,
    touched: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    start: i64,
    used: u64,
    held: u64,
}

impl Bucket {
    fn sum(&self) -> u64 {
        self.used.saturating_add(self.held)
    }
}

impl Buckets {
    /// Removes what counts no more and is held by nobody.
    fn drop_ended(&mut self, period: Period, now: Timestamp) {
        self.list.retain(|bucket| bucket.held > 0 || counts(period, bucket.start, now));
    }

    fn balance(&self, period: Period, now: Timestamp) -> Balance {
        let mut balance = Balance::default();
        for bucket in self.list.iter().filter(|bucket| counts(period, bucket.start, now)) {
            balance.used = balance.used.saturating_add(bucket.used);
            balance.held = balance.held.saturating_add(bucket.held);
            balance.frees_at = period.end(bucket.start).filter(|_| bucket.sum() > 0).or(balance.frees_at);
        }
        balance
    }

    /// Returns how long until `excess` of what counts has ended.
    fn frees(&self, period: Period, now: Timestamp, excess: u64) -> Option<Duration> {
        let mut freed = 0_u64;
        for bucket in self.list.iter().filter(|bucket| counts(period, bucket.start, now)) {
            freed = freed.saturating_add(bucket.sum());
            if freed >= excess {
                return period.end(bucket.start).map(|end| end.since(now));
            }
        }
        None
    }

    fn bucket(&mut self, start: i64) -> &mut Bucket {
        let at = self.list.partition_point(|bucket| bucket.start < start);
        if self.list.get(at).is_none_or(|bucket| bucket.start != start) {
            self.list.insert(at, Bucket { start, used: 0, held: 0 });
        }
        &mut self.list[at]
    }
}

fn counts(period: Period, start: i64, now: Timestamp) -> bool {
    period.end(start).is_none_or(|end| end > now)
}

impl Book {
    /// Reserves all claims or none.
    pub(crate) fn reserve(&mut self, now: Timestamp, claims: Vec<Claim>) -> Result<Reservation, ReserveError> {
        self.reservations = self.reservations.wrapping_add(1);
        if self.reservations.is_multiple_of(SWEEP) {
            self.sweep(now);
        }
        if let Some(refused) = self.refusal(now, &claims) {
            return Err(refused);
        }
        let holds = claims.into_iter().map(|claim| {
            let period = claim.account.period;
            let start = period.bucket(now);
            let buckets = self.accounts.entry(claim.account.clone()).or_default();
            buckets.drop_ended(period, now);
            buckets.touched = now;
            let bucket = buckets.bucket(start);
            bucket.held = bucket.held.saturating_add(claim.amount);
            Hold { bucket: start, balance: buckets.balance(period, now), claim }
        });
        Ok(Reservation { holds: holds.collect() })
    }

    /// Returns the refusal with the longest wait, if any claim passes its limit.
    fn refusal(&self, now: Timestamp, claims: &[Claim]) -> Option<ReserveError> {
        let mut worst: Option<(usize, Balance, Option<Duration>)> = None;
        for (index, claim) in claims.iter().enumerate() {
            let Some(limit) = claim.limit else { continue };
            let period = claim.account.period;
            let buckets = self.accounts.get(&claim.account);
            let balance = buckets.map(|buckets| buckets.balance(period, now)).unwrap_or_default();
            let earlier = claims[..index].iter().filter(|earlier| earlier.account == claim.account);
            let asked = earlier.fold(claim.amount, |sum, earlier| sum.saturating_add(earlier.amount));
            let counted = balance.used.saturating_add(balance.held);
            let excess = counted.saturating_add(asked).saturating_sub(limit);
            // An amount of nothing passes a limit only when that is overdrawn already.
            if excess == 0 || (asked == 0 && counted <= limit) {
                continue;
            }
            let wait = match buckets {
                Some(buckets) if asked <= limit => buckets.frees(period, now, excess),
                _ => None,
            };
            let longer =
                worst.is_none_or(|(_, _, before)| before.is_some_and(|before| wait.is_none_or(|it| it > before)));
            if longer {
                worst = Some((index, balance, wait));
            }
        }
        worst.map(|(claim, balance, retry_after)| ReserveError::Exceeded { claim, balance, retry_after })
    }

    /// Replaces what is held by what was spent.
    pub(crate) fn settle(&mut self, reservation: &Reservation, spent: &[u64]) -> Vec<Settled> {
        let settled = reservation.holds.iter().enumerate().map(|(index, hold)| {
            let spent = spent.get(index).copied().unwrap_or(0);
            let buckets = self.accounts.entry(hold.claim.account.clone()).or_default();
            let bucket = buckets.bucket(hold.bucket);
            let before = bucket.used;
            bucket.held = bucket.held.saturating_sub(hold.claim.amount);
            bucket.used = bucket.used.saturating_add(spent);
            Settled { before, after: bucket.used }
        });
        settled.collect()
    }

    /// Returns the accounts that count something now.
    pub(crate) fn balances(&self, now: Timestamp, tenant: &Tenant, prefix: &str) -> Vec<(Account, Balance)> {
        let found = self.accounts.iter().filter(|(account, _)| account.tenant == *tenant);
        let found = found.filter(|(account, _)| account.name.starts_with(prefix));
        let found = found.map(|(account, buckets)| (account.clone(), buckets.balance(account.period, now)));
        let mut found: Vec<_> = found.filter(|(_, balance)| balance.used > 0 || balance.held > 0).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found.truncate(MAX_LIST);
        found
    }

    /// Returns what counts in one bucket, used and held together.
    pub(crate) fn amount(&self, account: &Account, start: i64) -> u64 {
        let buckets = self.accounts.get(account).into_iter().flat_map(|buckets| &buckets.list);
        buckets.filter(|bucket| bucket.start == start).map(Bucket::sum).sum()
    }

    /// Takes over an amount from an earlier process.
    pub(crate) fn load(&mut self, account: Account, start: i64, amount: u64, touched: Timestamp) {
        let buckets = self.accounts.entry(account).or_default();
        buckets.touched = buckets.touched.max(touched);
        buckets.bucket(start).used = amount;
    }

    fn sweep(&mut self, now: Timestamp) {
        self.accounts.retain(|account, buckets| {
            buckets.drop_ended(account.period, now);
            let rests = account.period == Period::Ever && buckets.touched.after(REST) <= now;
            let held = buckets.list.iter().any(|bucket| bucket.held > 0);
            held || !(rests || buckets.list.is_empty())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_that_count_nothing_any_more_leave_no_trace() {
        let mut book = Book::default();
        for index in 0..10_000_i64 {
            let account =
                Account { tenant: Tenant::default(), name: format!("user:{index}").into(), period: Period::Minute };
            let claim = Claim { account, amount: 1, limit: Some(1) };
            let held = book.reserve(Timestamp(index * 1_000), vec![claim]).expect("each has its own");
            book.settle(&held, &[1]);
        }
        assert!(book.accounts.len() < 2 * SWEEP as usize, "{} are left", book.accounts.len());
    }
}
