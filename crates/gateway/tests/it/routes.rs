//! Names: routes, models, `auto`, and what stands behind them.

use crate::support::{asked, call_of, gateway, hello, options, remote, reply};
use bedplate_core::{
    agent::Price,
    message::{Message, Usage},
    port::model::{Model, ModelErrorKind},
};
use bedplate_gateway::{
    Config, ConfigError, Gateway, ModelConfig,
    script::{Script, Step},
};
use std::sync::Arc;

fn scripted(text: &str) -> ModelConfig {
    ModelConfig::scripted(Arc::new(Script::flat(vec![Step::text(text)])))
}

#[tokio::test]
async fn a_route_a_model_and_the_built_in_names_can_be_called() {
    let gateway = gateway(scripted("from the script"));
    for name in ["default", "it"] {
        let mut call = hello();
        asked(&mut call).model = name.into();
        let reply = reply(&gateway, call).await.unwrap();
        assert_eq!((reply.message.text().as_str(), reply.provider.as_str()), ("from the script", "scripted"));
        assert!(!gateway.describe(name).unwrap().foundation_model);
    }
    for name in ["auto", "rehearsal"] {
        let mut call = hello();
        asked(&mut call).model = name.into();
        let reply = reply(&gateway, call).await.unwrap();
        assert_eq!(reply.provider, "rehearsal");
        assert!(!reply.message.text().is_empty());
    }
    let mut call = hello();
    asked(&mut call).model = "nowhere".into();
    let error = reply(&gateway, call).await.unwrap_err();
    assert_eq!((error.kind, error.kind.retryable()), (ModelErrorKind::NotFound, false));
    assert_eq!((gateway.describe("nowhere"), gateway.routes()), (None, vec!["default".to_owned()]));
}

#[tokio::test]
async fn auto_is_swapped_while_the_gateway_serves() {
    let routes = [("default".to_owned(), "auto".into())].into();
    let gateway = Gateway::new(Config { routes, ..Config::default() }, options()).unwrap();
    assert_eq!(gateway.describe("default").unwrap().provider, "rehearsal");
    gateway.set_auto(&scripted("real")).unwrap();
    assert_eq!(reply(&gateway, hello()).await.unwrap().message.text(), "real");
    gateway.reload(Config { routes: [("other".to_owned(), "auto".into())].into(), ..Config::default() }).unwrap();
    assert_eq!(
        (gateway.describe("default"), gateway.describe("other").unwrap().provider.clone()),
        (None, "scripted".to_owned())
    );
}

#[test]
fn a_wrong_configuration_is_refused_and_the_old_one_stays() {
    let gateway = gateway(scripted("x"));
    let unknown = Config { routes: [("a".to_owned(), "b".into())].into(), ..Config::default() };
    let error = ConfigError::UnknownModel { route: "a".into(), model: "b".into() };
    assert_eq!(gateway.reload(unknown), Err(error));
    let reserved = Config { models: [("auto".to_owned(), scripted("x"))].into(), ..Config::default() };
    assert_eq!(gateway.reload(reserved), Err(ConfigError::ReservedName("auto".into())));
    for address in ["ftp://x", "not an address", "http://", "127.0.0.1:1"] {
        assert_eq!(gateway.set_auto(&remote(true, address)), Err(ConfigError::BadAddress(address.into())), "{address}");
    }
    assert!(gateway.describe("default").is_some());
}

#[test]
fn a_price_comes_from_the_table_or_from_the_project() {
    let info = |model| gateway(model).describe("default").unwrap();
    let listed = info(remote(false, "http://127.0.0.1:1/v1"));
    assert_eq!((listed.price.unwrap().input, listed.foundation_model), (3_000_000, true));
    let price = Price { input: 1, output: 2, cache_read: 3, cache_write: 4 };
    let own = ModelConfig { price: Some(price), ..remote(false, "http://127.0.0.1:1/v1") };
    assert_eq!(info(own).price, Some(price));
    let local = ModelConfig { model: "llama3.2".into(), ..remote(true, "http://127.0.0.1:1/v1") };
    assert_eq!(info(local).price, None);
}

#[tokio::test]
async fn a_price_of_the_project_is_charged() {
    let mut step = Step::text("x");
    Arc::make_mut(&mut step.reply).usage = Usage { input: 10, output: 20, cache_read: 0, cache_write: 0 };
    let price = Price { input: 1_000_000, output: 2_000_000, cache_read: 0, cache_write: 0 };
    let model = ModelConfig { price: Some(price), ..ModelConfig::scripted(Arc::new(Script::flat(vec![step]))) };
    let call = call_of(vec![Message::user("hi")], &[]);
    assert_eq!(reply(&gateway(model), call).await.unwrap().cost, Some(50));
}

#[tokio::test]
async fn a_models_clamp_holds_for_every_request() {
    use crate::support::{Act, Upstream, stream};
    let mut upstream = Upstream::start(vec![Act::Send(stream(""))]).await;
    let gateway = gateway(ModelConfig { max_tokens: Some(50), ..remote(true, &upstream.base) });
    for (wanted, sent) in [(None, 50), (Some(20), 20), (Some(90), 50)] {
        let mut call = hello();
        asked(&mut call).params.max_tokens = wanted;
        assert!(reply(&gateway, call).await.is_err());
        assert_eq!(upstream.requests.recv().await.unwrap().1["max_tokens"], sent);
    }
}

#[test]
fn a_bundle_of_certificates_with_nonsense_in_it_stops_nothing() {
    let bundle = b"# comment\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\nnonsense \xff\n-----BEGIN";
    assert!(Gateway::trusting(Config::default(), options(), bundle).is_ok());
}
