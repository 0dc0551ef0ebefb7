//! The cursor of a list of runs: where the page before ended.

use bedplate_core::{port::journal::ReadError, time::Timestamp};

/// The place of a run in the order of lists: latest touched first, among equals the newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cursor {
    /// When the run was touched.
    pub(crate) touched_at: Timestamp,
    /// The store's number for it.
    pub(crate) key: i64,
}

impl Cursor {
    /// Returns the cursor as text for clients.
    pub(crate) fn to_text(self) -> String {
        format!("r1.{}.{}", self.touched_at.0, self.key)
    }

    /// Reads what [`Cursor::to_text`] wrote.
    pub(crate) fn parse(text: &str) -> Result<Self, ReadError> {
        let number = |text: &str| text.parse().map_err(|_| ReadError::BadCursor);
        let (touched_at, key) =
            text.strip_prefix("r1.").and_then(|rest| rest.split_once('.')).ok_or(ReadError::BadCursor)?;
        Ok(Self { touched_at: Timestamp(number(touched_at)?), key: number(key)? })
    }
}
