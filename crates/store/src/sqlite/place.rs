//! Where a run's batches are.
//!
//! Batches lie in the order in which they were written, whichever run they belong to, so that a commit of many runs
//! fills a few pages instead of touching one for each run. Each run therefore keeps places: (first event, row). The
//! newest are the `tail` of its head row, which every append writes anyway; full tails become rows of `segment`.

use bedplate_core::id::Seq;
use rusqlite::{Connection, Result};

/// How many places a tail holds before it becomes a segment.
const FULL: usize = 32;

/// A place takes twelve bytes: six of the first event's position, six of the row's number, both big-endian.
const BYTES: usize = 12;

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The position of its first event.
    pub(super) first: Seq,
    /// Its first row of `piece`.
    pub(super) pos: i64,
}

/// Places that no segment holds yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    /// Takes the bytes of a tail as they were stored.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut owned = Vec::with_capacity(bytes.len() + BYTES);
        owned.extend_from_slice(bytes);
        Self(owned)
    }

    /// Returns the bytes to be stored.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds a place; a tail that is full then becomes a segment of `run`.
    pub(super) fn push(&mut self, conn: &Connection, run: i64, place: Place) -> Result<()> {
        self.0.extend_from_slice(&place.first.to_be_bytes()[2..]);
        self.0.extend_from_slice(&place.pos.to_be_bytes()[2..]);
        if self.0.len() >= FULL * BYTES {
            let first = places(&self.0).next().unwrap_or(place).first;
            let sql = "INSERT INTO segment (run, first, places) VALUES (?1, ?2, ?3)";
            conn.prepare_cached(sql)?.execute((run, first.cast_signed(), &self.0))?;
            self.0.clear();
        }
        Ok(())
    }
}

/// Returns the places of the batches that hold events after `after` and begin at `until` or before, in order; `tail` is
/// the run's. The first may end at or before `after`, when nothing between is known.
pub(super) fn find(conn: &Connection, run: i64, tail: &[u8], after: Seq, until: Seq) -> Result<Vec<Place>> {
    let mut found: Vec<Place> = Vec::new();
    let mut take = |bytes: &[u8]| {
        for place in places(bytes).take_while(|place| place.first <= until) {
            if place.first <= after.saturating_add(1) {
                // The batches before the last one that begins here are all over by then.
                found.clear();
            }
            found.push(place);
        }
    };
    let sql = "SELECT places FROM segment WHERE run = ?1 AND first <= ?3 AND first >=
                 coalesce((SELECT max(first) FROM segment WHERE run = ?1 AND first <= ?2), 0) ORDER BY first";
    let mut segments = conn.prepare_cached(sql)?;
    let mut rows = segments.query((run, to_sql(after.saturating_add(1)), to_sql(until)))?;
    while let Some(row) = rows.next()? {
        take(row.get_ref(0)?.as_blob()?);
    }
    take(tail);
    Ok(found)
}

/// Returns a position as SQLite compares it; none that is larger is ever stored.
pub(super) fn to_sql(seq: Seq) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn places(bytes: &[u8]) -> impl Iterator<Item = Place> + '_ {
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    bytes
        .chunks_exact(BYTES)
        .map(move |place| Place { first: number(&place[..BYTES / 2]), pos: number(&place[BYTES / 2..]).cast_signed() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_in_segments_and_in_the_tail() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("migrations/0001.sql")).unwrap();
        let mut tail = Tail::default();
        for batch in 0..100_u64 {
            // Batches of three events each.
            tail.push(&conn, 7, Place { first: batch * 3 + 1, pos: batch.cast_signed() + 1_000 }).unwrap();
        }
        assert_eq!(tail.bytes().len(), 4 * BYTES, "three segments of 32 and four left over");
        for after in 0..300 {
            for until in [after + 1, after + 10, u64::MAX] {
                let rows: Vec<i64> =
                    find(&conn, 7, tail.bytes(), after, until).unwrap().into_iter().map(|place| place.pos).collect();
                let expected: Vec<i64> = (0..100_u64)
                    .filter(|batch| batch * 3 + 3 > after && batch * 3 < until)
                    .map(|batch| batch.cast_signed() + 1_000)
                    .collect();
                assert_eq!(rows, expected, "after {after} until {until}");
            }
        }
    }
}
