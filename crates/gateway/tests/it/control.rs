//! Records, plans, budgets and caches around a model that answers from a script.

use crate::support::{WallClock, call_of, finish, options};
use bedplate_core::{
    agent::Price,
    id::Tenant,
    message::{Message, Usage},
    port::{
        CacheControl,
        ledger::{Budgets, Ledger, Period},
        model::{Model, ModelCall, ModelErrorKind},
        records::{CacheUse, CallRecord, Outcome, RecordFilter, Records},
    },
};
use bedplate_gateway::{
    Config, Gateway, ModelConfig, Options, Policy, Recorder,
    policy::{Budget, BudgetAction, CacheRule, LogPolicy, Payloads, Plan, Rate, SemanticRule, Subject},
    script::{Script, Step},
};
use bedplate_store::{MemoryLedger, MemoryRecords};
use futures::StreamExt;
use std::{sync::Arc, time::Duration};

pub struct Bench {
    pub gateway: Arc<Gateway>,
    records: Arc<MemoryRecords>,
    ledger: Arc<MemoryLedger>,
    recorder: Recorder,
}

pub const PRICE: Price = Price { input: 1_000_000, output: 10_000_000, cache_read: 100_000, cache_write: 2_000_000 };

/// A gateway whose model `it` answers each call with 100 input and 10 output tokens (200 micro-dollars), in order.
fn bench(policy: Policy) -> Bench {
    let step = |text: &str| {
        let mut step = Step::text(text);
        Arc::make_mut(&mut step.reply).usage = Usage { input: 100, output: 10, ..Usage::default() };
        step
    };
    let mut script = Script::flat(vec![step("first"), step("second"), step("third"), step("fourth")]);
    script.order = bedplate_gateway::script::Order::Global;
    script.repeat = true;
    bench_of(policy, script)
}

fn bench_of(policy: Policy, script: Script) -> Bench {
    let priced = ModelConfig { price: Some(PRICE), ..ModelConfig::scripted(Arc::new(script)) };
    let models = [("it".to_owned(), priced), ("small".to_owned(), ModelConfig::rehearsal())].into();
    let routes = [("default".to_owned(), "it".into()), ("embed".to_owned(), "small".into())].into();
    Bench::of(Config { models, routes, policy, ..Config::default() })
}

impl Bench {
    pub fn of(config: Config) -> Self {
        let (records, ledger) = (Arc::new(MemoryRecords::new()), Arc::new(MemoryLedger::new()));
        let recorder = Recorder::start(records.clone());
        let options = Options { recorder: Some(recorder.clone()), ledger: Some(ledger.clone()), ..options() };
        Self { gateway: Gateway::new(config, options).unwrap(), records, ledger, recorder }
    }

    pub async fn records(&self) -> Vec<CallRecord> {
        self.recorder.close(Duration::from_secs(10)).await;
        let mut found = self.records.list(&Tenant::default(), RecordFilter::default(), None, 1_000).await.unwrap();
        found.reverse();
        found
    }
}

pub fn ask(text: &str) -> ModelCall {
    let mut call = call_of(vec![Message::user(text)], &[]);
    call.caller.key = Some("k1".into());
    call
}

fn by(user: &str, text: &str) -> ModelCall {
    let mut call = ask(text);
    call.caller.user = user.into();
    call
}

pub async fn answer(bench: &Bench, call: ModelCall) -> Result<(String, Option<&'static str>), ModelErrorKind> {
    let answered = bench.gateway.call(call).await.map_err(|error| error.kind)?;
    let notes = answered.notes.clone();
    let (_, reply) = finish(answered.answer.into_events().unwrap()).await.map_err(|error| error.kind)?;
    Ok((reply.message.text(), notes.read().cache))
}

pub fn plan(plan: Plan, subject: Subject) -> Policy {
    Policy {
        plans: [("small".to_owned(), plan)].into(),
        each: [(subject, "small".to_owned())].into(),
        ..Policy::default()
    }
}

pub fn budget(limit: u64, action: BudgetAction) -> Policy {
    let budget = Budget {
        of: Subject::User,
        who: Vec::new(),
        period: Period::Month,
        limit,
        alerts: vec![80, 100],
        action,
        webhook: None,
    };
    Policy { budgets: [("people".to_owned(), budget)].into(), ..Policy::default() }
}

#[tokio::test]
async fn each_call_leaves_one_record_that_says_who_what_and_how_much() {
    let bench = bench(Policy::default());
    let mut call = ask("hello");
    call.caller.tags.insert("project".into(), "search".into());
    call.caller.agent = Some("helper".into());
    answer(&bench, call).await.unwrap();
    let mut unknown = ask("x");
    let bedplate_core::port::model::Asked::Core(request) = &mut unknown.asked else { panic!("it is") };
    request.model = "nowhere".into();
    assert_eq!(answer(&bench, unknown).await, Err(ModelErrorKind::NotFound));
    let records = bench.records().await;
    assert_eq!(records.len(), 1, "what no route takes is nobody's call");
    let record = &records[0];
    assert_eq!(
        (record.key.as_deref(), record.agent.as_deref(), &*record.route),
        (Some("k1"), Some("helper"), "default")
    );
    assert_eq!((record.target.as_deref(), record.model.as_deref()), (Some("it"), Some("scripted")));
    assert_eq!((record.usage.input, record.usage.output, record.cost, record.estimated), (100, 10, Some(200), false));
    assert_eq!((record.attempts, &record.outcome, record.cache), (1, &Outcome::Ok, None));
    assert_eq!(record.tags["project"], "search");
    assert!(record.first_token.is_some_and(|first| first <= record.total) && record.payload.is_none());
}

#[tokio::test]
async fn pain_27_a_call_that_its_client_left_is_recorded_and_charged_at_what_is_known() {
    let mut step = Step::text("a reply that nobody reads to its end ".repeat(1_000));
    step.chunk_delay = Duration::from_millis(20);
    let mut policy = budget(1_000_000, BudgetAction::Block);
    policy.log.payloads = Payloads::None;
    let bench = bench_of(policy, Script::flat(vec![step]));
    let answered = bench.gateway.call(by("ann", "please tell me a long story")).await.unwrap();
    let mut events = answered.answer.into_events().unwrap();
    let mut seen = 0;
    while seen < 3 {
        events.next().await.unwrap().unwrap();
        seen += 1;
    }
    drop(events);
    let records = bench.records().await;
    assert_eq!((records.len(), &records[0].outcome), (1, &Outcome::Cancelled));
    assert!(records[0].estimated && records[0].usage.input > 0 && records[0].cost.unwrap() > 0);
    let state = &bench.gateway.states(&Tenant::default()).await.unwrap()[0];
    assert_eq!((state.balance.used, state.balance.held), (records[0].cost.unwrap(), 0));
}

#[tokio::test]
async fn pain_26_four_hundred_calls_at_once_never_pass_a_limit_or_a_budget_together() {
    let requests = Plan { requests: Rate { per_minute: Some(50), per_day: None }, ..Plan::default() };
    let bench = bench(plan(requests, Subject::Key));
    let calls = (0..400).map(|_| answer(&bench, ask("hello")));
    let outcomes = futures::future::join_all(calls).await;
    let through = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(through, 50);
    assert!(outcomes.iter().all(|it| !matches!(it, Err(kind) if *kind != ModelErrorKind::RateLimited)));
    let records = bench.records().await;
    assert_eq!(records.len(), 400, "a call that is refused leaves a record too");

    // Each call may come to about 41,000 micro-dollars until it is settled at 200.
    let bench = self::bench(budget(100_000, BudgetAction::Block));
    let mut most = 0;
    for _ in 0..10 {
        let outcomes = futures::future::join_all((0..40).map(|_| answer(&bench, by("ann", "hello")))).await;
        most += outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
    }
    let state = &bench.gateway.states(&Tenant::default()).await.unwrap()[0];
    assert_eq!((state.balance.used, state.balance.held), (most * 200, 0));
    assert!(state.balance.used <= 100_000 && most >= 20, "{most} went through");
}

#[tokio::test]
async fn a_refusal_says_how_the_limit_stands_and_when_to_come_again() {
    let tokens = Plan {
        requests: Rate { per_minute: Some(2), per_day: None },
        tokens: Rate { per_minute: Some(100_000), per_day: None },
        ..Plan::default()
    };
    let bench = bench(plan(tokens, Subject::User));
    let first = bench.gateway.call(by("ann", "hello")).await.unwrap();
    let limits = first.notes.read().limits.unwrap();
    assert_eq!(limits.requests.map(|meter| (meter.limit, meter.remaining)), Some((2, 1)));
    assert!(limits.tokens.unwrap().remaining < 100_000 && limits.input_tokens.is_none());
    finish(first.answer.into_events().unwrap()).await.unwrap();
    answer(&bench, by("ann", "hello")).await.unwrap();
    let refused = bench.gateway.call(by("ann", "hello")).await.err().unwrap();
    let wait = refused.retry_after.unwrap();
    assert!((Duration::from_secs(58)..=Duration::from_secs(61)).contains(&wait), "{wait:?}");
    assert_eq!(refused.limits.unwrap().requests.map(|meter| meter.remaining), Some(0));
    assert!(refused.message.contains("`small` allows this user 2 requests a minute"), "{}", refused.message);
    answer(&bench, by("bob", "hello")).await.expect("bob has his own");
    let huge = by("bob", &"x".repeat(400_000));
    assert_eq!(answer(&bench, huge).await, Err(ModelErrorKind::LimitExceeded), "waiting would not help");
}

#[tokio::test]
async fn a_budget_that_is_used_up_blocks_degrades_or_allows_as_it_says() {
    let blocked = bench(budget(1, BudgetAction::Block));
    assert_eq!(answer(&blocked, by("ann", "hello")).await, Err(ModelErrorKind::LimitExceeded));

    let degraded = bench(budget(1, BudgetAction::Degrade("embed".into())));
    let answered = degraded.gateway.call(by("ann", "hello")).await.unwrap();
    let notes = answered.notes.clone();
    finish(answered.answer.into_events().unwrap()).await.unwrap();
    let noted = notes.read();
    assert_eq!(noted.target.as_deref(), Some("small"));
    assert_eq!(noted.degraded.as_deref(), Some("the budget `people` is used up"));

    let allowed = bench(budget(300, BudgetAction::Allow));
    for _ in 0..3 {
        answer(&allowed, by("ann", "hello")).await.unwrap();
    }
    let state = &allowed.gateway.states(&Tenant::default()).await.unwrap()[0];
    assert_eq!((state.who.as_deref(), state.balance.used, &*state.alerted), (Some("ann"), 600, &[80, 100][..]));
}

#[tokio::test]
async fn a_call_that_fails_before_it_reaches_a_model_gives_back_what_it_reserved() {
    let mut failing = Step::text("never");
    failing.expect = Some("another question".into());
    let bench = bench_of(budget(1_000_000, BudgetAction::Block), Script::flat(vec![failing]));
    assert!(answer(&bench, by("ann", "hello")).await.is_err());
    let found = bench.ledger.balances(bedplate_core::port::clock::Clock::now(&WallClock), &Tenant::default(), "").await;
    assert!(found.unwrap().iter().all(|(_, balance)| balance.held == 0));
}

fn cached(semantic: Option<SemanticRule>) -> Policy {
    let rule = CacheRule {
        routes: vec!["default".into()],
        ttl: Duration::from_secs(600),
        shared: false,
        max_bytes: 1 << 20,
        semantic,
    };
    Policy { caches: [("answers".to_owned(), rule)].into(), ..Policy::default() }
}

#[tokio::test]
async fn the_same_request_is_answered_again_and_costs_nothing() {
    let bench = bench(cached(None));
    let said = |text: &str, cache| Ok((text.to_owned(), Some(cache)));
    assert_eq!(answer(&bench, by("ann", "hello")).await, said("first", "miss"));
    assert_eq!(answer(&bench, by("ann", "hello")).await, said("first", "hit"));
    assert_eq!(answer(&bench, by("bob", "hello")).await, said("second", "miss"), "bob is somebody else");
    let with = |control| {
        let mut call = by("ann", "hello");
        call.caller.cache = control;
        call
    };
    let no_store = CacheControl { no_store: true, ..CacheControl::default() };
    assert_eq!(answer(&bench, with(no_store)).await, said("third", "bypass"));
    assert_eq!(answer(&bench, by("ann", "hello")).await, said("first", "hit"), "nothing of it was kept");
    let no_cache = CacheControl { no_cache: true, ..CacheControl::default() };
    assert_eq!(answer(&bench, with(no_cache)).await, said("fourth", "bypass"));
    assert_eq!(answer(&bench, by("ann", "hello")).await, said("fourth", "hit"), "the newer one was kept");
    let mut elsewhere = by("ann", "hello");
    elsewhere.caller.tenant = "other".into();
    assert_eq!(answer(&bench, elsewhere).await, said("first", "miss"), "pain 28: another tenant's is never given");
    let records = bench.records().await;
    let hits: Vec<_> = records.iter().filter(|it| it.cache == Some(CacheUse::Hit)).collect();
    assert_eq!(hits.len(), 3);
    assert!(hits.iter().all(|it| (it.cost, it.saved, it.attempts, it.usage.total()) == (Some(0), 200, 0, 0)));
}

#[tokio::test]
async fn a_reply_that_fails_or_is_cut_is_never_kept() {
    let mut failing = Step::text("half of this");
    failing.fail = Some(bedplate_gateway::script::Failure {
        kind: ModelErrorKind::BrokenStream,
        message: "cut".into(),
        retry_after: None,
        times: Some(1),
        midway: true,
    });
    let bench = bench_of(cached(None), Script::flat(vec![failing]));
    assert_eq!(answer(&bench, by("ann", "hello")).await, Err(ModelErrorKind::BrokenStream));
    let again = answer(&bench, by("ann", "hello")).await;
    assert!(!matches!(again, Ok((_, Some("hit")))), "{again:?}");
}

#[tokio::test]
async fn a_request_of_the_same_meaning_is_answered_where_words_are_all_it_has() {
    let bench = bench(cached(Some(SemanticRule { model: "embed".into(), threshold: 0.8 })));
    let first = answer(&bench, by("ann", "When does my order arrive at home?")).await.unwrap();
    assert_eq!(first, ("first".to_owned(), Some("miss")));
    let near = answer(&bench, by("ann", "when does my order arrive at home")).await.unwrap();
    assert_eq!(near, ("first".to_owned(), Some("semantic_hit")));
    let far = answer(&bench, by("ann", "Which comics about pirates do you sell?")).await.unwrap();
    assert_eq!(far.1, Some("miss"));
    let other = answer(&bench, by("bob", "when does my order arrive at home")).await.unwrap();
    assert_eq!(other.1, Some("miss"), "bob's order is another");
    let mut acting = call_of(vec![Message::user("when does my order arrive at home")], &["refund"]);
    acting.caller.user = "ann".into();
    assert_eq!(answer(&bench, acting).await.unwrap().1, Some("miss"), "a tool could act");
}

#[tokio::test]
async fn a_payload_is_logged_only_where_the_policy_says_so_and_without_keys() {
    let log = LogPolicy { payloads: Payloads::All, redact_emails: true, ..LogPolicy::default() };
    let bench = bench(Policy { log, ..Policy::default() });
    answer(&bench, ask("my key sk-ant-api03-abcdefghijklmnop and ann@example.com")).await.unwrap();
    let records = bench.records().await;
    let record = bench.records.get(&Tenant::default(), records[0].id).await.unwrap().unwrap();
    let payload = record.payload.unwrap();
    let request: serde_json::Value = serde_json::from_slice(&payload.request).unwrap();
    assert_eq!(request["messages"][0]["content"][0]["text"], "my key [redacted] and [redacted]");
    assert!(String::from_utf8_lossy(&payload.response).contains("first"));
}

#[tokio::test]
async fn no_record_is_lost_when_the_server_stops_in_the_middle_of_the_rush() {
    let bench = bench(Policy::default());
    let calls: Vec<_> = (0..2_000)
        .map(|_| {
            let gateway = bench.gateway.clone();
            tokio::spawn(async move {
                let answered = gateway.call(ask("hello")).await.unwrap();
                finish(answered.answer.into_events().unwrap()).await.unwrap();
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    bench.recorder.close(Duration::from_secs(10)).await;
    let costs = bench.records.costs(&Tenant::default(), RecordFilter::default(), Vec::new()).await.unwrap();
    assert_eq!((costs.total.calls, costs.total.cost), (2_000, 400_000));
}
