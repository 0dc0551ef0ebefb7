//! Runs that are about to be written into a bundle.

use super::{Member, by_prefix, insert_row, prefix, refer, reserve};
use crate::{
    pack,
    rules::{Prepared, first_epoch},
    sqlite::{
        append,
        head::{kind_word, status_number},
    },
};
use bedplate_core::{
    id::{ContentHash, Epoch, RunId, Tenant},
    port::journal::NewRun,
    time::Timestamp,
};
use rusqlite::{Connection, Result};
use std::collections::HashSet;

/// How many runs a bundle holds at most.
const MOST: usize = 256;

/// From how many bytes of events on a bundle takes no more runs.
const FULL: usize = 512 * 1024;

/// Runs of one kind, name, user and parent that end at one time, as they are about to be written.
pub(in crate::sqlite) struct Draft {
    /// The first of them; it says what all have in common.
    like: NewRun,
    at: Timestamp,
    blobs: Vec<ContentHash>,
    ids: Vec<RunId>,
    members: Vec<Member>,
    /// Before it is packed: the batches one after the other.
    plain: Vec<u8>,
    packed: Option<(Vec<u8>, Vec<u8>)>,
}

impl Draft {
    /// Returns an empty draft for runs like this one.
    pub(in crate::sqlite) fn new(run: &NewRun, batch: &Prepared) -> Self {
        let (like, at, blobs) = (run.clone(), batch.at, batch.blobs.clone());
        Self { like, at, blobs, ids: Vec::new(), members: Vec::new(), plain: Vec::new(), packed: None }
    }

    /// Returns whether a run and its batch, which is not packed, may lie in a bundle at all.
    pub(in crate::sqlite) fn suits(batch: &Prepared) -> bool {
        batch.events.large.is_empty()
    }

    /// Returns whether a run goes into this bundle too.
    pub(in crate::sqlite) fn takes(&self, run: &NewRun, batch: &Prepared) -> bool {
        let NewRun { tenant, kind, name, user, parent, id: _, session: _ } = run;
        let like = &self.like;
        self.ids.len() < MOST
            && self.plain.len() < FULL
            && (tenant, kind, name, user, parent) == (&like.tenant, &like.kind, &like.name, &like.user, &like.parent)
            && (batch.at, &batch.blobs) == (self.at, &self.blobs)
    }

    /// Adds a run.
    pub(in crate::sqlite) fn push(&mut self, run: NewRun, batch: Prepared) {
        self.ids.push(run.id);
        self.members.push(Member {
            session: run.session,
            title: batch.title.unwrap_or_default(),
            status: status_number(batch.status),
            seq: batch.events.count,
            bytes: batch.events.payload.len(),
        });
        self.plain.extend_from_slice(&batch.events.payload);
    }

    /// Returns the blobs that they name, and whose.
    pub(in crate::sqlite) fn blobs(&self) -> (&Tenant, &[ContentHash]) {
        (&self.like.tenant, &self.blobs)
    }

    /// Packs what was added, so that the writer need not.
    ///
    /// # Errors
    /// The message of the encoder.
    pub(in crate::sqlite) fn packed(mut self) -> Result<Self, String> {
        let heads = serde_json::to_vec(&self.members).map_err(|error| error.to_string())?;
        self.packed = Some((pack::shrink(&heads), pack::shrink(&self.plain)));
        Ok(self)
    }

    /// Writes the runs that are new; returns for each whether it is. The blobs that they name are there.
    pub(in crate::sqlite) fn write(&self, conn: &Connection, boot: u64) -> Result<Vec<bool>> {
        let mut seen = HashSet::with_capacity(self.ids.len());
        let mut new = Vec::with_capacity(self.ids.len());
        // Whether all are new, and each has a prefix of its own.
        let mut whole = true;
        for id in &self.ids {
            let is_new = seen.insert(*id) && append::is_new(conn, &self.like.tenant, *id)?;
            whole &= is_new && by_prefix(conn, *id)?.is_none();
            new.push(is_new);
        }
        whole &= self.ids.iter().map(|id| prefix(*id)).collect::<HashSet<_>>().len() == self.ids.len();
        let epoch = first_epoch(boot);
        match &self.packed {
            Some(packed) if whole => self.insert(conn, epoch, packed)?,
            _ => {
                let mut batches = &self.plain[..];
                for ((id, member), new) in self.ids.iter().zip(&self.members).zip(&new) {
                    let (batch, rest) = batches.split_at(member.bytes);
                    batches = rest;
                    if *new {
                        let key = reserve(conn, 1)?;
                        let like = NewRun { id: *id, ..self.like.clone() };
                        insert_row(conn, key, (&like, epoch, self.at), member, batch)?;
                        refer(conn, &like.tenant, key, &self.blobs)?;
                    }
                }
            }
        }
        Ok(new)
    }

    fn insert(&self, conn: &Connection, epoch: Epoch, (heads, data): &(Vec<u8>, Vec<u8>)) -> Result<()> {
        let (like, count) = (&self.like, self.ids.len() as i64);
        let key = reserve(conn, count)?;
        let ids: Vec<u8> = self.ids.iter().flat_map(|id| id.0).collect();
        let sql = "INSERT INTO bundle (key, tenant, kind, name, user, parent, epoch, at, count, ids, heads, data)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        conn.prepare_cached(sql)?.execute((
            key,
            like.tenant.as_str(),
            kind_word(like.kind),
            &like.name,
            like.user.as_str(),
            like.parent.as_ref().map(|id| &id.0[..]),
            epoch.cast_signed(),
            self.at.0,
            count,
            ids,
            heads,
            data,
        ))?;
        // In the order of the table, so that what lies on one page is written together.
        let mut numbers: Vec<(i64, i64)> = self.ids.iter().map(|id| prefix(*id)).zip(key..).collect();
        numbers.sort_unstable();
        let mut insert = conn.prepare_cached("INSERT INTO bundled (prefix, key) VALUES (?1, ?2)")?;
        for number in numbers {
            insert.execute(number)?;
        }
        refer(conn, &like.tenant, -key, &self.blobs)
    }
}
