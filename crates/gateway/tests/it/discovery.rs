//! What is found on machines with and without keys and model servers.

use crate::support::{Act, Upstream, answer};
use bedplate_gateway::{ProviderConfig, discover::discover};
use std::collections::HashMap;

fn env(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    let pairs: HashMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    move |name| pairs.get(name).cloned()
}

async fn ollama(tags: &str) -> (Upstream, String) {
    let upstream = Upstream::start(vec![Act::Send(answer("200 OK", "content-type: application/json\r\n", tags))]).await;
    let base = upstream.base.trim_end_matches("/v1").to_owned();
    (upstream, base)
}

#[tokio::test]
async fn a_key_is_found_before_a_server_and_never_said() {
    let (_upstream, base) = ollama(r#"{"models": [{"name": "llama3.2:3b"}]}"#).await;
    let found = discover(env(&[("ANTHROPIC_API_KEY", "k1-secret"), ("OPENAI_API_KEY", "k2-secret")]), &base).await;
    let model = found.model.clone().unwrap();
    assert!(matches!(model.provider, ProviderConfig::Anthropic(_)) && model.model.starts_with("claude-"));
    assert!(found.said.contains("ANTHROPIC_API_KEY") && !format!("{found:?}").contains("secret"), "{found:?}");
    let found = discover(
        env(&[("ANTHROPIC_API_KEY", " "), ("OPENAI_API_KEY", "k2"), ("OPENAI_BASE_URL", "http://x/v1")]),
        &base,
    )
    .await;
    match found.model.unwrap().provider {
        ProviderConfig::OpenAi(endpoint) => assert_eq!(endpoint.base_url.as_deref(), Some("http://x/v1")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_local_ollama_is_found_with_its_first_model_that_chats() {
    let (mut upstream, base) =
        ollama(r#"{"models": [{"name": "nomic-embed-text"}, {"name": "llama3.2:3b", "size": 1}]}"#).await;
    let found = discover(env(&[]), &base).await;
    assert_eq!(found.model.unwrap().model, "llama3.2:3b");
    assert!(found.said.contains("Ollama"));
    assert!(upstream.requests.recv().await.unwrap().0.starts_with("GET /api/tags "));
}

#[tokio::test]
async fn nothing_there_is_said_with_what_to_do() {
    let silent = Upstream::start(vec![Act::AwaitClose]).await;
    let garbage = ollama("[").await;
    let empty = ollama(r#"{"models": []}"#).await;
    let begun = std::time::Instant::now();
    for base in [silent.base.as_str(), "http://127.0.0.1:1", "nonsense", &garbage.1, &empty.1] {
        let found = discover(env(&[]), base).await;
        assert!(found.model.is_none() && found.said.contains("ANTHROPIC_API_KEY"), "{base}: {found:?}");
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(3));
}
