//! The items of a Map: a list of values that is small in memory however long it is.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
    ser::SerializeSeq,
};
use serde_json::Value;
use std::{fmt, sync::Arc};

/// Up to so many items are kept as values, which costs no reading; more are kept as one text.
const FEW: usize = 256;

/// A list of values. A long one is kept as the text of its values, of which one is read when it is asked for.
#[derive(Clone, Default)]
pub struct Items {
    few: Vec<Arc<Value>>,
    text: String,
    /// Where in the text each value ends.
    ends: Vec<usize>,
}

impl Items {
    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.few.len() + self.ends.len()
    }

    /// Returns how many bytes a value takes on average, as a text; 0 where they are few.
    #[must_use]
    pub fn mean_bytes(&self) -> usize {
        self.text.len().checked_div(self.ends.len()).unwrap_or(0)
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a value at the end.
    pub fn push(&mut self, value: Arc<Value>) {
        if self.ends.is_empty() && self.few.len() < FEW {
            self.few.push(value);
            return;
        }
        for value in std::mem::take(&mut self.few) {
            self.write(&value);
        }
        self.write(&value);
    }

    /// Returns a value by its place.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<Arc<Value>> {
        if let Some(value) = self.few.get(at) {
            return Some(Arc::clone(value));
        }
        // It was written from a value, so it can be read.
        serde_json::from_str(self.text_of(at)?).ok().map(Arc::new)
    }

    /// Iterates over the values.
    pub fn iter(&self) -> impl Iterator<Item = Arc<Value>> {
        (0..self.len()).map_while(|at| self.get(at))
    }

    fn text_of(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.text.get(start..end)
    }

    fn write(&mut self, value: &Value) {
        use fmt::Write as _;
        // Writing to a text in memory cannot fail.
        let _ = write!(self.text, "{value}");
        self.ends.push(self.text.len());
    }
}

impl fmt::Debug for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Items {
    fn eq(&self, other: &Self) -> bool {
        // The same list has the same form, whichever way it was made.
        self.few == other.few && self.ends == other.ends && self.text == other.text
    }
}

impl FromIterator<Arc<Value>> for Items {
    fn from_iter<I: IntoIterator<Item = Arc<Value>>>(values: I) -> Self {
        let mut items = Self::default();
        values.into_iter().for_each(|value| items.push(value));
        items
    }
}

impl Serialize for Items {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        for value in self.iter() {
            list.serialize_element(&value)?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items, A::Error> {
                let mut items = Items::default();
                while let Some(value) = list.next_element::<Value>()? {
                    items.push(Arc::new(value));
                }
                Ok(items)
            }
        }

        deserializer.deserialize_seq(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_long_list_gives_back_what_a_short_one_does() {
        for count in [0, 1, FEW, FEW + 1, 3 * FEW] {
            let values: Vec<Value> = (0..count).map(|at| json!({"id": at, "text": "é\n\"", "none": null})).collect();
            let items: Items = values.iter().cloned().map(Arc::new).collect();
            assert_eq!(items.len(), count);
            assert!(items.iter().map(|value| (*value).clone()).eq(values.iter().cloned()));
            assert_eq!(items.get(count), None);
            let text = serde_json::to_string(&items).unwrap();
            assert_eq!(text, serde_json::to_string(&values).unwrap(), "the journal's form is a plain list");
            assert_eq!(serde_json::from_str::<Items>(&text).unwrap(), items);
        }
    }
}
