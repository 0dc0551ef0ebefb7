//! `[models.<name>]` of `bedplate.toml`: who provides a model, where, and how one is let in.

use crate::{
    config::{AwsEnv, ModelConfig, Provider},
    fields::Fields,
    route_file,
};

/// Reads the table of one model.
pub fn model(mut fields: Fields<'_>) -> Option<ModelConfig> {
    let source = fields.source;
    let place = fields.place;
    let provider = fields.has("provider").then(|| fields.word("provider", &Provider::WORDS));
    if provider.is_none() {
        source.error(fields.place, "missing_key", "the key \"provider\" is missing");
    }
    let provider = provider.flatten().and_then(Provider::of);
    let model = match provider {
        Some(Provider::Rehearsal) => fields.text("model").map_or_else(|| "rehearsal".to_owned(), |text| text.value),
        _ => fields.required_text("model").map(|text| text.value).unwrap_or_default(),
    };
    let base_url = fields.text("base_url").map(|url| {
        if !url.value.starts_with("http://") && !url.value.starts_with("https://") {
            source.error(url.place, "invalid_value", "\"base_url\" must begin with http:// or https://");
        }
        url.value
    });
    if base_url.is_none() && provider.is_some_and(Provider::needs_base_url) {
        source.error(place, "missing_key", "the key \"base_url\" is missing: nobody can guess where this server is");
    }
    let api_key_env = fields.text("api_key_env").map(|text| text.value);
    let api_version = only(&mut fields, "api_version", provider, &[Provider::Azure]);
    let endpoint = only(&mut fields, "endpoint", provider, &[Provider::SageMaker]);
    let region = region(&mut fields, provider);
    let aws = [Provider::Bedrock, Provider::SageMaker];
    let aws = AwsEnv {
        access_key_id: only(&mut fields, "access_key_id_env", provider, &aws),
        secret_access_key: only(&mut fields, "secret_access_key_env", provider, &aws),
        session_token: only(&mut fields, "session_token_env", provider, &aws),
    };
    if aws.access_key_id.is_some() != aws.secret_access_key.is_some() {
        let message = "\"access_key_id_env\" and \"secret_access_key_env\" are needed together";
        source.error(place, "missing_key", message);
    }
    let max_tokens = fields.integer("max_tokens", 1..=1_000_000).and_then(|count| u32::try_from(count).ok());
    // An author's guess at a key setting is the most dangerous mistake: a secret in a file that is shared.
    for guess in ["api_key", "access_key_id", "secret_access_key", "session_token"] {
        if fields.has(guess)
            && let Some(entry) = fields.take(guess)
        {
            let hint = format!("write {guess}_env = \"NAME\" and set that variable in the environment");
            source.error_with(entry.place, "secret_in_file", "a key does not belong in this file", hint);
        }
    }
    let billing = fields.word("billing", &["standard", "batch", "provisioned"]);
    let policy = route_file::model_policy(&mut fields);
    fields.finish();
    let provider = provider?;
    Some(ModelConfig {
        provider,
        model,
        api_key_env,
        base_url,
        max_tokens,
        billing,
        policy,
        region,
        api_version,
        endpoint,
        aws,
    })
}

/// Takes a key that only some providers know; a provider that ignored it would do something else than its author meant.
fn only(fields: &mut Fields<'_>, key: &'static str, provider: Option<Provider>, of: &[Provider]) -> Option<String> {
    let text = fields.text(key)?;
    if let Some(provider) = provider.filter(|provider| !of.contains(provider)) {
        let message = format!("the provider \"{}\" knows no \"{key}\"", provider.as_str());
        fields.source.error(text.place, "unknown_key", message);
    }
    Some(text.value)
}

fn region(fields: &mut Fields<'_>, provider: Option<Provider>) -> Option<String> {
    let text = fields.text("region")?;
    if let Some(provider) = provider.filter(|one| !matches!(one, Provider::Bedrock | Provider::SageMaker)) {
        let message = format!("the provider \"{}\" knows no \"region\"", provider.as_str());
        fields.source.error(text.place, "unknown_key", message);
    }
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.value.is_empty() || !text.value.chars().all(fine) {
        let message = format!("{:?} is not a region of AWS", text.value);
        fields.source.error_with(text.text, "invalid_value", message, "a region is written like \"eu-west-1\"");
    }
    Some(text.value)
}
