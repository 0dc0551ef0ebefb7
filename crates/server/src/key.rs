//! The text of an API key, `bp_<id>_<secret>`, and the keyed hash that is kept of it.

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

/// Returns the id and the secret of a key's text; none when it is not of that form.
#[must_use]
pub fn parse(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix("bp_")?.split_once('_')?;
    let fits = |part: &str, len| part.len() == len && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    (fits(id, 12) && fits(secret, 64)).then_some((id, secret))
}

fn hex(bytes: &[u8]) -> String {
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
    fn what_is_no_key_is_not_looked_up() {
        for text in ["", "bp_", "bp_abc_def", "sk-123", "bp_zzzzzzzzzzzz_00", "bp_0123456789ab_"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
