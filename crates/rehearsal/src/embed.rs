//! Embeddings of the stand-in: a hashed bag of words. Texts that share words are near each other; it knows nothing of
//! what words mean, so `refund` and `money back` are strangers to it.

/// The length of a vector where nobody asks for another.
pub const DIMENSIONS: usize = 256;

/// Returns the vector of `text`, of length 1, or of zeros when the text has no letter or digit. Each word (in small
/// letters) and each pair of neighbours adds to two places that its hash names, a pair half as much.
#[must_use]
pub fn embed(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0_f32; dimensions];
    if dimensions == 0 {
        return vector;
    }
    let lower = text.to_lowercase();
    let mut before: Option<&str> = None;
    for word in lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        add(&mut vector, &[word], 1.0);
        if let Some(before) = before.replace(word) {
            add(&mut vector, &[before, word], 0.5);
        }
    }
    let norm = vector.iter().map(|part| part * part).sum::<f32>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|part| *part /= norm);
    }
    vector
}

fn add(vector: &mut [f32], words: &[&str], weight: f32) {
    let mut hash = hash(words);
    for _ in 0..2 {
        let place = usize::try_from(hash % vector.len() as u64).unwrap_or(0);
        // Two words in one place do not always add up: half of them count against the other half.
        vector[place] += if hash >> 63 == 0 { weight } else { -weight };
        hash = hash.rotate_left(31).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// FNV-1a with a finish that spreads the high bits; the same on every machine and in every version.
fn hash(words: &[&str]) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for word in words {
        for byte in word.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
    hash ^= hash >> 32;
    hash.wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &str, b: &str) -> f32 {
        embed(a, DIMENSIONS).iter().zip(embed(b, DIMENSIONS)).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_that_share_words_are_nearer_than_texts_that_do_not() {
        let question = "How long do I have to return a damaged book?";
        let right = near(question, "You can return a damaged book within thirty days.");
        let wrong = near(question, "Our office opens at nine on weekdays.");
        assert!(right > 0.3 && right > wrong + 0.2, "{right} {wrong}");
        assert!((near(question, question) - 1.0).abs() < 1e-5);
        assert!((near("Return, BOOK", "return book") - 1.0).abs() < 1e-5, "case and points do not count");
    }

    #[test]
    fn a_vector_is_the_same_for_ever_because_it_lies_in_indexes() {
        let vector = embed("alpha beta", 8);
        let said: Vec<String> = vector.iter().map(|part| format!("{part:.4}")).collect();
        assert_eq!(said, ["-0.4264", "-0.6396", "0.0000", "0.0000", "0.0000", "-0.2132", "-0.4264", "-0.4264"]);
        assert!(embed("", 4).iter().all(|part| *part == 0.0) && embed("x", 0).is_empty());
    }
}
