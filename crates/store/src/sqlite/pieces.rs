//! Batches as rows: each is cut into pieces of at most [`PIECE`] bytes in consecutive rows.
//!
//! SQLite never splits a small row over two pages, so rows of 1 to 4 KB would leave up to half of each page empty. Twelve
//! full pieces fill a page of 4 KB to the last bytes, and what is left at its end is small.

use bedplate_core::{id::Seq, port::journal::MAX_BATCH_BYTES, time::Timestamp};
use rusqlite::{Connection, Result};

/// The largest piece in bytes: a twelfth of a page's space, less what a row costs.
const PIECE: usize = 326;

/// The longest payload: a batch that did not shrink, and what packing adds.
const MAX_PAYLOAD: usize = MAX_BATCH_BYTES + 16;

/// What a batch says of itself before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The key of its run.
    pub(super) run: i64,
    /// The position of its first event.
    pub(super) first: Seq,
    /// When it was decided.
    pub(super) at: Timestamp,
}

/// Writes a batch; returns its first row.
pub(super) fn write(conn: &Connection, header: &Header, payload: &[u8]) -> Result<i64> {
    let mut bytes = Vec::with_capacity(4 * MAX_NUMBER + payload.len());
    for number in [header.run.cast_unsigned(), header.first, zigzag(header.at.0), payload.len() as u64] {
        put_number(&mut bytes, number);
    }
    bytes.extend_from_slice(payload);
    // Rows without a number get the one after the last, and this thread is the only one that writes.
    let mut insert = conn.prepare_cached("INSERT INTO piece (data) VALUES (?1)")?;
    let pieces = bytes.chunks(PIECE);
    let count = pieces.len() as i64;
    for piece in pieces {
        insert.execute([piece])?;
    }
    Ok(conn.last_insert_rowid() - (count - 1))
}

/// Reads the batch that begins at a row; none when it is not whole.
pub(super) fn read(conn: &Connection, pos: i64) -> Result<Option<(Header, Vec<u8>)>> {
    let mut select = conn.prepare_cached("SELECT data FROM piece WHERE pos >= ?1 ORDER BY pos")?;
    let mut rows = select.query([pos])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let piece = row.get_ref(0)?.as_blob()?;
    let Some((header, length, begun)) = parse(piece) else { return Ok(None) };
    let mut payload = Vec::with_capacity(length + PIECE);
    payload.extend_from_slice(begun);
    while payload.len() < length {
        let Some(row) = rows.next()? else { return Ok(None) };
        payload.extend_from_slice(row.get_ref(0)?.as_blob()?);
    }
    payload.truncate(length);
    Ok(Some((header, payload)))
}

/// Removes the batch that begins at a row.
pub(super) fn remove(conn: &Connection, pos: i64) -> Result<()> {
    let mut select = conn.prepare_cached("SELECT data FROM piece WHERE pos = ?1")?;
    let mut rows = select.query([pos])?;
    let Some(row) = rows.next()? else { return Ok(()) };
    let piece = row.get_ref(0)?.as_blob()?;
    // Of a damaged batch only the row that is surely its own goes.
    let bytes = parse(piece).map_or(1, |(_, length, begun)| piece.len() - begun.len() + length);
    drop(rows);
    let end = pos + bytes.div_ceil(PIECE) as i64;
    conn.prepare_cached("DELETE FROM piece WHERE pos >= ?1 AND pos < ?2")?.execute((pos, end)).map(drop)
}

/// Reads a first piece: the header, the length of the payload, and the part of the payload that begins here.
fn parse(mut piece: &[u8]) -> Option<(Header, usize, &[u8])> {
    let [run, first, at, length] = [(); 4].map(|()| take_number(&mut piece));
    let header = Header { run: run?.cast_signed(), first: first?, at: Timestamp(unzigzag(at?)) };
    // Nothing longer was ever written: it is damage, and must not take all memory.
    let length = usize::try_from(length?).ok().filter(|length| *length <= MAX_PAYLOAD)?;
    Some((header, length, piece))
}

/// The most bytes that a number takes.
const MAX_NUMBER: usize = 10;

/// Appends a number, seven bits a byte, the lowest first; the high bit says that more follow (LEB128).
fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes what [`put_number`] appended off the front.
fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for index in 0..MAX_NUMBER {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Maps numbers near zero, negative ones too, to small ones.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_every_size_read_back_and_go_without_a_trace() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("migrations/0001.sql")).unwrap();
        let around = |edge: usize| edge - 2 * MAX_NUMBER - 8..edge - 2 * MAX_NUMBER + 8;
        let edges = [0, 1, 100_000].into_iter().chain(around(PIECE)).chain(around(2 * PIECE));
        let batches: Vec<_> = (1..)
            .zip(edges)
            .map(|(run, size)| {
                let header = Header { run, first: u64::MAX, at: Timestamp(i64::MIN) };
                let payload = vec![run as u8; size];
                (write(&conn, &header, &payload).unwrap(), header, payload)
            })
            .collect();
        for (pos, header, payload) in &batches {
            assert_eq!(read(&conn, *pos).unwrap(), Some((*header, payload.clone())));
        }
        let count = || conn.query_row("SELECT count(*) FROM piece", [], |row| row.get::<_, i64>(0)).unwrap();
        for (index, (pos, ..)) in batches.iter().enumerate() {
            remove(&conn, *pos).unwrap();
            assert_eq!(read(&conn, *pos).unwrap().filter(|(header, _)| *header == batches[index].1), None);
            for (pos, header, payload) in &batches[index + 1..] {
                assert_eq!(read(&conn, *pos).unwrap(), Some((*header, payload.clone())), "others stay");
            }
        }
        assert_eq!(count(), 0);
    }

    #[test]
    fn every_number_reads_back_and_a_cut_one_is_none() {
        for number in [0, 1, -1, 63, 64, -64, -65, 1_700_000_000_000, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, zigzag(number));
            assert_eq!(take_number(&mut &bytes[..]).map(unzigzag), Some(number));
            assert_eq!(take_number(&mut &bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(take_number(&mut &[0xff; 20][..]), None);
    }
}
