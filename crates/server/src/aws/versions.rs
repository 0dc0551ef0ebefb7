//! Versions: PublishStateMachineVersion, DeleteStateMachineVersion, ListStateMachineVersions.

use super::{Call, Fault, Params, call::seconds, paging, state_machines::machine_fault};
use bedplate_catalog::{PublishError, Target, VersionError};
use serde_json::{Value, json};

const LIST: &str = "ListStateMachineVersions";

pub(super) async fn publish(call: &Call, params: &Params) -> Result<Value, Fault> {
    let said = params.arn("stateMachineArn")?;
    let arn = call.machine_arn(params, "stateMachineArn")?;
    let Target::Machine(name) = &arn.target else { return Err(Fault::no_machine(said)) };
    let revision = params.text("revisionId", 0..=usize::MAX)?;
    let description = params.text("description", 0..=256)?.map(ToOwned::to_owned);
    let published = call.catalog().publish_version(call.tenant(), &arn.scope, name, revision, description).await;
    let version = published.map_err(|error| match error {
        PublishError::Machine(error) => machine_fault(error, said),
        PublishError::Revision { current } => Fault::new(
            "ConflictException",
            format_args!(
                "Failed to publish the State Machine version for revision {}. The current State Machine revision is \
                 {current}.",
                revision.unwrap_or_default()
            ),
        ),
    })?;
    Ok(json!({
        "stateMachineVersionArn": arn.scope.version(name, version.number),
        "creationDate": seconds(version.created_at),
    }))
}

pub(super) async fn delete(call: &Call, params: &Params) -> Result<Value, Fault> {
    let said = params.arn("stateMachineVersionArn")?;
    let arn = call.machine_arn(params, "stateMachineVersionArn")?;
    let Target::Version(machine, number) = &arn.target else {
        return Err(Fault::validation(format_args!("'{said}' is not the ARN of a version")));
    };
    match call.catalog().delete_version(call.tenant(), &arn.scope, machine, *number).await {
        Ok(()) | Err(VersionError::NotFound) => Ok(json!({})),
        Err(VersionError::InUse(aliases)) => {
            let names: Vec<String> = aliases.iter().map(|alias| arn.scope.alias(machine, alias)).collect();
            Err(Fault::new(
                "ConflictException",
                format_args!(
                    "Version to be deleted must not be referenced by an alias. Current list of aliases referencing this \
                     version: [{}]",
                    names.join(", ")
                ),
            ))
        }
        Err(VersionError::Store(error)) => Err(error.into()),
    }
}

pub(super) async fn list(call: &Call, params: &Params) -> Result<Value, Fault> {
    let arn = call.machine_arn(params, "stateMachineArn")?;
    let Target::Machine(machine) = &arn.target else {
        return Err(Fault::validation("the ARN must be that of a state machine, without a version or an alias"));
    };
    let mut query = paging::query(params, LIST)?;
    // Ids of versions have leading zeros, tokens do not.
    query.after = query.after.map(|after| format!("{after:0>20}"));
    let page = call.catalog().versions(call.tenant(), &arn.scope, machine, query).await?;
    let items = page.items.iter().map(|version| {
        json!({
            "stateMachineVersionArn": arn.scope.version(machine, version.number),
            "creationDate": seconds(version.created_at),
        })
    });
    Ok(paging::reply("stateMachineVersions", items.collect(), LIST, page.next.as_deref()))
}
