//! Measures durable appends a second with many runs at once, the time of one append alone, and bytes on disk.
//!
//! `cargo run --release -p bedplate-store --example append_rate [FOLDER]`; the folder should be on the disk to be measured.

use bedplate_core::{
    event::{
        Event, ModelCalled, ModelReplied, QuestionAnswered, RunKind, RunStarted, TurnEnded, TurnInput, TurnOutcome,
    },
    id::{ContentHash, RunId, Tenant},
    message::{Message, StopReason, Usage},
    port::journal::{Batch, Expected, Head, Journal, NewRun, RunStatus},
    time::Timestamp,
};
use bedplate_store::{Options, Store};
use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let base = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join(format!("append-rate-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    runtime.block_on(measure(&folder))?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
async fn measure(folder: &Path) -> Result<(), Failure> {
    println!("commits that sync, 250-byte events, two worker threads");
    for tasks in [1, 4, 16, 64, 256, 1024] {
        let store = Store::open(folder.join(format!("rate-{tasks}")), Options::default())?;
        let rate = rate(&store.journal(), tasks, Duration::from_secs(3)).await?;
        println!("{tasks:>5} runs at once: {rate}");
    }
    for turns in [200_u64, 2_000] {
        let folder = folder.join(format!("size-{turns}"));
        let store = Store::open(&folder, Options::default())?;
        let content = converse(&store.journal(), turns).await?;
        store.close();
        let bytes = std::fs::metadata(folder.join("bedplate.db"))?.len();
        let ratio = bytes as f64 / content as f64;
        println!("{turns:>5} turns: {content} bytes of content, {bytes} on disk, ratio {ratio:.3}");
    }
    println!("memory of this process: {}", memory()?);
    Ok(())
}

/// Has every task append to its own run for a while; tells the rate and how long appends took.
async fn rate(journal: &Arc<dyn Journal>, tasks: u64, time: Duration) -> Result<String, Failure> {
    let (begin, before) = (Instant::now(), cpu_time()?);
    let mut running = Vec::new();
    for task in 0..tasks {
        let journal = journal.clone();
        running.push(tokio::spawn(async move {
            let head = create(&journal, &format!("session {task}")).await?;
            let mut expected = Expected { seq: head.seq, epoch: head.epoch };
            let mut took = Vec::new();
            while begin.elapsed() < time {
                let start = Instant::now();
                expected.seq = journal.append(head.run, expected, batch(vec![small_event(expected.seq)])).await?;
                took.push(start.elapsed());
            }
            Ok::<_, Failure>(took)
        }));
    }
    let mut took = Vec::new();
    for task in running {
        took.extend(task.await??);
    }
    let rate = took.len() as f64 / begin.elapsed().as_secs_f64();
    let cpu = (cpu_time()? - before).as_secs_f64() * 1e6 / took.len() as f64;
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    Ok(format!(
        "{rate:>9.0} appends/s, {cpu:.1} µs of processor each, p50 {:?}, p99 {:?}, max {:?}",
        at(0.5),
        at(0.99),
        at(1.0)
    ))
}

/// Writes turns of 2 KB that do not compress; returns the bytes of what was said.
async fn converse(journal: &Arc<dyn Journal>, turns: u64) -> Result<u64, Failure> {
    let definition = journal.put_blob(&Tenant::default(), vec![b'd'; 2_000].into()).await?;
    let mut noise = Noise(7);
    let head = create(journal, "conversation").await?;
    let mut expected = Expected { seq: head.seq, epoch: head.epoch };
    for turn in 0..turns {
        let question = TurnInput {
            key: format!("turn {turn}"),
            request_hash: ContentHash::of(&turn.to_be_bytes()),
            message: Arc::new(Message::user(noise.text(1_024))),
            definition,
            system: None,
            timeout_seconds: None,
            billing: None,
        };
        let call = ModelCalled {
            route: "default".into(),
            from: 1,
            attempt: 1,
            max_tokens: 2_048,
            reserved: 0,
            deadline: Timestamp(1_800_000_000_000),
            not_before: None,
        };
        let mut asked = batch(vec![Event::TurnStarted(question), Event::ModelCalled(call)]);
        asked.title = Some(format!("turn {turn}"));
        asked.status = RunStatus::Running;
        asked.wake_at = Some(Timestamp(1_700_000_030_000));
        asked.blobs = vec![definition];
        expected.seq = journal.append(head.run, expected, asked).await?;
        let reply = ModelReplied {
            call: expected.seq,
            message: Arc::new(Message::assistant(noise.text(1_024))),
            stop_reason: StopReason::EndTurn,
            usage: Usage { input: 1_000, output: 300, ..Usage::default() },
            cost: 100,
            model: "a-model".into(),
            took_ms: 1_234,
            partial: false,
        };
        let ended = TurnEnded { outcome: TurnOutcome::Completed, message: None };
        let answered = batch(vec![Event::ModelReplied(reply), Event::TurnEnded(ended)]);
        expected.seq = journal.append(head.run, expected, answered).await?;
    }
    Ok(turns * 2_048)
}

async fn create(journal: &Arc<dyn Journal>, session: &str) -> Result<Head, Failure> {
    let (tenant, user) = (Tenant::default(), "ann".into());
    let id = RunId::session(&tenant, &user, session);
    let new = NewRun {
        id,
        tenant,
        kind: RunKind::Agent,
        name: "helper".into(),
        user: user.clone(),
        session: session.into(),
        parent: None,
    };
    let started =
        RunStarted { kind: RunKind::Agent, name: "helper".into(), user, session: session.into(), parent: None };
    Ok(journal.create(new, batch(vec![Event::RunStarted(started)])).await?)
}

fn small_event(call: u64) -> Event {
    let note = Some("x".repeat(170));
    Event::QuestionAnswered(QuestionAnswered { call, approved: true, by: Some("ann".into()), note })
}

fn batch(events: Vec<Event>) -> Batch {
    Batch {
        at: Timestamp(1_700_000_000_000),
        events: events.into(),
        status: RunStatus::Idle,
        wake_at: None,
        title: None,
        consumed: Vec::new(),
        blobs: Vec::new(),
    }
}

/// Returns the processor time of this process as Linux tells it; on a machine that others use too, the wall clock says
/// less.
fn cpu_time() -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).map_or(Ok(0), |text| text.parse::<u64>());
    // Fields 14 and 15 of proc(5), in hundredths of a second.
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// Returns the resident memory as Linux tells it.
fn memory() -> Result<String, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    Ok(status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("unknown").trim().to_owned())
}

/// Text without patterns, from a xorshift generator.
struct Noise(u64);

impl Noise {
    fn text(&mut self, bytes: usize) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut letter = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            char::from(LETTERS[(self.0 >> 32) as usize % LETTERS.len()])
        };
        (0..bytes).map(|_| letter()).collect()
    }
}
