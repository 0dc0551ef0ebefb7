//! Jobs: a turn of an agent or a call of a model that nobody waits for, and a webhook that hears of its end.

use super::{
    Held, door,
    invocation::Invocation,
    pause, seconds,
    shelf::{Kept, Shelf},
    webhook::Webhook,
    who::Who,
};
use crate::App;
use bedplate_core::{
    id::{Tenant, UserId},
    port::documents::{DocumentError, Precondition, Revision},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// Where jobs are.
pub(super) const JOBS: &str = "jobs";

/// The longest wait between two looks at a turn that waits for a person.
const MAX_LOOK: Duration = Duration::from_secs(20);

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Queued,
    Running,
    /// A person must answer first.
    Waiting,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// A job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) who: Who,
    /// Where it is posted, and what.
    pub(super) path: String,
    pub(super) body: Value,
    /// The agent and the session of a turn.
    pub(super) agent: Option<(String, String)>,
    pub(super) status: Status,
    pub(super) result: Option<Value>,
    pub(super) webhook: Option<Webhook>,
    /// The invocation of AWS's that it is: its result becomes an object of a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) invocation: Option<Invocation>,
    pub(super) metadata: Value,
    pub(super) created_at: i64,
    pub(super) started_at: Option<i64>,
    pub(super) finished_at: Option<i64>,
}

impl Kept for Job {
    const COLLECTION: &'static str = JOBS;

    fn id(&self) -> &str {
        &self.id
    }

    fn user(&self) -> &UserId {
        &self.who.user
    }
}

impl Job {
    /// Returns a job that is to be begun; `at` is now, in seconds since 1970.
    pub(super) fn new(id: String, who: Who, path: String, body: Value, at: i64) -> Self {
        Self {
            id,
            who,
            path,
            body,
            agent: None,
            status: Status::Queued,
            result: None,
            webhook: None,
            invocation: None,
            metadata: Value::Null,
            created_at: at,
            started_at: None,
            finished_at: None,
        }
    }

    pub(super) fn shown(&self) -> Value {
        let webhook = self
            .webhook
            .as_ref()
            .map(|webhook| json!({ "url": webhook.url, "delivered": webhook.delivered, "attempts": webhook.attempts }));
        json!({
            "id": self.id, "object": "job", "status": self.status,
            "agent": self.agent.as_ref().map(|(agent, _)| agent),
            "session_id": self.agent.as_ref().map(|(_, session)| session),
            "endpoint": self.agent.is_none().then_some(&self.path),
            "result": self.result, "webhook": webhook, "metadata": self.metadata,
            "created_at": self.created_at, "started_at": self.started_at, "finished_at": self.finished_at,
        })
    }

    /// Ends it; whoever wants to hear of that does so next.
    pub(super) fn end(&mut self, status: Status, app: &App) {
        self.status = status;
        self.finished_at = Some(seconds(app.now()));
        if let Some(webhook) = &mut self.webhook {
            webhook.next_at = Some(app.now().0);
        }
    }
}

/// Works on a job until it is over and told, or the server stops.
pub(super) fn spawn(app: &App, tenant: Tenant, id: String) {
    let Some(held) = Held::take(app, &tenant, &id) else { return };
    begin(app, tenant, id, held);
}

/// Works on a job whose hold was taken before it was made.
pub(super) fn begin(app: &App, tenant: Tenant, id: String, held: Held) {
    let work = Work { app: app.clone(), shelf: Shelf::new(app.documents(), &tenant), tenant, id };
    tokio::spawn(async move {
        let _held = held;
        while let Err(error) = work.go_on().await {
            // A cancel came first; the next look sees it.
            let wait = if error == DocumentError::Conflict { Duration::ZERO } else { Duration::from_secs(1) };
            if !pause(&work.app, wait).await {
                return;
            }
        }
    });
}

struct Work {
    app: App,
    tenant: Tenant,
    shelf: Shelf<Job>,
    id: String,
}

impl Work {
    async fn go_on(&self) -> Result<(), DocumentError> {
        while let Some((mut job, revision)) = self.shelf.get(&self.id).await? {
            if !job.status.is_over() {
                if job.status == Status::Queued {
                    job.status = Status::Running;
                    job.started_at = Some(seconds(self.app.now()));
                    self.put(&job, revision).await?;
                    continue;
                }
                if !self.run(job, revision).await? {
                    return Ok(());
                }
                continue;
            }
            let Some(due) = job.webhook.as_ref().and_then(|webhook| webhook.next_at) else { return Ok(()) };
            let wait = Duration::from_millis(u64::try_from(due - self.app.now().0).unwrap_or(0));
            if !pause(&self.app, wait).await {
                return Ok(());
            }
            let shown = job.shown();
            let event = match job.status {
                Status::Completed => "job.completed",
                Status::Cancelled => "job.cancelled",
                _ => "job.failed",
            };
            if let Some(webhook) = &mut job.webhook {
                webhook.attempt(&self.app, &self.tenant, &self.id, event, &shown).await;
            }
            self.put(&job, revision).await?;
        }
        Ok(())
    }

    /// Does the work and writes what came of it; returns false when the server stops.
    async fn run(&self, mut job: Job, mut revision: Revision) -> Result<bool, DocumentError> {
        let mut look = Duration::from_millis(500);
        loop {
            // A turn that began before a crash is joined by its key.
            let key = job.agent.is_some().then(|| ("idempotency-key".to_owned(), self.id.clone()));
            let headers = BTreeMap::from_iter(key);
            let to = door::To { path: &job.path, headers: &headers };
            let body = Bytes::from(job.body.to_string());
            let Some(answer) = door::post(&self.app, &self.tenant, &job.who, to, body, &door::Halt::new()).await else {
                return Ok(false);
            };
            if let Some(invocation) = &mut job.invocation {
                let delivered = invocation.deliver(&self.app, &self.tenant, &job.who.user, &answer).await;
                let Some(well) = delivered else { return Ok(false) };
                job.end(if well { Status::Completed } else { Status::Failed }, &self.app);
                self.put(&job, revision).await?;
                return Ok(true);
            }
            let body = answer.json();
            let waits = job.agent.is_some() && body["status"] == "waiting";
            let well = answer.is_well() && body["error"].is_null();
            job.result = Some(json!({ "status_code": answer.status, "body": body }));
            if !waits {
                job.end(if well { Status::Completed } else { Status::Failed }, &self.app);
                self.keep(&mut job, revision).await?;
                return Ok(true);
            }
            if job.status != Status::Waiting {
                job.status = Status::Waiting;
                revision = self.keep(&mut job, revision).await?;
            } else if self.shelf.get(&self.id).await?.is_none_or(|(_, found)| found != revision) {
                return Ok(true);
            }
            if !pause(&self.app, look).await {
                return Ok(false);
            }
            look = (look * 2).min(MAX_LOOK);
        }
    }

    /// Writes a job with its result; one that is larger than a document may be ends the job, so that it is not done, and
    /// paid for, again and again.
    async fn keep(&self, job: &mut Job, revision: Revision) -> Result<Revision, DocumentError> {
        match self.put(job, revision).await {
            Err(DocumentError::TooLarge { .. }) => {}
            other => return other,
        }
        let instead = door::too_large(&job.path).await;
        job.result = Some(json!({ "status_code": instead.status, "body": instead.json() }));
        job.end(Status::Failed, &self.app);
        self.put(job, revision).await
    }

    async fn put(&self, job: &Job, revision: Revision) -> Result<Revision, DocumentError> {
        self.shelf.put(job, Precondition::At(revision), self.app.now()).await
    }
}
