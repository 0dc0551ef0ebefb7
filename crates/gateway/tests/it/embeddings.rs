//! Embeddings under plans and budgets, as calls of chat models are.

use crate::{
    control::{Bench, PRICE, answer, ask, budget, plan},
    support::{Act, Upstream, answer as said, remote},
};
use bedplate_core::{
    id::Tenant,
    port::{
        Caller,
        ledger::{Balance, Budgets},
        model::{EmbedCall, Embeddings, Model, ModelError, ModelErrorKind},
        records::Outcome,
    },
};
use bedplate_gateway::{
    Config, ModelConfig, ModelPolicy, Place, Policy, RouteConfig,
    policy::{BudgetAction, Plan, Rate, Subject},
    script::{Script, Step},
};
use futures::future::join_all;
use std::{sync::Arc, time::Duration};

/// A text of 28 letters: reserved as 8 tokens; the stand-in counts 7, which cost 7 micro-dollars.
const TEXT: &str = "twenty-eight letters of text";

/// The stand-in makes the vectors of `vectors` (at a price), of `small` (free) and speaks for `chat`; `mute` makes none.
fn bench(policy: Policy) -> Bench {
    with(policy, ModelConfig { price: Some(PRICE), ..ModelConfig::rehearsal() })
}

fn with(policy: Policy, vectors: ModelConfig) -> Bench {
    let mute = ModelConfig::scripted(Arc::new(Script::flat(vec![Step::text("no vectors here")])));
    let models =
        [("vectors".to_owned(), vectors), ("small".to_owned(), ModelConfig::rehearsal()), ("mute".to_owned(), mute)];
    let routes = [("default".to_owned(), "small".into()), ("embed".to_owned(), "vectors".into())];
    Bench::of(Config { models: models.into(), routes: routes.into(), policy, ..Config::default() })
}

fn embed_call(user: &str, inputs: &[&str]) -> EmbedCall {
    EmbedCall {
        caller: Caller { user: user.into(), key: Some("k1".into()), ..Caller::default() },
        model: "embed".into(),
        inputs: inputs.iter().map(|text| (*text).to_owned()).collect(),
        dimensions: None,
        deadline: None,
        notes: Arc::default(),
    }
}

async fn embed(bench: &Bench, inputs: &[&str]) -> Result<Embeddings, ModelError> {
    bench.gateway.embed(embed_call("ann", inputs)).await
}

async fn balance(bench: &Bench) -> Balance {
    bench.gateway.states(&Tenant::default()).await.unwrap()[0].balance
}

#[tokio::test]
async fn pain_26_four_hundred_calls_for_embeddings_at_once_never_pass_a_limit_or_a_budget_together() {
    let requests = Plan { requests: Rate { per_minute: Some(50), per_day: None }, ..Plan::default() };
    let limited = bench(plan(requests, Subject::Key));
    let outcomes = join_all((0..400).map(|_| embed(&limited, &["hello"]))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 50);
    let refused = outcomes.into_iter().find_map(Result::err).unwrap();
    assert_eq!(refused.kind, ModelErrorKind::RateLimited);
    let wait = refused.retry_after.unwrap();
    assert!((Duration::from_secs(58)..=Duration::from_secs(61)).contains(&wait), "{wait:?}");
    assert_eq!(refused.limits.unwrap().requests.map(|meter| (meter.limit, meter.remaining)), Some((50, 0)));
    let records = limited.records().await;
    assert_eq!(records.len(), 400, "a call that is refused leaves a record too");
    let refusals = records.iter().filter(|it| matches!(it.outcome, Outcome::Failed { .. }));
    assert!(refusals.clone().all(|it| (it.attempts, it.cost) == (0, Some(0))) && refusals.count() == 350);

    // Each is held at 8 and settled at 7.
    let budgeted = bench(budget(100, BudgetAction::Block));
    let mut through = 0;
    for _ in 0..5 {
        let outcomes = join_all((0..40).map(|_| embed(&budgeted, &[TEXT]))).await;
        through += outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
    }
    let balance = balance(&budgeted).await;
    assert_eq!((balance.used, balance.held), (through * 7, 0));
    assert!(balance.used <= 100 && through >= 12, "{through} went through");
}

#[tokio::test]
async fn embeddings_and_chats_share_the_input_tokens_of_a_plan() {
    let tokens = Rate { per_minute: Some(1_000), per_day: Some(100_000) };
    let bench = bench(plan(Plan { input_tokens: tokens, ..Plan::default() }, Subject::User));
    let call = embed_call("ann", &[TEXT, TEXT]);
    let notes = Arc::clone(&call.notes);
    bench.gateway.embed(call).await.unwrap();
    let meter = notes.read().limits.unwrap().input_tokens.unwrap();
    assert_eq!((meter.limit, meter.remaining), (1_000, 1_000 - 16), "held at the estimate");
    let answered = bench.gateway.call(ask("hello")).await.unwrap();
    let left = answered.notes.read().limits.unwrap().input_tokens.unwrap().remaining;
    assert!((950..1_000 - 14).contains(&left), "settled at 14, and the chat came to it: {left}");
    drop(answered);

    let wide = "x".repeat(3_480);
    let refused = embed(&bench, &[&wide]).await.unwrap_err();
    assert_eq!(refused.kind, ModelErrorKind::RateLimited);
    assert!(refused.retry_after.is_some() && refused.message.contains("`small` allows this user 1000 input tokens"));
    let huge = "x".repeat(4_000);
    let hopeless = embed(&bench, &[&huge]).await.unwrap_err();
    assert_eq!((hopeless.kind, hopeless.retry_after), (ModelErrorKind::LimitExceeded, None), "waiting would not help");
    bench.gateway.embed(embed_call("bob", &[&wide])).await.expect("bob has his own");
}

#[tokio::test]
async fn a_budget_that_is_used_up_blocks_degrades_or_counts_embeddings_as_it_says() {
    let blocked = bench(budget(6, BudgetAction::Block));
    let refused = embed(&blocked, &[TEXT]).await.unwrap_err();
    assert_eq!(
        (refused.kind, refused.retry_after),
        (ModelErrorKind::LimitExceeded, None),
        "waiting would not help soon"
    );
    assert_eq!((balance(&blocked).await.used, blocked.records().await[0].attempts), (0, 0), "nobody was asked");

    let degraded = bench(budget(6, BudgetAction::Degrade("small".into())));
    let call = embed_call("ann", &[TEXT]);
    let notes = Arc::clone(&call.notes);
    assert_eq!(degraded.gateway.embed(call).await.unwrap().vectors.len(), 1);
    let noted = notes.read();
    assert_eq!((noted.target.as_deref(), noted.attempts), (Some("small"), 1));
    assert_eq!(noted.degraded.as_deref(), Some("the budget `people` is used up"));
    assert_eq!(balance(&degraded).await.used, 0, "the smaller one costs nothing");

    let nowhere = bench(budget(6, BudgetAction::Degrade("mute".into())));
    let refused = embed(&nowhere, &[TEXT]).await.unwrap_err();
    assert_eq!(refused.kind, ModelErrorKind::LimitExceeded, "the client did nothing wrong");
    assert!(refused.message.starts_with("the budget `people` is used up, and `mute` cannot"), "{}", refused.message);

    let counted = bench(budget(10, BudgetAction::Allow));
    for _ in 0..2 {
        embed(&counted, &[TEXT]).await.unwrap();
    }
    let state = &counted.gateway.states(&Tenant::default()).await.unwrap()[0];
    assert_eq!((state.who.as_deref(), state.balance.used, &*state.alerted), (Some("ann"), 14, &[80, 100][..]));
}

#[tokio::test]
async fn a_budget_spent_on_embeddings_is_no_more_there_for_chats() {
    let step = Step::text("hello");
    let script = ModelConfig { price: Some(PRICE), ..ModelConfig::scripted(Arc::new(Script::flat(vec![step]))) };
    let models =
        [("vectors".to_owned(), ModelConfig { price: Some(PRICE), ..ModelConfig::rehearsal() }), ("it".into(), script)];
    let routes = [("default".to_owned(), "it".into()), ("embed".to_owned(), "vectors".into())];
    let policy = budget(50_000, BudgetAction::Block);
    let bench = Bench::of(Config { models: models.into(), routes: routes.into(), policy, ..Config::default() });
    let long = "x".repeat(120_000);
    embed(&bench, &[&long]).await.unwrap();
    // A chat is reserved at 4,096 output tokens, about 41,000 micro-dollars; 30,000 are spent.
    assert_eq!(answer(&bench, ask("hello")).await, Err(ModelErrorKind::LimitExceeded));
}

#[tokio::test]
async fn pain_27_embeddings_that_nobody_waits_for_are_charged_at_what_was_asked() {
    let mut upstream = Upstream::start(vec![Act::AwaitClose]).await;
    let model = ModelConfig { price: Some(PRICE), ..remote(true, &upstream.base) };
    let bench = with(budget(1_000, BudgetAction::Block), model);
    let gateway = Arc::clone(&bench.gateway);
    let waiting = tokio::spawn(async move { gateway.embed(embed_call("ann", &[TEXT])).await });
    upstream.requests.recv().await.unwrap();
    assert_eq!((balance(&bench).await.used, balance(&bench).await.held), (0, 8));
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    upstream.closed.recv().await.expect("the call upstream is cancelled");
    assert_eq!((balance(&bench).await.used, balance(&bench).await.held), (8, 0));
    let record = &bench.records().await[0];
    assert_eq!((&record.outcome, record.estimated, record.cost), (&Outcome::Cancelled, true, Some(8)));
}

#[tokio::test]
async fn embeddings_that_fail_give_back_what_they_did_not_use() {
    let down = said("500 Internal Server Error", "content-type: application/json\r\n", "{}");
    let upstream = Upstream::start(vec![Act::Send(down)]).await;
    let model = ModelConfig { price: Some(PRICE), ..remote(true, &upstream.base) };
    let bench = with(budget(1_000, BudgetAction::Block), model);
    assert!(embed(&bench, &[TEXT]).await.is_err());
    let balance = balance(&bench).await;
    assert_eq!((balance.used, balance.held), (0, 0));
}

#[tokio::test]
async fn embeddings_of_a_bound_route_stay_within_its_jurisdiction_when_a_budget_sends_them_elsewhere() {
    use std::sync::atomic::Ordering;
    let abroad = Upstream::start(vec![Act::AwaitClose]).await;
    let models = [
        ("home".to_owned(), ModelConfig { price: Some(PRICE), ..ModelConfig::rehearsal() }),
        ("abroad".to_owned(), remote(true, &abroad.base)),
    ];
    let place = Place::In(["us".to_owned()].into());
    let policies = [("abroad".to_owned(), ModelPolicy { place, ..ModelPolicy::default() })];
    let bound = RouteConfig { jurisdiction: Some("eu".into()), ..RouteConfig::from("home") };
    let config = Config {
        models: models.into(),
        policies: policies.into(),
        routes: [("embed".to_owned(), bound)].into(),
        policy: budget(1, BudgetAction::Degrade("abroad".into())),
    };
    let bench = Bench::of(config);
    assert_eq!(embed(&bench, &[TEXT]).await.unwrap_err().kind, ModelErrorKind::NotFound);
    assert_eq!(abroad.connections.load(Ordering::SeqCst), 0, "not even a connection was made");
    let balance = balance(&bench).await;
    assert_eq!((balance.used, balance.held), (0, 0), "what is refused is given back");
}
