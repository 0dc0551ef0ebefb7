//! The promises of the Ledger port.

use bedplate_core::{
    id::Tenant,
    port::ledger::{Account, Balance, Claim, Ledger, Period, Reservation, ReserveError, Settled},
    time::Timestamp,
};
use futures::future::join_all;
use std::{sync::Arc, task::Poll, time::Duration};

/// 2026-11-20T10:00:00Z.
const NOW: Timestamp = Timestamp(1_795_168_800_000);

/// Checks every promise, each on a fresh ledger.
///
/// # Panics
/// When a promise is broken.
pub async fn all<L: Future<Output = Arc<dyn Ledger>>>(fresh: impl Fn() -> L) {
    what_is_reserved_counts_until_it_is_settled(fresh().await).await;
    a_reservation_takes_all_or_nothing(fresh().await).await;
    two_claims_on_one_account_count_together(fresh().await).await;
    a_minute_slides_and_a_day_turns(fresh().await).await;
    a_settlement_may_pass_the_limit_and_holds_the_next_one_up(fresh().await).await;
    an_amount_over_the_limit_never_passes(fresh().await).await;
    tenants_share_nothing(fresh().await).await;
    many_at_once_never_pass_a_limit_together(fresh().await).await;
    a_settlement_says_what_it_changed_once(fresh().await).await;
}

/// What is held keeps others out; what was not spent is free again.
///
/// # Panics
/// When the promise is broken.
pub async fn what_is_reserved_counts_until_it_is_settled(ledger: Arc<dyn Ledger>) {
    let first = reserve(&ledger, NOW, &[claim("a", Period::Day, 60, 100)]).await.expect("60 of 100 are free");
    assert_eq!(first.holds[0].balance.held, 60);
    let wait = refused(&ledger, NOW, &[claim("a", Period::Day, 41, 100)]).await;
    assert_eq!(wait, (0, Some(Duration::from_secs(14 * 3_600))), "a day ends at midnight");
    let settled = ledger.settle(first, vec![10]).await.expect("the ledger works");
    assert_eq!(settled, [Settled { before: 0, after: 10 }]);
    let second = reserve(&ledger, NOW, &[claim("a", Period::Day, 90, 100)]).await.expect("90 are free again");
    ledger.release(second).await.expect("the ledger works");
    let found = ledger.balances(NOW, &Tenant::default(), "a").await.expect("the ledger works");
    let balance = Balance { used: 10, held: 0, frees_at: Some(Timestamp(NOW.0 + 14 * 3_600_000)) };
    assert_eq!(found, [(account("a", Period::Day), balance)]);
}

/// One claim that does not fit keeps the others from being counted; the longest wait is told.
///
/// # Panics
/// When the promise is broken.
pub async fn a_reservation_takes_all_or_nothing(ledger: Arc<dyn Ledger>) {
    let full = reserve(&ledger, NOW, &[claim("m", Period::Minute, 5, 5), claim("d", Period::Day, 5, 5)]).await;
    ledger.settle(full.expect("all is free"), vec![5, 5]).await.expect("the ledger works");
    let both = [claim("free", Period::Day, 1, 5), claim("m", Period::Minute, 1, 5), claim("d", Period::Day, 1, 5)];
    assert_eq!(refused(&ledger, NOW, &both).await.0, 2, "the day has to be waited for longest");
    assert_eq!(ledger.balances(NOW, &Tenant::default(), "free").await.expect("the ledger works"), []);
}

/// The same account twice in one reservation is asked for the sum.
///
/// # Panics
/// When the promise is broken.
pub async fn two_claims_on_one_account_count_together(ledger: Arc<dyn Ledger>) {
    let twice = [claim("a", Period::Day, 6, 10), claim("a", Period::Day, 6, 10)];
    assert!(reserve(&ledger, NOW, &twice).await.is_err());
    let twice = [claim("a", Period::Day, 5, 10), claim("a", Period::Day, 5, 10)];
    let held = reserve(&ledger, NOW, &twice).await.expect("ten are free");
    ledger.settle(held, vec![1, 2]).await.expect("the ledger works");
    let found = ledger.balances(NOW, &Tenant::default(), "a").await.expect("the ledger works");
    assert_eq!((found[0].1.used, found[0].1.held), (3, 0));
}

/// Within any 60 seconds no more than the limit goes through, and the wait that is told is enough and no more than a
/// second too long; a day begins anew at midnight, UTC.
///
/// # Panics
/// When the promise is broken.
pub async fn a_minute_slides_and_a_day_turns(ledger: Arc<dyn Ledger>) {
    let one = [claim("m", Period::Minute, 1, 3)];
    for after in [0, 20_000, 40_000] {
        spend(&ledger, later(after), &one).await;
    }
    let (_, wait) = refused(&ledger, later(41_500), &one).await;
    let wait = wait.expect("a minute ends");
    assert!((18_500..=19_500).contains(&wait.as_millis()), "{wait:?}");
    assert_eq!(refused(&ledger, later(59_999), &one).await.0, 0, "the first still counts");
    spend(&ledger, later(41_500).after(wait), &one).await;
    assert!(reserve(&ledger, later(70_000), &one).await.is_err(), "only one was free again");
    let day = [claim("d", Period::Day, 1, 1)];
    spend(&ledger, NOW, &day).await;
    assert!(reserve(&ledger, later(14 * 3_600_000 - 1), &day).await.is_err());
    spend(&ledger, later(14 * 3_600_000), &day).await;
    let month = [claim("mo", Period::Month, 1, 1)];
    spend(&ledger, NOW, &month).await;
    let december = Timestamp(1_796_083_200_000);
    assert!(reserve(&ledger, Timestamp(december.0 - 1), &month).await.is_err());
    spend(&ledger, december, &month).await;
    let ever = [claim("run", Period::Ever, 1, 1)];
    spend(&ledger, NOW, &ever).await;
    assert_eq!(refused(&ledger, december, &ever).await, (0, None));
}

/// More may be spent than was reserved; that counts, and the next reservation waits for it.
///
/// # Panics
/// When the promise is broken.
pub async fn a_settlement_may_pass_the_limit_and_holds_the_next_one_up(ledger: Arc<dyn Ledger>) {
    let held = reserve(&ledger, NOW, &[claim("a", Period::Minute, 1, 10)]).await.expect("ten are free");
    ledger.settle(held, vec![25]).await.expect("the ledger works");
    assert!(reserve(&ledger, NOW, &[claim("a", Period::Minute, 1, 10)]).await.is_err());
    assert!(reserve(&ledger, NOW, &[claim("a", Period::Minute, 0, 10)]).await.is_err(), "it is overdrawn");
    spend(&ledger, later(61_000), &[claim("a", Period::Minute, 10, 10)]).await;
}

/// What is larger than the limit itself is told to be hopeless.
///
/// # Panics
/// When the promise is broken.
pub async fn an_amount_over_the_limit_never_passes(ledger: Arc<dyn Ledger>) {
    assert_eq!(refused(&ledger, NOW, &[claim("a", Period::Minute, 11, 10)]).await, (0, None));
    assert_eq!(refused(&ledger, NOW, &[claim("a", Period::Minute, u64::MAX, 10)]).await, (0, None));
    let free = Claim { limit: None, ..claim("b", Period::Day, u64::MAX / 2, 0) };
    let held = reserve(&ledger, NOW, &[free]).await.expect("nothing limits it");
    ledger.release(held).await.expect("the ledger works");
}

/// The same name under another tenant is another account.
///
/// # Panics
/// When the promise is broken.
pub async fn tenants_share_nothing(ledger: Arc<dyn Ledger>) {
    let ours = claim("a", Period::Day, 1, 1);
    let theirs = Claim { account: Account { tenant: "other".into(), ..ours.account.clone() }, ..ours.clone() };
    spend(&ledger, NOW, std::slice::from_ref(&ours)).await;
    spend(&ledger, NOW, &[theirs]).await;
    assert!(reserve(&ledger, NOW, &[ours]).await.is_err());
    assert_eq!(ledger.balances(NOW, &"third".into(), "").await.expect("the ledger works"), []);
}

/// Of 400 that come at once, as many go through as the limit says, and no more (pain 26).
///
/// # Panics
/// When the promise is broken.
pub async fn many_at_once_never_pass_a_limit_together(ledger: Arc<dyn Ledger>) {
    let tasks: Vec<_> = (0..400)
        .map(|_| {
            let ledger = ledger.clone();
            async move {
                let claims = [claim("requests", Period::Minute, 1, 50), claim("tokens", Period::Day, 100, 1_000_000)];
                match reserve(&ledger, NOW, &claims).await {
                    Ok(held) => {
                        yield_once().await;
                        ledger.settle(held, vec![1, 40]).await.expect("the ledger works");
                        1
                    }
                    Err(_) => 0,
                }
            }
        })
        .collect();
    assert_eq!(join_all(tasks).await.into_iter().sum::<u32>(), 50);
    let found = ledger.balances(NOW, &Tenant::default(), "").await.expect("the ledger works");
    let found: Vec<_> =
        found.into_iter().map(|(account, balance)| (account.name, balance.used, balance.held)).collect();
    assert_eq!(found, [("requests".into(), 50, 0), ("tokens".into(), 2_000, 0)]);
}

/// Of settlements that go on at once each step of the sum is told to one of them, so an alert is given once.
///
/// # Panics
/// When the promise is broken.
pub async fn a_settlement_says_what_it_changed_once(ledger: Arc<dyn Ledger>) {
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let ledger = ledger.clone();
            async move {
                let held = reserve(&ledger, NOW, &[claim("money", Period::Month, 1, 1_000)]).await.expect("it is free");
                ledger.settle(held, vec![1]).await.expect("the ledger works")[0]
            }
        })
        .collect();
    let crosses = |settled: &Settled| settled.before < 80 && settled.after >= 80;
    assert_eq!(join_all(tasks).await.iter().filter(|settled| crosses(settled)).count(), 1);
}

/// An account of the default tenant.
#[must_use]
pub fn account(name: &str, period: Period) -> Account {
    Account { tenant: Tenant::default(), name: name.into(), period }
}

/// A claim on it.
#[must_use]
pub fn claim(name: &str, period: Period, amount: u64, limit: u64) -> Claim {
    Claim { account: account(name, period), amount, limit: Some(limit) }
}

/// Lets the others go on before this does.
async fn yield_once() {
    let mut yielded = false;
    futures::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn later(millis: i64) -> Timestamp {
    Timestamp(NOW.0 + millis)
}

async fn reserve(ledger: &Arc<dyn Ledger>, now: Timestamp, claims: &[Claim]) -> Result<Reservation, ReserveError> {
    ledger.reserve(now, claims.to_vec()).await
}

async fn refused(ledger: &Arc<dyn Ledger>, now: Timestamp, claims: &[Claim]) -> (usize, Option<Duration>) {
    match reserve(ledger, now, claims).await {
        Err(ReserveError::Exceeded { claim, retry_after, .. }) => (claim, retry_after),
        other => panic!("it passes no limit: {other:?}"),
    }
}

async fn spend(ledger: &Arc<dyn Ledger>, now: Timestamp, claims: &[Claim]) {
    let amounts = claims.iter().map(|claim| claim.amount).collect();
    let held = reserve(ledger, now, claims).await.expect("it is free");
    ledger.settle(held, amounts).await.expect("the ledger works");
}
