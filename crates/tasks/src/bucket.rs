//! A folder of the project that stands for a bucket: items are read from it, results are written to it.

use crate::{
    Task,
    aws::sign_hex,
    config::Bucket,
    error::{TASK_FAILED, failed, text},
};
use bedplate_core::port::tasks::{TaskError, TaskReply};
use bytes::{Bytes, BytesMut};
use futures::stream;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use std::{
    io,
    path::{Component, Path, PathBuf},
};
use tokio::io::AsyncReadExt;

/// How many bytes are read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// How many objects a list holds at most.
const MAX_OBJECTS: usize = 100_000;

/// Performs an operation on objects of a folder.
pub async fn perform(task: &Task, bucket: &Bucket) -> Result<TaskReply, TaskError> {
    let root = task.shared.project.join(&bucket.folder);
    let input = &task.call.input;
    match task.resource.action.as_str() {
        "getObject" => get(&root, text(input, "Key")?).await,
        "putObject" if !bucket.writable => Err(failed(
            TASK_FAILED,
            "the bucket's folder is not writable: add writable = true to its table [buckets.<name>] of bedplate.toml",
        )),
        "putObject" => put(&root, text(input, "Key")?, crate::aws::body(input)?).await.map(TaskReply::Done),
        "listObjectsV2" | "listObjects" => {
            let prefix = input.get("Prefix").and_then(Value::as_str).unwrap_or_default().to_owned();
            let listed = tokio::task::spawn_blocking(move || list(&root, &prefix)).await;
            let listed = listed.map_err(|_| failed(TASK_FAILED, "the list was cut off"))?;
            listed.map(TaskReply::Done).map_err(|problem| broken(&problem))
        }
        other => Err(failed(TASK_FAILED, format!("the operation s3:{other} is not supported for a folder"))),
    }
}

async fn get(root: &Path, key: &str) -> Result<TaskReply, TaskError> {
    let path = inside(root, key).await?;
    let mut file = tokio::fs::File::open(&path).await.map_err(|problem| broken(&problem))?;
    let length = file.metadata().await.map_err(|problem| broken(&problem))?.len();
    if usize::try_from(length).is_ok_and(|length| length <= crate::aws::MAX_TEXT_BYTES) {
        let mut body = String::new();
        file.read_to_string(&mut body).await.map_err(|problem| broken(&problem))?;
        return Ok(TaskReply::Done(json!({ "Body": body, "ContentLength": length })));
    }
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        let count = file.read_buf(&mut piece).await.map_err(|problem| broken(&problem))?;
        Ok((count > 0).then(|| (piece.freeze(), file)))
    });
    Ok(TaskReply::Items(Box::pin(pieces)))
}

async fn put(root: &Path, key: &str, body: Bytes) -> Result<Value, TaskError> {
    let relative = relative(key)?;
    let path = root.join(&relative);
    let folder = path.parent().unwrap_or(root).to_owned();
    tokio::fs::create_dir_all(&folder).await.map_err(|problem| broken(&problem))?;
    stays(root, &folder).await?;
    // An object appears whole or not at all.
    let draft = folder.join(format!(".{}.new", path.file_name().unwrap_or_default().to_string_lossy()));
    tokio::fs::write(&draft, &body).await.map_err(|problem| broken(&problem))?;
    tokio::fs::rename(&draft, &path).await.map_err(|problem| broken(&problem))?;
    Ok(json!({ "ETag": format!("\"{}\"", sign_hex(&Md5::digest(&body))) }))
}

fn list(root: &Path, prefix: &str) -> io::Result<Value> {
    let mut contents = Vec::new();
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, within)) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            if name.starts_with('.') || kind.is_symlink() {
                continue;
            }
            let key = format!("{within}{name}");
            if kind.is_dir() {
                folders.push((entry.path(), format!("{key}/")));
            } else if key.starts_with(prefix) && contents.len() < MAX_OBJECTS {
                let metadata = entry.metadata()?;
                let changed = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
                contents.push(json!({
                    "Etag": "",
                    "Key": key,
                    "LastModified": changed.map(|at| at.as_secs()),
                    "Size": metadata.len(),
                    "StorageClass": "STANDARD",
                }));
            }
        }
    }
    contents.sort_by(|one, other| one["Key"].as_str().cmp(&other["Key"].as_str()));
    Ok(json!({ "Contents": contents, "KeyCount": contents.len(), "IsTruncated": false }))
}

/// Returns the file of an object, which lies within the folder whatever its key says and links lead to.
async fn inside(root: &Path, key: &str) -> Result<PathBuf, TaskError> {
    let path = root.join(relative(key)?);
    stays(root, &path).await?;
    Ok(path)
}

async fn stays(root: &Path, path: &Path) -> Result<(), TaskError> {
    let real = |path: PathBuf| async move { tokio::fs::canonicalize(path).await.map_err(|problem| broken(&problem)) };
    let (root, path) = (real(root.to_owned()).await?, real(path.to_owned()).await?);
    if path.starts_with(&root) { Ok(()) } else { Err(no_such_key()) }
}

fn relative(key: &str) -> Result<PathBuf, TaskError> {
    let path = Path::new(key);
    let plain =
        |part: Component<'_>| matches!(part, Component::Normal(name) if !name.to_string_lossy().starts_with('.'));
    if key.is_empty() || !path.components().all(plain) {
        return Err(failed(TASK_FAILED, format!("{key:?} is no key of an object in a folder")));
    }
    Ok(path.to_owned())
}

fn no_such_key() -> TaskError {
    failed("S3.NoSuchKeyException", "The specified key does not exist.")
}

fn broken(problem: &io::Error) -> TaskError {
    match problem.kind() {
        io::ErrorKind::NotFound => no_such_key(),
        io::ErrorKind::InvalidData => failed(TASK_FAILED, "the object is no text in UTF-8"),
        kind => failed(TASK_FAILED, format!("the bucket's folder cannot be used: {kind}")),
    }
}
