//! Lists of runs.

use super::{
    bundle,
    head::{self, COLUMNS, kind_word, status_number},
};
use crate::{cursor::Cursor, rules::MAX_PAGE};
use bedplate_core::port::journal::{ReadError, RunPage, RunQuery};
use rusqlite::{Connection, Result, ToSql};

/// Returns a page of heads, latest touched first.
pub(super) fn list(conn: &Connection, query: &RunQuery) -> Result<Result<RunPage, ReadError>> {
    let from = match query.cursor.as_deref().map(Cursor::parse).transpose() {
        Ok(from) => from,
        Err(error) => return Ok(Err(error)),
    };
    let limit = query.limit.clamp(1, MAX_PAGE);
    let mut sql = format!("SELECT {COLUMNS} FROM run WHERE tenant = ?");
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(query.tenant.as_str().to_owned())];
    let mut and = |condition: &str, value: Vec<Box<dyn ToSql>>| {
        sql.push_str(" AND ");
        sql.push_str(condition);
        values.extend(value);
    };
    if let Some(user) = &query.user {
        and("user = ?", vec![Box::new(user.as_str().to_owned())]);
    }
    if let Some(name) = &query.name {
        and("name = ?", vec![Box::new(name.clone())]);
    }
    if let Some(status) = query.status {
        and("status = ?", vec![Box::new(status_number(status))]);
    }
    if let Some(kind) = query.kind {
        and("kind = ?", vec![Box::new(kind_word(kind))]);
    }
    if let Some(parent) = query.parent {
        and("parent = ?", vec![Box::new(parent.0)]);
    }
    if let Some(Cursor { touched_at, key }) = from {
        and("(touched_at, key) < (?, ?)", vec![Box::new(touched_at.0), Box::new(key)]);
    }
    if let Some(text) = &query.text {
        let needle = text.to_lowercase();
        let condition = "(contains_folded(title, ?) OR contains_folded(session, ?))";
        and(condition, vec![Box::new(needle.clone()), Box::new(needle)]);
    }
    // One more than the page shows whether there is another.
    sql.push_str(&format!(" ORDER BY touched_at DESC, key DESC LIMIT {}", limit + 1));
    let mut select = conn.prepare_cached(&sql)?;
    let mut runs = select.query_map(rusqlite::params_from_iter(values), head::from_row)?.collect::<Result<Vec<_>>>()?;
    drop(select);
    bundle::list(conn, query, from, limit, &mut runs)?;
    runs.sort_by_key(|head| std::cmp::Reverse((head.touched_at, head.run.key)));
    let more = runs.len() > limit;
    runs.truncate(limit);
    let place = |head: &bedplate_core::port::journal::Head| Cursor { touched_at: head.touched_at, key: head.run.key };
    let cursor = runs.last().filter(|_| more).map(|last| place(last).to_text());
    Ok(Ok(RunPage { runs, cursor }))
}
