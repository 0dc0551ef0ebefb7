//! What several operations say of a state machine.

use super::{Call, Fault, Params, params};
use bedplate_catalog::{Logging, Machine, Tag};
use bedplate_engine::workflow::definition;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Returns the text of a state machine's definition.
pub(crate) async fn text(call: &Call, machine: &Machine) -> Result<Arc<str>, Fault> {
    let found = call.catalog().definition(call.tenant(), machine.definition).await?;
    found.ok_or_else(|| Fault::store(&"a definition is not where it was kept"))
}

/// Returns what the service says of how a state machine is set up.
pub(crate) fn setup(machine: &Machine, text: Option<&str>) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("name".into(), machine.name.as_str().into());
    fields.insert("roleArn".into(), machine.role.as_str().into());
    fields.insert("loggingConfiguration".into(), logging(&machine.logging));
    fields.insert("tracingConfiguration".into(), json!({ "enabled": machine.tracing }));
    let encryption = machine.encryption.clone().unwrap_or_else(|| json!({ "type": "AWS_OWNED_KEY" }));
    fields.insert("encryptionConfiguration".into(), encryption);
    if let Some(revision) = &machine.revision {
        fields.insert("revisionId".into(), revision.as_str().into());
    }
    if let Some(text) = text {
        fields.insert("definition".into(), text.into());
        let references = definition::variable_references(text);
        if !references.is_empty() {
            fields.insert("variableReferences".into(), json!(references));
        }
    }
    fields
}

fn logging(logging: &Logging) -> Value {
    let mut said = json!({ "level": logging.level, "includeExecutionData": logging.include_execution_data });
    if let Some(destinations) = &logging.destinations {
        said["destinations"] = destinations.clone();
    }
    said
}

/// Reads what is said about logs; absent: none.
pub(crate) fn read_logging(params: &Params) -> Result<Option<Logging>, Fault> {
    let Some(said) = params.object("loggingConfiguration")? else { return Ok(None) };
    let level = said.word("level", &["ALL", "ERROR", "FATAL", "OFF"])?.unwrap_or("OFF");
    let destinations = said.list("destinations")?;
    if level != "OFF" && destinations.is_none_or(<[Value]>::is_empty) {
        return Err(Fault::new(
            "InvalidLoggingConfiguration",
            "Invalid Logging Configuration: Must specify exactly one Log Destination.",
        ));
    }
    if destinations.is_some_and(|destinations| destinations.len() > 1) {
        return Err(Fault::new(
            "InvalidLoggingConfiguration",
            "Invalid Logging Configuration: Must specify exactly one Log Destination.",
        ));
    }
    Ok(Some(Logging {
        level: level.to_owned(),
        include_execution_data: said.flag("includeExecutionData")?.unwrap_or(false),
        destinations: destinations.map(|destinations| destinations.to_vec().into()),
    }))
}

/// Reads whether traces are wanted; absent: none.
pub(crate) fn read_tracing(params: &Params) -> Result<Option<bool>, Fault> {
    match params.object("tracingConfiguration")? {
        Some(said) => Ok(Some(said.flag("enabled")?.unwrap_or(false))),
        None => Ok(None),
    }
}

/// Reads what encrypts something. Only the store's own protection is there: a key of the caller's is refused.
pub(crate) fn read_encryption(params: &Params) -> Result<Option<Value>, Fault> {
    let Some(said) = params.object("encryptionConfiguration")? else { return Ok(None) };
    match said.word("type", &["AWS_OWNED_KEY", "CUSTOMER_MANAGED_KMS_KEY"])? {
        None => Err(params::missing("encryptionConfiguration.type")),
        Some("AWS_OWNED_KEY") => Ok(None),
        Some(_) => Err(Fault::new(
            "InvalidEncryptionConfiguration",
            "Invalid Encryption Configuration: this server keeps no keys of its callers; use AWS_OWNED_KEY",
        )),
    }
}

/// Reads a list of tags; absent: none of them.
pub(crate) fn read_tags(params: &Params) -> Result<Vec<Tag>, Fault> {
    let mut tags = Vec::new();
    for (at, tag) in params.list("tags")?.unwrap_or_default().iter().enumerate() {
        let fields = tag.as_object().ok_or_else(|| params::wrong_type("tags", "a list of structures"))?;
        let tag = Params::within(fields);
        let key = tag.required("key", 1..=128).map_err(|_| params::missing(&format!("tags.{}.member.key", at + 1)))?;
        let value = tag.text("value", 0..=256)?.unwrap_or_default();
        tags.push(Tag { key: key.to_owned(), value: value.to_owned() });
    }
    Ok(tags)
}
