//! Randomness for expressions, drawn from the bytes that a decision is given.

use sha2::{Digest, Sha256};
use std::cell::Cell;

/// A stream of random numbers that is the same for the same bytes.
#[derive(Debug)]
pub struct Entropy {
    seed: [u8; 16],
    drawn: Cell<u64>,
}

impl Entropy {
    /// Returns the stream that `seed` begins.
    #[must_use]
    pub const fn new(seed: [u8; 16]) -> Self {
        Self { seed, drawn: Cell::new(0) }
    }

    /// Returns the next 16 bytes.
    pub fn bytes(&self) -> [u8; 16] {
        let drawn = self.drawn.replace(self.drawn.get() + 1);
        let digest = Sha256::new().chain_update(self.seed).chain_update(drawn.to_be_bytes()).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes
    }

    /// Returns the next number in 0..1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    pub fn unit(&self) -> f64 {
        let bytes = self.bytes();
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[..8]);
        (u64::from_be_bytes(word) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns the next UUID, of version 4.
    pub fn uuid(&self) -> String {
        let mut bytes = self.bytes();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}
