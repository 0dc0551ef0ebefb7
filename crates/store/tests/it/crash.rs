//! A process that is killed while it appends loses nothing that it was told is written.

use bedplate_core::{
    event::{Event, QuestionAnswered, RunKind},
    id::{RunId, Tenant},
    port::journal::{Batch, Expected, Journal, NewRun, RunStatus},
    time::Timestamp,
};
use bedplate_store::{Options, Store};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

const FOLDER: &str = "BEDPLATE_TEST_FOLDER";
const RUNS: u64 = 8;
const ROUNDS: usize = 10;

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    for round in 0..ROUNDS {
        let before: u64 = acknowledged.values().sum();
        append_and_kill(folder.path(), 200 + round * 37, &mut acknowledged);
        assert!(acknowledged.values().sum::<u64>() > before, "the round wrote something");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(verify(folder.path(), &acknowledged));
    }
}

/// Runs this test binary as a child until it has told of `count` appends, then kills it.
fn append_and_kill(folder: &Path, count: usize, acknowledged: &mut BTreeMap<u64, u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::appends_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let Some((run, seq)) = line.strip_prefix("written ").and_then(|rest| rest.split_once(' ')) else { continue };
        // The kill may cut a line in two; a half number was not told.
        let (Ok(run), Some(Ok(seq))) = (run.parse(), seq.strip_suffix(';').map(str::parse)) else { continue };
        acknowledged.insert(run, seq);
        told += 1;
        if told == count {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(!status.success(), "it was killed, it did not end: {status}");
}

async fn verify(folder: &Path, acknowledged: &BTreeMap<u64, u64>) {
    let store = Store::open(folder, Options::default()).unwrap();
    let journal = store.journal();
    for (run, seq) in acknowledged {
        let head = journal.head(&Tenant::default(), id(*run)).await.unwrap().expect("an acknowledged run exists");
        assert!(head.seq >= *seq, "run {run} was told of {seq} and stands at {}", head.seq);
        assert!(head.seq <= seq + 1, "at most the append under way was not told");
        let entries = journal.read(head.run, 0, usize::MAX).await.unwrap();
        let expected: Vec<Event> = (1..=head.seq).map(event).collect();
        assert_eq!(entries.into_iter().map(|entry| entry.event).collect::<Vec<_>>(), expected);
    }
}

#[ignore = "the child process of the test above"]
#[tokio::test]
async fn appends_until_it_is_killed() {
    let folder = std::env::var(FOLDER).expect("the parent names the folder");
    let store = Store::open(folder, Options::default()).unwrap();
    let tasks = (0..RUNS).map(|run| tokio::spawn(append_for_ever(store.journal(), run)));
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

async fn append_for_ever(journal: Arc<dyn Journal>, run: u64) {
    let created = journal.create(new(run), batch(1)).await;
    let head = match created {
        Ok(head) => head,
        Err(_) => journal.claim(&Tenant::default(), id(run), Timestamp(9)).await.unwrap().expect("the run exists"),
    };
    let mut expected = Expected { seq: head.seq, epoch: head.epoch };
    loop {
        tell(run, expected.seq);
        expected.seq = journal.append(head.run, expected, batch(expected.seq + 1)).await.unwrap();
    }
}

fn tell(run: u64, seq: u64) {
    let mut out = std::io::stdout().lock();
    // Without a reader the parent is gone, and there is nobody to be lied to.
    let _ = writeln!(out, "written {run} {seq};").and_then(|()| out.flush());
}

fn id(run: u64) -> RunId {
    RunId::derive(&[b"killed", &run.to_be_bytes()])
}

fn new(run: u64) -> NewRun {
    NewRun {
        id: id(run),
        tenant: Tenant::default(),
        kind: RunKind::Agent,
        name: "helper".into(),
        user: "ann".into(),
        session: run.to_string(),
        parent: None,
    }
}

fn event(seq: u64) -> Event {
    let note = format!("{seq} ").repeat(usize::try_from(seq % 700).unwrap());
    Event::QuestionAnswered(QuestionAnswered { call: seq, approved: true, by: None, note: Some(note) })
}

fn batch(seq: u64) -> Batch {
    Batch {
        at: Timestamp(1),
        events: vec![event(seq)].into(),
        status: RunStatus::Running,
        wake_at: Some(Timestamp(2)),
        title: None,
        consumed: Vec::new(),
        blobs: Vec::new(),
    }
}
