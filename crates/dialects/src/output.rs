//! The form that a reply's text must have, as each dialect says it. Nothing of it is a field of its own on the wire
//! types: it stands among the other fields, and what is beside it there (`verbosity`, `effort`) stays where it is.

use crate::{DecodeError, json};
use bedplate_core::{
    message::ContentBlock,
    port::model::{ModelParams, OutputFormat, OutputSchema},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a schema is called where its dialect has no name for it.
const NAME: &str = "reply";

/// Asks for a JSON object where a dialect knows schemas only.
const JSON_ONLY: &str = "Answer with one JSON object and nothing else.";

/// A format in any of the dialects: Chat Completions puts the schema one level deeper than the others.
#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    json_schema: Option<Schema>,
    #[serde(flatten)]
    schema: Schema,
}

#[derive(Deserialize)]
struct Schema {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    schema: Option<Value>,
    #[serde(default)]
    strict: Option<bool>,
}

/// Takes the format out of `fields[name]`, for Chat Completions (`response_format`) and Messages (`output_format`).
pub(crate) fn take(fields: &mut Map<String, Value>, name: &str) -> Result<Option<OutputFormat>, DecodeError> {
    match fields.shift_remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(format) => read(format, name),
    }
}

/// Takes the format out of `fields[outer][inner]`, for Responses (`text.format`) and Messages (`output_config.format`).
pub(crate) fn take_within(
    fields: &mut Map<String, Value>,
    outer: &str,
    inner: &str,
) -> Result<Option<OutputFormat>, DecodeError> {
    let Some(Value::Object(within)) = fields.get_mut(outer) else { return Ok(None) };
    let format =
        take(within, inner).map_err(|error| DecodeError::new(format!("{outer}.{}", error.path), error.message));
    if within.is_empty() {
        fields.shift_remove(outer);
    }
    format
}

/// Takes the format out of Converse's `outputConfig`, where the schema is a text.
pub(crate) fn take_converse(fields: &mut Map<String, Value>) -> Result<Option<OutputFormat>, DecodeError> {
    const PATH: &str = "outputConfig.textFormat.structure.jsonSchema";
    let Some(Value::Object(config)) = fields.get_mut("outputConfig") else { return Ok(None) };
    let format = config.shift_remove("textFormat").filter(|format| !format.is_null());
    if config.is_empty() {
        fields.shift_remove("outputConfig");
    }
    let Some(format) = format else { return Ok(None) };
    let said = &format["structure"]["jsonSchema"];
    let Some(text) = said["schema"].as_str() else {
        return Err(DecodeError::new(PATH, "missing field `schema`, a JSON Schema as a text"));
    };
    let schema = json::from_slice(text.as_bytes())
        .map_err(|error: DecodeError| DecodeError::new(format!("{PATH}.schema"), error.to_string()))?;
    let text = |field: &str| said[field].as_str().map(str::to_owned);
    let name = text("name").unwrap_or_else(|| NAME.to_owned());
    Ok(Some(OutputFormat::Schema(OutputSchema { name, description: text("description"), schema, strict: None })))
}

fn read(format: Value, path: &str) -> Result<Option<OutputFormat>, DecodeError> {
    let format: Format = serde_json::from_value(format).map_err(|error| DecodeError::new(path, error.to_string()))?;
    match format.kind.as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(OutputFormat::Json)),
        "json_schema" => {
            let Schema { name, description, schema, strict } = format.json_schema.unwrap_or(format.schema);
            let Some(schema) = schema else {
                return Err(DecodeError::new(path, "missing field `schema`"));
            };
            let name = name.unwrap_or_else(|| NAME.to_owned());
            Ok(Some(OutputFormat::Schema(OutputSchema { name, description, schema, strict })))
        }
        other => Err(DecodeError::new(format!("{path}.type"), format!("the format `{other}` is not supported"))),
    }
}

/// Says the format as `response_format` of Chat Completions.
pub(crate) fn chat(output: &OutputFormat) -> Value {
    match output {
        OutputFormat::Json => json!({"type": "json_object"}),
        OutputFormat::Schema(schema) => json!({"type": "json_schema", "json_schema": described(schema)}),
    }
}

/// Says the format as `text.format` of Responses.
pub(crate) fn responses(output: &OutputFormat) -> Value {
    match output {
        OutputFormat::Json => json!({"type": "json_object"}),
        OutputFormat::Schema(schema) => {
            let mut format = Map::from_iter([("type".to_owned(), json!("json_schema"))]);
            format.extend(described(schema));
            format.into()
        }
    }
}

/// Says the format as `output_config.format` of Messages; none where [`instruction`] says it.
pub(crate) fn anthropic(output: &OutputFormat) -> Option<Value> {
    match output {
        OutputFormat::Json => None,
        OutputFormat::Schema(schema) => Some(json!({"type": "json_schema", "schema": schema.schema})),
    }
}

/// Says the format as `outputConfig.textFormat` of Converse; none where [`instruction`] says it.
pub(crate) fn converse(output: &OutputFormat) -> Option<Value> {
    let OutputFormat::Schema(schema) = output else { return None };
    let mut said = Map::from_iter([
        ("schema".to_owned(), Value::String(schema.schema.to_string())),
        ("name".to_owned(), Value::String(schema.name.clone())),
    ]);
    said.extend(schema.description.clone().map(|text| ("description".to_owned(), Value::String(text))));
    Some(json!({"type": "json_schema", "structure": {"jsonSchema": said}}))
}

/// Returns the instruction that stands in for a format which Messages and Converse have no word for.
pub(crate) fn instruction(params: &ModelParams) -> Option<ContentBlock> {
    (params.output == Some(OutputFormat::Json)).then(|| ContentBlock::text(JSON_ONLY))
}

/// Puts `value` at `fields[outer][inner]`, beside what is there.
pub(crate) fn put_within(fields: &mut Map<String, Value>, outer: &str, inner: &str, value: Value) {
    let within = fields.entry(outer).or_insert_with(|| Value::Object(Map::new()));
    if !within.is_object() {
        *within = Value::Object(Map::new());
    }
    within[inner] = value;
}

fn described(schema: &OutputSchema) -> Map<String, Value> {
    let mut said = Map::from_iter([("name".to_owned(), Value::String(schema.name.clone()))]);
    said.extend(schema.description.clone().map(|text| ("description".to_owned(), Value::String(text))));
    said.insert("schema".to_owned(), schema.schema.clone());
    said.extend(schema.strict.map(|strict| ("strict".to_owned(), Value::Bool(strict))));
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> OutputFormat {
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
        let description = Some("what it is for".to_owned());
        OutputFormat::Schema(OutputSchema { name: "thing".into(), description, schema, strict: Some(true) })
    }

    #[test]
    fn a_schema_survives_every_dialect_that_can_name_it() {
        let mut fields = Map::from_iter([("response_format".to_owned(), chat(&schema()))]);
        assert_eq!(take(&mut fields, "response_format"), Ok(Some(schema())));
        let mut fields = json!({"text": {"verbosity": "low"}}).as_object().cloned().unwrap_or_default();
        put_within(&mut fields, "text", "format", responses(&schema()));
        assert_eq!(take_within(&mut fields, "text", "format"), Ok(Some(schema())));
        assert_eq!(fields["text"], json!({"verbosity": "low"}), "what stands beside it is kept");

        let mut fields = Map::from_iter([("outputConfig".to_owned(), json!({"textFormat": converse(&schema())}))]);
        let Ok(Some(OutputFormat::Schema(read))) = take_converse(&mut fields) else { panic!("no schema") };
        assert_eq!((read.name.as_str(), &read.schema["type"]), ("thing", &json!("object")));
        assert!(fields.is_empty());
    }

    #[test]
    fn a_format_that_is_not_known_is_refused_and_not_dropped() {
        for (format, word) in [
            (json!({"type": "grammar"}), "grammar"),
            (json!({"type": "json_schema"}), "schema"),
            (json!({"type": "json_schema", "json_schema": {"name": "x"}}), "schema"),
            (json!(7), "response_format"),
        ] {
            let mut fields = Map::from_iter([("response_format".to_owned(), format.clone())]);
            let error = take(&mut fields, "response_format").expect_err("it is refused");
            assert!(error.to_string().contains(word), "{format}: {error}");
        }
        let mut fields = Map::from_iter([("response_format".to_owned(), json!({"type": "text"}))]);
        assert_eq!(take(&mut fields, "response_format"), Ok(None));
    }
}
