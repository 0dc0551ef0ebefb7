//! A function that is a program: JSON on its standard input, JSON on its standard output; it dies with its call.

use super::{MAX_RESULT_BYTES, error, parsed, reported};
use crate::{
    Task,
    config::Function,
    error::{TASK_FAILED, failed},
};
use bedplate_core::port::tasks::TaskError;
use bedplate_net::Secrets;
use bytes::Bytes;
use serde_json::Value;
use std::process::Stdio;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
};

/// What of the environment a program finds besides its secrets.
const ENVIRONMENT: [&str; 6] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "SYSTEMROOT"];

/// How much of what a program says on its standard error is told.
const MAX_COMPLAINT_BYTES: usize = 2_000;

pub async fn call(task: &Task, function: &Function, body: Bytes) -> Result<Value, TaskError> {
    let [program, arguments @ ..] = function.command.as_slice() else {
        return Err(failed(TASK_FAILED, "the function has neither url nor command"));
    };
    let mut secrets = Secrets::default();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&task.shared.project).env_clear();
    command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    for name in &function.env {
        let value = (task.shared.secrets)(name)
            .ok_or_else(|| failed(TASK_FAILED, format!("the secret {name} is not set in the environment")))?;
        secrets.add(name, &value);
        command.env(name, value);
    }
    command
        .env("BEDPLATE_EXECUTION", &*task.call.execution)
        .env("BEDPLATE_IDEMPOTENCY_KEY", &task.call.idempotency_key);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(|problem| failed(TASK_FAILED, format!("the program {program:?} cannot be run: {problem}")))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program that reads nothing closes its input; what it answers decides.
            let _ = stdin.write_all(&body).await;
        }
    };
    let reads = (read(stdout, MAX_RESULT_BYTES), read(stderr, MAX_COMPLAINT_BYTES));
    let (_, output, complaint) = futures::future::join3(feed, reads.0, reads.1).await;
    let (output, whole) = output;
    if !whole {
        // It would wait for ever for somebody to read the rest.
        let _ = child.start_kill();
    }
    let status =
        child.wait().await.map_err(|problem| failed(TASK_FAILED, format!("the program was lost: {problem}")))?;
    if status.success() || !whole {
        let mut value = parsed(&output, whole)?;
        secrets.redact_json(&mut value);
        return Ok(value);
    }
    if let Ok(mut said) = serde_json::from_slice::<Value>(&output)
        && said.get("errorType").is_some()
    {
        secrets.redact_json(&mut said);
        return Err(reported(&said));
    }
    let complaint = secrets.redact(String::from_utf8_lossy(&complaint.0).trim());
    Err(error("Runtime.ExitError", &format!("Error: Runtime exited with error: {status}: {complaint}")))
}

/// Reads up to `most` bytes, and whether that is all; what comes after is taken and dropped for as long as it is short.
async fn read(from: Option<impl AsyncRead + Unpin>, most: usize) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let Some(from) = from else { return (bytes, true) };
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    let mut limited = from.take(limit);
    // What could be read before a failure counts.
    let _ = limited.read_to_end(&mut bytes).await;
    let mut rest = limited.into_inner();
    let mut more = [0; 4096];
    let mut left = rest.read(&mut more).await.unwrap_or(0);
    let whole = left == 0;
    let mut dropped = 0;
    while left > 0 && dropped < most {
        dropped += left;
        left = rest.read(&mut more).await.unwrap_or(0);
    }
    (bytes, whole)
}
