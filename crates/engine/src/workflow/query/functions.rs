//! Intrinsic functions: what they do.

use super::{Env, format};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::Md5;
use serde_json::{Number, Value};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::borrow::Cow;

/// The longest text that is encoded, decoded or hashed.
const MAX_TEXT: usize = 10_000;

/// The most items of a range.
const MAX_RANGE: i64 = 1_000;

/// An intrinsic function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Array,
    ArrayContains,
    ArrayGetItem,
    ArrayLength,
    ArrayPartition,
    ArrayRange,
    ArrayUnique,
    Base64Decode,
    Base64Encode,
    Format,
    Hash,
    JsonMerge,
    JsonToString,
    MathAdd,
    MathRandom,
    StringSplit,
    StringToJson,
    Uuid,
}

type Answer = Result<Value, String>;

impl Function {
    /// Returns the function called `name`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("States.")? {
            "Array" => Self::Array,
            "ArrayContains" => Self::ArrayContains,
            "ArrayGetItem" => Self::ArrayGetItem,
            "ArrayLength" => Self::ArrayLength,
            "ArrayPartition" => Self::ArrayPartition,
            "ArrayRange" => Self::ArrayRange,
            "ArrayUnique" => Self::ArrayUnique,
            "Base64Decode" => Self::Base64Decode,
            "Base64Encode" => Self::Base64Encode,
            "Format" => Self::Format,
            "Hash" => Self::Hash,
            "JsonMerge" => Self::JsonMerge,
            "JsonToString" => Self::JsonToString,
            "MathAdd" => Self::MathAdd,
            "MathRandom" => Self::MathRandom,
            "StringSplit" => Self::StringSplit,
            "StringToJson" => Self::StringToJson,
            "UUID" => Self::Uuid,
            _ => return None,
        })
    }

    /// Returns what the function gives, or why it cannot.
    pub(super) fn call(self, values: &[Cow<'_, Value>], env: &Env<'_>) -> Answer {
        let values: Vec<&Value> = values.iter().map(AsRef::as_ref).collect();
        match (self, values.as_slice()) {
            (Self::Array, items) => Ok(Value::Array(items.iter().copied().cloned().collect())),
            (Self::ArrayContains, [items, wanted]) => Ok(array(items)?.iter().any(|item| same(item, wanted)).into()),
            (Self::ArrayGetItem, [items, at]) => {
                let at = usize::try_from(integer(at)?).map_err(|_| "the index must not be negative".to_owned())?;
                array(items)?.get(at).cloned().ok_or_else(|| format!("there is no item at index {at}"))
            }
            (Self::ArrayLength, [items]) => Ok(array(items)?.len().into()),
            (Self::ArrayPartition, [items, size]) => partition(array(items)?, integer(size)?),
            (Self::ArrayRange, [first, last, step]) => range(integer(first)?, integer(last)?, integer(step)?),
            (Self::ArrayUnique, [items]) => Ok(unique(array(items)?)),
            (Self::Base64Decode, [value]) => decode(text(value)?),
            (Self::Base64Encode, [value]) => Ok(STANDARD.encode(short(text(value)?)?).into()),
            (Self::Format, [template, arguments @ ..]) => fill(text(template)?, arguments),
            (Self::Hash, [value, algorithm]) => hash(&hashed(value), text(algorithm)?).map(Value::String),
            (Self::JsonMerge, [under, over, deep]) => merge(under, over, deep),
            (Self::JsonToString, [value]) => Ok(value.to_string().into()),
            (Self::MathAdd, [left, right]) => {
                integer(left)?.checked_add(integer(right)?).map(Into::into).ok_or_else(|| "the sum is too large".into())
            }
            (Self::MathRandom, [first, last]) => random(integer(first)?, integer(last)?, env.context.entropy().unit()),
            (Self::MathRandom, [first, last, seed]) => random(integer(first)?, integer(last)?, seeded(integer(seed)?)),
            (Self::StringSplit, [value, at]) => Ok(split(text(value)?, text(at)?)),
            (Self::StringToJson, [value]) => parse(text(value)?),
            (Self::Uuid, []) => Ok(env.context.entropy().uuid().into()),
            _ => Err("the number of arguments is wrong".into()),
        }
    }
}

/// Returns the digest of `text` in hexadecimal digits.
pub(super) fn hash(text: &str, algorithm: &str) -> Result<String, String> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(match algorithm {
        "MD5" => hex(&Md5::digest(text)),
        "SHA-1" => hex(&Sha1::digest(text)),
        "SHA-256" => hex(&Sha256::digest(text)),
        "SHA-384" => hex(&Sha384::digest(text)),
        "SHA-512" => hex(&Sha512::digest(text)),
        other => {
            return Err(format!("the hash algorithm '{other}' is not one of MD5, SHA-1, SHA-256, SHA-384, SHA-512"));
        }
    })
}

/// Returns a number in 0..1 that is the same for the same seed.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
pub(super) fn seeded(seed: i64) -> f64 {
    let digest = Sha256::digest(seed.to_be_bytes());
    let mut word = [0; 8];
    word.copy_from_slice(&digest[..8]);
    (u64::from_be_bytes(word) >> 11) as f64 / (1u64 << 53) as f64
}

/// Returns `items` in groups of `size`.
pub(super) fn partition(items: &[Value], size: i64) -> Answer {
    let size = usize::try_from(size).ok().filter(|size| *size > 0).ok_or("the chunk size must be positive")?;
    Ok(Value::Array(items.chunks(size).map(|chunk| Value::Array(chunk.to_vec())).collect()))
}

/// Returns the numbers from `first` to `last`.
pub(super) fn range(first: i64, last: i64, step: i64) -> Answer {
    if step == 0 {
        return Err("the step must not be 0".into());
    }
    let count = last.saturating_sub(first).checked_div(step).map_or(-1, |steps| steps.saturating_add(1));
    let count = if (last > first && step < 0) || (last < first && step > 0) { 0 } else { count };
    if count > MAX_RANGE {
        return Err(format!("a range has at most {MAX_RANGE} items"));
    }
    Ok(Value::Array((0..count).map(|at| (first + at * step).into()).collect()))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "the width of a range is small")]
fn random(first: i64, last: i64, unit: f64) -> Answer {
    if first >= last {
        return Err("the start must be less than the end".into());
    }
    let width = last.saturating_sub(first);
    Ok(first.saturating_add(((width as f64) * unit).floor() as i64).min(last - 1).into())
}

fn array(value: &Value) -> Result<&[Value], String> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| format!("{value} is not an array"))
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("{value} is not a string"))
}

fn short(text: &str) -> Result<&str, String> {
    if text.len() > MAX_TEXT { Err(format!("a text has at most {MAX_TEXT} characters")) } else { Ok(text) }
}

/// Returns a number as the nearest integer; halves go up.
#[expect(clippy::cast_possible_truncation, reason = "out of range saturates")]
fn integer(value: &Value) -> Result<i64, String> {
    let number = value.as_number().ok_or_else(|| format!("{value} is not a number"))?;
    Ok(number.as_i64().unwrap_or_else(|| (number.as_f64().unwrap_or_default() + 0.5).floor() as i64))
}

/// Returns whether two values are the same; numbers by value.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

fn unique(items: &[Value]) -> Value {
    let mut seen: Vec<Value> = Vec::new();
    for item in items {
        if !seen.iter().any(|other| same(other, item)) {
            seen.push(item.clone());
        }
    }
    Value::Array(seen)
}

fn decode(encoded: &str) -> Answer {
    let bytes = STANDARD.decode(short(encoded)?).map_err(|_| "the text is not valid Base64")?;
    String::from_utf8(bytes).map(Value::String).map_err(|_| "the text does not decode to a string".into())
}

fn fill(template: &str, arguments: &[&Value]) -> Answer {
    let mut filled = String::new();
    let mut arguments = arguments.iter();
    let mut chars = template.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => filled.extend(chars.next()),
            '{' => {
                if chars.next() != Some('}') {
                    return Err("a brace that is no placeholder must be escaped".into());
                }
                let value = arguments.next().ok_or("there are more placeholders than arguments")?;
                filled.push_str(&format::show(value));
            }
            '}' => return Err("a brace that is no placeholder must be escaped".into()),
            c => filled.push(c),
        }
    }
    if arguments.next().is_some() {
        Err("there are more arguments than placeholders".into())
    } else {
        Ok(filled.into())
    }
}

fn hashed(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn merge(under: &Value, over: &Value, deep: &Value) -> Answer {
    if deep != &Value::Bool(false) {
        return Err("only shallow merging is supported: the third argument must be false".into());
    }
    let (Value::Object(under), Value::Object(over)) = (under, over) else {
        return Err("only objects can be merged".into());
    };
    let mut merged = under.clone();
    merged.extend(over.iter().map(|(key, value)| (key.clone(), value.clone())));
    Ok(Value::Object(merged))
}

/// Returns the parts of `text` between any of the characters of `at`; empty parts are left out.
fn split(text: &str, at: &str) -> Value {
    if at.is_empty() {
        return Value::Array(vec![text.into()]);
    }
    let parts = text.split(|c| at.contains(c)).filter(|part| !part.is_empty());
    Value::Array(parts.map(Into::into).collect())
}

fn parse(text: &str) -> Answer {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let value: Value = serde_json::from_str(text).map_err(|_| "the text is not valid JSON")?;
    Ok(match value {
        // There is no negative zero in the answer.
        Value::Number(number) if number.as_f64() == Some(0.0) => Value::Number(Number::from(0)),
        value => value,
    })
}
