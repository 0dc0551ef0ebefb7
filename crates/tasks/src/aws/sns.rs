//! SNS: a form that is posted, and XML back.

use super::{Integration, Prepared, Refusal, initial, json::as_text, service::Protocol, xml};
use crate::{Task, error::failed, request};
use bedplate_core::port::tasks::TaskError;
use bytes::Bytes;
use hyper::{Method, header::HeaderMap};
use serde_json::{Map, Value};

/// Calls the task's operation and returns its output.
pub async fn call(task: &Task, integration: &Integration) -> Result<Value, TaskError> {
    let Protocol::Query { version } = integration.service.protocol else {
        return Err(failed("States.Runtime", "the service takes no forms"));
    };
    let action = initial(&task.resource.action, false);
    let mut input = Value::clone(&task.call.input);
    as_text(&mut input, "Message");
    let mut pairs = vec![("Action".to_owned(), action.clone()), ("Version".to_owned(), version.to_owned())];
    for (name, value) in input.as_object().into_iter().flatten() {
        flatten(name, value, &mut pairs);
    }
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let mut headers = HeaderMap::new();
    request::insert(&mut headers, "content-type", "application/x-www-form-urlencoded; charset=utf-8")?;
    let prepared = Prepared { method: Method::POST, path: "/".to_owned(), headers, body: Bytes::from(body) };
    let service = integration.service;
    let opened = super::open(task, service.names[0], service.prefix, integration.name(), prepared).await?;
    let answer = super::read(opened, integration.name()).await?;
    let document = xml::parse(&String::from_utf8_lossy(&answer.body));
    let text = |path: &[&str]| document.as_ref().and_then(|root| root.find(path)).map(|found| found.text.clone());
    let id = text(&["ResponseMetadata", "RequestId"]).or_else(|| text(&["RequestId"]));
    let id = id.unwrap_or_else(|| super::request_id(&answer.headers));
    if !answer.status.is_success() {
        return Err(integration.refused(&Refusal {
            status: answer.status.as_u16(),
            code: text(&["Error", "Code"]).unwrap_or_default(),
            message: text(&["Error", "Message"]).unwrap_or_default(),
            request_id: id,
        }));
    }
    let result = document.as_ref().and_then(|root| root.find(&[&format!("{action}Result")]));
    let mut output = match result.map(xml::Element::value) {
        Some(Value::Object(output)) => output,
        _ => Map::new(),
    };
    if !integration.sdk {
        super::add_metadata(&mut output, answer.status.as_u16(), &id, "text/xml");
    }
    Ok(Value::Object(output))
}

/// Writes a field as the pairs of a form: lists as `member.N`, the maps of SNS as `entry.N`.
fn flatten(name: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::String(text) => pairs.push((name.to_owned(), text.clone())),
        Value::Bool(_) | Value::Number(_) => pairs.push((name.to_owned(), value.to_string())),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{name}.member.{}", index + 1), item, pairs);
            }
        }
        Value::Object(fields) => {
            let names = match name.rsplit('.').next() {
                Some("MessageAttributes") => Some(("Name", "Value")),
                Some("Attributes") => Some(("key", "value")),
                _ => None,
            };
            for (index, (key, value)) in fields.iter().enumerate() {
                match names {
                    Some((key_name, value_name)) => {
                        let entry = format!("{name}.entry.{}", index + 1);
                        pairs.push((format!("{entry}.{key_name}"), key.clone()));
                        flatten(&format!("{entry}.{value_name}"), value, pairs);
                    }
                    None => flatten(&format!("{name}.{key}"), value, pairs),
                }
            }
        }
    }
}
