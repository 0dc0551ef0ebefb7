//! The items of a Map: as a list, from a file, in batches.

use crate::workflow::{
    definition::{InputType, Map, Reader},
    flow::Number,
    query::{Env, Problem},
};
use serde_json::{Map as Object, Value, json};
use std::sync::Arc;

/// The most items that are read.
const MAX_ITEMS: usize = 100_000_000;

/// Returns the items of an array, or, in a distributed Map, the pairs of an object; none for anything else.
pub(super) fn list(value: &Value, distributed: bool) -> Option<Vec<Arc<Value>>> {
    match value {
        Value::Array(items) => Some(items.iter().map(|item| Arc::new(item.clone())).collect()),
        Value::Object(fields) if distributed => {
            Some(fields.iter().map(|(key, value)| Arc::new(json!({"Key": key, "Value": value}))).collect())
        }
        _ => None,
    }
}

/// Returns the items that a reader's answer holds.
///
/// # Errors
/// `States.ItemReaderFailed` when they cannot be read.
pub(in crate::workflow) fn read(
    map: &Map,
    reader: &Reader,
    env: &Env<'_>,
    answer: &Value,
) -> Result<Vec<Arc<Value>>, Problem> {
    let most = match &reader.max_items {
        Some(quantity) => usize::try_from(Number { field: "MaxItems", quantity }.whole(env)?).unwrap_or(MAX_ITEMS),
        None => MAX_ITEMS,
    };
    let most = if most == 0 { MAX_ITEMS } else { most.min(MAX_ITEMS) };
    let items = match (reader.input_type, answer.get("Body")) {
        (InputType::List, _) => answer.get("Contents").and_then(|contents| list(contents, false)).unwrap_or_default(),
        (_, Some(Value::String(text))) => parse(reader, text)?,
        (_, Some(body)) => list(body, true).ok_or_else(|| failed("the items are neither an array nor an object"))?,
        (_, None) => list(answer, true).ok_or_else(|| failed("the answer holds no items"))?,
    };
    batch(map, env, items.into_iter().take(most).collect())
}

fn failed(message: impl std::fmt::Display) -> Problem {
    Problem::plain("States.ItemReaderFailed", message)
}

fn parse(reader: &Reader, text: &str) -> Result<Vec<Arc<Value>>, Problem> {
    match reader.input_type {
        InputType::Csv => rows(reader, text),
        InputType::JsonLines => text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).map(Arc::new).map_err(failed))
            .collect(),
        InputType::Json | InputType::Manifest | InputType::List => {
            let value: Value = serde_json::from_str(text).map_err(failed)?;
            list(&value, true).ok_or_else(|| failed("the file holds neither an array nor an object"))
        }
    }
}

/// Returns the rows of a CSV file as objects; cells that are missing are empty, those that have no header are dropped.
fn rows(reader: &Reader, text: &str) -> Result<Vec<Arc<Value>>, Problem> {
    let mut lines = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(reader.delimiter)
        .from_reader(text.as_bytes())
        .into_records();
    let headers = match &reader.headers {
        Some(headers) => headers.clone(),
        None => match lines.next() {
            Some(first) => first.map_err(failed)?.iter().map(ToOwned::to_owned).collect(),
            None => return Ok(Vec::new()),
        },
    };
    lines
        .map(|line| {
            let line = line.map_err(failed)?;
            let cells = headers
                .iter()
                .enumerate()
                .map(|(at, header)| (header.clone(), Value::String(line.get(at).unwrap_or_default().to_owned())));
            Ok(Arc::new(Value::Object(cells.collect::<Object<_, _>>())))
        })
        .collect()
}

/// Returns the items in batches, when the Map wants them so.
pub(in crate::workflow) fn batch(map: &Map, env: &Env<'_>, items: Vec<Arc<Value>>) -> Result<Vec<Arc<Value>>, Problem> {
    let Some(batcher) = &map.batcher else { return Ok(items) };
    let limit = |field, quantity: &Option<_>| -> Result<usize, Problem> {
        let number = quantity.as_ref().map(|quantity| Number { field, quantity }.whole(env)).transpose()?;
        Ok(number.filter(|number| *number > 0).and_then(|number| usize::try_from(number).ok()).unwrap_or(usize::MAX))
    };
    let most = limit("MaxItemsPerBatch", &batcher.max_items)?;
    let bytes = limit("MaxInputBytesPerBatch", &batcher.max_bytes)?;
    let input = batcher.input.as_ref().map(|template| template.fill(env, "ItemBatcher/BatchInput")).transpose()?;
    let mut batches: Vec<Vec<Value>> = Vec::new();
    let mut size = 0;
    for item in items {
        let item = Arc::unwrap_or_clone(item);
        let length = item.to_string().len() + 1;
        match batches.last_mut() {
            Some(batch) if batch.len() < most && size + length <= bytes => {
                size += length;
                batch.push(item);
            }
            _ => {
                size = length;
                batches.push(vec![item]);
            }
        }
    }
    let wrap = |items: Vec<Value>| {
        let mut object = Object::new();
        if let Some(input) = &input {
            object.insert("BatchInput".into(), Value::clone(input));
        }
        object.insert("Items".into(), Value::Array(items));
        Arc::new(Value::Object(object))
    };
    Ok(batches.into_iter().map(wrap).collect())
}
