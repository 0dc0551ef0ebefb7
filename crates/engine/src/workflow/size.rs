//! How large a value is as JSON, without writing it.

use bedplate_core::{port::journal::MAX_INLINE_BYTES, workflow_event::WorkflowEvent};
use serde_json::Value;

/// How deep a value may nest: an event that holds it must be read back, and JSON is read 128 levels deep.
const MAX_DEPTH: usize = 96;

/// Returns whether `value` takes more than `limit` bytes as JSON, or nests deeper than a journal can keep. It looks no
/// further than it must.
pub(super) fn exceeds(value: &Value, limit: usize) -> bool {
    let mut left = limit;
    !fits(value, MAX_DEPTH, &mut left)
}

/// Returns about how many bytes a value takes as JSON, and `limit` when it is more.
pub(super) fn of(value: &Value, limit: usize) -> usize {
    let mut left = limit;
    if fits(value, MAX_DEPTH, &mut left) { limit - left } else { limit }
}

/// Returns about how many bytes an event takes in a batch; one that becomes a blob takes few.
#[must_use]
pub fn of_event(event: &WorkflowEvent) -> usize {
    const OVERHEAD: usize = 192;
    if let WorkflowEvent::ChildrenEnded(ended) = event {
        return (OVERHEAD + ended.ended.len() * 48).min(MAX_INLINE_BYTES);
    }
    let value = match event {
        WorkflowEvent::Started(started) => Some(&started.input),
        WorkflowEvent::Exited(exited) => exited.output.as_ref(),
        WorkflowEvent::TaskScheduled(scheduled) => scheduled.input.as_ref(),
        WorkflowEvent::TaskSubmitted(given) | WorkflowEvent::TaskSucceeded(given) => Some(&given.output),
        WorkflowEvent::IterationStarted(started) => started.input.as_ref(),
        WorkflowEvent::ParallelStarted(started) => started.input.as_ref(),
        WorkflowEvent::ItemsRequested(asked) => Some(&asked.input),
        WorkflowEvent::ResultsRequested(asked) => Some(&asked.input),
        _ => None,
    };
    let mut left = MAX_INLINE_BYTES;
    let small = value.is_none_or(|value| fits(value, MAX_DEPTH, &mut left));
    OVERHEAD + if small { MAX_INLINE_BYTES - left } else { MAX_INLINE_BYTES / 8 }
}

fn fits(value: &Value, depth: usize, left: &mut usize) -> bool {
    let Some(below) = depth.checked_sub(1) else { return false };
    match value {
        Value::Null | Value::Bool(true) => spend(left, 4),
        Value::Bool(false) => spend(left, 5),
        Value::Number(number) => {
            spend(left, if number.is_f64() { 18 } else { digits(number.as_i64().unwrap_or(i64::MAX)) })
        }
        Value::String(text) => spend(left, length(text)),
        Value::Array(items) => {
            spend(left, 2 + items.len().saturating_sub(1)) && items.iter().all(|item| fits(item, below, left))
        }
        Value::Object(fields) => {
            spend(left, 2 + fields.len().saturating_sub(1))
                && fields.iter().all(|(key, value)| spend(left, length(key) + 1) && fits(value, below, left))
        }
    }
}

fn spend(left: &mut usize, bytes: usize) -> bool {
    match left.checked_sub(bytes) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}

/// Returns the bytes of a text between quotes, with what must be escaped.
fn length(text: &str) -> usize {
    2 + text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
            0..=31 => 6,
            _ => 1,
        })
        .sum::<usize>()
}

const fn digits(number: i64) -> usize {
    let sign = if number < 0 { 1 } else { 0 };
    match number.unsigned_abs().checked_ilog10() {
        Some(log) => log as usize + 1 + sign,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_without_fractions_is_measured_to_the_byte() {
        let value = json!({"a": [1, -20, true, false, null, "x\"\n\u{1}é"], "b": {}, "": []});
        let bytes = value.to_string().len();
        assert!(!exceeds(&value, bytes));
        assert!(exceeds(&value, bytes - 1));
    }

    #[test]
    fn a_value_that_nests_too_deep_to_be_read_back_is_too_large() {
        let nested = |levels| (0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        assert!(!exceeds(&nested(MAX_DEPTH - 1), 1_000_000));
        assert!(exceeds(&nested(MAX_DEPTH), 1_000_000));
    }
}
