//! Bundles from their making to their opening.

use super::*;
use crate::{codec::encode_plain, rules::Prepared};
use bedplate_core::{
    event::{Event, RunKind, RunStarted},
    port::journal::{Batch, RunStatus},
};
use std::{collections::HashSet, sync::Arc};

fn open_file() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    for sql in [include_str!("../migrations/0001.sql"), include_str!("../migrations/0004.sql")] {
        conn.execute_batch(sql).unwrap();
    }
    conn
}

fn runs(count: u8) -> Vec<NewRun> {
    let run = |at| NewRun {
        id: RunId([at; ID]),
        tenant: "acme".into(),
        kind: RunKind::Workflow,
        name: "a map run".into(),
        user: "ann".into(),
        session: format!("child {at}"),
        parent: None,
    };
    (0..count).map(run).collect()
}

fn event(run: &NewRun) -> Event {
    let (name, session) = (run.name.clone(), run.session.clone());
    Event::RunStarted(RunStarted { kind: run.kind, name, user: run.user.clone(), session, parent: None })
}

fn draft(runs: Vec<NewRun>) -> Draft {
    let prepared = |run: &NewRun| {
        let batch = Batch {
            at: Timestamp(7),
            events: Arc::new(vec![event(run)]),
            status: RunStatus::Failed,
            wake_at: None,
            title: Some(run.session.clone()),
            consumed: Vec::new(),
            blobs: Vec::new(),
        };
        Prepared::for_ended_run(batch, encode_plain).unwrap()
    };
    let mut draft = Draft::new(&runs[0], &prepared(&runs[0]));
    for run in runs {
        let batch = prepared(&run);
        assert!(Draft::suits(&batch) && draft.takes(&run, &batch));
        draft.push(run, batch);
    }
    draft.packed().unwrap()
}

fn count(conn: &Connection, table: &str) -> i64 {
    conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn a_run_says_the_same_of_itself_in_a_bundle_and_after_it_was_opened() {
    let conn = open_file();
    let all = runs(5);
    assert_eq!(draft(all.clone()).write(&conn, 3).unwrap(), [true; 5]);
    assert_eq!((count(&conn, "bundle"), count(&conn, "bundled"), count(&conn, "run")), (1, 5, 0));
    let look = |run: &NewRun| {
        let head = head::load(&conn, &run.tenant, run.id, &Recent::default()).unwrap().unwrap();
        let entries = crate::sqlite::read::read(&conn, head.run, 0, 10, &Recent::default()).unwrap().unwrap();
        assert_eq!(entries.iter().map(|entry| &entry.event).collect::<Vec<_>>(), [&event(run)]);
        (head, entries)
    };
    let before: Vec<_> = all.iter().map(look).collect();
    assert!(open(&conn, before[3].0.run.key).unwrap());
    assert_eq!((count(&conn, "bundle"), count(&conn, "bundled"), count(&conn, "run")), (0, 0, 5));
    assert_eq!(all.iter().map(look).collect::<Vec<_>>(), before);
    assert!(!open(&conn, before[3].0.run.key).unwrap(), "it is in none any more");
    let next = draft(runs(9));
    assert_eq!(next.write(&conn, 3).unwrap(), [false, false, false, false, false, true, true, true, true]);
    let keys: HashSet<i64> = runs(9).iter().map(|run| look(run).0.run.key).collect();
    assert_eq!((count(&conn, "bundle"), keys.len()), (0, 9), "those that are new are rows of their own");
}

#[test]
fn runs_whose_ids_begin_alike_are_told_apart() {
    let conn = open_file();
    let mut all = runs(3);
    all[2].id.0[..8].copy_from_slice(&[0; 8]);
    assert_eq!(draft(all.clone()).write(&conn, 1).unwrap(), [true; 3]);
    assert_eq!((count(&conn, "bundle"), count(&conn, "run")), (0, 3), "one table cannot have both");
    let conn = open_file();
    let (first, other) = (all[..2].to_vec(), all[2..].to_vec());
    assert_eq!(draft(first.clone()).write(&conn, 1).unwrap(), [true; 2]);
    assert_eq!(key(&conn, &other[0].tenant, other[0].id).unwrap(), None);
    assert_eq!(draft(other).write(&conn, 1).unwrap(), [true]);
    assert_eq!(key(&conn, &"others".into(), first[0].id).unwrap(), None);
    let heads = all.iter().map(|run| head::load(&conn, &run.tenant, run.id, &Recent::default()).unwrap().unwrap());
    assert_eq!(heads.map(|head| head.session).collect::<Vec<_>>(), ["child 0", "child 1", "child 2"]);
    assert_eq!((count(&conn, "bundle"), count(&conn, "run")), (1, 1));
}

#[test]
fn a_damaged_bundle_is_an_error_and_never_a_panic() {
    let conn = open_file();
    let all = runs(4);
    draft(all.clone()).write(&conn, 1).unwrap();
    let run = head::load(&conn, &all[2].tenant, all[2].id, &Recent::default()).unwrap().unwrap().run;
    let rotten = serde_json::to_vec(&[0; 4].map(|_| ("s", "t", 99, 1, usize::MAX))).unwrap();
    for (column, bytes) in [
        ("data", vec![255, 255, 255, 255, 0]),
        ("data", pack::shrink(b"[]")),
        ("heads", Vec::new()),
        ("heads", pack::shrink(b"[]")),
        ("heads", pack::shrink(&rotten)),
    ] {
        conn.execute_batch("SAVEPOINT whole").unwrap();
        conn.execute(&format!("UPDATE bundle SET {column} = ?1"), [bytes]).unwrap();
        assert!(read(&conn, run, 0, &Recent::default()).is_err(), "{column}");
        assert!(open(&conn, run.key).is_err(), "{column}");
        if column == "heads" {
            assert!(load(&conn, &all[2].tenant, all[2].id, &Recent::default()).is_err());
        }
        conn.execute_batch("ROLLBACK TO whole").unwrap();
    }
    assert!(read(&conn, run, 0, &Recent::default()).unwrap().is_ok());
}
