//! Arguments against schemas, with compiled schemas kept.

use bedplate_core::{
    port::tools::{ToolError, ToolErrorKind},
    tool::ToolSpec,
};
use jsonschema::{Draft, Validator};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// How many compiled schemas are kept; when there are more, all are compiled anew as they come up.
const MAX_COMPILED: usize = 512;
/// How many problems an error names.
const MAX_PROBLEMS: usize = 5;
/// How many bytes of one problem, and of the schema, an error repeats.
const MAX_PROBLEM_BYTES: usize = 300;
const MAX_SCHEMA_BYTES: usize = 4_000;

/// Checks arguments.
#[derive(Default)]
pub struct InputCheck {
    /// By the tool's name; runs may be pinned to several schemas of one name.
    compiled: Mutex<HashMap<String, Compiled>>,
}

type Compiled = Vec<(Value, Arc<Validator>)>;

impl InputCheck {
    /// Checks `input` against the schema of `tool`.
    ///
    /// # Errors
    /// `InvalidInput` with each place that does not fit and the schema, `Misconfigured` when the schema is none.
    pub fn check(&self, tool: &ToolSpec, input: &Value) -> Result<(), ToolError> {
        let validator = self.validator(tool)?;
        if validator.is_valid(input) {
            return Ok(());
        }
        let problems: Vec<String> = validator
            .iter_errors(input)
            .take(MAX_PROBLEMS)
            .map(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { "the arguments".to_owned() } else { place };
                format!("{place}: {}", cut(&error.to_string(), MAX_PROBLEM_BYTES))
            })
            .collect();
        let schema = tool.input_schema.to_string();
        let message = format!(
            "the arguments do not fit the schema of {}; nothing ran.\n- {}\nSchema: {}",
            tool.name,
            problems.join("\n- "),
            cut(&schema, MAX_SCHEMA_BYTES)
        );
        Err(ToolError { kind: ToolErrorKind::InvalidInput, message })
    }

    fn validator(&self, tool: &ToolSpec) -> Result<Arc<Validator>, ToolError> {
        let schema = &tool.input_schema;
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let known = compiled.get(&tool.name).and_then(|known| known.iter().find(|(known, _)| known == schema));
        if let Some((_, validator)) = known {
            return Ok(Arc::clone(validator));
        }
        let validator = Arc::new(compile(schema).map_err(crate::kind::config_problem)?);
        if compiled.values().map(Vec::len).sum::<usize>() >= MAX_COMPILED {
            compiled.clear();
        }
        compiled.entry(tool.name.clone()).or_default().push((schema.clone(), Arc::clone(&validator)));
        Ok(validator)
    }
}

/// Compiles a schema, JSON Schema 2020-12. References to other documents are never fetched.
///
/// # Errors
/// What is wrong with it.
pub fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .build(schema)
        .map_err(|error| format!("the input schema is not valid: {}", cut(&error.to_string(), MAX_PROBLEM_BYTES)))
}

fn cut(text: &str, most: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(most)]).into()
}
