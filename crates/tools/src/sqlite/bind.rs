//! Values for the named parameters of SQL: from the arguments, or from the platform.

use bedplate_core::port::tools::ToolCall;
use rusqlite::{Statement, types::Value as SqlValue};
use serde_json::Value;

/// Parameters that the platform gives; no argument of a model can take their place.
pub const RESERVED: [&str; 4] = ["caller_user", "now", "today", "idempotency_key"];

/// The values that a call's SQL may name.
#[derive(Clone, Debug)]
pub struct Parameters {
    input: Value,
    user: String,
    now: String,
    today: String,
    idempotency_key: String,
}

impl Parameters {
    /// Returns the values of `call`.
    #[must_use]
    pub fn of(call: &ToolCall) -> Self {
        let now = jiff::Timestamp::from_millisecond(call.now.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        Self {
            input: call.input.clone(),
            user: call.caller.user.as_str().to_owned(),
            now: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            today: now.strftime("%Y-%m-%d").to_string(),
            idempotency_key: call.idempotency_key.clone(),
        }
    }

    /// Returns the key under which the call's effect is recorded.
    pub fn idempotency_key(&self) -> &str {
        &self.idempotency_key
    }

    fn value(&self, name: &str) -> SqlValue {
        match name {
            "caller_user" => SqlValue::Text(self.user.clone()),
            "now" => SqlValue::Text(self.now.clone()),
            "today" => SqlValue::Text(self.today.clone()),
            "idempotency_key" => SqlValue::Text(self.idempotency_key.clone()),
            _ => self.input.get(name).map_or(SqlValue::Null, sql_value),
        }
    }

    /// Binds every parameter of `statement` by its name; an absent argument is NULL.
    pub fn bind(&self, statement: &mut Statement<'_>) -> rusqlite::Result<()> {
        for index in 1..=statement.parameter_count() {
            let name = statement.parameter_name(index).and_then(|name| name.strip_prefix(':'));
            let value = name.map_or(SqlValue::Null, |name| self.value(name));
            statement.raw_bind_parameter(index, value)?;
        }
        Ok(())
    }
}

/// Checks that `statement` names its parameters `:name`, and only properties of `schema` or reserved words.
pub fn check_names(statement: &Statement<'_>, schema: &Value) -> Result<(), String> {
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index).unwrap_or("?");
        let Some(plain) = name.strip_prefix(':') else {
            return Err(format!("the parameter {name:?} is not of the form :name"));
        };
        let property = schema.get("properties").and_then(|properties| properties.get(plain)).is_some();
        if !property && !RESERVED.contains(&plain) {
            return Err(format!("the parameter {name:?} is no property of the input schema"));
        }
    }
    Ok(())
}

fn sql_value(value: &Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Bool(value) => SqlValue::Integer(i64::from(*value)),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => SqlValue::Integer(integer),
            None => number.as_f64().map_or(SqlValue::Null, SqlValue::Real),
        },
        Value::String(text) => SqlValue::Text(text.clone()),
        Value::Array(_) | Value::Object(_) => SqlValue::Text(value.to_string()),
    }
}
