//! Which real model is at hand: a key in the environment, or a model server on this machine.

use crate::{
    config::{Endpoint, ModelConfig, ProviderConfig, Timeouts},
    http::{HttpClient, address},
    prices::Billing,
    secret::Secret,
};
use http_body_util::{BodyExt, Limited};
use hyper::{Method, header::HeaderMap};
use serde::Deserialize;
use std::time::Duration;

/// Where Ollama listens by itself.
pub const OLLAMA: &str = "http://127.0.0.1:11434";

/// What a search for a real model found.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// The model; none when there is no real one.
    pub model: Option<ModelConfig>,
    /// A sentence for people that says what was found, or what to do to have one.
    pub said: String,
}

/// Looks for a real model: a key for Anthropic, a key for OpenAI, then an Ollama at `ollama` that has a model.
///
/// `env` reads a variable of the environment. The look at Ollama takes 300 ms at most; nothing else is asked.
pub async fn discover(env: impl Fn(&str) -> Option<String>, ollama: &str) -> Discovery {
    let set = |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    if let Some(key) = set("ANTHROPIC_API_KEY") {
        // The vendor's own clients take an address without the version.
        let base_url = set("ANTHROPIC_BASE_URL").map(|url| format!("{}/v1", url.trim_end_matches('/')));
        let endpoint = Endpoint { base_url, api_key: Some(Secret::from(key)) };
        return found(ProviderConfig::Anthropic(endpoint), ANTHROPIC_MODEL, "ANTHROPIC_API_KEY is set");
    }
    if let Some(key) = set("OPENAI_API_KEY") {
        let endpoint = Endpoint { base_url: set("OPENAI_BASE_URL"), api_key: Some(Secret::from(key)) };
        return found(ProviderConfig::OpenAi(endpoint), OPENAI_MODEL, "OPENAI_API_KEY is set");
    }
    match tokio::time::timeout(LOOK, ollama_model(ollama)).await {
        Ok(Some(model)) => {
            let base_url = Some(format!("{}/v1", ollama.trim_end_matches('/')));
            let endpoint = Endpoint { base_url, api_key: None };
            found(ProviderConfig::OpenAi(endpoint), &model, &format!("Ollama runs at {ollama}"))
        }
        _ => Discovery {
            model: None,
            said: "No real model was found: set ANTHROPIC_API_KEY or OPENAI_API_KEY, or start Ollama with a model."
                .into(),
        },
    }
}

const ANTHROPIC_MODEL: &str = "claude-sonnet-4-5";
const OPENAI_MODEL: &str = "gpt-4.1";
const LOOK: Duration = Duration::from_millis(300);
const MAX_TAGS: usize = 1 << 20;

fn found(provider: ProviderConfig, model: &str, why: &str) -> Discovery {
    Discovery {
        model: Some(ModelConfig {
            provider,
            model: model.to_owned(),
            max_tokens: None,
            price: None,
            billing: Billing::Standard,
        }),
        said: format!("Using {model}, because {why}."),
    }
}

/// Returns the first model of an Ollama that is not one for embeddings.
async fn ollama_model(base: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Tags {
        models: Vec<Tag>,
    }
    #[derive(Deserialize)]
    struct Tag {
        name: String,
    }

    let uri = address(base, "/api/tags").ok()?;
    let http = HttpClient::new(Timeouts { connect: LOOK, ..Timeouts::default() }, &[]);
    let response = http.send(Method::GET, uri, HeaderMap::new(), bytes::Bytes::new()).await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let body = Limited::new(response.into_body(), MAX_TAGS).collect().await.ok()?.to_bytes();
    let tags: Tags = serde_json::from_slice(&body).ok()?;
    tags.models.into_iter().map(|tag| tag.name).find(|name| !name.contains("embed") && !name.contains("bge-"))
}
