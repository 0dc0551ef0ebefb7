//! The file across versions and processes.

use bedplate_core::{
    event::{Event, RunKind, RunStarted, TurnOutcome},
    id::{ContentHash, RunId, Tenant},
    message::Message,
    port::journal::{Batch, Expected, NewRun, RunQuery, RunStatus, SignalOutcome},
    time::Timestamp,
};
use bedplate_store::{OpenError, Options, Store};
use rusqlite::Connection;
use std::{collections::BTreeSet, path::Path};

/// A file that version 1 of the schema wrote, with events in the shortest form that was ever valid.
const VERSION_1: &str = include_str!("../fixtures/version-1.sql");

fn write_version_1(folder: &Path) {
    let conn = Connection::open(folder.join("bedplate.db")).unwrap();
    conn.execute_batch(VERSION_1).unwrap();
}

#[tokio::test]
async fn a_file_of_version_1_is_read_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    write_version_1(folder.path());
    let store = Store::open(folder.path(), Options::default()).unwrap();
    assert_eq!(store.boot(), 4, "the file was opened three times before");
    let journal = store.journal();
    let tenant = Tenant::default();
    let head = journal.head(&tenant, RunId([0x11; 16])).await.unwrap().unwrap();
    assert_eq!((head.seq, head.status, head.wake_at), (40, RunStatus::Waiting, Some(Timestamp(1_700_000_090_000))));
    assert_eq!((head.session.as_str(), head.title.as_str()), ("first chat", "Where is my order?"));

    let entries = journal.read(head.run, 0, usize::MAX).await.unwrap();
    assert_eq!(entries.len(), 40);
    assert!(entries.iter().zip(1..).all(|(entry, seq)| entry.seq == seq));
    let Event::TurnStarted(turn) = &entries[1].event else { panic!("{:?}", entries[1]) };
    assert_eq!((&*turn.message, turn.timeout_seconds), (&Message::user("Where is my order?"), None));
    let Event::ModelCalled(call) = &entries[2].event else { panic!("{:?}", entries[2]) };
    assert_eq!((call.attempt, call.reserved, call.not_before), (1, 0, None));
    let Event::ModelReplied(reply) = &entries[3].event else { panic!("{:?}", entries[3]) };
    assert_eq!((reply.message.text().as_str(), reply.partial, reply.cost), ("It is on its way.", false, 0));
    let Event::TurnEnded(end) = &entries[39].event else { panic!("{:?}", entries[39]) };
    assert_eq!(end.outcome, TurnOutcome::Completed);

    let blob = journal.get_blob(&tenant, ContentHash::of(b"{\"name\":\"helper\"}")).await.unwrap();
    assert_eq!(blob.as_deref(), Some(&b"{\"name\":\"helper\"}"[..]));
    assert_eq!(journal.get_snapshot(head.run).await.unwrap(), Some((20, "state at 20".into())));
    let [signal] = &journal.signals(head.run).await.unwrap()[..] else { panic!("one signal waits") };
    assert_eq!((signal.id, signal.key.as_str(), &signal.body[..]), (2, "cancel-1", &b"{\"cancel\":{}}"[..]));
    let repeated = journal.signal(&tenant, head.run.id, "start-1", "x".into(), Timestamp(1)).await;
    assert_eq!(repeated, Ok(SignalOutcome::Duplicate));
    assert_eq!(journal.head(&tenant, RunId([0x22; 16])).await.unwrap(), None, "it was deleted");
    let keys = store.keys().list().await.unwrap();
    assert_eq!((keys.len(), keys[0].agents.as_deref()), (1, Some(&["helper".to_owned()][..])));

    let due = journal.claim_due(Timestamp(0), Timestamp(1_800_000_000_000), 10).await.unwrap();
    assert_eq!(due.iter().map(|head| head.run.id).collect::<Vec<_>>(), [head.run.id], "work of the old process");
    let batch = Batch {
        at: Timestamp(1_700_000_100_000),
        events: vec![entries[39].event.clone()].into(),
        status: RunStatus::Idle,
        wake_at: None,
        title: None,
        consumed: vec![2],
        blobs: Vec::new(),
    };
    let expected = Expected { seq: 40, epoch: due[0].epoch };
    assert_eq!(journal.append(head.run, expected, batch).await, Ok(41));
    assert_eq!(journal.read(head.run, 38, 10).await.unwrap().len(), 3);
    let list = journal.list(RunQuery { tenant: tenant.clone(), limit: 10, ..RunQuery::default() }).await.unwrap();
    assert_eq!(list.runs.len(), 1);
}

#[tokio::test]
async fn a_file_of_version_1_takes_runs_that_are_created_together_and_keeps_its_own() {
    let folder = tempfile::tempdir().unwrap();
    write_version_1(folder.path());
    let new = |at: u8| {
        let run = NewRun {
            id: RunId([at; 16]),
            tenant: Tenant::default(),
            kind: RunKind::Workflow,
            name: "each".to_owned(),
            user: "ann".into(),
            session: format!("child {at}"),
            parent: None,
        };
        let (name, user, session) = (run.name.clone(), run.user.clone(), run.session.clone());
        let started = RunStarted { kind: run.kind, name, user, session, parent: None };
        let batch = Batch {
            at: Timestamp(1_700_000_100_000),
            events: vec![Event::RunStarted(started)].into(),
            status: RunStatus::Succeeded,
            wake_at: None,
            title: Some(run.session.clone()),
            consumed: Vec::new(),
            blobs: Vec::new(),
        };
        (run, batch)
    };
    for reopened in [false, true] {
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let (journal, tenant) = (store.journal(), Tenant::default());
        // 0x11 is there, and 0x22 was deleted.
        let created = journal.create_ended([0x11, 0x22, 0x33, 0x44].map(new).into()).await.unwrap();
        assert_eq!(created, [false, false, !reopened, !reopened]);
        let query = RunQuery { tenant: tenant.clone(), limit: 10, ..RunQuery::default() };
        let listed = journal.list(query).await.unwrap().runs;
        let mut ids: Vec<u8> = listed.iter().map(|head| head.run.id.0[0]).collect();
        ids.sort_unstable();
        assert_eq!(ids, [0x11, 0x33, 0x44]);
        let keys: BTreeSet<i64> = listed.iter().map(|head| head.run.key).collect();
        assert_eq!(keys.len(), 3, "a key never names two runs");
        let old = journal.head(&tenant, RunId([0x11; 16])).await.unwrap().unwrap();
        assert_eq!((old.seq, old.session.as_str()), (40, "first chat"));
    }
}

#[test]
fn the_fixture_has_the_schema_of_the_first_migration() {
    // A migration that was released must not be edited: the fixture froze it.
    let schema = |sql: &str| {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(sql).unwrap();
        let mut select = conn.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
        select.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(schema(VERSION_1), schema(include_str!("../../src/sqlite/migrations/0001.sql")));
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path(), Options::default()).unwrap());
    let conn = Connection::open(folder.path().join("bedplate.db")).unwrap();
    conn.execute("UPDATE meta SET value = 99 WHERE name = 'schema_version'", []).unwrap();
    let Err(error) = Store::open(folder.path(), Options::default()) else { panic!("it was opened") };
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("version 99"), "{error}");
    let boot: i64 = conn.query_row("SELECT value FROM meta WHERE name = 'boot'", [], |row| row.get(0)).unwrap();
    assert_eq!(boot, 1, "a refused opening counts for nothing");
}

#[test]
fn a_second_opening_is_refused_and_names_folder_and_process() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    let Err(error) = Store::open(folder.path(), Options::default()) else { panic!("it was opened twice") };
    let text = error.to_string();
    assert!(text.contains(&folder.path().display().to_string()), "{text}");
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    store.close();
    let again = Store::open(folder.path(), Options::default()).unwrap();
    assert_eq!(again.boot(), 2);
}

#[test]
fn a_folder_that_cannot_be_made_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let opened = Store::open(file.join("below"), Options::default());
    assert!(matches!(opened.map(drop), Err(OpenError::Io { .. })));
    std::fs::write(folder.path().join("bedplate.db"), "this is no database, whatever its name says".repeat(100))
        .unwrap();
    let opened = Store::open(folder.path(), Options::default());
    assert!(matches!(opened.map(drop), Err(OpenError::Sqlite { .. })));
}

#[tokio::test]
async fn a_closed_store_answers_that_it_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    let (journal, keys) = (store.journal(), store.keys());
    store.close();
    assert!(journal.head(&Tenant::default(), RunId([0; 16])).await.is_err());
    assert!(journal.put_blob(&Tenant::default(), "x".into()).await.is_err());
    assert!(keys.list().await.is_err());
    let log = folder.path().join("bedplate.db-wal");
    assert!(std::fs::metadata(log).map_or(0, |log| log.len()) == 0, "closing copies the log back");
}
