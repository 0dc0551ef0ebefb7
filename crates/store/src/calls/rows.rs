//! Call records as rows.

use crate::fold::{Figures, micros};
use bedplate_core::{
    id::RecordId,
    message::Usage,
    port::{
        Priority,
        records::{CacheUse, CallRecord, Dimension, Outcome, Payload},
    },
    time::Timestamp,
};
use rusqlite::{Error, Result, Row, Statement, params, types::Type};
use std::{sync::Arc, time::Duration};

pub(super) const COLUMNS: &str = "tenant, id, at, user, key, team, agent, session, run, tags, jurisdiction, priority, dialect, stream, \
     route, reason, target, provider, model, attempts, cache, degraded, guard, markers, input, output, cache_read, \
     cache_write, estimated, cost, saved, first_us, total_us, outcome, error, message";

pub(super) const INSERT: &str = "INSERT OR IGNORE INTO call (tenant, id, at, user, key, team, agent, session, run, tags, jurisdiction, \
     priority, dialect, stream, route, reason, target, provider, model, attempts, cache, degraded, guard, markers, \
     input, output, cache_read, cache_write, estimated, cost, saved, first_us, total_us, outcome, error, message) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, \
     ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36)";

const OK: i64 = 0;
pub(super) const FAILED: i64 = 1;
const CANCELLED: i64 = 2;

/// Returns the column that says what a call is under a dimension; none for tags and times.
pub(super) fn column(dimension: &Dimension) -> Option<&'static str> {
    Some(match dimension {
        Dimension::Model => "model",
        Dimension::Route => "route",
        Dimension::Provider => "provider",
        Dimension::Target => "target",
        Dimension::Key => "key",
        Dimension::Team => "team",
        Dimension::User => "user",
        Dimension::Agent => "agent",
        Dimension::Session => "session",
        Dimension::Run => "run",
        Dimension::Error => "error",
        Dimension::Cache => "cache",
        Dimension::Minute | Dimension::Hour | Dimension::Day | Dimension::Month | Dimension::Tag(_) => return None,
    })
}

pub(super) fn insert(statement: &mut Statement<'_>, record: &CallRecord) -> Result<()> {
    let (outcome, error, message) = match &record.outcome {
        Outcome::Ok => (OK, None, None),
        Outcome::Failed { kind, message } => (FAILED, Some(&**kind), Some(&**message)),
        Outcome::Cancelled => (CANCELLED, None, None),
    };
    let tags = (!record.tags.is_empty()).then(|| serde_json::to_string(&record.tags));
    let tags = tags.transpose().map_err(|error| Error::ToSqlConversionFailure(error.into()))?;
    statement.execute(params![
        record.tenant.as_str(),
        &record.id.0[..],
        record.at.0,
        record.user.as_deref(),
        record.key.as_deref(),
        record.team.as_deref(),
        record.agent.as_deref(),
        record.session.as_deref(),
        record.run.map(|run| run.to_string()),
        tags,
        record.jurisdiction.as_deref(),
        record.priority == Priority::Batch,
        record.dialect,
        record.stream,
        &*record.route,
        record.reason.as_deref(),
        record.target.as_deref(),
        record.provider.as_deref(),
        record.model.as_deref(),
        record.attempts,
        record.cache.map(CacheUse::as_str),
        record.degraded.as_deref(),
        record.guard.as_deref(),
        record.prompt_cache_markers,
        record.usage.input.cast_signed(),
        record.usage.output.cast_signed(),
        record.usage.cache_read.cast_signed(),
        record.usage.cache_write.cast_signed(),
        record.estimated,
        record.cost.map(u64::cast_signed),
        record.saved.cast_signed(),
        record.first_token.map(|it| micros(it).cast_signed()),
        micros(record.total).cast_signed(),
        outcome,
        error,
        message,
    ])?;
    Ok(())
}

/// Reads [`COLUMNS`] and whether there is a payload, which is told by an empty one.
pub(super) fn read(row: &Row<'_>) -> Result<CallRecord> {
    let text = |index: usize| Ok::<_, Error>(row.get::<_, Option<String>>(index)?.map(Arc::<str>::from));
    let number = |index: usize| row.get::<_, i64>(index).map(i64::cast_unsigned);
    let id: Vec<u8> = row.get(1)?;
    let tags = row.get::<_, Option<String>>(9)?.map(|json| serde_json::from_str(&json)).transpose();
    let outcome = match row.get(33)? {
        OK => Outcome::Ok,
        CANCELLED => Outcome::Cancelled,
        _ => Outcome::Failed {
            kind: text(34)?.unwrap_or_else(|| "".into()),
            message: text(35)?.unwrap_or_else(|| "".into()),
        },
    };
    Ok(CallRecord {
        tenant: row.get::<_, String>(0)?.into(),
        id: RecordId(id.try_into().map_err(|_| unreadable("an id of 16 bytes"))?),
        at: Timestamp(row.get(2)?),
        user: text(3)?,
        key: text(4)?,
        team: text(5)?,
        agent: text(6)?,
        session: text(7)?,
        run: row
            .get::<_, Option<String>>(8)?
            .map(|run| run.parse().map_err(|_| unreadable("a run's id")))
            .transpose()?,
        tags: tags.map_err(|error| unreadable(error.to_string()))?.unwrap_or_default(),
        jurisdiction: text(10)?,
        priority: if row.get(11)? { Priority::Batch } else { Priority::Interactive },
        dialect: dialect(&row.get::<_, String>(12)?),
        stream: row.get(13)?,
        route: row.get::<_, String>(14)?.into(),
        reason: text(15)?,
        target: text(16)?,
        provider: text(17)?,
        model: text(18)?,
        attempts: row.get(19)?,
        cache: row.get::<_, Option<String>>(20)?.as_deref().and_then(CacheUse::of),
        degraded: text(21)?,
        guard: text(22)?,
        prompt_cache_markers: row.get(23)?,
        usage: Usage { input: number(24)?, output: number(25)?, cache_read: number(26)?, cache_write: number(27)? },
        estimated: row.get(28)?,
        cost: row.get::<_, Option<i64>>(29)?.map(i64::cast_unsigned),
        saved: number(30)?,
        first_token: row.get::<_, Option<i64>>(31)?.map(|it| Duration::from_micros(it.cast_unsigned())),
        total: Duration::from_micros(number(32)?),
        outcome,
        payload: row.get::<_, bool>(36)?.then(Box::<Payload>::default),
    })
}

/// Reads what `costs` selects.
pub(super) fn figures(row: &Row<'_>) -> Result<Figures> {
    let number = |index: usize| row.get::<_, i64>(index).map(i64::cast_unsigned);
    let outcome: i64 = row.get(1)?;
    let cache: Option<String> = row.get(2)?;
    Ok(Figures {
        failed: outcome == FAILED,
        cancelled: outcome == CANCELLED,
        hit: cache.as_deref().and_then(CacheUse::of).is_some_and(CacheUse::is_hit),
        usage: Usage { input: number(3)?, output: number(4)?, cache_read: number(5)?, cache_write: number(6)? },
        cost: row.get::<_, Option<i64>>(7)?.map(i64::cast_unsigned),
        saved: number(8)?,
        total_us: number(9)?,
        first_us: row.get::<_, Option<i64>>(10)?.map(i64::cast_unsigned),
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
