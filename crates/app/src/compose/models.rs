//! The gateway's configuration out of a project's, and what stands behind the route `auto`.

use super::Setup;
use crate::error::{Error, Kind};
use bedplate_core::port::model::Model;
use bedplate_gateway::{
    AwsAuth, AwsKeys, BedrockConfig, Billing, CompatibleConfig, Config, Endpoint, Gateway, ModelConfig, ModelPolicy,
    ProviderConfig, RouteConfig, RouteFileError, SageMakerConfig, Secret,
    config::{AUTO, REHEARSAL},
    discover::{self, OLLAMA},
    script::Script,
};
use bedplate_project::{Project, Provider, RouteTarget};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Returns the gateway's configuration of a project in `folder`.
///
/// # Errors
/// When a model's key is not set or its script cannot be read.
pub fn config(project: &Project, folder: &Path) -> Result<Config, Error> {
    let models = project.config.models.iter();
    let models =
        models.map(|(name, model)| Ok((name.clone(), one(name, model, folder)?))).collect::<Result<_, Error>>()?;
    let mut policies = BTreeMap::new();
    for (name, model) in &project.config.models {
        let policy = ModelPolicy::from_table(&model.policy).map_err(|error| wrong("models", name, &error))?;
        policies.insert(name.clone(), policy);
    }
    let mut routes = BTreeMap::new();
    for (name, target) in &project.config.routes {
        let route = match target {
            RouteTarget::Auto => AUTO.into(),
            RouteTarget::Rehearsal => REHEARSAL.into(),
            RouteTarget::Model(model) => model.as_str().into(),
            RouteTarget::Strategy(table) => {
                let read = |file: &str| std::fs::read_to_string(folder.join(file)).map_err(|error| error.to_string());
                RouteConfig::from_table(table, read).map_err(|error| wrong("routes", name, &error))?
            }
        };
        routes.insert(name.clone(), route);
    }
    Ok(Config { models, policies, routes, policy: super::policy::policy(&project.config.usage)? })
}

fn wrong(table: &str, name: &str, error: &RouteFileError) -> Error {
    Error::new(Kind::Problems, format!("[{table}.{name}] of bedplate.toml cannot be used: {error}"))
}

fn one(name: &str, model: &bedplate_project::ModelConfig, folder: &Path) -> Result<ModelConfig, Error> {
    let provider = match model.provider {
        Provider::Rehearsal => return Ok(ModelConfig::rehearsal()),
        Provider::Scripted => return script(name, &folder.join(&model.model)).map(ModelConfig::scripted),
        Provider::Anthropic => ProviderConfig::Anthropic(endpoint(name, model)?),
        Provider::OpenAi => ProviderConfig::OpenAi(endpoint(name, model)?),
        Provider::Bedrock => ProviderConfig::Bedrock(BedrockConfig {
            region: region(name, model)?,
            endpoint: model.base_url.clone(),
            auth: bedrock_auth(name, model)?,
        }),
        Provider::SageMaker => ProviderConfig::Compatible(CompatibleConfig {
            endpoint: Endpoint { base_url: model.base_url.clone(), api_key: None },
            aws: Some(SageMakerConfig {
                region: region(name, model)?,
                keys: aws_keys(name, model)?,
                endpoint_name: model.endpoint.clone(),
            }),
            ..CompatibleConfig::of(model.provider.as_str())
        }),
        Provider::Azure
        | Provider::Gemini
        | Provider::Vllm
        | Provider::SgLang
        | Provider::Ollama
        | Provider::LlamaCpp
        | Provider::LiteLlm
        | Provider::Compatible => ProviderConfig::Compatible(CompatibleConfig {
            endpoint: endpoint(name, model)?,
            api_version: model.api_version.clone(),
            ..CompatibleConfig::of(model.provider.as_str())
        }),
    };
    let billing = match model.billing {
        Some("batch") => Billing::Batch,
        Some("provisioned") => Billing::Provisioned,
        _ => Billing::Standard,
    };
    let (id, max_tokens) = (model.model.clone(), model.max_tokens);
    Ok(ModelConfig { provider, model: id, max_tokens, price: None, billing })
}

/// Returns the region that the file or the environment names.
fn region(name: &str, model: &bedplate_project::ModelConfig) -> Result<String, Error> {
    let said = model.region.clone().or_else(|| environment("AWS_REGION")).or_else(|| environment("AWS_DEFAULT_REGION"));
    said.ok_or_else(|| {
        Error::new(Kind::Problems, format!("the model `{name}` needs a region of AWS"))
            .hint("write region = \"eu-west-1\" at the model, or set AWS_REGION")
    })
}

/// Returns how Bedrock lets one in: the bearer's key that the file names; else the access key that it names; else
/// what the environment has.
fn bedrock_auth(name: &str, model: &bedplate_project::ModelConfig) -> Result<AwsAuth, Error> {
    if model.api_key_env.is_some() {
        let key = endpoint(name, model)?.api_key;
        return key.map(AwsAuth::Bearer).ok_or_else(|| no_aws_key(name));
    }
    match environment("AWS_BEARER_TOKEN_BEDROCK") {
        Some(token) if model.aws.access_key_id.is_none() => Ok(AwsAuth::Bearer(Secret::from(token))),
        _ => aws_keys(name, model).map(AwsAuth::Keys),
    }
}

fn aws_keys(name: &str, model: &bedplate_project::ModelConfig) -> Result<AwsKeys, Error> {
    let of = |variable: &Option<String>, usual: &str| environment(variable.as_deref().unwrap_or(usual));
    let id = of(&model.aws.access_key_id, "AWS_ACCESS_KEY_ID");
    let secret = of(&model.aws.secret_access_key, "AWS_SECRET_ACCESS_KEY");
    // The usual token belongs to the usual key; to another key it would be a wrong one.
    let token = match (&model.aws.access_key_id, &model.aws.session_token) {
        (Some(_), None) => None,
        (_, variable) => of(variable, "AWS_SESSION_TOKEN"),
    };
    match (id, secret) {
        (Some(access_key_id), Some(secret)) => Ok(AwsKeys {
            access_key_id,
            secret_access_key: Secret::from(secret),
            session_token: token.map(Secret::from),
        }),
        _ => Err(no_aws_key(name)),
    }
}

fn no_aws_key(name: &str) -> Error {
    Error::new(Kind::Problems, format!("the model `{name}` needs an access key of AWS in the environment")).hint(
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for Bedrock also AWS_BEARER_TOKEN_BEDROCK, or take the model \
         out of bedplate.toml",
    )
}

fn endpoint(name: &str, model: &bedplate_project::ModelConfig) -> Result<Endpoint, Error> {
    let api_key = match &model.api_key_env {
        None => None,
        Some(variable) => Some(Secret::from(environment(variable).ok_or_else(|| {
            Error::new(Kind::Problems, format!("the model `{name}` needs the environment variable {variable}"))
                .hint(format!("set {variable}, or take the model out of bedplate.toml"))
        })?)),
    };
    Ok(Endpoint { base_url: model.base_url.clone(), api_key })
}

/// Reads a script, TOML or JSON lines by the ending of its file.
fn script(name: &str, file: &Path) -> Result<Arc<Script>, Error> {
    let wrong = |message: String| {
        Error::new(Kind::Problems, format!("the script of model `{name}`, {}: {message}", file.display()))
    };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let lines = file.extension().is_some_and(|ending| ending == "jsonl");
    let script = if lines { Script::from_json_lines(&text) } else { Script::from_toml(&text) };
    script.map(Arc::new).map_err(|error| wrong(error.to_string()))
}

/// Sets the model `auto` as the setup pins it; returns whether a real one shall be looked for.
///
/// # Errors
/// When the pinned model is not declared.
pub fn pin(gateway: &Gateway, project: &Project, setup: &Setup) -> Result<bool, Error> {
    match setup.model.as_deref() {
        None => Ok(true),
        Some(REHEARSAL) => Ok(false),
        Some(name) => {
            let model = project.config.models.get(name).ok_or_else(|| {
                Error::new(Kind::NotFound, format!("the project declares no model `{name}`"))
                    .hint("--model takes a name under [models] of bedplate.toml, or `rehearsal`")
            })?;
            let model = one(name, model, &setup.project)?;
            gateway.set_auto(&model).map_err(|error| Error::new(Kind::Problems, error.to_string()))?;
            Ok(false)
        }
    }
}

/// Looks for a real model and puts it behind `auto`; returns what to tell people when it found one.
pub async fn adopt(gateway: &Gateway) -> Option<String> {
    let found = discover::discover(environment, OLLAMA).await;
    match gateway.set_auto(&found.model?) {
        Ok(()) => Some(found.said),
        Err(error) => Some(format!("a model was found but cannot be used: {error}")),
    }
}

/// Returns what a search for a real model found, for people; none when there is none.
pub async fn discover() -> Option<String> {
    let found = discover::discover(environment, OLLAMA).await;
    found.model.map(|_| found.said)
}

/// Returns what stands behind the route `default`, for people.
pub fn line(gateway: &Gateway) -> String {
    match gateway.describe("default") {
        Some(info) if info.foundation_model => format!("{} ({})", info.model, info.provider),
        Some(info) => format!("{}: a deterministic stand-in, no foundation model", info.model),
        None => "none".into(),
    }
}

/// Returns the certificates that are trusted besides the public ones: those of the file that `SSL_CERT_FILE` names.
///
/// # Errors
/// When the variable names a file that cannot be read.
pub fn extra_roots() -> Result<Vec<u8>, Error> {
    let Some(file) = environment("SSL_CERT_FILE") else { return Ok(Vec::new()) };
    std::fs::read(&file).map_err(|error| {
        Error::failed(format!("failed to read {file}: {error}"))
            .hint("SSL_CERT_FILE must name a file of certificates (PEM)")
    })
}

pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
