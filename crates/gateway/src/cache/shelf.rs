//! Where replies are kept: in memory, within a bound, the least lately used going first.

use super::key::Key;
use bedplate_core::{
    port::model::{ModelEvent, ModelInfo, RawEnd},
    time::Timestamp,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A reply that was kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) at: Timestamp,
    pub(super) form: Form,
    /// What it had cost, in millionths of a US dollar.
    pub(super) cost: u64,
    pub(super) target: Option<Arc<str>>,
    pub(super) info: Option<Arc<ModelInfo>>,
}

/// A reply in the form in which it came.
#[derive(Debug)]
pub(super) enum Form {
    Events(Vec<ModelEvent>),
    Whole { content_type: String, body: Bytes, end: RawEnd },
    Stream { content_type: String, pieces: Vec<Bytes>, end: RawEnd },
}

/// What an entry takes besides its content, in bytes.
const OVERHEAD: usize = 512;

/// How many questions of one context are compared.
const MAX_QUESTIONS: usize = 1_000;

/// The replies of one cache.
#[derive(Debug)]
pub(crate) struct Shelf {
    ttl: Duration,
    max_bytes: usize,
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    entries: HashMap<Key, Entry>,
    /// The entries by when they were last used.
    order: BTreeMap<u64, Key>,
    questions: HashMap<Key, Vec<(Vec<f32>, Key)>>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    kept: Arc<Kept>,
    bytes: usize,
    used: u64,
    context: Option<Key>,
}

impl Shelf {
    pub(crate) fn new(ttl: Duration, max_bytes: usize) -> Self {
        Self { ttl, max_bytes, content: Mutex::default() }
    }

    /// Returns how large a reply may be to be kept, in bytes.
    pub(super) fn max_entry(&self) -> usize {
        self.max_bytes / 8
    }

    /// Returns the reply to a request that is not older than `max_age`.
    pub(super) fn get(&self, key: &Key, now: Timestamp, max_age: Option<Duration>) -> Option<Arc<Kept>> {
        let mut content = self.lock();
        let kept = Arc::clone(&content.entries.get(key)?.kept);
        let age = now.since(kept.at);
        if age >= self.ttl {
            content.remove(key);
            return None;
        }
        if max_age.is_some_and(|most| age > most) {
            return None;
        }
        content.touch(key);
        Some(kept)
    }

    /// Returns the reply to the question that is nearest to `vector` among those of `context`, if it is near enough.
    pub(super) fn nearest(
        &self,
        context: &Key,
        vector: &[f32],
        threshold: f32,
        now: Timestamp,
        max_age: Option<Duration>,
    ) -> Option<Arc<Kept>> {
        let best = {
            let content = self.lock();
            let near = content.questions.get(context)?.iter().map(|(other, key)| (similarity(vector, other), *key));
            near.filter(|(near, _)| *near >= threshold).max_by(|a, b| a.0.total_cmp(&b.0))?.1
        };
        self.get(&best, now, max_age)
    }

    /// Keeps a reply of `bytes`, and its question where it has one.
    pub(super) fn put(&self, key: Key, kept: Kept, bytes: usize, question: Option<(Key, Vec<f32>)>) {
        if bytes > self.max_entry() {
            return;
        }
        let mut content = self.lock();
        content.remove(&key);
        let context = question.map(|(context, vector)| {
            let questions = content.questions.entry(context).or_default();
            if questions.len() >= MAX_QUESTIONS {
                questions.remove(0);
            }
            questions.push((vector, key));
            context
        });
        let bytes = bytes + OVERHEAD;
        content.clock += 1;
        let used = content.clock;
        content.bytes += bytes;
        content.order.insert(used, key);
        content.entries.insert(key, Entry { kept: Arc::new(kept), bytes, used, context });
        while content.bytes > self.max_bytes {
            let Some(oldest) = content.order.values().next().copied() else { break };
            content.remove(&oldest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn touch(&mut self, key: &Key) {
        self.clock += 1;
        let now = self.clock;
        if let Some(entry) = self.entries.get_mut(key) {
            self.order.remove(&entry.used);
            entry.used = now;
            self.order.insert(now, *key);
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some(entry) = self.entries.remove(key) else { return };
        self.order.remove(&entry.used);
        self.bytes -= entry.bytes;
        if let Some(context) = entry.context
            && let Some(questions) = self.questions.get_mut(&context)
        {
            questions.retain(|(_, of)| of != key);
            if questions.is_empty() {
                self.questions.remove(&context);
            }
        }
    }
}

/// Returns the cosine of the angle between two vectors; 0 for such that cannot be compared.
fn similarity(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return 0.0;
    }
    let dot: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    let length = |vector: &[f32]| vector.iter().map(|it| it * it).sum::<f32>().sqrt();
    let lengths = length(a) * length(b);
    if lengths > 0.0 { dot / lengths } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Call;
    use bedplate_core::port::{
        Caller,
        model::{Asked, RawRequest},
    };

    fn key(text: &str) -> Key {
        let body = format!("{{\"x\":\"{text}\"}}").into();
        let raw = RawRequest { dialect: "d", model: "m".into(), body, model_at: 0..0, headers: Vec::new() };
        let call = Call::new(Caller::default(), "m".into(), Asked::Raw(raw), false, None, Arc::default());
        super::super::key::exact(&call, false).expect("it is JSON")
    }

    fn kept(at: i64) -> Kept {
        Kept { at: Timestamp(at), form: Form::Events(Vec::new()), cost: 1, target: None, info: None }
    }

    #[test]
    fn pain_28_a_cache_never_grows_beyond_its_bound() {
        let shelf = Shelf::new(Duration::from_secs(60), 100_000);
        for index in 0..10_000 {
            let name = index.to_string();
            shelf.put(key(&name), kept(0), 1_000, Some((key("context"), vec![1.0])));
        }
        let content = shelf.lock();
        assert!(content.bytes <= 100_000 && content.entries.len() == content.order.len());
        assert_eq!(content.questions.values().map(Vec::len).sum::<usize>(), content.entries.len());
    }

    #[test]
    fn what_was_used_last_stays_longest_and_what_is_old_goes() {
        let shelf = Shelf::new(Duration::from_secs(10), 8_000);
        for name in ["a", "b", "c", "d", "e"] {
            shelf.put(key(name), kept(0), 1_000, None);
            assert!(shelf.get(&key("a"), Timestamp(1), None).is_some(), "a is used all the time");
        }
        shelf.put(key("f"), kept(0), 1_000, None);
        assert!(shelf.get(&key("a"), Timestamp(1), None).is_some());
        assert!(shelf.get(&key("b"), Timestamp(1), None).is_none(), "nobody used it");
        assert!(shelf.get(&key("a"), Timestamp(5_000), Some(Duration::from_secs(4))).is_none(), "max-age");
        assert!(shelf.get(&key("a"), Timestamp(9_999), None).is_some());
        assert!(shelf.get(&key("a"), Timestamp(10_000), None).is_none(), "its time is over");
    }
}
