//! Call records as rows: the tenant, the id, and the rest as one JSON object without what says nothing.

use crate::fold::micros;
use bedplate_core::{
    id::{RecordId, Tenant},
    message::Usage,
    port::{
        Priority,
        records::{CacheUse, CallRecord, Outcome, Payload},
    },
    time::Timestamp,
};
use rusqlite::{Error, Result, Row, types::Type};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

type Text<'a> = Option<Cow<'a, str>>;

/// What the column `body` says; durations are microseconds, money is millionths of a US dollar.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Body<'a> {
    at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    tags: Cow<'a, BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jurisdiction: Text<'a>,
    #[serde(skip_serializing_if = "is_default")]
    batch: bool,
    #[serde(borrow)]
    dialect: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_default")]
    stream: bool,
    #[serde(borrow)]
    route: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Text<'a>,
    #[serde(skip_serializing_if = "is_default")]
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guard: Text<'a>,
    #[serde(skip_serializing_if = "is_default")]
    markers: u32,
    #[serde(skip_serializing_if = "is_default")]
    input: u64,
    #[serde(skip_serializing_if = "is_default")]
    output: u64,
    #[serde(skip_serializing_if = "is_default")]
    cache_read: u64,
    #[serde(skip_serializing_if = "is_default")]
    cache_write: u64,
    #[serde(skip_serializing_if = "is_default")]
    estimated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    saved: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_us: Option<u64>,
    total_us: u64,
    /// The kind of the error; none: the call did not fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Text<'a>,
    #[serde(skip_serializing_if = "is_default")]
    cancelled: bool,
}

/// Returns what the column `body` says of a record.
pub(super) fn body(record: &CallRecord) -> Result<String> {
    fn text(text: &Option<Arc<str>>) -> Text<'_> {
        text.as_deref().map(Cow::Borrowed)
    }
    let (error, message) = match &record.outcome {
        Outcome::Failed { kind, message } => (Some(Cow::Borrowed(&**kind)), Some(Cow::Borrowed(&**message))),
        Outcome::Ok | Outcome::Cancelled => (None, None),
    };
    let body = Body {
        at: record.at.0,
        user: text(&record.user),
        key: text(&record.key),
        team: text(&record.team),
        agent: text(&record.agent),
        session: text(&record.session),
        run: record.run.map(|run| run.to_string()),
        tags: Cow::Borrowed(&record.tags),
        jurisdiction: text(&record.jurisdiction),
        batch: record.priority == Priority::Batch,
        dialect: record.dialect.into(),
        stream: record.stream,
        route: Cow::Borrowed(&record.route),
        reason: text(&record.reason),
        target: text(&record.target),
        provider: text(&record.provider),
        model: text(&record.model),
        attempts: record.attempts,
        cache: record.cache.map(|cache| cache.as_str().into()),
        degraded: text(&record.degraded),
        guard: text(&record.guard),
        markers: record.prompt_cache_markers,
        input: record.usage.input,
        output: record.usage.output,
        cache_read: record.usage.cache_read,
        cache_write: record.usage.cache_write,
        estimated: record.estimated,
        cost: record.cost,
        saved: record.saved,
        first_us: record.first_token.map(micros),
        total_us: micros(record.total),
        error,
        message,
        cancelled: record.outcome == Outcome::Cancelled,
    };
    serde_json::to_string(&body).map_err(|error| Error::ToSqlConversionFailure(error.into()))
}

/// Reads `id, body` and whether there is a payload, which is told by an empty one.
pub(super) fn read(tenant: &Tenant, row: &Row<'_>) -> Result<CallRecord> {
    let text = |text: Text<'_>| text.map(|text| Arc::<str>::from(&*text));
    let id = row.get_ref(0)?.as_blob()?.try_into().map_err(|_| unreadable("an id of 16 bytes"))?;
    let body: Body<'_> = serde_json::from_str(row.get_ref(1)?.as_str()?).map_err(unreadable)?;
    let outcome = match body.error {
        Some(kind) => Outcome::Failed { kind: (*kind).into(), message: (*body.message.unwrap_or_default()).into() },
        None if body.cancelled => Outcome::Cancelled,
        None => Outcome::Ok,
    };
    Ok(CallRecord {
        tenant: tenant.clone(),
        id: RecordId(id),
        at: Timestamp(body.at),
        user: text(body.user),
        key: text(body.key),
        team: text(body.team),
        agent: text(body.agent),
        session: text(body.session),
        run: body.run.map(|run| run.parse().map_err(|_| unreadable("a run's id"))).transpose()?,
        tags: body.tags.into_owned(),
        jurisdiction: text(body.jurisdiction),
        priority: if body.batch { Priority::Batch } else { Priority::Interactive },
        dialect: dialect(&body.dialect),
        stream: body.stream,
        route: (*body.route).into(),
        reason: text(body.reason),
        target: text(body.target),
        provider: text(body.provider),
        model: text(body.model),
        attempts: body.attempts,
        cache: body.cache.as_deref().and_then(CacheUse::of),
        degraded: text(body.degraded),
        guard: text(body.guard),
        prompt_cache_markers: body.markers,
        usage: Usage {
            input: body.input,
            output: body.output,
            cache_read: body.cache_read,
            cache_write: body.cache_write,
        },
        estimated: body.estimated,
        cost: body.cost,
        saved: body.saved,
        first_token: body.first_us.map(Duration::from_micros),
        total: Duration::from_micros(body.total_us),
        outcome,
        payload: row.get::<_, bool>(2)?.then(Box::<Payload>::default),
    })
}

pub(super) fn unreadable(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::FromSqlConversionFailure(0, Type::Null, what.into())
}

/// Returns the dialect that `word` names.
fn dialect(word: &str) -> &'static str {
    const KNOWN: [&str; 6] =
        ["openai_chat", "openai_responses", "anthropic_messages", "bedrock_converse", "openai_embeddings", "core"];
    KNOWN.into_iter().find(|known| *known == word).unwrap_or("other")
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
