//! What an InvokeHarness changes of an agent for one turn.
//!
//! What would not be applied is refused. A key that is scoped to agents may only narrow what an agent may do: with
//! another model or prompt it would not be that agent any more.

use crate::{ApiError, App, access::Identity, routes::model_call};
use bedplate_core::agent::AgentDefinition;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// The longest turn that may be asked for, in seconds: a day.
const MAX_SECONDS: u64 = 86_400;

/// The changes, as the request has them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Overrides {
    model: Option<ModelConfig>,
    system_prompt: Option<Vec<SystemBlock>>,
    tools: Option<Vec<Value>>,
    skills: Option<Vec<Value>>,
    allowed_tools: Option<Vec<String>>,
    max_iterations: Option<u32>,
    max_tokens: Option<u32>,
    timeout_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct SystemBlock {
    text: String,
}

#[derive(Debug, Deserialize)]
enum ModelConfig {
    #[serde(rename = "bedrockModelConfig")]
    Bedrock(ModelSettings),
    #[serde(rename = "openAiModelConfig")]
    OpenAi(ModelSettings),
    #[serde(rename = "geminiModelConfig")]
    Gemini(ModelSettings),
    #[serde(rename = "liteLlmModelConfig")]
    LiteLlm(ModelSettings),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModelSettings {
    model_id: String,
    max_tokens: Option<u32>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<u32>,
    api_base: Option<String>,
    additional_params: Option<Value>,
}

impl Overrides {
    /// Returns the agent as this turn has it; none when nothing changes.
    pub(super) fn apply(
        self,
        app: &App,
        identity: &Identity,
        agent: &AgentDefinition,
    ) -> Result<Option<AgentDefinition>, ApiError> {
        if self.skills.is_some_and(|skills| !skills.is_empty()) {
            return Err(refused("skills"));
        }
        if self.tools.as_ref().is_some_and(|tools| !tools.is_empty()) {
            return Err(refused("tools; declare them in the project and narrow them with allowedTools"));
        }
        let mut adapted = agent.clone();
        if self.tools.is_some() {
            adapted.tools.clear();
        }
        if let Some(allowed) = &self.allowed_tools {
            adapted.tools.retain(|tool| allowed.iter().any(|pattern| allows(pattern, &tool.spec.name)));
        }
        let limits = &mut adapted.limits;
        limits.max_iterations =
            within("maxIterations", self.max_iterations, 1, 1_000)?.unwrap_or(limits.max_iterations);
        limits.max_tokens = within("maxTokens", self.max_tokens, 1, 1_000_000)?.unwrap_or(limits.max_tokens);
        let seconds = within("timeoutSeconds", self.timeout_seconds, 1, MAX_SECONDS)?;
        limits.timeout_seconds = seconds.unwrap_or(limits.timeout_seconds);
        if let Some(prompt) = self.system_prompt {
            let text: Vec<String> = prompt.into_iter().map(|block| block.text).collect();
            adapted.system = literal(&text.join("\n\n"));
        }
        if let Some(
            ModelConfig::Bedrock(model)
            | ModelConfig::OpenAi(model)
            | ModelConfig::Gemini(model)
            | ModelConfig::LiteLlm(model),
        ) = self.model
        {
            model.apply(app, &mut adapted)?;
        }
        let (new, old) = (&adapted.limits, &agent.limits);
        let narrower = new.max_iterations <= old.max_iterations
            && new.max_tokens <= old.max_tokens
            && new.timeout_seconds <= old.timeout_seconds
            && (&adapted.system, &adapted.model) == (&agent.system, &agent.model)
            && adapted.temperature == agent.temperature;
        if !narrower && identity.agents.is_some() {
            return Err(ApiError::forbidden(
                "agent_not_allowed",
                "a key that is scoped to agents may narrow an agent's limits and tools, and change nothing else",
            ));
        }
        Ok((adapted != *agent).then_some(adapted))
    }
}

impl ModelSettings {
    fn apply(self, app: &App, adapted: &mut AgentDefinition) -> Result<(), ApiError> {
        if self.top_p.is_some() || self.top_k.is_some() {
            return Err(refused("topP and topK"));
        }
        if self.api_base.is_some() || self.additional_params.is_some_and(|params| !params.is_null()) {
            return Err(refused("apiBase and additionalParams"));
        }
        adapted.model = model_call::route(app, &self.model_id)?;
        adapted.limits.max_tokens =
            within("maxTokens", self.max_tokens, 1, 1_000_000)?.unwrap_or(adapted.limits.max_tokens);
        if let Some(temperature) = self.temperature {
            if !(0.0..=2.0).contains(&temperature) {
                return Err(ApiError::bad_request("invalid_request", "temperature must be 0 to 2"));
            }
            adapted.temperature = Some(temperature);
        }
        Ok(())
    }
}

fn refused(what: &str) -> ApiError {
    ApiError::bad_request("invalid_request", format!("a turn cannot change {what}"))
}

fn within<T: PartialOrd + fmt::Display>(what: &str, asked: Option<T>, min: T, max: T) -> Result<Option<T>, ApiError> {
    match asked {
        Some(value) if value < min || value > max => {
            Err(ApiError::bad_request("invalid_request", format!("{what} must be {min} to {max}")))
        }
        asked => Ok(asked),
    }
}

/// Returns whether a pattern (a name, or one with `*` for any characters) allows a tool.
fn allows(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| allows(after, &rest[at..]))
        }),
    }
}

/// Returns a template that says just `text`: what a client sends is no template.
fn literal(text: &str) -> String {
    format!("{{{{ {} }}}}", Value::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_allows_what_it_names() {
        for (pattern, name, expected) in [
            ("*", "anything", true),
            ("order_*", "order_find", true),
            ("order_*", "reorder", false),
            ("*_find", "order_find", true),
            ("o*f*d", "order_find", true),
            ("order", "order_find", false),
            ("", "order", false),
        ] {
            assert_eq!(allows(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_prompt_of_a_client_is_never_a_template() {
        assert_eq!(literal("a \"b\"\n{{ user }}"), r#"{{ "a \"b\"\n{{ user }}" }}"#);
    }
}
