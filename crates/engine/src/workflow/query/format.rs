//! Values as texts, in the way of the runtime that AWS uses: objects as `{a=1, b=[]}`.

use serde_json::Value;

/// Returns `value` as `States.Format` shows it.
pub(super) fn show(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::String(inner) => text.push_str(inner),
        Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (at, (key, value)) in fields.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                text.extend([key, "="]);
                write(value, text);
            }
            text.push('}');
        }
    }
}
