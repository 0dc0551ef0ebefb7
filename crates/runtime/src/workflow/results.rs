//! Writes the results of a distributed Map as Step Functions does: files of those that succeeded, failed and are
//! pending, and a manifest that names them.
//!
//! The children's journals hold what they gave, so nothing is kept in memory but the file that is being filled. The
//! keys follow from the map run: writing again after a crash writes the same files.

use super::{
    api::{ExecutionStatus, ExecutionView},
    map_children::ChildNames,
    tasks,
};
use crate::{
    api::RunError,
    perform::{Reported, task_failed},
    runtime::Runtime,
};
use bedplate_core::{
    id::{RunId, Tenant},
    port::tasks::{TaskCall, TaskReply},
};
use bedplate_engine::{
    machine::TaskReport,
    workflow::{ResultsPlan, definition::Transformation, time},
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// About how large a file becomes before the next one is begun, in bytes.
const FILE_BYTES: usize = 8 * 1024 * 1024;

/// The kinds of files, as the manifest names them.
const KINDS: [&str; 3] = ["SUCCEEDED", "FAILED", "PENDING"];

/// Writes the results of one Map.
pub(super) struct ResultsWriter {
    pub runtime: Runtime,
    pub plan: ResultsPlan,
    pub names: ChildNames,
    /// What a file is written with; its input is replaced.
    pub call: TaskCall,
}

/// Files of one kind.
struct Files {
    kind: &'static str,
    open: String,
    written: Vec<Value>,
}

impl ResultsWriter {
    /// Writes all files; the report holds what the Map gives.
    pub(super) async fn write(self) -> Reported {
        match self.write_all().await {
            Ok(given) => TaskReport::Succeeded(Arc::new(given)).into(),
            Err(report) => report.into(),
        }
    }

    async fn write_all(&self) -> Result<Value, TaskReport> {
        let text = |name: &str| self.plan.input.get(name).and_then(Value::as_str);
        let bucket = text("Bucket").filter(|bucket| !bucket.is_empty());
        let bucket = bucket.ok_or_else(|| task_failed("the ResultWriter names no Bucket"))?;
        let id = self.plan.run.rsplit(':').next().unwrap_or_default();
        let folder = match text("Prefix").map(|prefix| prefix.trim_matches('/')).filter(|prefix| !prefix.is_empty()) {
            Some(prefix) => format!("{prefix}/{id}"),
            None => id.to_owned(),
        };
        let mut files = KINDS.map(|kind| Files { kind, open: String::new(), written: Vec::new() });
        for index in 0..self.plan.items.len() as u64 {
            let (kind, entries) = self.entries(index).await?;
            for entry in entries {
                self.add(&mut files[kind].open, &entry);
            }
            if files[kind].open.len() >= FILE_BYTES {
                self.close(&mut files[kind], bucket, &folder).await?;
            }
        }
        let mut named = Map::new();
        for mut files in files {
            if !files.open.is_empty() {
                self.close(&mut files, bucket, &folder).await?;
            }
            named.insert(files.kind.to_owned(), Value::Array(files.written));
        }
        let manifest = json!({"DestinationBucket": bucket, "MapRunArn": &*self.plan.run, "ResultFiles": named});
        let key = format!("{folder}/manifest.json");
        self.put(bucket, &key, manifest.to_string()).await?;
        Ok(json!({"MapRunArn": &*self.plan.run, "ResultWriterDetails": {"Bucket": bucket, "Key": key}}))
    }

    /// Returns what is written of a child, and into which kind of file.
    async fn entries(&self, index: u64) -> Result<(usize, Vec<Value>), TaskReport> {
        if index >= self.plan.begun {
            return Ok((2, vec![self.pending(index)]));
        }
        let tenant = &self.call.caller.tenant;
        let run = RunId::execution(tenant, &self.names.arn(index));
        let view = match self.ended(tenant, run).await {
            Ok(view) => view,
            // It could not be given any input; or the Map failed before it came to it.
            Err(RunError::NotFound) => {
                let kind = if self.plan.failed.contains(&index) { 1 } else { 2 };
                return Ok((kind, vec![self.pending(index)]));
            }
            Err(error) => return Err(task_failed(&format!("a child execution cannot be read: {error}"))),
        };
        match view.status {
            ExecutionStatus::Succeeded => Ok((0, self.succeeded(&view))),
            ExecutionStatus::Running => Ok((2, vec![self.pending(index)])),
            ExecutionStatus::Failed | ExecutionStatus::TimedOut | ExecutionStatus::Aborted => {
                Ok((1, vec![said(&view)]))
            }
        }
    }

    /// Returns a child that has ended. One under way is stopped: the Map has failed, and its own stops may come later.
    async fn ended(&self, tenant: &Tenant, run: RunId) -> Result<ExecutionView, RunError> {
        let view = self.runtime.execution(tenant, run).await?;
        if view.status != ExecutionStatus::Running {
            return Ok(view);
        }
        self.runtime.stop_execution(tenant, run, None, None).await?;
        self.runtime.execution(tenant, run).await
    }

    fn succeeded(&self, view: &ExecutionView) -> Vec<Value> {
        let output = || view.output.as_deref().cloned().unwrap_or_default();
        match self.plan.transformation {
            Transformation::None => vec![said(view)],
            Transformation::Compact => vec![output()],
            Transformation::Flatten => match output() {
                Value::Array(elements) => elements,
                other => vec![other],
            },
        }
    }

    fn pending(&self, index: u64) -> Value {
        let item = usize::try_from(index).ok().and_then(|at| self.plan.items.get(at)).unwrap_or_default();
        json!({
            "ExecutionArn": &*self.names.arn(index),
            "Input": item.to_string(),
            "InputDetails": {"Included": true},
            "Name": &*self.names.name(index),
            "Status": "PENDING",
        })
    }

    fn add(&self, file: &mut String, entry: &Value) {
        let separator = match (self.plan.lines, file.is_empty()) {
            (true, _) => "",
            (false, true) => "[",
            (false, false) => ",",
        };
        file.push_str(separator);
        file.push_str(&entry.to_string());
        if self.plan.lines {
            file.push('\n');
        }
    }

    async fn close(&self, files: &mut Files, bucket: &str, folder: &str) -> Result<(), TaskReport> {
        let mut body = std::mem::take(&mut files.open);
        let ending = if self.plan.lines {
            "jsonl"
        } else {
            body.push(']');
            "json"
        };
        let key = format!("{folder}/{}_{}.{ending}", files.kind, files.written.len());
        files.written.push(json!({"Key": &key, "Size": body.len()}));
        self.put(bucket, &key, body).await
    }

    async fn put(&self, bucket: &str, key: &str, body: String) -> Result<(), TaskReport> {
        let input = Arc::new(json!({"Bucket": bucket, "Key": key, "Body": body}));
        let idempotency_key = format!("{}:{key}", self.call.idempotency_key);
        let asked = TaskCall { input, idempotency_key, ..self.call.clone() };
        match self.runtime.shared().options.tasks.perform(asked).await {
            Ok(TaskReply::Done(_) | TaskReply::Submitted(_)) => Ok(()),
            Ok(TaskReply::Job { .. } | TaskReply::Items(_)) => {
                Err(task_failed("the ResultWriter's resource writes no file"))
            }
            Err(error) => Err(tasks::failed(error)),
        }
    }
}

/// Returns a child as the files tell it.
fn said(view: &ExecutionView) -> Value {
    let redrivable = view.redrivable;
    let mut entry = json!({
        "ExecutionArn": &*view.execution,
        "Input": view.input.to_string(),
        "InputDetails": {"Included": true},
        "Name": &*view.name,
        "RedriveCount": view.redrive_count,
        "RedriveStatus": if redrivable.is_ok() { "REDRIVABLE" } else { "NOT_REDRIVABLE" },
        "StartDate": time::format(view.started_at),
        "StateMachineArn": &*view.machine,
        "Status": view.status.word(),
    });
    if let Err(reason) = redrivable {
        entry["RedriveStatusReason"] = reason.into();
    }
    if let Some(stopped) = view.stopped_at {
        entry["StopDate"] = time::format(stopped).into();
    }
    if let Some(output) = &view.output {
        entry["Output"] = output.to_string().into();
        entry["OutputDetails"] = json!({"Included": true});
    }
    for (name, value) in [("Error", &view.error), ("Cause", &view.cause)] {
        if let Some(value) = value {
            entry[name] = (**value).into();
        }
    }
    entry
}
