//! The text of an API key, `bp_<id>_<secret>`, and the keyed hash that is kept of it.

use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt;

/// The secret under which the secrets of keys are hashed: without it a stolen database opens nothing.
#[derive(Clone)]
pub struct Pepper([u8; 32]);

impl Pepper {
    /// Returns the pepper made of 32 random bytes that the caller keeps outside the store.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns what is stored of `secret`: its BLAKE3 hash keyed with the pepper.
    #[must_use]
    pub fn hash(&self, secret: &str) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, secret.as_bytes()).as_bytes()
    }

    /// Returns the secret access key that belongs to the id of a key for AWS's clients. A signature can only be checked
    /// by whoever knows the secret; so it is derived of the pepper, which no database holds, and not stored.
    #[must_use]
    pub fn aws_secret(&self, id: &str) -> String {
        let master = blake3::derive_key("bedplate 2026-11-20 secret access keys", &self.0);
        let mut secret = [0; 30];
        blake3::Hasher::new_keyed(&master).update(id.as_bytes()).finalize_xof().fill(&mut secret);
        STANDARD.encode(secret)
    }

    /// Returns 32 secret bytes that belong to `name`, for a use that `context` names.
    pub(crate) fn derived(&self, context: &'static str, name: &str) -> [u8; 32] {
        *blake3::keyed_hash(&blake3::derive_key(context, &self.0), name.as_bytes()).as_bytes()
    }

    /// Returns whether `secret` is what `hash` was made of, in time that does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, secret: &str, hash: &[u8; 32]) -> bool {
        blake3::keyed_hash(&self.0, secret.as_bytes()) == blake3::Hash::from_bytes(*hash)
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}

/// How the id of a key for AWS's clients begins.
const AWS: &str = "AKBP";

/// How many characters follow.
const AWS_TAIL: usize = 16;

/// What ids of AWS are made of (RFC 4648, base 32).
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new key as its owner gets it, once.
pub struct NewKey {
    /// The public part.
    pub id: String,
    /// The whole text of the key.
    pub text: String,
    /// What is stored of the secret part.
    pub hash: [u8; 32],
}

/// Returns a new key of 256 random bits; `random` must be unpredictable.
#[must_use]
pub fn mint(pepper: &Pepper, random: impl Fn() -> [u8; 16]) -> NewKey {
    let id = hex(&random()[..6]);
    let secret = hex(&random()) + &hex(&random());
    NewKey { text: format!("bp_{id}_{secret}"), hash: pepper.hash(&secret), id }
}

/// Returns a new access key for AWS's clients: its text is the secret access key. `random` must be unpredictable.
#[must_use]
pub fn mint_aws(pepper: &Pepper, random: impl Fn() -> [u8; 16]) -> NewKey {
    let tail = random().map(|byte| char::from(BASE32[usize::from(byte % 32)]));
    let id: String = AWS.chars().chain(tail).collect();
    let text = pepper.aws_secret(&id);
    NewKey { hash: pepper.hash(&text), text, id }
}

/// Returns whether `id` can be the id of a key for AWS's clients.
#[must_use]
pub fn is_aws(id: &str) -> bool {
    let tail = id.strip_prefix(AWS).unwrap_or_default();
    tail.len() == AWS_TAIL && tail.bytes().all(|byte| BASE32.contains(&byte))
}

/// Returns the id and the secret of a key's text; none when it is not of that form.
#[must_use]
pub fn parse(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix("bp_")?.split_once('_')?;
    let fits = |part: &str, len| part.len() == len && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    (fits(id, 12) && fits(secret, 64)).then_some((id, secret))
}

/// Returns the bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU8, Ordering};

    #[test]
    fn a_key_is_found_by_its_id_and_proved_by_its_secret_alone() {
        let pepper = Pepper::new([7; 32]);
        let count = AtomicU8::new(0);
        let key = mint(&pepper, || [count.fetch_add(1, Ordering::Relaxed); 16]);
        let (id, secret) = parse(&key.text).expect("a minted key parses");
        assert_eq!(id, key.id);
        assert!(pepper.matches(secret, &key.hash));
        assert!(!pepper.matches(&secret.replace('1', "2"), &key.hash));
        assert!(!Pepper::new([8; 32]).matches(secret, &key.hash));
    }

    #[test]
    fn the_secret_of_an_access_key_follows_of_its_id_and_the_pepper_alone() {
        let (pepper, other) = (Pepper::new([7; 32]), Pepper::new([8; 32]));
        let key = mint_aws(&pepper, || [200; 16]);
        assert!(is_aws(&key.id) && key.id.len() == 20, "{}", key.id);
        assert_eq!((key.text.len(), pepper.aws_secret(&key.id)), (40, key.text.clone()));
        assert_ne!(other.aws_secret(&key.id), key.text);
        assert_ne!(pepper.aws_secret("AKBPAAAAAAAAAAAAAAAA"), key.text);
        assert!(pepper.matches(&key.text, &key.hash));
        // A key of one kind is never taken for one of the other.
        assert_eq!(parse(&format!("bp_{}_{}", key.id, key.text)), None);
        for id in ["", "AKBP", "0123456789ab", "AKIAAAAAAAAAAAAAAAAA", "AKBPAAAAAAAAAAAAAAA1"] {
            assert!(!is_aws(id), "{id}");
        }
    }

    #[test]
    fn what_is_no_key_is_not_looked_up() {
        for text in ["", "bp_", "bp_abc_def", "sk-123", "bp_zzzzzzzzzzzz_00", "bp_0123456789ab_"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
