//! Tags: TagResource, UntagResource, ListTagsForResource.

use super::{Call, Fault, Params, definitions, params};
use bedplate_catalog::{Arn, TagError};
use serde_json::{Value, json};

pub(super) async fn tag(call: &Call, params: &Params) -> Result<Value, Fault> {
    let said = params.arn("resourceArn")?;
    let arn = Arn::parse(said)?;
    params.list("tags")?.ok_or_else(|| params::missing("tags"))?;
    let tags = definitions::read_tags(params)?;
    let done = call.catalog().tag(call.tenant(), &arn.scope, &arn.target, &tags).await;
    done.map_err(|error| fault(error, said))?;
    Ok(json!({}))
}

pub(super) async fn untag(call: &Call, params: &Params) -> Result<Value, Fault> {
    let said = params.arn("resourceArn")?;
    let arn = Arn::parse(said)?;
    let keys = params.list("tagKeys")?.ok_or_else(|| params::missing("tagKeys"))?;
    let keys: Option<Vec<String>> = keys.iter().map(|key| key.as_str().map(ToOwned::to_owned)).collect();
    let keys = keys.ok_or_else(|| params::wrong_type("tagKeys", "a list of strings"))?;
    let done = call.catalog().untag(call.tenant(), &arn.scope, &arn.target, &keys).await;
    done.map_err(|error| fault(error, said))?;
    Ok(json!({}))
}

pub(super) async fn list(call: &Call, params: &Params) -> Result<Value, Fault> {
    let said = params.arn("resourceArn")?;
    let arn = Arn::parse(said)?;
    let tags = call.catalog().tags(call.tenant(), &arn.scope, &arn.target).await;
    let tags = tags.map_err(|error| fault(error, said))?;
    let tags: Vec<Value> = tags.iter().map(|tag| json!({ "key": tag.key, "value": tag.value })).collect();
    Ok(json!({ "tags": tags }))
}

fn fault(error: TagError, arn: &str) -> Fault {
    match error {
        TagError::NotFound => Fault::resource_not_found(arn),
        TagError::TooMany => Fault::too_many_tags(arn),
        TagError::Contended => Fault::conflict(),
        TagError::Store(error) => error.into(),
    }
}
