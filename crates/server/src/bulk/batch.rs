//! Batches: what is kept of one, and the work that carries it from its file to its results.
//!
//! What became of a row is a document of its own, written under the condition that there is none; the counts are those
//! of these documents. A row that has one is never run again, whatever was cut off when.

use super::{
    door,
    files::{self, File, Lines, Writer},
    insist, pause,
    rows::{Outcome, Row},
    seconds,
    shelf::{Kept, Shelf},
    who::Who,
};
use crate::App;
use bedplate_core::{
    id::{Tenant, UserId},
    port::documents::{DocumentError, DocumentQuery, NewDocument, Precondition, Revision},
};
use futures::{StreamExt, stream::FuturesUnordered};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashSet},
    time::{Duration, Instant},
};

/// Where batches are.
pub(super) const BATCHES: &str = "batches";

/// Where what became of rows is: `<batch>/<row>`.
const OUTCOMES: &str = "batch-rows";

/// How many rows a batch has at most.
const MAX_ROWS: u64 = 50_000;

/// How many faults of a file are told.
const MAX_FAULTS: usize = 20;

/// How often counts are written while rows end, in rows.
const COUNT_EVERY: u64 = 32;

/// How long a count waits at most, once there is one.
const COUNT_AFTER: Duration = Duration::from_secs(1);

/// How a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Validating,
    Failed,
    InProgress,
    Finalizing,
    Completed,
    Expired,
    Cancelling,
    Cancelled,
}

/// A batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) id: String,
    pub(super) who: Who,
    pub(super) endpoint: String,
    pub(super) input_file_id: String,
    pub(super) completion_window: String,
    pub(super) status: Status,
    /// How it will have ended once its files are written.
    pub(super) ending: Option<Status>,
    pub(super) faults: Vec<Value>,
    pub(super) total: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) output_file_id: Option<String>,
    pub(super) error_file_id: Option<String>,
    /// Whether nothing is left of its rows but the files.
    pub(super) tidy: bool,
    pub(super) metadata: Value,
    pub(super) created_at: i64,
    pub(super) expires_at: i64,
    /// When it first had a status, in seconds since 1970.
    pub(super) since: serde_json::Map<String, Value>,
}

impl Kept for Batch {
    const COLLECTION: &'static str = BATCHES;

    fn id(&self) -> &str {
        &self.id
    }

    fn user(&self) -> &UserId {
        &self.who.user
    }
}

impl Batch {
    pub(super) fn enter(&mut self, status: Status, at: i64) {
        self.status = status;
        let word = serde_json::to_value(status).ok().and_then(|word| word.as_str().map(|word| format!("{word}_at")));
        if let Some(word) = word {
            self.since.entry(word).or_insert(Value::from(at));
        }
    }

    /// Returns the batch as OpenAI's clients know it.
    pub(super) fn shown(&self) -> Value {
        let errors = (!self.faults.is_empty()).then(|| json!({ "object": "list", "data": self.faults }));
        let mut shown = json!({
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": errors,
            "input_file_id": self.input_file_id,
            "completion_window": self.completion_window,
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "request_counts": { "total": self.total, "completed": self.completed, "failed": self.failed },
            "metadata": self.metadata,
        });
        for word in ["in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled"] {
            let name = format!("{word}_at");
            shown[&name] = self.since.get(&name).cloned().unwrap_or_default();
        }
        shown
    }
}

/// Works on a batch until it is over or the server stops.
pub(super) fn spawn(app: &App, tenant: Tenant, id: String) {
    let work = Work { app: app.clone(), shelf: Shelf::new(app.documents(), &tenant), tenant, id };
    tokio::spawn(async move {
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
                // It was removed together with its person: nothing of it stays.
                return self.tidy_up().await;
            };
            let more = match batch.status {
                Status::Validating => self.validate(batch, revision).await?,
                Status::InProgress => self.run(batch, revision).await?,
                Status::Cancelling => {
                    self.save(batch, revision, |batch, at| {
                        batch.ending = Some(Status::Cancelled);
                        batch.enter(Status::Finalizing, at);
                    })
                    .await?
                }
                Status::Finalizing => self.finalize(batch, revision).await?,
                _ if batch.tidy => return Ok(()),
                _ => {
                    self.tidy_up().await?;
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
        let mut open = FuturesUnordered::new();
        let window = self.app.0.bulk.limits.concurrency.max(1) as usize;
        loop {
            while !over && open.len() < window {
                match lines.next().await? {
                    None => over = true,
                    Some(_) if done.contains(&next) => next += 1,
                    Some(line) => {
                        open.push(self.row(&plan, next, line));
                        next += 1;
                    }
                }
            }
            match open.next().await {
                None => break,
                Some(Ok(Some(well))) => {
                    count(&mut batch, well);
                    uncounted += 1;
                }
                // The server stops; what has no outcome is run after the next start.
                Some(Ok(None)) => return Ok(false),
                Some(Err(error)) => return Err(error),
            }
            let expired = seconds(self.app.now()) >= batch.expires_at;
            let due = uncounted >= COUNT_EVERY || counted_at.elapsed() >= COUNT_AFTER || expired;
            // A cancel, or the deletion of the person, shows by the revision.
            let changed = self.shelf.get(&self.id).await?.is_none_or(|(_, found)| found != revision);
            if due || changed {
                (uncounted, counted_at) = (0, Instant::now());
                match self.shelf.put(&batch, Precondition::At(revision), self.app.now()).await {
                    Ok(new) => revision = new,
                    // It is cancelled or gone. What is under way ends first, so that its outcome counts.
                    Err(DocumentError::Conflict) => {
                        while let Some(ended) = open.next().await {
                            ended?;
                        }
                        return Ok(true);
                    }
                    Err(error) => return Err(error),
                }
                if expired {
                    while let Some(ended) = open.next().await {
                        ended?;
                    }
                    return self
                        .save(batch, revision, |batch, at| {
                            batch.ending = Some(Status::Expired);
                            batch.enter(Status::Finalizing, at);
                        })
                        .await;
                }
            }
        }
        self.save(batch, revision, |batch, at| {
            batch.ending = Some(Status::Completed);
            batch.enter(Status::Finalizing, at);
        })
        .await
    }

    /// Runs a row and writes what became of it; returns whether it ended well, none when the server stops.
    async fn row(&self, batch: &Batch, number: u64, line: bytes::Bytes) -> Result<Option<bool>, DocumentError> {
        let id = format!("batch_req_{}_{number}", &batch.id["batch_".len()..]);
        let outcome = match Row::read(&line, &batch.endpoint) {
            Ok(row) => {
                let answer = door::post(&self.app, &self.tenant, &batch.who, &batch.endpoint, None, row.body()).await;
                let Some(answer) = answer else { return Ok(None) };
                Outcome::answered(&id, &row.custom_id, &answer)
            }
            Err((code, message)) => Outcome::left_out(&id, "", code, &message),
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
                let row = id.rsplit('/').next().and_then(|row| row.parse().ok());
                done.extend(row.map(|row| (row, outcome.is_well())));
            }
        }
    }

    async fn outcomes(&self, after: Option<String>) -> Result<Vec<(String, Outcome)>, DocumentError> {
        let query = DocumentQuery {
            collection: OUTCOMES.to_owned(),
            prefix: format!("{}/", self.id),
            after,
            limit: 100,
            ..DocumentQuery::default()
        };
        let page = self.app.documents().list(&self.tenant, query).await?;
        Ok(page.into_iter().map(|document| (document.id, Outcome(document.body))).collect())
    }

    /// Writes the files of what became of the rows. Doing it again writes the same.
    async fn finalize(&self, batch: Batch, revision: Revision) -> Result<bool, DocumentError> {
        let ending = batch.ending.unwrap_or(Status::Completed);
        let file = |which: &str| File {
            id: format!("file-{}-{which}", &batch.id["batch_".len()..]),
            user: batch.who.user.clone(),
            name: format!("{}_{which}.jsonl", batch.id),
            purpose: "batch_output".to_owned(),
            bytes: 0,
            pieces: 0,
            created_at: seconds(self.app.now()),
        };
        let mut output = Writer::new(&self.app, &self.tenant, file("output"));
        let mut errors = Writer::new(&self.app, &self.tenant, file("error"));
        let (mut completed, mut failed, mut after) = (0, 0, None);
        let mut seen = BTreeSet::new();
        loop {
            let page = self.outcomes(after).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (id, outcome) in page {
                seen.extend(id.rsplit('/').next().and_then(|row| row.parse::<u64>().ok()));
                if outcome.is_well() {
                    completed += 1;
                    output.write(outcome.line()).await?;
                } else {
                    failed += 1;
                    errors.write(outcome.line()).await?;
                }
            }
        }
        if ending == Status::Expired {
            let mut lines = Lines::new(&self.app, &self.tenant, &batch.input_file_id);
            let mut number = 0;
            while let Some(line) = lines.next().await? {
                if let (false, Ok(row)) = (seen.contains(&number), Row::read(&line, &batch.endpoint)) {
                    let id = format!("batch_req_{}_{number}", &batch.id["batch_".len()..]);
                    let message = "This request could not be executed before the completion window expired.";
                    failed += 1;
                    errors.write(Outcome::left_out(&id, &row.custom_id, "batch_expired", message).line()).await?;
                }
                number += 1;
            }
        }
        let output = finished(output).await?;
        let errors = finished(errors).await?;
        self.save(batch, revision, |batch, at| {
            (batch.completed, batch.failed) = (completed, failed);
            (batch.output_file_id, batch.error_file_id) = (output, errors);
            batch.enter(ending, at);
        })
        .await
    }

    async fn tidy_up(&self) -> Result<(), DocumentError> {
        files::remove_all(&self.app, &self.tenant, OUTCOMES, &format!("{}/", self.id)).await
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

fn outcome_id(batch: &str, row: u64) -> String {
    format!("{batch}/{row:08}")
}
