//! Reading JSON with the place of an error, and the small shapes that wire types share.

use crate::DecodeError;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use std::{fmt, marker::PhantomData};

/// Reads a whole document.
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    // Good documents do not pay for finding the place of an error.
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        DecodeError::new(if path == "." { String::new() } else { path }, error.into_inner().to_string())
    })?;
    deserializer.end().map_err(|error| DecodeError::new("", error.to_string()))?;
    Ok(value)
}

/// Renders a wire value. Wire types hold strings, numbers and maps with string keys, which always have a JSON form.
pub(crate) fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("wire types have string keys only")
}

/// See [`to_vec`].
pub(crate) fn to_string<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("wire types have string keys only")
}

/// A text, or a list of parts.
#[derive(Clone, Debug, PartialEq)]
pub enum TextOr<T> {
    /// The short form.
    Text(String),
    /// The long form.
    Parts(Vec<T>),
}

impl<T: Serialize> Serialize for TextOr<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Parts(parts) => parts.serialize(serializer),
        }
    }
}

// Written by hand, because serde's untagged enums lose the place and the reason of an error.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for TextOrVisitor<T> {
            type Value = TextOr<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TextOr<T>, E> {
                Ok(TextOr::Text(text.to_owned()))
            }

            fn visit_string<E: serde::de::Error>(self, text: String) -> Result<TextOr<T>, E> {
                Ok(TextOr::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<TextOr<T>, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(parts)).map(TextOr::Parts)
            }
        }

        deserializer.deserialize_any(TextOrVisitor(PhantomData))
    }
}

/// Reads a field that may be absent or null as its default.
pub(crate) fn null_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(d).map(Option::unwrap_or_default)
}

/// Returns the map without the fields named in `known`, so that a kept field never stands twice in a document.
pub(crate) fn without(
    mut fields: serde_json::Map<String, serde_json::Value>,
    known: &[&str],
) -> serde_json::Map<String, serde_json::Value> {
    for name in known {
        fields.shift_remove(*name);
    }
    fields
}
