//! What happens when the journal dies by script, and when the disk below the store fails.

use bedplate_core::{
    event::{Event, QuestionAnswered, RunKind},
    id::{RunId, Tenant},
    port::journal::{AppendError, Batch, Expected, Journal, NewRun, ReadError, RunStatus},
    time::Timestamp,
};
use bedplate_store::{MemoryStore, Options, Store};
use bedplate_testkit::faulty::{Counted, Crash, FaultyJournal, Moment, Then};
use rusqlite::Connection;
use std::{future::Future, pin::pin, sync::Arc, task::Poll};

fn new(session: &str) -> NewRun {
    NewRun {
        id: RunId::derive(&[session.as_bytes()]),
        tenant: Tenant::default(),
        kind: RunKind::Agent,
        name: "helper".into(),
        user: "ann".into(),
        session: session.into(),
        parent: None,
    }
}

fn batch(note: &str) -> Batch {
    let answer = QuestionAnswered { call: 1, approved: true, by: None, note: Some(note.into()) };
    Batch {
        at: Timestamp(1),
        events: vec![Event::QuestionAnswered(answer)].into(),
        status: RunStatus::Running,
        wake_at: None,
        title: None,
        consumed: Vec::new(),
        blobs: Vec::new(),
    }
}

/// Creates a run and appends until an error; returns how many appends were acknowledged, the creation included.
async fn append_until_it_fails(journal: &dyn Journal) -> (u64, AppendError) {
    let head = match journal.create(new("chat"), batch("1")).await {
        Ok(head) => head,
        Err(error) => return (0, error),
    };
    let mut expected = Expected { seq: 1, epoch: head.epoch };
    loop {
        match journal.append(head.run, expected, batch("more")).await {
            Ok(seq) => expected.seq = seq,
            Err(error) => return (expected.seq, error),
        }
    }
}

#[tokio::test]
async fn a_crash_before_an_append_writes_nothing_and_one_after_it_is_durable() {
    for at in 1..6 {
        for moment in [Moment::Before, Moment::After] {
            let store = MemoryStore::new();
            let crash = Crash { counted: Counted::Appends, at, moment, then: Then::Fail };
            let faulty = FaultyJournal::new(store.journal(), Some(crash));
            let (told, error) = append_until_it_fails(&faulty).await;
            assert!(matches!(error, AppendError::Store(_)));
            assert_eq!((told, faulty.crashed(), faulty.count(Counted::Appends)), (at - 1, true, at));
            let written = match moment {
                Moment::Before => at - 1,
                Moment::After => at,
            };
            let head = store.reopen().journal().head(&Tenant::default(), new("chat").id).await.unwrap();
            assert_eq!(head.map_or(0, |head| head.seq), written);
            let read = faulty.head(&Tenant::default(), new("chat").id).await;
            assert!(matches!(read, Err(ReadError::Store(_))), "a dead process answers nothing: {read:?}");
        }
    }
}

#[tokio::test]
async fn a_process_that_is_gone_never_answers() {
    let store = MemoryStore::new();
    let crash = Crash { counted: Counted::Writes, at: 2, moment: Moment::After, then: Then::Hang };
    let faulty = FaultyJournal::new(store.journal(), Some(crash));
    let head = faulty.create(new("chat"), batch("1")).await.unwrap();
    let mut claim = pin!(faulty.claim(&Tenant::default(), head.run.id, Timestamp(9)));
    let mut read = pin!(faulty.read(head.run, 0, 1));
    std::future::poll_fn(|context| {
        assert!(claim.as_mut().poll(context).is_pending());
        assert!(read.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    assert!(faulty.crashed());
    let after = store.journal().head(&Tenant::default(), head.run.id).await.unwrap().unwrap();
    assert_eq!((after.wake_at, after.epoch), (Some(Timestamp(9)), head.epoch + 1));
}

#[tokio::test]
async fn without_a_script_calls_are_only_counted() {
    let faulty = FaultyJournal::new(MemoryStore::new().journal(), None);
    let head = faulty.create(new("chat"), batch("1")).await.unwrap();
    faulty.append(head.run, Expected { seq: 1, epoch: head.epoch }, batch("2")).await.unwrap();
    faulty.claim(&Tenant::default(), head.run.id, Timestamp(9)).await.unwrap();
    faulty.read(head.run, 0, 10).await.unwrap();
    assert_eq!((faulty.count(Counted::Appends), faulty.count(Counted::Writes), faulty.crashed()), (2, 3, false));
}

/// Makes SQLite refuse a title that says "poison" after the events were written, as a full or broken disk would refuse
/// anything.
fn poison(folder: &std::path::Path) {
    let conn = Connection::open(folder.join("bedplate.db")).unwrap();
    let sql = "CREATE TRIGGER poison BEFORE UPDATE ON run WHEN new.title = 'poison'
               BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    conn.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_write_that_sqlite_fails_takes_no_other_with_it_and_nobody_waits_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    poison(folder.path());
    let journal: Arc<dyn Journal> = store.journal();
    let writes: Vec<_> = (0..200_u64)
        .map(|index| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let head = journal.create(new(&index.to_string()), batch("1")).await.unwrap();
                let mut second = batch("2");
                second.title = (index % 10 == 0).then(|| "poison".to_owned());
                (index, journal.append(head.run, Expected { seq: 1, epoch: head.epoch }, second).await)
            })
        })
        .collect();
    for write in writes {
        let (index, outcome) = write.await.unwrap();
        if index % 10 == 0 {
            let Err(AppendError::Store(message)) = outcome else { panic!("{outcome:?}") };
            assert!(message.contains("the disk is full"), "{message}");
        } else {
            assert_eq!(outcome, Ok(2));
        }
        let head = journal.head(&Tenant::default(), new(&index.to_string()).id).await.unwrap().unwrap();
        let seq = if index % 10 == 0 { 1 } else { 2 };
        assert_eq!(
            (head.seq, journal.read(head.run, 0, 10).await.unwrap().len()),
            (seq, usize::try_from(seq).unwrap())
        );
    }
}

#[tokio::test]
async fn bytes_that_cannot_be_understood_are_reported_and_not_skipped() {
    // A first piece begins with its run (1), its first position (1), the time (1, hence 2), the payload's length, each in
    // one byte here; then the payload, whose first byte says how it is packed: 0 is plain JSON.
    let json = |json: &'static str| {
        move |mut piece: Vec<u8>| {
            assert_eq!(piece[..3], [1, 1, 2]);
            piece.truncate(3);
            piece.push(u8::try_from(json.len() + 1).unwrap());
            piece.push(0);
            piece.extend_from_slice(json.as_bytes());
            piece
        }
    };
    let cut = |mut piece: Vec<u8>| {
        piece.pop();
        piece
    };
    let of_another_run = |mut piece: Vec<u8>| {
        piece[0] += 1;
        piece
    };
    type Damage = Box<dyn Fn(Vec<u8>) -> Vec<u8>>;
    let damages: [(Damage, &str, &str); 6] = [
        (Box::new(json(r#"[{"never_heard_of":{}}]"#)), "", "never_heard_of"),
        (Box::new(json(r#"[{""#)), "", "EOF"),
        (Box::new(cut), "", "missing"),
        (Box::new(of_another_run), "", "another batch"),
        (Box::new(std::convert::identity), "DELETE FROM piece", "missing"),
        (Box::new(std::convert::identity), "DELETE FROM blob", "missing"),
    ];
    for (damage, sql, what) in damages {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let journal = store.journal();
        let head = journal.create(new("chat"), batch(&"x".repeat(40_000))).await.unwrap();
        let conn = Connection::open(folder.path().join("bedplate.db")).unwrap();
        let piece = conn.query_row("SELECT data FROM piece", [], |row| row.get(0)).unwrap();
        conn.execute("UPDATE piece SET data = ?1", [damage(piece)]).unwrap();
        conn.execute_batch(sql).unwrap();
        let outcome = journal.read(head.run, 0, 10).await;
        let Err(ReadError::Damaged { run, seq: 1, message }) = outcome else { panic!("{what}: {outcome:?}") };
        assert_eq!(run, head.run.id);
        assert!(message.contains(what), "{message}");
    }
}
