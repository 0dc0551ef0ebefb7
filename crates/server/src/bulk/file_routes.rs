//! `/v1/files`: files as OpenAI's clients handle them.

use super::{
    files::{self, File, Writer, remove},
    new_id,
    shelf::{Cursor, Shelf, failed},
    who::Who,
};
use crate::{
    ApiError, App,
    access::Identity,
    extract::{Params, page_size_to},
    routes::chat_completions::OpenAiError,
};
use axum::{
    Json,
    extract::{DefaultBodyLimit, FromRequest, Multipart, Path, Request, State, multipart::Field},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

/// The largest file, in bytes.
const MAX_BYTES: u64 = 200 * 1024 * 1024;

/// The longest name and purpose, in bytes.
const MAX_WORD: usize = 512;

impl File {
    fn shown(&self) -> Value {
        json!({
            "id": self.id, "object": "file", "bytes": self.bytes, "created_at": self.created_at,
            "filename": self.name, "purpose": self.purpose, "status": "processed", "expires_at": null,
        })
    }
}

/// Takes a file: a form with `purpose` and `file`.
#[utoipa::path(post, path = "/v1/files", tag = "bulk", operation_id = "upload_file",
    request_body(content = Object, content_type = "multipart/form-data", description = "`purpose` and `file`"),
    responses(
        (status = 200, description = "The file, as OpenAI has it", body = Object),
        (status = "4XX", description = "The request is wrong, in OpenAI's form", body = OpenAiError),
    )
)]
pub(crate) async fn upload(
    State(app): State<App>,
    identity: Identity,
    mut request: Request,
) -> Result<Json<Value>, ApiError> {
    let who = Who::of(&identity, None)?;
    // The form is written piece by piece and has a limit of its own; the framework's is 2 MB.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut form = Multipart::from_request(request, &app)
        .await
        .map_err(|error| ApiError::bad_request("invalid_request", error.body_text()))?;
    let file = File::new(new_id(&app, "file-"), who.user, "file".to_owned(), "", app.now());
    let mut writer = Writer::new(&app, &identity.tenant, file);
    match read(&mut form, &mut writer).await {
        Ok(()) => {
            let file = writer.finish().await.map_err(failed)?;
            Ok(Json(file.shown()))
        }
        Err(error) => {
            writer.abandon().await;
            Err(error)
        }
    }
}

async fn read(form: &mut Multipart, writer: &mut Writer) -> Result<(), ApiError> {
    let mut has_content = false;
    while let Some(mut field) = form.next_field().await.map_err(torn)? {
        match field.name().unwrap_or_default() {
            "purpose" => writer.describe(None, Some(word(field).await?)),
            "file" if !has_content => {
                has_content = true;
                let name = field.file_name().filter(|name| (1..=MAX_WORD).contains(&name.len())).map(str::to_owned);
                writer.describe(name, None);
                while let Some(bytes) = field.chunk().await.map_err(torn)? {
                    if writer.written() + bytes.len() as u64 > MAX_BYTES {
                        let message = format!("a file has at most {MAX_BYTES} bytes");
                        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message));
                    }
                    writer.write(&bytes).await.map_err(failed)?;
                }
            }
            // Fields that we know nothing of are read past.
            _ => while field.chunk().await.map_err(torn)?.is_some() {},
        }
    }
    if !has_content || !writer.has_purpose() {
        return Err(ApiError::bad_request("invalid_request", "the form needs the fields `purpose` and `file`"));
    }
    Ok(())
}

async fn word(mut field: Field<'_>) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(more) = field.chunk().await.map_err(torn)? {
        bytes.extend_from_slice(&more);
        if bytes.len() > MAX_WORD {
            return Err(ApiError::bad_request("invalid_request", format!("a field has at most {MAX_WORD} bytes")));
        }
    }
    String::from_utf8(bytes).map_err(|_| ApiError::bad_request("invalid_request", "a field is no UTF-8 text"))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn torn(error: axum::extract::multipart::MultipartError) -> ApiError {
    ApiError::bad_request("invalid_request", format!("the form could not be read: {}", error.body_text()))
}

/// Which files.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FileParams {
    /// Only those with this purpose.
    purpose: Option<String>,
    /// Only those before this one.
    after: Option<String>,
    /// How many at most, 1 to 1,000; default 1,000.
    limit: Option<usize>,
}

/// Lists files, the latest first.
#[utoipa::path(get, path = "/v1/files", tag = "bulk", operation_id = "list_files", params(FileParams), responses(
    (status = 200, description = "A page of files", body = Object),
    (status = "4XX", description = "The request is wrong", body = OpenAiError),
))]
pub(crate) async fn list(
    State(app): State<App>,
    identity: Identity,
    Params(params): Params<FileParams>,
) -> Result<Json<Value>, ApiError> {
    let FileParams { purpose, after, limit } = params;
    let size = page_size_to(1_000, limit, 1_000)?;
    let shelf = Shelf::<File>::new(app.documents(), &identity.tenant);
    let wanted = |file: &File| purpose.as_ref().is_none_or(|purpose| *purpose == file.purpose);
    let (page, more) = shelf.page("file-", &identity, Cursor::After(after), size, wanted).await?;
    let ids = (page.first().map(|file| &file.id), page.last().map(|file| &file.id));
    let shown: Vec<Value> = page.iter().map(File::shown).collect();
    Ok(Json(json!({ "object": "list", "data": shown, "first_id": ids.0, "last_id": ids.1, "has_more": more })))
}

/// Shows what is known of a file.
#[utoipa::path(get, path = "/v1/files/{file}", tag = "bulk", operation_id = "show_file",
    params(("file" = String, Path, description = "The file")),
    responses(
        (status = 200, description = "The file", body = Object),
        (status = "4XX", description = "There is no such file", body = OpenAiError),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(find(&app, &identity, &id).await?.shown()))
}

/// Sends the content of a file.
#[utoipa::path(get, path = "/v1/files/{file}/content", tag = "bulk", operation_id = "file_content",
    params(("file" = String, Path, description = "The file")),
    responses(
        (status = 200, description = "Its content", body = String, content_type = "application/octet-stream"),
        (status = "4XX", description = "There is no such file", body = OpenAiError),
    )
)]
pub(crate) async fn content(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let file = find(&app, &identity, &id).await?;
    Ok(files::response(&app, &identity.tenant, file.id, file.pieces, file.bytes, "application/octet-stream"))
}

/// Removes a file.
#[utoipa::path(delete, path = "/v1/files/{file}", tag = "bulk", operation_id = "delete_file",
    params(("file" = String, Path, description = "The file")),
    responses(
        (status = 200, description = "It is removed", body = Object),
        (status = "4XX", description = "There is no such file", body = OpenAiError),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let file = find(&app, &identity, &id).await?;
    let deleted = remove(&app, &identity.tenant, &file.id).await.map_err(failed)?;
    Ok(Json(json!({ "id": file.id, "object": "file", "deleted": deleted })))
}

async fn find(app: &App, identity: &Identity, id: &str) -> Result<File, ApiError> {
    let found = Shelf::<File>::new(app.documents(), &identity.tenant).find(id, identity).await?;
    found.map(|(file, _)| file).ok_or_else(|| ApiError::not_found("file_not_found", "there is no such file"))
}
