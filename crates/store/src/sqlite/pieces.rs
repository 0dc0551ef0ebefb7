//! Batches as rows: each is cut into pieces of at most [`PIECE`] bytes in consecutive rows.
//!
//! SQLite never splits a small row over two pages, so rows of 1 to 4 KB would leave up to half of each page empty. Eight
//! full pieces fill a page of 4 KB to the last bytes, and what is left at its end is small.

use bedplate_core::{id::Seq, port::journal::MAX_BATCH_BYTES, time::Timestamp};
use rusqlite::{Connection, Result};

/// The largest piece in bytes: an eighth of a page's space, less what a row costs.
const PIECE: usize = 496;

/// Four numbers of eight bytes, little endian: run, first position, time, and how many bytes the payload has.
const HEADER: usize = 32;

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
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    for number in [header.run, header.first.cast_signed(), header.at.0, payload.len() as i64] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(payload);
    // Rows without a number get the one after the last, and this thread is the only one that writes.
    let mut insert = conn.prepare_cached("INSERT INTO piece (data) VALUES (?1)")?;
    let count = bytes.chunks(PIECE).len() as i64;
    for piece in bytes.chunks(PIECE) {
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
    let Some((header, length)) = parse(piece) else { return Ok(None) };
    let mut payload = Vec::with_capacity(length.min(MAX_BATCH_BYTES) + PIECE);
    payload.extend_from_slice(&piece[HEADER..]);
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
    // Of a damaged batch only the row that is surely its own goes.
    let length = parse(row.get_ref(0)?.as_blob()?).map_or(0, |(_, length)| length);
    drop(rows);
    let count = (HEADER + length).div_ceil(PIECE) as i64;
    conn.prepare_cached("DELETE FROM piece WHERE pos >= ?1 AND pos < ?2")?.execute((pos, pos + count)).map(drop)
}

/// Reads the header and the length of the payload from a first piece.
fn parse(piece: &[u8]) -> Option<(Header, usize)> {
    let number = |index: usize| {
        let bytes = piece.get(index * 8..)?.first_chunk()?;
        Some(i64::from_le_bytes(*bytes))
    };
    let header = Header { run: number(0)?, first: number(1)?.cast_unsigned(), at: Timestamp(number(2)?) };
    Some((header, usize::try_from(number(3)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_every_size_read_back_and_go_without_a_trace() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("migrations/0001.sql")).unwrap();
        let edges = [0, 1, PIECE - HEADER - 1, PIECE - HEADER, PIECE - HEADER + 1, 2 * PIECE - HEADER, 100_000];
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
}
