//! Files: what they are called, and their content in pieces that fit a document.

use super::{
    seconds,
    shelf::{Kept, Shelf},
};
use crate::App;
use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bedplate_core::{
    id::{Tenant, UserId},
    port::documents::{DocumentError, DocumentQuery, NewDocument, Precondition},
    time::Timestamp,
};
use bytes::{Bytes, BytesMut};
use futures::Stream;
use serde::{Deserialize, Serialize};

/// Where the pieces of files are: `<file>/<number>`.
const PIECES: &str = "file-pieces";

/// How large a piece is, in bytes; the last one may be smaller.
const PIECE: usize = 1024 * 1024;

/// What is known of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct File {
    pub(super) id: String,
    pub(super) user: UserId,
    pub(super) name: String,
    pub(super) purpose: String,
    pub(super) bytes: u64,
    pub(super) pieces: u32,
    pub(super) created_at: i64,
}

impl File {
    /// Returns a file that has no content yet.
    pub(super) fn new(id: String, user: UserId, name: String, purpose: &str, at: Timestamp) -> Self {
        Self { id, user, name, purpose: purpose.to_owned(), bytes: 0, pieces: 0, created_at: seconds(at) }
    }
}

impl Kept for File {
    const COLLECTION: &'static str = "files";

    fn id(&self) -> &str {
        &self.id
    }

    fn user(&self) -> &UserId {
        &self.user
    }
}

/// Writes the content of a file piece by piece. The file is there once [`Writer::finish`] has returned.
pub(super) struct Writer {
    app: App,
    tenant: Tenant,
    file: File,
    pending: BytesMut,
}

impl Writer {
    pub(super) fn new(app: &App, tenant: &Tenant, file: File) -> Self {
        Self { app: app.clone(), tenant: tenant.clone(), file, pending: BytesMut::new() }
    }

    pub(super) fn written(&self) -> u64 {
        self.file.bytes + self.pending.len() as u64
    }

    /// Says what the file is called and for.
    pub(super) fn describe(&mut self, name: Option<String>, purpose: Option<String>) {
        self.file.name = name.unwrap_or_else(|| std::mem::take(&mut self.file.name));
        self.file.purpose = purpose.unwrap_or_else(|| std::mem::take(&mut self.file.purpose));
    }

    pub(super) fn has_purpose(&self) -> bool {
        !self.file.purpose.is_empty()
    }

    pub(super) async fn write(&mut self, content: &[u8]) -> Result<(), DocumentError> {
        self.pending.extend_from_slice(content);
        while self.pending.len() >= PIECE {
            let piece = self.pending.split_to(PIECE).freeze();
            self.put(piece).await?;
        }
        Ok(())
    }

    pub(super) async fn finish(self) -> Result<File, DocumentError> {
        let (app, tenant) = (self.app.clone(), self.tenant.clone());
        let file = self.flush().await?;
        Shelf::new(app.documents(), &tenant).put(&file, Precondition::Any, app.now()).await?;
        Ok(file)
    }

    /// Writes the rest, of a file that clients do not see: whoever made it knows its pieces.
    pub(super) async fn flush(mut self) -> Result<File, DocumentError> {
        self.rest().await?;
        Ok(self.file)
    }

    /// Writes what is not yet a whole piece; nothing may follow.
    pub(super) async fn rest(&mut self) -> Result<(), DocumentError> {
        let rest = self.pending.split().freeze();
        if rest.is_empty() { Ok(()) } else { self.put(rest).await }
    }

    /// Takes back what was written of a file that will not be there.
    pub(super) async fn abandon(self) {
        // What is left behind is in nobody's way.
        let _ = remove_pieces(&self.app, &self.tenant, &self.file.id).await;
    }

    async fn put(&mut self, piece: Bytes) -> Result<(), DocumentError> {
        self.file.bytes += piece.len() as u64;
        let document = NewDocument {
            id: piece_id(&self.file.id, self.file.pieces),
            user: Some(self.file.user.clone()),
            body: piece,
            precondition: Precondition::Any,
            at: self.app.now(),
        };
        self.file.pieces += 1;
        self.app.documents().write(&self.tenant, PIECES, document).await.map(drop)
    }
}

/// Returns a piece of a file; none when there is no such piece.
async fn piece(app: &App, tenant: &Tenant, file: &str, number: u32) -> Result<Option<Bytes>, DocumentError> {
    let found = app.documents().get(tenant, PIECES, &piece_id(file, number)).await?;
    Ok(found.map(|document| document.body))
}

/// Sends `pieces` pieces of a file, piece by piece.
fn stream(app: &App, tenant: &Tenant, file: String, pieces: u32) -> impl Stream<Item = std::io::Result<Bytes>> + use<> {
    let (app, tenant) = (app.clone(), tenant.clone());
    async_stream::stream! {
        for number in 0..pieces {
            match piece(&app, &tenant, &file, number).await {
                Ok(Some(bytes)) => yield Ok(bytes),
                // A body that is shorter than it said is no whole one, which the client sees.
                Ok(None) => { yield Err(std::io::Error::other("the file was removed")); return }
                Err(error) => { yield Err(std::io::Error::other(error)); return }
            }
        }
    }
}

/// Returns a response with `pieces` pieces of a file, `bytes` bytes in all.
pub(super) fn response(app: &App, tenant: &Tenant, file: String, pieces: u32, bytes: u64, kind: &str) -> Response {
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_LENGTH, bytes.to_string())];
    (headers, Body::from_stream(stream(app, tenant, file, pieces))).into_response()
}

/// Removes a file; returns whether there was one.
pub(super) async fn remove(app: &App, tenant: &Tenant, file: &str) -> Result<bool, DocumentError> {
    let removed = Shelf::<File>::new(app.documents(), tenant).delete(file).await?;
    remove_pieces(app, tenant, file).await?;
    Ok(removed)
}

async fn remove_pieces(app: &App, tenant: &Tenant, file: &str) -> Result<(), DocumentError> {
    remove_all(app, tenant, PIECES, &format!("{file}/")).await
}

/// Removes all documents of a collection whose ids begin with `prefix`.
pub(super) async fn remove_all(
    app: &App,
    tenant: &Tenant,
    collection: &str,
    prefix: &str,
) -> Result<(), DocumentError> {
    loop {
        let query = DocumentQuery {
            collection: collection.to_owned(),
            prefix: prefix.to_owned(),
            limit: 16,
            ..DocumentQuery::default()
        };
        let page = app.documents().list(tenant, query).await?;
        if page.is_empty() {
            return Ok(());
        }
        for document in page {
            app.documents().delete(tenant, collection, &document.id, Precondition::Any).await?;
        }
    }
}

fn piece_id(file: &str, number: u32) -> String {
    format!("{file}/{number:06}")
}

/// Reads a file line by line.
pub(super) struct Lines {
    app: App,
    tenant: Tenant,
    file: String,
    next_piece: u32,
    pending: BytesMut,
    over: bool,
}

impl Lines {
    pub(super) fn new(app: &App, tenant: &Tenant, file: &str) -> Self {
        let (app, tenant, file) = (app.clone(), tenant.clone(), file.to_owned());
        Self { app, tenant, file, next_piece: 0, pending: BytesMut::new(), over: false }
    }

    /// Returns the next line that says something, without its end; none at the end of the file.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, DocumentError> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.pending[searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.pending.split_to(searched + at + 1).freeze();
                searched = 0;
                let line = line.slice(..line.len() - 1);
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
                continue;
            }
            searched = self.pending.len();
            if self.over {
                let rest = self.pending.split().freeze();
                return Ok(Some(rest).filter(|rest| !rest.trim_ascii().is_empty()));
            }
            match piece(&self.app, &self.tenant, &self.file, self.next_piece).await? {
                Some(piece) => self.pending.extend_from_slice(&piece),
                None => self.over = true,
            }
            self.next_piece += 1;
        }
    }
}
