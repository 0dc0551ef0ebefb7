//! The results of branches and iterations by their places. A copy shares them, also while many more come.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// How many results a leaf holds at most: what is copied when one result comes to a list that is shared.
const LEAF: u64 = 256;

type Leaf = BTreeMap<u64, Arc<Value>>;

/// Results by place.
#[derive(Clone, Debug, Default)]
pub(super) struct Results(BTreeMap<u64, Arc<Leaf>>);

impl Results {
    pub(super) fn insert(&mut self, at: u64, result: Arc<Value>) {
        Arc::make_mut(self.0.entry(at / LEAF).or_default()).insert(at, result);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns them in their order, as one value; with `flatten` the elements of those that are arrays.
    pub(super) fn list(&self, flatten: bool) -> Value {
        let mut list = Vec::new();
        for (_, result) in self.iter() {
            match &**result {
                Value::Array(elements) if flatten => list.extend(elements.iter().cloned()),
                other => list.push(other.clone()),
            }
        }
        Value::Array(list)
    }

    fn iter(&self) -> impl Iterator<Item = (&u64, &Arc<Value>)> {
        self.0.values().flat_map(|leaf| leaf.iter())
    }
}

impl Serialize for Results {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Results {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = Leaf::deserialize(deserializer)?;
        let mut results = Self::default();
        all.into_iter().for_each(|(at, result)| results.insert(at, result));
        Ok(results)
    }
}
