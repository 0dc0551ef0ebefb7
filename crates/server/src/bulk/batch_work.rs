//! The work that carries a batch from its input to its results.
//!
//! What became of a row is a document of its own, written under the condition that there is none; the counts are those
//! of these documents. A row that has one is never run again, whatever was cut off when.

use super::{
    Held,
    batch::{self, Batch, Face, Results, Status},
    door,
    files::{self, File, Lines, Writer},
    insist, pause,
    rows::{Left, Outcome, Row},
    seconds,
    shelf::Shelf,
};
use crate::App;
use bedplate_core::{
    id::Tenant,
    port::documents::{DocumentError, DocumentQuery, MAX_DOCUMENT_BYTES, NewDocument, Precondition, Revision},
};
use futures::{StreamExt, TryStreamExt, future::ready, stream::FuturesUnordered};
use serde_json::json;
use std::{
    collections::{BTreeSet, HashSet},
    time::{Duration, Instant},
};

/// Where what became of rows is: `<batch>/<row>`.
const OUTCOMES: &str = "batch-rows";

/// How many of them are read at once: each may be as large as a document.
const OUTCOMES_AT_ONCE: usize = 8;

/// How many rows a batch of OpenAI's clients has at most.
const MAX_ROWS: u64 = 50_000;

/// How many faults of a file are told.
const MAX_FAULTS: usize = 20;

/// How often counts are written while rows end, in rows.
const COUNT_EVERY: u64 = 32;

/// How long a count waits at most, once there is one.
const COUNT_AFTER: Duration = Duration::from_secs(1);

/// Works on a batch until it is over or the server stops.
pub(super) fn spawn(app: &App, tenant: Tenant, id: String) {
    let Some(held) = Held::take(app, &tenant, &id) else { return };
    let work = Work { app: app.clone(), shelf: Shelf::new(app.documents(), &tenant), tenant, id };
    tokio::spawn(async move {
        let _held = held;
        while let Err(error) = work.go_on().await {
            tracing::warn!(%error, "a batch waits for the store");
            if !pause(&work.app, Duration::from_secs(1)).await {
                return;
            }
        }
    });
}

struct Work {
    app: App,
    tenant: Tenant,
    shelf: Shelf<Batch>,
    id: String,
}

impl Work {
    async fn go_on(&self) -> Result<(), DocumentError> {
        loop {
            let Some((batch, revision)) = self.shelf.get(&self.id).await? else {
                // It was removed, by itself or together with its person: nothing of it stays.
                return self.forget().await;
            };
            let more = match batch.status {
                Status::Validating => self.validate(batch, revision).await?,
                Status::InProgress => self.run(batch, revision).await?,
                Status::Cancelling => self.end(batch, revision, Status::Cancelled).await?,
                Status::Finalizing => self.finalize(batch, revision).await?,
                _ if batch.tidy => return Ok(()),
                _ => {
                    self.tidy_up().await?;
                    if batch.face == Face::Anthropic {
                        files::remove(&self.app, &self.tenant, &batch.input_file_id).await?;
                    }
                    self.save(batch, revision, |batch, _| batch.tidy = true).await?
                }
            };
            if !more {
                return Ok(());
            }
        }
    }

    /// Saves a change; somebody else's comes first. Returns true: there is more to do.
    async fn save(
        &self,
        mut batch: Batch,
        revision: Revision,
        change: impl FnOnce(&mut Batch, i64),
    ) -> Result<bool, DocumentError> {
        let now = self.app.now();
        change(&mut batch, seconds(now));
        match self.shelf.put(&batch, Precondition::At(revision), now).await {
            Ok(_) | Err(DocumentError::Conflict) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Says that nothing more is run, and how the batch will have ended once its files are written.
    async fn end(&self, batch: Batch, revision: Revision, ending: Status) -> Result<bool, DocumentError> {
        self.save(batch, revision, |batch, at| {
            batch.ending = Some(ending);
            batch.enter(Status::Finalizing, at);
        })
        .await
    }

    /// Reads the whole file before anything is run: a fault in its last line is told before money is spent.
    async fn validate(&self, batch: Batch, revision: Revision) -> Result<bool, DocumentError> {
        let mut lines = Lines::new(&self.app, &self.tenant, &batch.input_file_id);
        let (mut ids, mut faults, mut total) = (HashSet::new(), Vec::new(), 0_u64);
        while let Some(line) = lines.next().await? {
            total += 1;
            let fault = match Row::read(&line, &batch.endpoint) {
                Ok(row) if !ids.insert(row.custom_id.clone()) => {
                    Some(("duplicate_custom_id", format!("The custom_id '{}' came before", row.custom_id)))
                }
                Ok(_) if total > MAX_ROWS => {
                    Some(("too_many_tasks", format!("A batch has at most {MAX_ROWS} requests")))
                }
                Ok(_) => None,
                Err(fault) => Some(fault),
            };
            if let Some((code, message)) = fault {
                faults.push(json!({ "code": code, "message": message, "param": null, "line": total }));
                if faults.len() == MAX_FAULTS {
                    break;
                }
            }
        }
        if total == 0 {
            faults.push(json!({ "code": "empty_file", "message": "The input file has no requests", "param": null, "line": null }));
        }
        self.save(batch, revision, |batch, at| {
            batch.total = total;
            batch.enter(if faults.is_empty() { Status::InProgress } else { Status::Failed }, at);
            batch.faults = faults;
        })
        .await
    }

    /// Runs the rows that have no outcome yet.
    async fn run(&self, mut batch: Batch, mut revision: Revision) -> Result<bool, DocumentError> {
        let done = self.done().await?;
        (batch.completed, batch.failed) = (0, 0);
        for (_, well) in &done {
            count(&mut batch, *well);
        }
        let done: BTreeSet<u64> = done.into_iter().map(|(row, _)| row).collect();
        let mut lines = Lines::new(&self.app, &self.tenant, &batch.input_file_id);
        let (mut next, mut over) = (0, false);
        let (mut uncounted, mut counted_at) = (0, Instant::now());
        let plan = batch.clone();
        let halt = door::Halt::new();
        let mut open = FuturesUnordered::new();
        let window = self.app.0.bulk.limits.concurrency.max(1) as usize;
        loop {
            while !over && open.len() < window {
                match lines.next().await? {
                    None => over = true,
                    Some(_) if done.contains(&next) => next += 1,
                    Some(line) => {
                        open.push(self.row(&plan, next, line, &halt));
                        next += 1;
                    }
                }
            }
            // A cancel is seen also while nothing ends.
            let ended = tokio::select! {
                ended = open.next() => Some(ended),
                () = tokio::time::sleep(COUNT_AFTER) => None,
            };
            match ended {
                None => {}
                Some(None) => break,
                Some(Some(Ok(Some(well)))) => {
                    count(&mut batch, well);
                    uncounted += 1;
                }
                // The server stops; what has no outcome is run after the next start.
                Some(Some(Ok(None))) => return Ok(false),
                Some(Some(Err(error))) => return Err(error),
            }
            let expired = seconds(self.app.now()) >= batch.expires_at;
            let waited = uncounted > 0 && counted_at.elapsed() >= COUNT_AFTER;
            let due = uncounted >= COUNT_EVERY || waited || expired;
            // A cancel, or the deletion of the person, shows by the revision.
            let changed = self.shelf.get(&self.id).await?.is_none_or(|(_, found)| found != revision);
            if due || changed {
                (uncounted, counted_at) = (0, Instant::now());
                match self.shelf.put(&batch, Precondition::At(revision), self.app.now()).await {
                    Ok(new) => revision = new,
                    // It is cancelled or gone. What is under way ends first, so that its outcome counts; what waits
                    // does not begin.
                    Err(DocumentError::Conflict) => {
                        halt.halt();
                        open.try_for_each(|_| ready(Ok(()))).await?;
                        return Ok(true);
                    }
                    Err(error) => return Err(error),
                }
                if expired {
                    halt.halt();
                    open.try_for_each(|_| ready(Ok(()))).await?;
                    return self.end(batch, revision, Status::Expired).await;
                }
            }
        }
        self.end(batch, revision, Status::Completed).await
    }

    /// Runs a row and writes what became of it; returns whether it ended well, none when it was not done: the server
    /// stops, or nothing more shall begin.
    async fn row(
        &self,
        batch: &Batch,
        number: u64,
        line: bytes::Bytes,
        halt: &door::Halt,
    ) -> Result<Option<bool>, DocumentError> {
        let id = row_id(batch, number);
        let outcome = match Row::read(&line, &batch.endpoint) {
            Ok(row) => {
                let (who, to) = (&batch.who, door::To { path: &batch.endpoint, headers: &batch.headers });
                let Some(answer) = door::post(&self.app, &self.tenant, who, to, row.body(), halt).await else {
                    return Ok(None);
                };
                let outcome = Outcome::answered(batch.face, &id, &row.custom_id, &answer);
                if outcome.0.len() > MAX_DOCUMENT_BYTES {
                    // It would never be written: the row ends, so that it is not paid for again.
                    let instead = door::too_large(&batch.endpoint).await;
                    Outcome::answered(batch.face, &id, &row.custom_id, &instead)
                } else {
                    outcome
                }
            }
            // The whole input was read before.
            Err((code, message)) => Outcome::broken(&id, code, &message),
        };
        let well = outcome.is_well();
        let write = || {
            let document = NewDocument {
                id: outcome_id(&batch.id, number),
                user: Some(batch.who.user.clone()),
                body: outcome.0.clone(),
                precondition: Precondition::Absent,
                at: self.app.now(),
            };
            let written = self.app.documents().write(&self.tenant, OUTCOMES, document);
            async {
                match written.await {
                    // A write whose answer was lost is there.
                    Ok(_) | Err(DocumentError::Conflict) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        };
        Ok(insist(&self.app, write).await.map(|()| well))
    }

    /// Returns the rows that have an outcome, and whether each ended well.
    async fn done(&self) -> Result<Vec<(u64, bool)>, DocumentError> {
        let (mut done, mut after) = (Vec::new(), None);
        loop {
            let page = self.outcomes(after).await?;
            let Some((last, _)) = page.last() else { return Ok(done) };
            after = Some(last.clone());
            for (id, outcome) in page {
                done.extend(row_of(&id).map(|row| (row, outcome.is_well())));
            }
        }
    }

    async fn outcomes(&self, after: Option<String>) -> Result<Vec<(String, Outcome)>, DocumentError> {
        let query = DocumentQuery {
            collection: OUTCOMES.to_owned(),
            prefix: format!("{}/", self.id),
            after,
            limit: OUTCOMES_AT_ONCE,
            ..DocumentQuery::default()
        };
        let page = self.app.documents().list(&self.tenant, query).await?;
        Ok(page.into_iter().map(|document| (document.id, Outcome(document.body))).collect())
    }

    /// Writes what became of the rows where clients find it. Doing it again writes the same.
    async fn finalize(&self, batch: Batch, revision: Revision) -> Result<bool, DocumentError> {
        let ending = batch.ending.unwrap_or(Status::Completed);
        let left = match (batch.face, ending) {
            (_, Status::Expired) => Some(Left::Expired),
            (Face::Anthropic, Status::Cancelled) => Some(Left::Canceled),
            _ => None,
        };
        let mut shelves = Shelves::of(self, &batch);
        let (mut completed, mut failed, mut left_out, mut after) = (0, 0, 0, None);
        let mut seen = BTreeSet::new();
        loop {
            let page = self.outcomes(after).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (id, outcome) in page {
                seen.extend(row_of(&id));
                if outcome.is_well() {
                    completed += 1;
                } else {
                    failed += 1;
                }
                shelves.write(&outcome).await?;
            }
        }
        if let Some(left) = left {
            let mut lines = Lines::new(&self.app, &self.tenant, &batch.input_file_id);
            let mut number = 0;
            while let Some(line) = lines.next().await? {
                if let (false, Ok(row)) = (seen.contains(&number), Row::read(&line, &batch.endpoint)) {
                    let id = row_id(&batch, number);
                    left_out += 1;
                    shelves.write(&Outcome::left_out(batch.face, &id, &row.custom_id, left)).await?;
                }
                number += 1;
            }
        }
        let written = shelves.finish().await?;
        self.save(batch, revision, |batch, at| {
            batch.left_out = left_out;
            // OpenAI counts a row that ran out of time as one that failed.
            (batch.completed, batch.failed) =
                (completed, failed + if batch.face == Face::OpenAi { left_out } else { 0 });
            (batch.output_file_id, batch.error_file_id, batch.results) = written;
            batch.enter(ending, at);
        })
        .await
    }

    /// Removes everything that follows from the id of a batch that is gone: its person was deleted while it was worked
    /// on, and what was written after that belongs to nobody.
    async fn forget(&self) -> Result<(), DocumentError> {
        self.tidy_up().await?;
        let name = batch::name_of(&self.id);
        let [output, errors] = batch::FILES.map(|which| batch::file_id(name, which));
        for file in [batch::results_id(&self.id), batch::requests_id(&self.id), output, errors] {
            files::remove(&self.app, &self.tenant, &file).await?;
        }
        Ok(())
    }

    /// Removes what became of each row: it is in the results.
    async fn tidy_up(&self) -> Result<(), DocumentError> {
        files::remove_all(&self.app, &self.tenant, OUTCOMES, &format!("{}/", self.id)).await
    }
}

/// Where what became of the rows is written.
enum Shelves {
    /// What ended well, and the rest.
    Files(Writer, Writer),
    Results(Writer),
}

/// The ids of the files of what ended well and of the rest, or the results.
type Written = (Option<String>, Option<String>, Option<Results>);

impl Shelves {
    fn of(work: &Work, batch: &Batch) -> Self {
        let writer = |id: String, name: String| {
            let file = File::new(id, batch.who.user.clone(), name, "batch_output", work.app.now());
            Writer::new(&work.app, &work.tenant, file)
        };
        match batch.face {
            Face::OpenAi => {
                let [output, errors] = batch::FILES
                    .map(|which| writer(batch::file_id(batch.name(), which), format!("{}_{which}.jsonl", batch.id)));
                Self::Files(output, errors)
            }
            Face::Anthropic => Self::Results(writer(batch.results_id(), String::new())),
        }
    }

    async fn write(&mut self, outcome: &Outcome) -> Result<(), DocumentError> {
        match self {
            Self::Files(output, _) if outcome.is_well() => output.write(outcome.line()).await,
            Self::Files(_, errors) => errors.write(outcome.line()).await,
            Self::Results(results) => results.write(outcome.line()).await,
        }
    }

    async fn finish(self) -> Result<Written, DocumentError> {
        match self {
            Self::Files(output, errors) => Ok((finished(output).await?, finished(errors).await?, None)),
            Self::Results(results) => {
                let file = results.flush().await?;
                Ok((None, None, Some(Results { pieces: file.pieces, bytes: file.bytes })))
            }
        }
    }
}

/// Ends a file that something was written to; returns its id.
async fn finished(writer: Writer) -> Result<Option<String>, DocumentError> {
    if writer.written() == 0 {
        return Ok(None);
    }
    Ok(Some(writer.finish().await?.id))
}

fn count(batch: &mut Batch, well: bool) {
    if well {
        batch.completed += 1;
    } else {
        batch.failed += 1;
    }
}

fn row_id(batch: &Batch, row: u64) -> String {
    format!("batch_req_{}_{row}", batch.name())
}

fn outcome_id(batch: &str, row: u64) -> String {
    format!("{batch}/{row:08}")
}

/// Returns the row that an id of [`outcome_id`] is of.
fn row_of(outcome: &str) -> Option<u64> {
    outcome.rsplit('/').next()?.parse().ok()
}
