//! What the headers of a request say about its call: whom it is for, what it belongs to, how urgent it is.

use crate::{ApiError, extract::identifier};
use axum::http::HeaderMap;
use bedplate_core::port::{CacheControl, Priority};
use std::collections::BTreeMap;

/// The user that a key which is bound to nobody speaks for.
const USER: &str = "x-bedplate-user";
/// The session that the call belongs to.
const SESSION: &str = "x-bedplate-session";
/// What the call is billed to: `name=value,name=value`.
const TAGS: &str = "x-bedplate-tags";
/// Where the data may be worked on.
const JURISDICTION: &str = "x-bedplate-jurisdiction";
/// Whether somebody waits: `interactive` or `batch`.
const PRIORITY: &str = "x-bedplate-priority";

/// What the names of all of these begin with.
const OURS: &str = "x-bedplate-";

/// How many tags a call has at most.
pub(crate) const MAX_TAGS: usize = 16;

/// The longest name of a tag or jurisdiction, in bytes.
const MAX_NAME: usize = 64;

/// What the headers of a request say about its call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) user: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) jurisdiction: Option<String>,
    pub(crate) priority: Priority,
    pub(crate) cache: CacheControl,
}

impl Said {
    /// Reads the headers. What cannot be understood is refused: a residency that is misread would be a breach, and a
    /// bill that goes to nobody is found too late.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut said = Self { cache: cache_control(headers), ..Self::default() };
        // Most requests have none, and each look for one costs as much as this.
        if !headers.keys().any(|name| name.as_str().starts_with(OURS)) {
            return Ok(said);
        }
        if let Some(text) = text(headers, USER)? {
            said.user = Some(identifier("user_id", text)?.to_owned());
        }
        if let Some(text) = text(headers, SESSION)? {
            said.session = Some(identifier("session_id", text)?.to_owned());
        }
        if let Some(text) = text(headers, TAGS)? {
            said.tags = tags(text)?;
        }
        if let Some(text) = text(headers, JURISDICTION)? {
            said.jurisdiction = Some(name(text).ok_or_else(|| invalid(JURISDICTION, "a name such as `eu`"))?);
        }
        said.priority = match text(headers, PRIORITY)? {
            None | Some("interactive") => Priority::Interactive,
            Some("batch") => Priority::Batch,
            Some(_) => return Err(invalid(PRIORITY, "`interactive` or `batch`")),
        };
        Ok(said)
    }
}

/// Reads `Cache-Control`; directives that no cache of ours knows are left alone, as the standard says (RFC 9111).
fn cache_control(headers: &HeaderMap) -> CacheControl {
    let mut said = CacheControl::default();
    let values = headers.get_all(axum::http::header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" => said.no_store = true,
            "no-cache" => said.no_cache = true,
            // An age that cannot be read is the strictest one.
            "max-age" => said.max_age = Some(argument.trim().trim_matches('"').parse().unwrap_or(0)),
            _ => {}
        }
    }
    said
}

fn text<'a>(headers: &'a HeaderMap, header: &'static str) -> Result<Option<&'a str>, ApiError> {
    let mut given = headers.get_all(header).iter();
    let (first, second) = (given.next(), given.next());
    if second.is_some() {
        return Err(invalid(header, "sent once"));
    }
    let Some(value) = first else { return Ok(None) };
    let text = value.to_str().map_err(|_| invalid(header, "plain text"))?.trim();
    Ok((!text.is_empty()).then_some(text))
}

fn tags(text: &str) -> Result<BTreeMap<String, String>, ApiError> {
    let mut tags = BTreeMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| invalid(TAGS, "`name=value,name=value`"))?;
        let key =
            name(key.trim()).ok_or_else(|| invalid(TAGS, "`name=value`, names of at most 64 of a-z, 0-9, _, -, ."))?;
        tags.insert(key, identifier("tag", value.trim())?.to_owned());
    }
    if tags.len() > MAX_TAGS {
        return Err(invalid(TAGS, "at most 16 tags"));
    }
    Ok(tags)
}

/// Returns the name of a tag as it is counted under; none when it is none.
pub(crate) fn tag_name(text: &str) -> Option<String> {
    name(text)
}

fn name(text: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    ((1..=MAX_NAME).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_ascii_lowercase())
}

fn invalid(header: &'static str, wanted: &str) -> ApiError {
    ApiError::bad_request("invalid_header", format!("the header {header} must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn said(given: &[(&'static str, &'static str)]) -> Result<Said, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Said::of(&headers).map_err(|error| error.code)
    }

    #[test]
    fn headers_say_whom_a_call_is_for_and_what_it_belongs_to() {
        let found = said(&[
            (TAGS, "project=search, team=a b,"),
            (JURISDICTION, "EU"),
            (SESSION, "s 1"),
            (USER, "ann"),
            (PRIORITY, "batch"),
            ("cache-control", "No-Cache, max-age=60, private"),
        ]);
        let tags = [("project", "search"), ("team", "a b")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let wanted = Said {
            user: Some("ann".into()),
            session: Some("s 1".into()),
            tags: tags.into(),
            jurisdiction: Some("eu".into()),
            priority: Priority::Batch,
            cache: CacheControl { no_store: false, no_cache: true, max_age: Some(60) },
        };
        assert_eq!(found, Ok(wanted));
        assert_eq!(said(&[]), Ok(Said::default()));
    }

    #[test]
    fn a_residency_or_a_bill_that_is_misspelt_is_refused_and_not_ignored() {
        for header in [(JURISDICTION, "eu us"), (TAGS, "project"), (TAGS, "=x"), (PRIORITY, "high")] {
            assert_eq!(said(&[header]), Err("invalid_header"), "{header:?}");
        }
        assert_eq!(said(&[(JURISDICTION, "eu"), (JURISDICTION, "us")]), Err("invalid_header"));
    }
}
