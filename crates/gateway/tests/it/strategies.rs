//! What routes do with calls: choose, fall back, escalate, vote, degrade, keep within a jurisdiction, queue and shed.

use crate::support::{Act, Upstream, asked, call_of, events, hello, options, remote, reply, stream};
use bedplate_core::{
    message::{ContentBlock, Message, Source},
    port::{
        Priority,
        model::{EmbedCall, Model, ModelCall, ModelError, ModelErrorKind, ModelEvent, ModelReply, Noted},
    },
};
use bedplate_gateway::{Config, Gateway, ModelConfig, ModelPolicy, Options, Place, RouteConfig, script::Script};
use bedplate_testkit::clock::SimClock;
use futures::{FutureExt, StreamExt};
use serde_json::Value;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

fn route(text: &str) -> RouteConfig {
    let table: Value = toml::from_str(text).unwrap();
    RouteConfig::from_table(&table, |_| Err("no files".into())).unwrap()
}

fn scripted(text: &str) -> ModelConfig {
    ModelConfig::scripted(Arc::new(Script::from_toml(text).unwrap()))
}

fn says(text: &str) -> ModelConfig {
    scripted(&format!("loop = true\n[[step]]\ntext = {text:?}\nusage = {{ input = 10, output = 5 }}\n"))
}

fn fails(kind: &str) -> ModelConfig {
    scripted(&format!("loop = true\n[[step]]\ntext = \"x\"\nfail = {{ kind = {kind:?}, message = \"no\" }}\n"))
}

fn of(models: &[(&str, ModelConfig)], text: &str, options: Options) -> Arc<Gateway> {
    let models = models.iter().map(|(name, model)| ((*name).to_owned(), model.clone())).collect();
    Gateway::new(Config { models, routes: [("default".to_owned(), route(text))].into(), ..Config::default() }, options)
        .unwrap()
}

fn gateway(models: &[(&str, ModelConfig)], text: &str) -> Arc<Gateway> {
    of(models, text, options())
}

async fn noted(gateway: &Gateway, call: ModelCall) -> Result<(ModelReply, Noted), ModelError> {
    let answered = gateway.call(call).await?;
    let mut events = answered.answer.into_events()?;
    while let Some(event) = events.next().await {
        if let ModelEvent::End(reply) = event? {
            return Ok((*reply, answered.notes.read()));
        }
    }
    panic!("a stream ended without its end")
}

fn reason(noted: &Noted) -> &str {
    noted.reason.as_deref().unwrap_or_default()
}

fn in_session(session: &str) -> ModelCall {
    let mut call = hello();
    call.caller.session = Some(session.to_owned());
    call
}

const ROLE: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const HALF: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n";
const HALF_CALL: &str = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\"}}]}}]}\n\n";

#[tokio::test]
async fn pain_25_a_fallback_fires_on_a_stream_that_breaks_before_its_first_token() {
    let broken = Upstream::start(vec![Act::Send(stream(ROLE))]).await;
    let models = [("first", remote(true, &broken.base)), ("second", says("saved"))];
    let gateway = gateway(&models, "model = \"first\"\nfallback = [\"second\"]");
    let (reply, noted) = noted(&gateway, hello()).await.unwrap();
    assert_eq!(
        (reply.message.text().as_str(), noted.target.as_deref(), reason(&noted)),
        ("saved", Some("second"), "fallback")
    );
    assert_eq!(noted.attempts, 2);
}

#[tokio::test]
async fn what_was_seen_is_not_taken_back_unless_the_route_says_resume() {
    let models = |base: &str| [("first", remote(true, base)), ("second", says(" and whole"))];
    let broken = Upstream::start(vec![Act::Send(stream(format!("{ROLE}{HALF}")))]).await;
    let plain = gateway(&models(&broken.base), "model = \"first\"\nfallback = [\"second\"]");
    assert_eq!(events(&plain, hello()).await.unwrap_err().kind, ModelErrorKind::BrokenStream);
    let resumed = gateway(&models(&broken.base), "model = \"first\"\nfallback = [\"second\"]\nresume = true");
    let events_of = events(&resumed, hello()).await.unwrap();
    assert!(!events_of.contains(&ModelEvent::Restart), "one answer, nothing taken back");
    let Some(ModelEvent::End(reply)) = events_of.last() else { panic!("no end") };
    assert_eq!(reply.message.text(), "half and whole");
    let starts = events_of.iter().filter(|event| matches!(event, ModelEvent::BlockStart { .. })).count();
    assert_eq!((starts, reply.message.content.len()), (1, 1), "one block, as the client sees it");
}

#[tokio::test]
async fn half_a_tool_call_has_no_continuation_so_the_answer_begins_again() {
    let broken = Upstream::start(vec![Act::Send(stream(format!("{ROLE}{HALF_CALL}")))]).await;
    let models = [("first", remote(true, &broken.base)), ("second", says("anew"))];
    let gateway = gateway(&models, "model = \"first\"\nfallback = [\"second\"]\nresume = true");
    let events_of = events(&gateway, call_of(vec![Message::user("go")], &["f"])).await.unwrap();
    let restart = events_of.iter().position(|event| *event == ModelEvent::Restart).unwrap();
    assert!(matches!(events_of[restart + 1], ModelEvent::BlockStart { index: 0, .. }));
    let Some(ModelEvent::End(reply)) = events_of.last() else { panic!("no end") };
    assert_eq!(reply.message.text(), "anew");
}

#[tokio::test]
async fn pain_27_a_client_that_hangs_up_cancels_upstream_through_a_route() {
    let mut upstream = Upstream::start(vec![Act::Send(stream(format!("{ROLE}{HALF}"))), Act::AwaitClose]).await;
    let gateway =
        gateway(&[("it", remote(true, &upstream.base))], "strategy = \"static\"\nmodel = \"it\"\nresume = true");
    let mut events = gateway.call(hello()).await.unwrap().answer.into_events().unwrap();
    assert!(events.next().await.unwrap().is_ok());
    drop(events);
    upstream.closed.recv().await.unwrap();
}

#[tokio::test]
async fn a_hedge_asks_a_second_model_and_cancels_the_slow_one() {
    let mut slow = Upstream::start(vec![Act::AwaitClose]).await;
    let clock = SimClock::default();
    let options = Options { clock: Arc::new(clock.clone()), ..options() };
    let models = [("slow", remote(true, &slow.base)), ("quick", says("first"))];
    let gateway = of(&models, "model = \"slow\"\nfallback = [\"quick\"]\nhedge_ms = 800", options);
    let call = tokio::spawn(async move { noted(&gateway, hello()).await });
    slow.requests.recv().await.unwrap();
    clock.advance(Duration::from_millis(801));
    let (reply, noted) = call.await.unwrap().unwrap();
    assert_eq!((reply.message.text().as_str(), noted.target.as_deref()), ("first", Some("quick")));
    slow.closed.recv().await.unwrap();
}

#[tokio::test]
async fn a_retry_waits_as_long_as_the_provider_asked() {
    let clock = SimClock::default();
    let model = scripted(
        "[[step]]\ntext = \"ok\"\nfail = { kind = \"rate_limited\", message = \"slow\", retry_after_ms = 3000, times = 1 }\n",
    );
    let options = Options { clock: Arc::new(clock.clone()), ..options() };
    let gateway = of(&[("it", model)], "strategy = \"static\"\nmodel = \"it\"", options);
    let mut call = Box::pin(reply(&gateway, hello()));
    assert!(call.as_mut().now_or_never().is_none());
    clock.advance(Duration::from_millis(2_999));
    assert!(call.as_mut().now_or_never().is_none(), "not a millisecond too early");
    clock.advance(Duration::from_millis(400));
    assert_eq!(call.await.unwrap().message.text(), "ok");
}

#[tokio::test]
async fn an_upstream_that_hangs_costs_its_share_of_the_deadline_and_no_more() {
    let hanging = Upstream::start(vec![Act::AwaitClose]).await;
    let clock = SimClock::default();
    let options = Options { clock: Arc::new(clock.clone()), ..options() };
    let models = [("slow", remote(true, &hanging.base)), ("quick", says("in time"))];
    let gateway = of(&models, "model = \"slow\"\nfallback = [\"quick\"]\ntimeouts = { total_ms = 8000 }", options);
    let mut call = hello();
    call.stream = false;
    let mut call = Box::pin(reply(&gateway, call));
    assert!(call.as_mut().now_or_never().is_none());
    clock.advance(Duration::from_millis(4_001));
    assert_eq!(call.await.unwrap().message.text(), "in time");
}

#[tokio::test]
async fn a_weighted_route_keeps_a_session_where_it_is_and_gives_the_canary_its_share() {
    let models = [("a", says("a")), ("b", says("b")), ("new", says("new"))];
    let text = "strategy = \"weighted\"\nmodels = { a = 50, b = 50 }\ncanary = { model = \"new\", percent = 20 }";
    let gateway = gateway(&models, text);
    let mut counts = std::collections::BTreeMap::new();
    for n in 0..200 {
        let session = format!("s{n}");
        let first = reply(&gateway, in_session(&session)).await.unwrap().message.text();
        for _ in 0..2 {
            assert_eq!(reply(&gateway, in_session(&session)).await.unwrap().message.text(), first);
        }
        *counts.entry(first).or_insert(0) += 1;
    }
    assert!(counts["a"] > 40 && counts["b"] > 40 && (15..70).contains(&counts["new"]), "{counts:?}");
}

#[tokio::test]
async fn the_first_rule_that_holds_decides() {
    let models = [("plain", says("plain")), ("eyes", says("eyes")), ("german", says("german")), ("law", says("law"))];
    let text = r#"
        strategy = "content"
        model = "plain"
        rules = [
            { model = "eyes", images = true },
            { model = "law", pattern = "(?i)contract", tags = { team = "legal" } },
            { model = "german", languages = ["de"] },
        ]
    "#;
    let gateway = gateway(&models, text);
    let says = async |call: ModelCall| {
        let (reply, noted) = noted(&gateway, call).await.unwrap();
        (reply.message.text(), reason(&noted).to_owned())
    };
    let mut picture = hello();
    let image = ContentBlock::Image { media_type: "image/png".into(), source: Source::Base64("AAAA".into()) };
    let mut message = Message::user("what is this?");
    message.content.push(image);
    asked(&mut picture).messages = vec![Arc::new(message)];
    assert_eq!(says(picture).await, ("eyes".into(), "rule 1".into()));
    let mut legal = call_of(vec![Message::user("Is this Contract void?")], &[]);
    assert_eq!(says(legal.clone()).await.0, "plain", "the tag is missing");
    legal.caller.tags.insert("team".into(), "legal".into());
    assert_eq!(says(legal).await.0, "law");
    let german = "Wo bleibt meine Bestellung, und wann kommt endlich mein Geld zurück?";
    assert_eq!(says(call_of(vec![Message::user(german)], &[])).await.0, "german");
    assert_eq!(says(hello()).await, ("plain".into(), "no rule".into()));
}

#[tokio::test]
async fn the_cheapest_that_is_well_gets_the_call() {
    use bedplate_core::agent::Price;
    let price = |output| Some(Price { input: 1, output, cache_read: 0, cache_write: 0 });
    let models = [
        ("dear", ModelConfig { price: price(900), ..says("dear") }),
        ("cheap", ModelConfig { price: price(10), ..fails("unavailable") }),
        ("middle", ModelConfig { price: price(100), ..says("middle") }),
    ];
    let gateway = gateway(&models, "strategy = \"metric\"\nmodels = [\"dear\", \"cheap\", \"middle\"]\nby = \"cost\"");
    let (reply, noted) = noted(&gateway, hello()).await.unwrap();
    assert_eq!((reply.message.text().as_str(), reason(&noted)), ("middle", "cost, then fallback"));
}

#[tokio::test]
async fn a_cascade_escalates_once_and_counts_every_tier() {
    let models =
        [("small", says("I don't know.")), ("middle", says("Lyon\nCONFIDENCE: 0.2")), ("large", says("Paris"))];
    let text = r#"
        strategy = "cascade"
        tiers = [{ model = "small", no_refusal = true }, { model = "middle", confidence = 0.6 }, { model = "large" }]
    "#;
    let (reply, noted) = noted(&gateway(&models, text), hello()).await.unwrap();
    assert_eq!(reply.message.text(), "Paris");
    assert_eq!((reply.usage.input, reply.usage.output), (30, 15), "all three tiers are paid for");
    assert_eq!((noted.attempts, reason(&noted)), (3, "cascade: small: refusal, middle: confidence, large"));
}

#[tokio::test]
async fn a_cascade_stops_where_an_answer_passes() {
    let models = [("small", says("{\"city\": \"Paris\"}")), ("large", fails("unavailable"))];
    let text = r#"
        strategy = "cascade"
        tiers = [{ model = "small", json_schema = { type = "object", required = ["city"] } }, { model = "large" }]
    "#;
    let (reply, noted) = noted(&gateway(&models, text), hello()).await.unwrap();
    assert_eq!((reply.message.text().as_str(), noted.attempts), ("{\"city\": \"Paris\"}", 1));
}

#[tokio::test]
async fn the_majority_answers_and_who_is_late_is_cancelled() {
    let mut late = Upstream::start(vec![Act::AwaitClose]).await;
    let clock = SimClock::default();
    let options = Options { clock: Arc::new(clock.clone()), ..options() };
    let slowly = |text: &str| {
        scripted(&format!("[[step]]\ntext = {text:?}\ndelay_ms = 100\nusage = {{ input = 10, output = 5 }}\n"))
    };
    let models = [("a", slowly("Paris.")), ("b", remote(true, &late.base)), ("c", slowly("paris"))];
    let text = "strategy = \"ensemble\"\nmodels = [\"a\", \"b\", \"c\"]\naggregate = \"majority\"";
    let gateway = of(&models, text, options);
    let call = tokio::spawn(async move { noted(&gateway, hello()).await });
    late.requests.recv().await.unwrap();
    clock.advance(Duration::from_millis(100));
    let (reply, noted) = call.await.unwrap().unwrap();
    assert_eq!((reply.message.text().as_str(), reason(&noted)), ("Paris.", "ensemble: a, 2 of 2 agree"));
    assert_eq!(reply.usage.input, 20, "who lost is paid for, too");
    late.closed.recv().await.unwrap();
}

#[tokio::test]
async fn a_judge_chooses_among_answers_and_the_first_good_one_is_no_refusal() {
    let models = [("a", says("short")), ("b", says("I can't help with that.")), ("judge", says("2"))];
    let best = "strategy = \"ensemble\"\nmodels = [\"b\", \"a\"]\naggregate = \"best_of\"\njudge = \"judge\"";
    let (reply, seen) = noted(&gateway(&models, best), hello()).await.unwrap();
    assert_eq!((reply.message.text().as_str(), reason(&seen)), ("short", "ensemble: a, chosen by judge"));
    let first = "strategy = \"ensemble\"\nmodels = [\"b\", \"a\"]\naggregate = \"first\"";
    let (reply, _) = noted(&gateway(&models, first), hello()).await.unwrap();
    assert_eq!(reply.message.text(), "short");
}

#[tokio::test]
async fn what_is_less_than_asked_for_says_so() {
    let flaky = scripted("[[step]]\ntext = \"good\"\n[[step]]\ntext = \"x\"\nfail = { kind = \"unavailable\" }\n[[step]]\ntext = \"x\"\nfail = { kind = \"unavailable\" }\n".replacen("[[step]]", "order = \"global\"\n[[step]]", 1).as_str());
    let text = "model = \"it\"\nretry = { attempts = 1 }\ndegrade = { cached_seconds = 60, apology = \"Sorry.\" }";
    let gateway_of = gateway(&[("it", flaky)], text);
    assert_eq!(noted(&gateway_of, hello()).await.unwrap().1.degraded, None);
    let (reply, seen) = noted(&gateway_of, hello()).await.unwrap();
    assert_eq!((reply.message.text().as_str(), seen.degraded.as_deref()), ("good", Some("cached answer")));
    let mut other = hello();
    other.caller.user = "bob".into();
    let (reply, seen) = noted(&gateway_of, other).await.unwrap();
    assert_eq!(
        (reply.message.text().as_str(), seen.degraded.as_deref()),
        ("Sorry.", Some("apology")),
        "pain 28: nobody gets another's answer"
    );
    let models = [("it", fails("unavailable")), ("small", says("short"))];
    let (reply, seen) =
        noted(&gateway(&models, "model = \"it\"\nretry = { attempts = 1 }\ndegrade = { model = \"small\" }"), hello())
            .await
            .unwrap();
    assert_eq!((reply.message.text().as_str(), seen.degraded.as_deref()), ("short", Some("smaller model small")));
    let error = reply_error(&gateway(
        &[("it", fails("invalid_request"))],
        "model = \"it\"\ndegrade = { apology = \"Sorry.\" }",
    ))
    .await;
    assert_eq!(error, ModelErrorKind::InvalidRequest, "a wrong request is not apologised for");
}

async fn reply_error(gateway: &Gateway) -> ModelErrorKind {
    reply(gateway, hello()).await.unwrap_err().kind
}

#[tokio::test]
async fn a_request_that_is_too_long_goes_to_the_model_that_can_read_it() {
    let policies = [("small".to_owned(), ModelPolicy { context_tokens: Some(100), ..ModelPolicy::default() })].into();
    let models = [
        ("small".to_owned(), says("small")),
        ("large".to_owned(), says("large")),
        ("full".to_owned(), fails("too_large")),
    ];
    let routes = [
        ("default".to_owned(), route("model = \"small\"\nlarger = \"large\"")),
        ("surprised".to_owned(), route("model = \"full\"\nlarger = \"large\"")),
    ];
    let gateway =
        Gateway::new(Config { models: models.into(), policies, routes: routes.into(), ..Config::default() }, options())
            .unwrap();
    assert_eq!(reply(&gateway, hello()).await.unwrap().message.text(), "small");
    let long = call_of(vec![Message::user("word ".repeat(200))], &[]);
    assert_eq!(reply(&gateway, long).await.unwrap().message.text(), "large");
    let mut surprised = hello();
    asked(&mut surprised).model = "surprised".into();
    assert_eq!(reply(&gateway, surprised).await.unwrap().message.text(), "large", "the model itself may say it, too");
}

#[tokio::test]
async fn a_busy_route_lets_interactive_calls_first_and_turns_the_rest_away_with_an_honest_time() {
    let clock = SimClock::default();
    let options = Options { clock: Arc::new(clock.clone()), ..options() };
    let slow = scripted("loop = true\n[[step]]\ntext = \"done\"\ndelay_ms = 1000\n");
    let text = "model = \"it\"\nadmission = { concurrent = 1, queue = 2, max_wait_ms = 60000 }";
    let gateway = of(&[("it", slow)], text, options);
    let start = |priority| {
        let mut call = hello();
        call.caller.priority = priority;
        let gateway = Arc::clone(&gateway);
        Box::pin(async move { reply(&gateway, call).await })
    };
    let mut first = start(Priority::Interactive);
    assert!(first.as_mut().now_or_never().is_none());
    clock.advance(Duration::from_millis(1_000));
    assert!(first.await.is_ok());
    let (mut second, mut batch, mut urgent) =
        (start(Priority::Interactive), start(Priority::Batch), start(Priority::Interactive));
    for call in [&mut second, &mut batch, &mut urgent] {
        assert!(call.as_mut().now_or_never().is_none());
    }
    let error = start(Priority::Interactive).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::RateLimited);
    assert!(error.retry_after.unwrap() >= Duration::from_secs(2), "two are ahead: {:?}", error.retry_after);
    clock.advance(Duration::from_millis(1_000));
    assert!(second.await.is_ok());
    assert!(batch.as_mut().now_or_never().is_none() && urgent.as_mut().now_or_never().is_none());
    clock.advance(Duration::from_millis(1_000));
    assert!(batch.as_mut().now_or_never().is_none(), "it came before, and waits all the same");
    assert!(urgent.await.is_ok());
    drop(batch);
    assert!(start(Priority::Interactive).as_mut().now_or_never().is_none(), "who gave up holds no place");
}

/// Every strategy, with a model abroad wherever one can stand.
const ABROAD: [&str; 9] = [
    "model = \"abroad\"\nfallback = [\"home\"]",
    "model = \"home\"\nfallback = [\"abroad\"]\nlarger = \"abroad\"\nresume = true\nhedge_ms = 1",
    "strategy = \"weighted\"\nmodels = { abroad = 1000, home = 1 }\ncanary = { model = \"abroad\", percent = 100 }",
    "strategy = \"content\"\nmodel = \"abroad\"\nrules = [{ model = \"abroad\", max_tokens = 9 }]\nfallback = [\"home\"]",
    "strategy = \"metric\"\nmodels = [\"abroad\", \"home\"]\nby = \"cost\"",
    "strategy = \"cascade\"\ntiers = [{ model = \"abroad\", no_refusal = true }, { model = \"home\" }]",
    "strategy = \"ensemble\"\nmodels = [\"abroad\", \"home\"]\naggregate = \"best_of\"\njudge = \"abroad\"",
    "model = \"ill\"\nfallback = [\"nested\"]\ndegrade = { model = \"abroad\", apology = \"Sorry.\" }",
    "model = \"nested\"\njurisdiction = \"eu\"",
];

#[tokio::test]
async fn no_strategy_sends_a_call_out_of_its_jurisdiction() {
    let abroad = Upstream::start(vec![Act::Send(stream(format!("{ROLE}{HALF}")))]).await;
    let place = |names: &[&str]| {
        let place = Place::In(names.iter().map(|name| (*name).to_owned()).collect());
        ModelPolicy { place, ..ModelPolicy::default() }
    };
    for text in ABROAD {
        let gateway = Gateway::new(
            Config {
                models: [
                    ("home".to_owned(), says("home")),
                    ("ill".to_owned(), fails("unavailable")),
                    ("abroad".to_owned(), remote(true, &abroad.base)),
                ]
                .into(),
                policies: [
                    ("home".to_owned(), place(&["eu", "de"])),
                    ("ill".to_owned(), place(&["eu"])),
                    ("abroad".to_owned(), place(&["us"])),
                ]
                .into(),
                routes: [
                    ("default".to_owned(), route(text)),
                    ("nested".to_owned(), route("model = \"abroad\"\nfallback = [\"auto\", \"home\"]")),
                ]
                .into(),
                ..Config::default()
            },
            options(),
        )
        .unwrap();
        for n in 0..20 {
            let mut call = in_session(&format!("s{n}"));
            call.caller.jurisdiction = Some("eu".into());
            call.stream = n % 2 == 0;
            assert_eq!(reply(&gateway, call).await.unwrap().message.text(), "home", "{text}");
        }
        for name in ["abroad", "auto"] {
            let mut direct = hello();
            direct.caller.jurisdiction = Some("eu".into());
            asked(&mut direct).model = name.into();
            let error = reply(&gateway, direct.clone()).await.unwrap_err();
            assert_eq!(error.kind, ModelErrorKind::NotFound, "{error}");
            let embed = EmbedCall {
                caller: direct.caller,
                model: name.into(),
                inputs: vec!["x".into()],
                dimensions: None,
                deadline: None,
                notes: Arc::default(),
            };
            assert_eq!(gateway.embed(embed).await.unwrap_err().kind, ModelErrorKind::NotFound);
        }
        let mut nowhere = hello();
        nowhere.caller.jurisdiction = Some("mars".into());
        let error = reply(&gateway, nowhere).await;
        assert!(error.is_err() || text.contains("apology"), "{text}");
    }
    assert_eq!(abroad.connections.load(Ordering::SeqCst), 0, "not even a connection was made");
}

#[tokio::test]
async fn a_model_that_is_down_gets_no_calls_and_a_reload_forgets_nothing() {
    let models = [("ill", fails("unavailable")), ("well", says("well"))];
    let gateway = gateway(&models, "model = \"ill\"\nfallback = [\"well\"]");
    let mut attempts = 0;
    for _ in 0..50 {
        attempts += noted(&gateway, hello()).await.unwrap().1.attempts;
    }
    assert!((50..=62).contains(&attempts), "{attempts}");
    let again = |text: &str| Config {
        models: models.iter().map(|(name, model)| ((*name).to_owned(), model.clone())).collect(),
        routes: [("default".to_owned(), route(text))].into(),
        ..Config::default()
    };
    gateway.reload(again("model = \"ill\"\nfallback = [\"well\"]\nresume = true")).unwrap();
    assert_eq!(noted(&gateway, hello()).await.unwrap().1.attempts, 1, "the breaker is still open");
    let health = bedplate_core::port::health::Health::models(&*gateway);
    let ill = health.iter().find(|one| one.name == "ill").unwrap();
    assert_eq!((ill.breaker, ill.in_flight), ("open", 0));
    assert_eq!(ill.last_failure.map(|kind| kind.code()), Some("model_unavailable"));
    assert!(ill.wait.is_some() && ill.errors > 0.0, "{ill:?}");
    let names: Vec<&str> = health.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["auto", "ill", "rehearsal", "well"], "each model once");
}

#[test]
fn a_route_that_leads_back_to_itself_is_refused() {
    let config = Config {
        routes: [("a".to_owned(), route("model = \"b\"")), ("b".to_owned(), route("model = \"a\""))].into(),
        ..Config::default()
    };
    let error = Gateway::new(config, options()).err().unwrap();
    assert!(matches!(error, bedplate_gateway::ConfigError::CircularRoute(_)), "{error}");
}

#[test]
fn every_table_that_the_check_of_a_project_passes_makes_a_route() {
    let text = include_str!("../../../project/tests/samples/valid/bedplate.toml");
    let file: Value = toml::from_str(text).unwrap();
    let mut strategies = 0;
    for (name, table) in file["routes"].as_object().unwrap() {
        RouteConfig::from_table(table, |_| Err("none".into())).unwrap_or_else(|error| panic!("{name}: {error}"));
        strategies += usize::from(table.get("strategy").is_some());
    }
    assert!(strategies >= 5, "the sample shows the strategies");
    let local = file["models"]["local"].as_object().unwrap().clone();
    let policy: serde_json::Map<String, Value> =
        local.into_iter().filter(|(key, _)| !["provider", "model", "base_url"].contains(&key.as_str())).collect();
    let policy = ModelPolicy::from_table(&policy.into()).unwrap();
    assert_eq!((policy.context_tokens, policy.guard.concurrency.most), (Some(32_000), 16));
}
