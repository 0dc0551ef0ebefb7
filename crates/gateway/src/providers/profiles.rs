//! The servers of Chat Completions: a visible list of how they differ.

use bedplate_dialects::openai_chat::MaxTokensField;

/// How one kind of server of Chat Completions differs from the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    /// The word for it in a project, and the provider's name in replies.
    pub(crate) name: &'static str,
    /// Where it is when nobody says so.
    pub(crate) base_url: Option<&'static str>,
    /// Under which name the bound of a reply goes.
    pub(crate) max_tokens: MaxTokensField,
    /// Where its paths are.
    pub(crate) paths: Paths,
    /// Whether it tells the usage of a stream when it is asked to; some servers refuse the question.
    pub(crate) tells_usage: bool,
}

/// Where a server's operations are, and how one is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paths {
    /// `/chat/completions` and `/embeddings` under its address; the key as a bearer's.
    Plain,
    /// `/openai/deployments/<model>/… ?api-version=…`; the key in `api-key`.
    Azure,
    /// `/endpoints/<name>/invocations`, signed; a stream comes in AWS's frames.
    SageMaker,
}

const PLAIN: Profile = Profile {
    name: "openai_compatible",
    base_url: None,
    max_tokens: MaxTokensField::MaxTokens,
    paths: Paths::Plain,
    tells_usage: true,
};

/// All of them.
pub(crate) const PROFILES: &[Profile] = &[
    Profile {
        name: "openai",
        base_url: Some("https://api.openai.com/v1"),
        max_tokens: MaxTokensField::MaxCompletionTokens,
        ..PLAIN
    },
    Profile { name: "vllm", base_url: Some("http://127.0.0.1:8000/v1"), ..PLAIN },
    Profile { name: "sglang", base_url: Some("http://127.0.0.1:30000/v1"), ..PLAIN },
    Profile { name: "ollama", base_url: Some("http://127.0.0.1:11434/v1"), ..PLAIN },
    Profile { name: "llama_cpp", base_url: Some("http://127.0.0.1:8080/v1"), ..PLAIN },
    Profile { name: "litellm", base_url: Some("http://127.0.0.1:4000/v1"), ..PLAIN },
    Profile { name: "gemini", base_url: Some("https://generativelanguage.googleapis.com/v1beta/openai"), ..PLAIN },
    Profile { name: "azure", max_tokens: MaxTokensField::MaxCompletionTokens, paths: Paths::Azure, ..PLAIN },
    Profile { name: "sagemaker", paths: Paths::SageMaker, ..PLAIN },
    PLAIN,
];

/// Returns the profile called `name`.
pub(crate) fn profile(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|profile| profile.name == name)
}
