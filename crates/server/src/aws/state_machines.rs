//! State machines: CreateStateMachine, DescribeStateMachine, UpdateStateMachine, DeleteStateMachine, ListStateMachines.

use super::{Call, Fault, Params, call::seconds, definitions, paging};
use bedplate_catalog::{
    AliasError, Arn, CreateError, Kind, Machine, MachineError, MachineUpdate, NewMachine, Target, UpdateError,
    VersionError,
};
use serde_json::{Value, json};

const LIST: &str = "ListStateMachines";

pub(super) async fn create(call: &Call, params: &Params) -> Result<Value, Fault> {
    let name = params.required("name", 1..=usize::MAX)?;
    let publish = params.flag("publish")?.unwrap_or(false);
    let new = NewMachine {
        name: name.to_owned(),
        kind: kind(params)?.unwrap_or_default(),
        definition: params.required("definition", 1..=1_048_576)?.to_owned(),
        role: params.required("roleArn", 1..=256)?.to_owned(),
        logging: definitions::read_logging(params)?.unwrap_or_default(),
        tracing: definitions::read_tracing(params)?.unwrap_or(false),
        encryption: definitions::read_encryption(params)?,
        tags: definitions::read_tags(params)?,
        publish,
        version_description: version_description(params, publish)?,
    };
    let arn = call.scope.machine(name);
    let created =
        call.catalog().create_machine(call.tenant(), &call.scope, new).await.map_err(|error| match error {
            CreateError::Name(error) => error.into(),
            CreateError::Definition(diagnostics) => Fault::invalid_definition(&diagnostics),
            CreateError::Exists | CreateError::OfProject => {
                Fault::new("StateMachineAlreadyExists", format_args!("State Machine Already Exists: '{arn}'"))
            }
            CreateError::TooManyTags => Fault::too_many_tags(&arn),
            CreateError::Store(error) => error.into(),
        })?;
    let mut reply = json!({ "stateMachineArn": arn, "creationDate": seconds(created.machine.created_at) });
    if let Some(version) = created.version {
        reply["stateMachineVersionArn"] = call.scope.version(name, version.number).into();
    }
    Ok(reply)
}

pub(super) async fn describe(call: &Call, params: &Params) -> Result<Value, Fault> {
    let said = params.arn("stateMachineArn")?;
    let with_data = with_data(params)?;
    let arn = call.machine_arn(params, "stateMachineArn")?;
    let found = find(call, &arn, said).await?;
    let text = if with_data { Some(definitions::text(call, &found.machine).await?) } else { None };
    let mut reply = definitions::setup(&found.machine, text.as_deref());
    reply.insert("stateMachineArn".into(), said.into());
    reply.insert("status".into(), "ACTIVE".into());
    reply.insert("type".into(), found.machine.kind.as_str().into());
    reply.insert("creationDate".into(), seconds(found.created_at));
    if let Some(description) = found.description {
        reply.insert("description".into(), description.into());
    }
    if text.is_none() {
        // The model says that it is always there.
        reply.insert("definition".into(), "".into());
    }
    Ok(reply.into())
}

/// A state machine as a name means it: as it is now, or as it was published.
struct Found {
    machine: Machine,
    description: Option<String>,
    created_at: bedplate_core::time::Timestamp,
}

async fn find(call: &Call, arn: &Arn, said: &str) -> Result<Found, Fault> {
    let (name, number) = match &arn.target {
        Target::Version(machine, number) => (machine, *number),
        Target::Alias(machine, alias) => {
            let alias = call.catalog().alias(call.tenant(), &arn.scope, machine, alias).await;
            let alias = alias.map_err(|error| match error {
                AliasError::Store(error) => error.into(),
                _ => Fault::no_machine(said),
            })?;
            (machine, alias.routes.first().map_or(0, |route| route.version))
        }
        Target::Machine(name) => {
            let machine = call.catalog().machine(call.tenant(), &arn.scope, name).await;
            let machine = machine.map_err(|error| machine_fault(error, said))?;
            let created_at = machine.created_at;
            return Ok(Found { machine, description: None, created_at });
        }
        other => return Err(super::call::wrong_kind(other)),
    };
    match call.catalog().version(call.tenant(), &arn.scope, name, number).await {
        Ok(version) => {
            Ok(Found { machine: version.machine, description: version.description, created_at: version.created_at })
        }
        Err(VersionError::Store(error)) => Err(error.into()),
        Err(VersionError::NotFound | VersionError::InUse(_)) => Err(Fault::no_machine(said)),
    }
}

pub(super) async fn update(call: &Call, params: &Params) -> Result<Value, Fault> {
    let said = params.arn("stateMachineArn")?;
    let arn = call.machine_arn(params, "stateMachineArn")?;
    let Target::Machine(name) = &arn.target else {
        return Err(Fault::validation("a version or an alias of a state machine cannot be changed by this operation"));
    };
    let publish = params.flag("publish")?.unwrap_or(false);
    let update = MachineUpdate {
        definition: params.text("definition", 1..=1_048_576)?.map(ToOwned::to_owned),
        role: params.text("roleArn", 1..=256)?.map(ToOwned::to_owned),
        logging: definitions::read_logging(params)?,
        tracing: definitions::read_tracing(params)?,
        encryption: definitions::read_encryption(params)?,
        publish,
        version_description: version_description(params, publish)?,
    };
    let nothing = ["definition", "roleArn", "loggingConfiguration", "tracingConfiguration", "encryptionConfiguration"]
        .iter()
        .all(|name| params.get(name).is_none());
    if nothing {
        return Err(Fault::new(
            "MissingRequiredParameter",
            "Either the definition, the role ARN, the LoggingConfiguration, the EncryptionConfiguration or the \
             TracingConfiguration must be specified",
        ));
    }
    let updated = call.catalog().update_machine(call.tenant(), &arn.scope, name, update).await;
    let updated = updated.map_err(|error| match error {
        UpdateError::Definition(diagnostics) => Fault::invalid_definition(&diagnostics),
        UpdateError::Machine(error) => machine_fault(error, said),
        UpdateError::Contended => Fault::conflict(),
    })?;
    let mut reply = json!({ "updateDate": seconds(updated.machine.updated_at) });
    if let Some(revision) = updated.machine.revision {
        reply["revisionId"] = revision.into();
    }
    if let Some(version) = updated.version {
        reply["stateMachineVersionArn"] = arn.scope.version(name, version.number).into();
    }
    Ok(reply)
}

pub(super) async fn delete(call: &Call, params: &Params) -> Result<Value, Fault> {
    let said = params.arn("stateMachineArn")?;
    let arn = call.machine_arn(params, "stateMachineArn")?;
    let Target::Machine(name) = &arn.target else {
        return Err(Fault::validation("a version or an alias is removed by an operation of its own"));
    };
    let deleted = call.catalog().delete_machine(call.tenant(), &arn.scope, name).await;
    deleted.map_err(|error| machine_fault(error, said))?;
    Ok(json!({}))
}

pub(super) async fn list(call: &Call, params: &Params) -> Result<Value, Fault> {
    let page = call.catalog().machines(call.tenant(), &call.scope, paging::query(params, LIST)?).await?;
    let items = page.items.iter().map(|machine| {
        json!({
            "stateMachineArn": call.scope.machine(&machine.name),
            "name": machine.name,
            "type": machine.kind.as_str(),
            "creationDate": seconds(machine.created_at),
        })
    });
    Ok(paging::reply("stateMachines", items.collect(), LIST, page.next.as_deref()))
}

/// Reads whether payloads are asked for.
pub(super) fn with_data(params: &Params) -> Result<bool, Fault> {
    Ok(params.word("includedData", &["ALL_DATA", "METADATA_ONLY"])? != Some("METADATA_ONLY"))
}

/// Reads the type of a state machine; absent: none.
pub(super) fn kind(params: &Params) -> Result<Option<Kind>, Fault> {
    Ok(match params.word("type", &["STANDARD", "EXPRESS"])? {
        None => None,
        Some("EXPRESS") => Some(Kind::Express),
        Some(_) => Some(Kind::Standard),
    })
}

pub(super) fn machine_fault(error: MachineError, said: &str) -> Fault {
    match error {
        MachineError::NotFound => Fault::no_machine(said),
        MachineError::OfProject => {
            Fault::validation(format_args!("'{said}' is a workflow of the project: change or remove its file"))
        }
        MachineError::Store(error) => error.into(),
    }
}

fn version_description(params: &Params, publish: bool) -> Result<Option<String>, Fault> {
    let description = params.text("versionDescription", 0..=256)?;
    if description.is_some() && !publish {
        return Err(Fault::validation("Version description can only be set when publish is true"));
    }
    Ok(description.map(ToOwned::to_owned))
}
