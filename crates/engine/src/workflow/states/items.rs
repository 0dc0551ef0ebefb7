//! The items of a Map: as a list, from a file, in batches. A file is read item by item, so that a large one is never a
//! tree of values.

use crate::workflow::{
    definition::{Batcher, InputType, Map, Reader},
    flow::Number,
    query::{Env, Problem},
};
use bedplate_core::items::Items;
use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map as Object, Value, json};
use std::{fmt, sync::Arc};

/// The most items that are read.
const MAX_ITEMS: usize = 100_000_000;

/// Returns the items of an array, or, in a distributed Map, the pairs of an object; none for anything else.
pub(super) fn list(value: &Value, distributed: bool) -> Option<Items> {
    match value {
        Value::Array(items) => Some(items.iter().map(|item| Arc::new(item.clone())).collect()),
        Value::Object(fields) if distributed => {
            Some(fields.iter().map(|(key, value)| pair(key, value.clone())).collect())
        }
        _ => None,
    }
}

fn pair(key: &str, value: Value) -> Arc<Value> {
    Arc::new(json!({"Key": key, "Value": value}))
}

/// Returns the items that a reader's answer holds.
///
/// # Errors
/// `States.ItemReaderFailed` when they cannot be read.
pub(in crate::workflow) fn read(map: &Map, reader: &Reader, env: &Env<'_>, answer: &Value) -> Result<Items, Problem> {
    let most = match &reader.max_items {
        Some(quantity) => usize::try_from(Number { field: "MaxItems", quantity }.whole(env)?).unwrap_or(MAX_ITEMS),
        None => MAX_ITEMS,
    };
    let most = if most == 0 { MAX_ITEMS } else { most.min(MAX_ITEMS) };
    let mut taken = Taken { bundles: Bundles::new(map, env)?, left: most };
    match (reader.input_type, answer.get("Body")) {
        (InputType::List, _) => {
            let objects = answer.get("Contents").and_then(|contents| list(contents, false)).unwrap_or_default();
            taken.all(objects.iter());
        }
        (_, Some(Value::String(text))) => parse(reader, text, &mut taken)?,
        (_, Some(body)) => {
            let items = list(body, true).ok_or_else(|| failed("the items are neither an array nor an object"))?;
            taken.all(items.iter());
        }
        (_, None) => {
            let items = list(answer, true).ok_or_else(|| failed("the answer holds no items"))?;
            taken.all(items.iter());
        }
    }
    Ok(taken.bundles.done())
}

fn failed(message: impl fmt::Display) -> Problem {
    Problem::plain("States.ItemReaderFailed", message)
}

/// The items that are taken from a reader, up to a number of them.
struct Taken {
    bundles: Bundles,
    left: usize,
}

impl Taken {
    /// Takes an item; returns whether another one is wanted.
    fn take(&mut self, item: Arc<Value>) -> bool {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            self.bundles.push(item);
        }
        self.left > 0
    }

    fn all(&mut self, mut items: impl Iterator<Item = Arc<Value>>) {
        while self.left > 0
            && let Some(item) = items.next()
        {
            self.take(item);
        }
    }
}

fn parse(reader: &Reader, text: &str, taken: &mut Taken) -> Result<(), Problem> {
    match reader.input_type {
        InputType::Csv => rows(reader, text, taken),
        InputType::JsonLines => {
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                if !taken.take(Arc::new(serde_json::from_str(line).map_err(failed)?)) {
                    break;
                }
            }
            Ok(())
        }
        InputType::Json | InputType::Manifest | InputType::List => {
            let mut file = serde_json::Deserializer::from_str(text);
            file.deserialize_any(Whole(taken)).map_err(|error| match error.classify() {
                serde_json::error::Category::Data => failed("the file holds neither an array nor an object"),
                _ => failed(error),
            })?;
            file.end().map_err(failed)
        }
    }
}

/// Takes the items of a JSON file while it is read.
struct Whole<'a>(&'a mut Taken);

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        // It is read to its end, so that a file that is cut off is told as such.
        while let Some(item) = items.next_element::<Value>()? {
            self.0.take(Arc::new(item));
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some((key, value)) = fields.next_entry::<String, Value>()? {
            self.0.take(pair(&key, value));
        }
        Ok(())
    }
}

/// Takes the rows of a CSV file as objects; cells that are missing are empty, those that have no header are dropped.
fn rows(reader: &Reader, text: &str, taken: &mut Taken) -> Result<(), Problem> {
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
            None => return Ok(()),
        },
    };
    for line in lines {
        let line = line.map_err(failed)?;
        let cells = headers
            .iter()
            .enumerate()
            .map(|(at, header)| (header.clone(), Value::String(line.get(at).unwrap_or_default().to_owned())));
        if !taken.take(Arc::new(Value::Object(cells.collect::<Object<_, _>>()))) {
            break;
        }
    }
    Ok(())
}

/// Returns the items in batches, when the Map wants them so.
pub(in crate::workflow) fn batch(map: &Map, env: &Env<'_>, items: Items) -> Result<Items, Problem> {
    let mut bundles = Bundles::new(map, env)?;
    if bundles.limits.is_none() {
        return Ok(items);
    }
    items.iter().for_each(|item| bundles.push(item));
    Ok(bundles.done())
}

/// Items while they are bundled; without limits each stays alone.
struct Bundles {
    limits: Option<Limits>,
    items: Items,
    open: Vec<Value>,
    bytes: usize,
}

/// What a bundle holds at most, and what it is given besides.
struct Limits {
    most: usize,
    bytes: usize,
    input: Option<Arc<Value>>,
}

impl Limits {
    fn of(batcher: &Batcher, env: &Env<'_>) -> Result<Self, Problem> {
        let limit = |field, quantity: &Option<_>| -> Result<usize, Problem> {
            let number = quantity.as_ref().map(|quantity| Number { field, quantity }.whole(env)).transpose()?;
            let number = number.filter(|number| *number > 0);
            Ok(number.and_then(|number| usize::try_from(number).ok()).unwrap_or(usize::MAX))
        };
        Ok(Self {
            most: limit("MaxItemsPerBatch", &batcher.max_items)?,
            bytes: limit("MaxInputBytesPerBatch", &batcher.max_bytes)?,
            input: batcher.input.as_ref().map(|template| template.fill(env, "ItemBatcher/BatchInput")).transpose()?,
        })
    }
}

impl Bundles {
    fn new(map: &Map, env: &Env<'_>) -> Result<Self, Problem> {
        let limits = map.batcher.as_ref().map(|batcher| Limits::of(batcher, env)).transpose()?;
        Ok(Self { limits, items: Items::default(), open: Vec::new(), bytes: 0 })
    }

    fn push(&mut self, item: Arc<Value>) {
        let Some(limits) = &self.limits else { return self.items.push(item) };
        let length = item.to_string().len() + 1;
        if !self.open.is_empty() && (self.open.len() >= limits.most || self.bytes + length > limits.bytes) {
            self.close();
        }
        self.bytes += length;
        self.open.push(Arc::unwrap_or_clone(item));
    }

    fn close(&mut self) {
        let mut object = Object::new();
        if let Some(input) = self.limits.as_ref().and_then(|limits| limits.input.as_ref()) {
            object.insert("BatchInput".into(), Value::clone(input));
        }
        object.insert("Items".into(), Value::Array(std::mem::take(&mut self.open)));
        self.items.push(Arc::new(Value::Object(object)));
        self.bytes = 0;
    }

    fn done(mut self) -> Items {
        if !self.open.is_empty() {
            self.close();
        }
        self.items
    }
}
