//! The promises of the Records port.

use bedplate_core::{
    id::{RecordId, RunId, Tenant},
    message::Usage,
    port::{
        Priority,
        records::{CacheUse, CallRecord, Dimension, Outcome, Payload, RecordFilter, Records, RecordsError},
    },
    time::Timestamp,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// 2026-11-20T10:00:00Z.
const NOW: Timestamp = Timestamp(1_795_168_800_000);
const DAY: i64 = 86_400_000;

/// Checks every promise, each on fresh records.
///
/// # Panics
/// When a promise is broken.
pub async fn all(fresh: impl Fn() -> Arc<dyn Records>) {
    a_record_reads_back_as_it_was(fresh()).await;
    lists_are_newest_first_and_can_be_paged(fresh()).await;
    filters_mean_what_they_say(fresh()).await;
    costs_add_up_by_what_was_asked(fresh()).await;
    a_table_of_costs_is_bounded(fresh()).await;
    a_person_can_be_forgotten_and_the_bill_stays(fresh()).await;
    what_is_old_goes(fresh()).await;
    tenants_share_nothing(fresh()).await;
}

/// Every field comes back, and a batch can be repeated.
///
/// # Panics
/// When the promise is broken.
pub async fn a_record_reads_back_as_it_was(records: Arc<dyn Records>) {
    let mut full = record(2, NOW);
    full.key = Some("0123".into());
    full.team = Some("search".into());
    full.agent = Some("helper".into());
    full.session = Some("s \"1\"".into());
    full.run = Some(RunId([7; 16]));
    full.tags = [("project".to_owned(), "a'b \"c\" 漢".to_owned())].into();
    full.jurisdiction = Some("eu".into());
    full.priority = Priority::Batch;
    full.dialect = "anthropic_messages";
    full.stream = true;
    full.reason = Some("it was the cheapest".into());
    full.attempts = 3;
    full.cache = Some(CacheUse::SemanticHit);
    full.degraded = Some("a smaller model".into());
    full.guard = Some("masked 2".into());
    full.prompt_cache_markers = 2;
    full.usage = Usage { input: 1, output: 2, cache_read: 3, cache_write: 4 };
    full.estimated = true;
    full.saved = 77;
    full.first_token = Some(Duration::from_micros(1_234));
    full.outcome = Outcome::Failed { kind: "model_timeout".into(), message: "too slow".into() };
    full.payload = Some(Box::new(Payload { request: "{\"a\":1}".into(), response: "x".repeat(10_000).into() }));
    let mut bare = record(3, NOW);
    (bare.user, bare.target, bare.provider, bare.model, bare.cost) = (None, None, None, None, None);
    bare.outcome = Outcome::Cancelled;
    let batch: Arc<[CallRecord]> = vec![record(1, NOW), full, bare].into();
    records.append(batch.clone()).await.expect("the store works");
    records.append(batch.clone()).await.expect("a batch can be repeated");
    for record in batch.iter() {
        let found = records.get(&record.tenant, record.id).await.expect("the store works");
        assert_eq!(found.as_ref(), Some(record));
    }
    let listed = list(&records, RecordFilter::default(), None, 10).await;
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[1].payload.as_deref(), Some(&Payload::default()), "a list says that there is one");
    assert!(listed[0].payload.is_none());
    assert_eq!(records.get(&Tenant::default(), id(9, NOW)).await, Ok(None));
}

/// A page ends where the next begins.
///
/// # Panics
/// When the promise is broken.
pub async fn lists_are_newest_first_and_can_be_paged(records: Arc<dyn Records>) {
    let all: Vec<CallRecord> = (0..7).map(|n| record(n, Timestamp(NOW.0 + i64::from(n) * 1_000))).collect();
    records.append(all.into()).await.expect("the store works");
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = list(&records, RecordFilter::default(), before, 3).await;
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|record| record.at.0 - NOW.0));
    }
    assert_eq!(seen, [6_000, 5_000, 4_000, 3_000, 2_000, 1_000, 0]);
}

/// Each pair must be equal, times are half open, and a tag's name is only a name.
///
/// # Panics
/// When the promise is broken.
pub async fn filters_mean_what_they_say(records: Arc<dyn Records>) {
    let mut of_ann = record(1, NOW);
    of_ann.user = Some("ann".into());
    of_ann.tags = [("a.b".to_owned(), "x".to_owned())].into();
    let mut failed = record(2, Timestamp(NOW.0 + 1_000));
    failed.outcome = Outcome::Failed { kind: "model_timeout".into(), message: "".into() };
    let last = record(3, Timestamp(NOW.0 + 2_000));
    records.append(vec![of_ann, failed, last].into()).await.expect("the store works");
    let found = async |filter: RecordFilter| {
        let found = list(&records, filter, None, 10).await;
        found.iter().map(|record| (record.at.0 - NOW.0) / 1_000).collect::<Vec<_>>()
    };
    let equal =
        |dimension, value: &str| RecordFilter { equal: vec![(dimension, value.to_owned())], ..Default::default() };
    assert_eq!(found(equal(Dimension::User, "ann")).await, [0]);
    assert_eq!(found(equal(Dimension::User, "' OR 1=1 --")).await, [0_i64; 0]);
    assert_eq!(found(equal(Dimension::Tag("a.b".into()), "x")).await, [0]);
    assert_eq!(found(equal(Dimension::Tag("$.*".into()), "x")).await, [0_i64; 0]);
    assert_eq!(found(equal(Dimension::Error, "model_timeout")).await, [1]);
    assert_eq!(found(equal(Dimension::Hour, &NOW.0.to_string())).await, [2, 1, 0]);
    assert_eq!(found(equal(Dimension::Month, "1793491200000")).await, [2, 1, 0]);
    assert_eq!(found(RecordFilter { failed: true, ..Default::default() }).await, [1]);
    let (from, to) = (Some(Timestamp(NOW.0 + 1_000)), Some(Timestamp(NOW.0 + 2_000)));
    assert_eq!(found(RecordFilter { from, to, ..Default::default() }).await, [1]);
}

/// Sums are right for every row and for all together.
///
/// # Panics
/// When the promise is broken.
pub async fn costs_add_up_by_what_was_asked(records: Arc<dyn Records>) {
    let mut all = Vec::new();
    for n in 0..20_u16 {
        let mut one = record(n, Timestamp(NOW.0 + i64::from(n % 2) * DAY));
        one.user = Some(if n < 5 { "ann" } else { "bob" }.into());
        one.usage = Usage { input: 10, output: 1, cache_read: 2, cache_write: 3 };
        one.cost = Some(100);
        one.total = Duration::from_millis(100);
        one.tags = if n < 10 { [("p".to_owned(), "x".to_owned())].into() } else { BTreeMap::new() };
        match n {
            0 => one.cost = None,
            1 => one.outcome = Outcome::Failed { kind: "model_timeout".into(), message: "".into() },
            2 => one.outcome = Outcome::Cancelled,
            3 => (one.cache, one.saved) = (Some(CacheUse::Hit), 90),
            _ => {}
        }
        all.push(one);
    }
    records.append(all.into()).await.expect("the store works");
    let tenant = Tenant::default();
    let by = vec![Dimension::Day, Dimension::User, Dimension::Tag("p".into())];
    let costs = records.costs(&tenant, RecordFilter::default(), by).await.expect("the store works");
    assert_eq!((costs.total.calls, costs.total.cost, costs.total.saved), (20, 1_900, 90));
    assert_eq!((costs.total.errors, costs.total.cancelled, costs.total.cache_hits, costs.total.unpriced), (1, 1, 1, 1));
    assert_eq!(costs.total.usage, Usage { input: 200, output: 20, cache_read: 40, cache_write: 60 });
    let p50 = costs.total.latency.expect("calls took time").p50.as_millis();
    assert!((100..=104).contains(&p50), "{p50}");
    assert_eq!(costs.total.first_token, None);
    let day = NOW.0.div_euclid(DAY) * DAY;
    let rows: Vec<(Vec<Option<String>>, u64)> = costs.rows.into_iter().map(|row| (row.by, row.sum.calls)).collect();
    let row = |day: i64, user: &str, tag: Option<&str>, calls| {
        (vec![Some(day.to_string()), Some(user.to_owned()), tag.map(str::to_owned)], calls)
    };
    assert_eq!(
        rows,
        [
            row(day, "ann", Some("x"), 3),
            row(day, "bob", None, 5),
            row(day, "bob", Some("x"), 2),
            row(day + DAY, "ann", Some("x"), 2),
            row(day + DAY, "bob", None, 5),
            row(day + DAY, "bob", Some("x"), 3),
        ]
    );
    let by_error = records.costs(&tenant, RecordFilter::default(), vec![Dimension::Error]).await;
    let by_error: Vec<_> = by_error.expect("the store works").rows.into_iter().map(|row| row.by[0].clone()).collect();
    assert_eq!(by_error, [None, Some("model_timeout".to_owned())]);
    let none = RecordFilter { to: Some(NOW), ..Default::default() };
    let none = records.costs(&tenant, none, Vec::new()).await.expect("the store works");
    assert_eq!((none.rows.len(), none.total.calls, none.total.latency), (0, 0, None));
}

/// A question whose answer is too large is refused.
///
/// # Panics
/// When the promise is broken.
pub async fn a_table_of_costs_is_bounded(records: Arc<dyn Records>) {
    let one = |n: u16| {
        let mut one = record(n, NOW);
        one.session = Some(format!("s{n}").into());
        one
    };
    records.append((0..10_001).map(one).collect()).await.expect("the store works");
    let by = vec![Dimension::Session];
    let costs = records.costs(&Tenant::default(), RecordFilter::default(), by).await;
    assert_eq!(costs.err(), Some(RecordsError::TooManyRows));
}

/// Nothing that tells who it was is left, and what it cost still is.
///
/// # Panics
/// When the promise is broken.
pub async fn a_person_can_be_forgotten_and_the_bill_stays(records: Arc<dyn Records>) {
    let mut of_ann = record(1, NOW);
    of_ann.user = Some("ann".into());
    of_ann.session = Some("secret".into());
    of_ann.run = Some(RunId([1; 16]));
    of_ann.tags = [("mail".to_owned(), "ann@example.com".to_owned())].into();
    of_ann.outcome = Outcome::Failed { kind: "model_timeout".into(), message: "ann asked".into() };
    of_ann.payload = Some(Box::new(Payload { request: "ann".into(), response: "ann".into() }));
    let other = record(2, NOW);
    records.append(vec![of_ann.clone(), other.clone()].into()).await.expect("the store works");
    let tenant = Tenant::default();
    assert_eq!(records.forget(&"another".into(), "ann").await, Ok(0));
    assert_eq!(records.forget(&tenant, "ann").await, Ok(1));
    let found = records.get(&tenant, of_ann.id).await.expect("the store works").expect("the record stays");
    let text = format!("{found:?}");
    assert!(!text.contains("ann") && !text.contains("secret"), "{text}");
    assert_eq!((found.cost, found.run, found.payload), (of_ann.cost, None, None));
    assert_eq!(records.get(&tenant, other.id).await, Ok(Some(other)));
}

/// Records from before a time go, with their payloads.
///
/// # Panics
/// When the promise is broken.
pub async fn what_is_old_goes(records: Arc<dyn Records>) {
    let mut old = record(1, Timestamp(NOW.0 - 1));
    old.payload = Some(Box::default());
    records.append(vec![old.clone(), record(2, NOW)].into()).await.expect("the store works");
    assert_eq!(records.expire(NOW).await, Ok(1));
    assert_eq!(records.get(&Tenant::default(), old.id).await, Ok(None));
    assert_eq!(list(&records, RecordFilter::default(), None, 10).await.len(), 1);
}

/// No question shows another tenant's record.
///
/// # Panics
/// When the promise is broken.
pub async fn tenants_share_nothing(records: Arc<dyn Records>) {
    let theirs = CallRecord { tenant: "other".into(), ..record(1, NOW) };
    records.append(vec![theirs.clone()].into()).await.expect("the store works");
    let tenant = Tenant::default();
    assert_eq!(records.get(&tenant, theirs.id).await, Ok(None));
    assert_eq!(list(&records, RecordFilter::default(), None, 10).await, []);
    let costs = records.costs(&tenant, RecordFilter::default(), Vec::new()).await.expect("the store works");
    assert_eq!(costs.total.calls, 0);
}

/// A call of nobody in particular that succeeded.
#[must_use]
pub fn record(count: u16, at: Timestamp) -> CallRecord {
    CallRecord {
        id: id(count, at),
        at,
        tenant: Tenant::default(),
        user: Some("someone".into()),
        key: None,
        team: None,
        agent: None,
        session: None,
        run: None,
        tags: BTreeMap::new(),
        jurisdiction: None,
        priority: Priority::Interactive,
        dialect: "openai_chat",
        stream: false,
        route: "default".into(),
        reason: None,
        target: Some("claude".into()),
        provider: Some("anthropic".into()),
        model: Some("claude-sonnet-4-5".into()),
        attempts: 1,
        cache: None,
        degraded: None,
        guard: None,
        prompt_cache_markers: 0,
        usage: Usage::default(),
        estimated: false,
        cost: Some(5),
        saved: 0,
        first_token: None,
        total: Duration::from_millis(20),
        outcome: Outcome::Ok,
        payload: None,
    }
}

fn id(count: u16, at: Timestamp) -> RecordId {
    RecordId::new(at, count, [1; 8])
}

async fn list(
    records: &Arc<dyn Records>,
    filter: RecordFilter,
    before: Option<RecordId>,
    limit: usize,
) -> Vec<CallRecord> {
    records.list(&Tenant::default(), filter, before, limit).await.expect("the store works")
}
