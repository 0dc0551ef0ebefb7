//! The page: files of `web/`, embedded in the binary, under a strict Content-Security-Policy.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../web/"]
#[exclude = "*.json"]
#[exclude = "node_modules/*"]
#[exclude = "*.d.ts"]
#[exclude = "tests/*"]
struct Files;

/// What the page may do: load its own files and talk to its own server; nothing inline, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The addresses within the page; each is the same document.
pub(crate) const VIEWS: &[&str] = &[
    "/",
    "/chat",
    "/chat/{*rest}",
    "/runs",
    "/runs/{*rest}",
    "/approvals",
    "/workflows",
    "/workflows/{*rest}",
    "/models",
    "/models/{*rest}",
    "/costs",
    "/project",
];

/// Serves the page's document.
pub(crate) async fn document(headers: HeaderMap) -> Response {
    file("index.html", &headers)
}

/// Serves a file that the page's document refers to.
pub(crate) async fn asset(uri: Uri, headers: HeaderMap) -> Response {
    file(uri.path().trim_start_matches('/'), &headers)
}

fn file(path: &str, headers: &HeaderMap) -> Response {
    let Some(file) = Files::get(path) else { return StatusCode::NOT_FOUND.into_response() };
    let tag = format!("\"{}\"", blake3::Hash::from_bytes(file.metadata.sha256_hash()).to_hex());
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response =
        if known { StatusCode::NOT_MODIFIED.into_response() } else { file.data.into_owned().into_response() };
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, with_charset(kind.essence_str())),
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache".into()),
        (header::CONTENT_SECURITY_POLICY, POLICY.into()),
        (header::REFERRER_POLICY, "no-referrer".into()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

fn with_charset(kind: &str) -> String {
    let text = kind.starts_with("text/") || kind.ends_with("javascript") || kind.ends_with("json");
    if text { format!("{kind}; charset=utf-8") } else { kind.to_owned() }
}

/// Serves the page that draws the OpenAPI document.
pub(crate) fn docs(headers: &HeaderMap) -> Response {
    file("docs.html", headers)
}
