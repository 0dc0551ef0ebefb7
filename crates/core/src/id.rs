//! Identifiers: who, which run, which content. All of them are values that can be derived again after a crash.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// The position of an event in its run's journal: the first event has 1, an empty journal stands at 0.
pub type Seq = u64;

/// How often a run was claimed; an append under an older epoch than the head's is refused (fencing).
pub type Epoch = u64;

/// The position of the intent event of a model or tool call; it names the call within its run.
pub type CallId = Seq;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Arc<str>);

        impl $name {
            /// Returns the id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A tenant: nothing is ever shared between two of them. A single-tenant folder uses `default`.
    Tenant
);
text_id!(
    /// A person or service on whose behalf work is done, as the credential says it and never as a model says it.
    UserId
);

impl Default for Tenant {
    fn default() -> Self {
        Self::from("default")
    }
}

impl Default for UserId {
    fn default() -> Self {
        Self::from("anonymous")
    }
}

/// The identity of a call record: 16 bytes, written as 32 lower-case hexadecimal digits. It begins with the time of the
/// call, so that ids sort by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub [u8; 16]);

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordId({self})")
    }
}

impl FromStr for RecordId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_hex(text).map(Self)
    }
}

impl RecordId {
    /// Returns the id of the `count`th record of a process that calls itself `process`, made at `at`. The time has 48
    /// bits and the count wraps at 16.
    #[must_use]
    pub fn new(at: crate::time::Timestamp, count: u16, process: [u8; 8]) -> Self {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&at.0.max(0).to_be_bytes()[2..]);
        id[6..8].copy_from_slice(&count.to_be_bytes());
        id[8..].copy_from_slice(&process);
        Self(id)
    }

    /// Returns the least id that a record made at `at` can have.
    #[must_use]
    pub fn least(at: crate::time::Timestamp) -> Self {
        Self::new(at, 0, [0; 8])
    }
}

/// The identity of a run: 16 bytes, written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub [u8; 16]);

impl RunId {
    /// Returns the id of the session that `user` calls `session`. The same three words always name the same run, and
    /// two users who choose one name have two runs.
    #[must_use]
    pub fn session(tenant: &Tenant, user: &UserId, session: &str) -> Self {
        Self::derive(&[b"session", tenant.as_str().as_bytes(), user.as_str().as_bytes(), session.as_bytes()])
    }

    /// Returns the id of the child that `parent` starts with the intent at `seq`.
    #[must_use]
    pub fn child(parent: Self, seq: Seq) -> Self {
        Self::derive(&[b"child", &parent.0, &seq.to_be_bytes()])
    }

    /// Returns the id of the execution that has the ARN `arn`: whoever knows the ARN finds the run without a look-up.
    #[must_use]
    pub fn execution(tenant: &Tenant, arn: &str) -> Self {
        Self::derive(&[b"execution", tenant.as_str().as_bytes(), arn.as_bytes()])
    }

    /// Returns an id derived from `parts`; each part is length-prefixed, so no two lists of parts collide by joining.
    #[must_use]
    pub fn derive(parts: &[&[u8]]) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&hash_parts(parts)[..16]);
        Self(id)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunId({self})")
    }
}

/// A text that is not an id: wrong length or a character that is not a lower-case hexadecimal digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is {digits} lower-case hexadecimal digits")]
pub struct ParseIdError {
    /// How many digits such an id has.
    pub digits: usize,
}

impl FromStr for RunId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_hex(text).map(Self)
    }
}

/// The content hash (BLAKE3, 32 bytes) of a blob or definition, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Returns the hash of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(*blake3::hash(content).as_bytes())
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

impl FromStr for ContentHash {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_hex(text).map(Self)
    }
}

macro_rules! serde_as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

serde_as_text!(RunId);
serde_as_text!(ContentHash);
serde_as_text!(RecordId);

/// Returns the idempotency key of the call that `run` makes with the intent at `call`: 32 hexadecimal digits. It is
/// the same after every crash, and never the model's own call id, which models repeat.
#[must_use]
pub fn idempotency_key(run: RunId, call: CallId) -> String {
    RunId::derive(&[b"effect", &run.0, &call.to_be_bytes()]).to_string()
}

/// Writes `bytes`, at most 32, in hexadecimal; in one piece, since ids are written several times a step.
fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    let digits = &text[..(2 * bytes.len()).min(text.len())];
    f.write_str(std::str::from_utf8(digits).map_err(|_| fmt::Error)?)
}

fn hash_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    let error = ParseIdError { digits: N * 2 };
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return Err(error);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0]).ok_or(error)? << 4 | nibble(pair[1]).ok_or(error)?;
    }
    Ok(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_users_with_one_session_name_have_two_runs() {
        let tenant = Tenant::default();
        let [a, b] = ["ann", "bob"].map(|user| RunId::session(&tenant, &user.into(), "chat"));
        assert_ne!(a, b);
        assert_eq!(a, RunId::session(&tenant, &"ann".into(), "chat"));
    }

    #[test]
    fn joining_parts_differently_never_gives_the_same_id() {
        assert_ne!(RunId::derive(&[b"ab", b"c"]), RunId::derive(&[b"a", b"bc"]));
    }

    #[test]
    fn an_id_survives_its_text_and_its_json() {
        let id = RunId::derive(&[b"x"]);
        assert_eq!(id.to_string().parse(), Ok(id));
        let json = serde_json::to_string(&id).unwrap_or_default();
        assert_eq!(serde_json::from_str::<RunId>(&json).ok(), Some(id));
        assert!("XY".parse::<RunId>().is_err());
        assert!("g".repeat(32).parse::<RunId>().is_err());
    }
}
