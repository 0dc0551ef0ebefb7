//! Activities: CreateActivity, DescribeActivity, DeleteActivity, ListActivities.

use super::{
    Call, Fault, Params,
    call::{seconds, wrong_kind},
    definitions, paging,
};
use bedplate_catalog::{ActivityError, Arn, Scope, Target};
use serde_json::{Value, json};

const LIST: &str = "ListActivities";

pub(super) async fn create(call: &Call, params: &Params) -> Result<Value, Fault> {
    let name = params.required("name", 1..=usize::MAX)?;
    let tags = definitions::read_tags(params)?;
    let encryption = definitions::read_encryption(params)?;
    let arn = call.scope.activity(name);
    let made = call.catalog().create_activity(call.tenant(), &call.scope, name, &tags, encryption).await;
    let activity = made.map_err(|error| fault(error, &arn))?;
    Ok(json!({ "activityArn": arn, "creationDate": seconds(activity.created_at) }))
}

pub(super) async fn describe(call: &Call, params: &Params) -> Result<Value, Fault> {
    let (scope, name) = named(params)?;
    let said = params.arn("activityArn")?;
    let found = call.catalog().activity(call.tenant(), &scope, &name).await;
    let activity = found.map_err(|error| fault(error, said))?;
    Ok(json!({
        "activityArn": said,
        "name": activity.name,
        "creationDate": seconds(activity.created_at),
        "encryptionConfiguration": activity.encryption.unwrap_or_else(|| json!({ "type": "AWS_OWNED_KEY" })),
    }))
}

pub(super) async fn delete(call: &Call, params: &Params) -> Result<Value, Fault> {
    let (scope, name) = named(params)?;
    call.catalog().delete_activity(call.tenant(), &scope, &name).await?;
    Ok(json!({}))
}

pub(super) async fn list(call: &Call, params: &Params) -> Result<Value, Fault> {
    let page = call.catalog().activities(call.tenant(), &call.scope, paging::query(params, LIST)?).await?;
    let items = page.items.iter().map(|activity| {
        json!({
            "activityArn": call.scope.activity(&activity.name),
            "name": activity.name,
            "creationDate": seconds(activity.created_at),
        })
    });
    Ok(paging::reply("activities", items.collect(), LIST, page.next.as_deref()))
}

/// Reads the name of an activity.
pub(super) fn named(params: &Params) -> Result<(Scope, String), Fault> {
    let arn = Arn::parse(params.arn("activityArn")?)?;
    match arn.target {
        Target::Activity(name) => Ok((arn.scope, name)),
        other => Err(wrong_kind(&other)),
    }
}

pub(super) fn fault(error: ActivityError, arn: &str) -> Fault {
    match error {
        ActivityError::Name(error) => error.into(),
        ActivityError::Exists => Fault::new("ActivityAlreadyExists", format_args!("Activity Already Exists: '{arn}'")),
        ActivityError::TooManyTags => Fault::too_many_tags(arn),
        ActivityError::NotFound => Fault::new("ActivityDoesNotExist", format_args!("Activity Does Not Exist: '{arn}'")),
        ActivityError::Store(error) => error.into(),
    }
}
