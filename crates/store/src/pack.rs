//! How a batch's JSON is packed: LZ4 with a dictionary of the words that every event repeats.
//!
//! The first byte says how: 0 plain, 1 LZ4 with the first dictionary, after it the unpacked size (four bytes, little
//! endian). A dictionary is never edited, since old journals need it; a better one is the next number.

use bedplate_core::port::journal::MAX_BATCH_BYTES;
use std::borrow::Cow;

const PLAIN: u8 = 0;
const FIRST: u8 = 1;

/// Names and values as events have them; only how well batches shrink hangs on it.
const FIRST_DICTIONARY: &[u8] = include_bytes!("pack_dictionary_1.txt");

const HEADER: usize = 5;

/// Packs JSON when that makes it smaller.
pub(crate) fn pack(json: Vec<u8>) -> Vec<u8> {
    let mut packed = vec![0; HEADER + lz4_flex::block::get_maximum_output_size(json.len())];
    let written = lz4_flex::block::compress_into_with_dict(&json, &mut packed[HEADER..], FIRST_DICTIONARY);
    match (written, u32::try_from(json.len())) {
        (Ok(written), Ok(size)) if written + HEADER <= json.len() => {
            packed[0] = FIRST;
            packed[1..HEADER].copy_from_slice(&size.to_le_bytes());
            packed.truncate(HEADER + written);
            packed
        }
        _ => {
            packed.clear();
            packed.push(PLAIN);
            packed.extend_from_slice(&json);
            packed
        }
    }
}

/// Unpacks what [`pack`] made; the error says what is wrong with the bytes.
pub(crate) fn unpack(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    match bytes.split_first() {
        Some((&PLAIN, json)) => Ok(Cow::Borrowed(json)),
        Some((&FIRST, rest)) => {
            let (size, packed) = rest.split_first_chunk().ok_or("the packed bytes end early")?;
            let size = u32::from_le_bytes(*size) as usize;
            if size > MAX_BATCH_BYTES {
                return Err(format!("a batch of {size} bytes was never written"));
            }
            let mut json = vec![0; size];
            let written = lz4_flex::block::decompress_into_with_dict(packed, &mut json, FIRST_DICTIONARY)
                .map_err(|error| error.to_string())?;
            if written == size { Ok(Cow::Owned(json)) } else { Err("the packed bytes end early".into()) }
        }
        Some((other, _)) => Err(format!("packing {other} is not known")),
        None => Err("there are no bytes".into()),
    }
}

/// The largest content that [`restore`] gives back.
const MAX_CONTENT: usize = 256 * 1024 * 1024;

/// Packs content of any kind without a dictionary, after its size (four bytes, little endian).
pub(crate) fn shrink(content: &[u8]) -> Vec<u8> {
    let mut packed = vec![0; 4 + lz4_flex::block::get_maximum_output_size(content.len())];
    // The output holds whatever the input is, so this cannot fail.
    let written = lz4_flex::block::compress_into(content, &mut packed[4..]).unwrap_or_default();
    packed[..4].copy_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes());
    packed.truncate(4 + written);
    packed
}

/// Returns what [`shrink`] packed; the error says what is wrong with the bytes.
pub(crate) fn restore(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (size, packed) = bytes.split_first_chunk().ok_or("the packed bytes end early")?;
    let size = u32::from_le_bytes(*size) as usize;
    if size > MAX_CONTENT {
        return Err(format!("content of {size} bytes was never written"));
    }
    let mut content = vec![0; size];
    let written = lz4_flex::block::decompress_into(packed, &mut content).map_err(|error| error.to_string())?;
    if written == size { Ok(content) } else { Err("the packed bytes end early".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_packed_is_unpacked_as_it_was() {
        let event = br#"[{"turn_ended":{"outcome":"completed"}}]"#.to_vec();
        assert!(pack(event.clone()).len() < event.len(), "the dictionary knows these words");
        let noise: Vec<u8> = (0..5_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for json in [Vec::new(), b"[]".to_vec(), event, noise, vec![b'x'; MAX_BATCH_BYTES]] {
            assert_eq!(unpack(&pack(json.clone())).unwrap(), json);
        }
    }

    #[test]
    fn content_that_shrank_is_restored_and_damage_is_an_error() {
        for content in [Vec::new(), b"abcabcabcabcabcabcabcabc".to_vec(), vec![7; 1_000_000]] {
            let packed = shrink(&content);
            assert_eq!(restore(&packed).unwrap(), content);
            assert!((0..packed.len().min(64)).all(|cut| restore(&packed[..cut]).is_err()));
        }
        assert!(restore(&[255, 255, 255, 255, 0]).is_err(), "a size that would take all memory");
    }

    #[test]
    fn damaged_bytes_are_an_error_and_never_a_panic() {
        let packed = pack(br#"[{"turn_ended":{"outcome":"completed"}}]"#.to_vec());
        for cut in 0..packed.len() {
            assert!(unpack(&packed[..cut]).is_err(), "{cut}");
        }
        assert!(unpack(&[9, 1, 2]).is_err());
        assert!(unpack(&[FIRST, 255, 255, 255, 255, 0]).is_err(), "a size that would take all memory");
    }
}
