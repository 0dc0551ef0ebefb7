//! Sends load to a running server and prints what it measured as one line of JSON.
//!
//! ```text
//! load steps   HOST:PORT AGENT AT_ONCE WARMUP_SECONDS SECONDS   durable steps a second, from the server's own counter
//! load executions HOST:PORT WORKFLOW AT_ONCE WARMUP_SECONDS SECONDS   executions a second, each waited for
//! load latency HOST:PORT AGENT WARMUP RUNS                      one run after another on one connection
//! load turns   HOST:PORT AGENT SESSION TURNS                    turns of one session, 1,024 random characters each
//! load waiting HOST:PORT AGENT COUNT                            sessions that wait, each with a stream held open; says
//!                                                               `held N` and holds them until its input ends
//! ```
//! Each connection is a thread that blocks, which costs nothing while the server works.

mod http;

use http::{Connection, Error};
use std::{
    io::Read,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Threads only block on a socket; the default of 2 MiB each would be address space for nothing.
const STACK_BYTES: usize = 128 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["steps", address, agent, at_once, warmup, seconds] => {
            steps(address, agent, number(at_once), number(warmup), number(seconds))
        }
        ["executions", address, workflow, at_once, warmup, seconds] => {
            executions(address, workflow, number(at_once), number(warmup), number(seconds))
        }
        ["latency", address, agent, warmup, runs] => latency(address, agent, number(warmup), number(runs)),
        ["turns", address, agent, session, count] => turns(address, agent, session, number(count)),
        ["waiting", address, agent, count] => waiting(address, agent, number(count)),
        _ => {
            eprintln!("load: see the head of bench/load/src/main.rs for how it is called");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

/// Keeps `at_once` runs under way and reads the server's count of steps at both ends of a window.
fn steps(address: &str, agent: &str, at_once: u64, warmup: u64, seconds: u64) -> Result<(), Error> {
    let load = Load::begin(address, &format!("/v1/agents/{agent}/invoke"), br#"{"input":"go"}"#, completed, at_once)?;
    let mut metrics = Connection::open(address)?;
    thread::sleep(Duration::from_secs(warmup));
    let (begin, steps_before, runs_before) = (Instant::now(), steps_of(&mut metrics)?, load.done.load(Relaxed));
    thread::sleep(Duration::from_secs(seconds));
    let (elapsed, steps_after, runs_after) =
        (begin.elapsed().as_secs_f64(), steps_of(&mut metrics)?, load.done.load(Relaxed));
    load.end()?;
    let (steps, runs) = (steps_after - steps_before, runs_after - runs_before);
    println!(
        "{{\"steps_per_s\":{:.1},\"runs_per_s\":{:.1},\"steps\":{steps},\"runs\":{runs},\"at_once\":{at_once}}}",
        rate(steps, elapsed),
        rate(runs, elapsed),
    );
    Ok(())
}

/// Keeps `at_once` executions under way and counts those that ended within a window.
fn executions(address: &str, workflow: &str, at_once: u64, warmup: u64, seconds: u64) -> Result<(), Error> {
    let path = format!("/v1/workflows/{workflow}/executions");
    let load = Load::begin(address, &path, br#"{"input":{"n":1},"wait_seconds":60}"#, succeeded, at_once)?;
    thread::sleep(Duration::from_secs(warmup));
    let (begin, before) = (Instant::now(), load.done.load(Relaxed));
    thread::sleep(Duration::from_secs(seconds));
    let (elapsed, after) = (begin.elapsed().as_secs_f64(), load.done.load(Relaxed));
    load.end()?;
    println!("{{\"executions_per_s\":{:.1},\"at_once\":{at_once}}}", rate(after - before, elapsed));
    Ok(())
}

/// The same request again and again, on many connections at once.
struct Load {
    stop: Arc<AtomicBool>,
    /// How many were answered well.
    done: Arc<AtomicU64>,
    fault: Arc<Mutex<Option<Error>>>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Load {
    /// Begins; `check` says whether an answer is a good one, and the first that is not ends its connection.
    fn begin(
        address: &str,
        path: &str,
        body: &'static [u8],
        check: fn(&[u8]) -> Result<(), Error>,
        at_once: u64,
    ) -> Result<Self, Error> {
        let mut load = Self { stop: Arc::default(), done: Arc::default(), fault: Arc::default(), clients: Vec::new() };
        for _ in 0..at_once {
            let (stop, done, fault) = (Arc::clone(&load.stop), Arc::clone(&load.done), Arc::clone(&load.fault));
            let (address, path) = (address.to_owned(), path.to_owned());
            load.clients.push(spawn(move || {
                let outcome = Connection::open(&address).and_then(|mut connection| {
                    while !stop.load(Relaxed) {
                        check(connection.post(&path, body)?)?;
                        done.fetch_add(1, Relaxed);
                    }
                    Ok(())
                });
                if let Err(error) = outcome
                    && let Ok(mut first) = fault.lock()
                {
                    first.get_or_insert(error);
                }
            })?);
        }
        Ok(load)
    }

    /// Ends it; the first fault of any connection is its own.
    fn end(self) -> Result<(), Error> {
        self.stop.store(true, Relaxed);
        for client in self.clients {
            client.join().map_err(|_| Error::of("a client panicked"))?;
        }
        self.fault.lock().ok().and_then(|mut first| first.take()).map_or(Ok(()), Err)
    }
}

/// Runs one turn after another and prints the percentiles of their times.
fn latency(address: &str, agent: &str, warmup: u64, runs: u64) -> Result<(), Error> {
    let path = format!("/v1/agents/{agent}/invoke");
    let mut connection = Connection::open(address)?;
    let mut times = Vec::new();
    for round in 0..warmup + runs {
        let begin = Instant::now();
        completed(connection.post(&path, br#"{"input":"go"}"#)?)?;
        if round >= warmup {
            times.push(begin.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    println!("{{\"p50_ms\":{:.3},\"p90_ms\":{:.3},\"p99_ms\":{:.3},\"runs\":{runs}}}", at(50), at(90), at(99));
    Ok(())
}

/// Has a conversation whose words no compression makes smaller.
fn turns(address: &str, agent: &str, session: &str, count: u64) -> Result<(), Error> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let path = format!("/v1/agents/{agent}/invoke");
    let mut connection = Connection::open(address)?;
    let mut random = std::fs::File::open("/dev/urandom").map_err(Error::io)?;
    let begin = Instant::now();
    for _ in 0..count {
        let mut bytes = [0_u8; 1024];
        random.read_exact(&mut bytes).map_err(Error::io)?;
        let words: String = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 64)])).collect();
        let body = format!(r#"{{"input":"{words}","session_id":"{session}"}}"#);
        completed(connection.post(&path, body.as_bytes())?)?;
    }
    println!("{{\"turns\":{count},\"turns_per_s\":{:.1}}}", rate(count, begin.elapsed().as_secs_f64()));
    Ok(())
}

/// Makes sessions that wait for a person and holds a live stream on each.
fn waiting(address: &str, agent: &str, count: u64) -> Result<(), Error> {
    let next = Arc::new(AtomicU64::new(0));
    let makers: Vec<_> = (0..16)
        .map(|_| {
            let next = Arc::clone(&next);
            let (address, path) = (address.to_owned(), format!("/v1/agents/{agent}/invoke"));
            spawn(move || -> Result<Vec<Connection>, Error> {
                let mut held = Vec::new();
                let mut starts = Connection::open(&address)?;
                while next.fetch_add(1, Relaxed) < count {
                    let reply = starts.post(&path, br#"{"input":"go"}"#)?;
                    if !http::contains(reply, b"\"status\":\"waiting\"") {
                        return Err(Error::of("a run does not wait"));
                    }
                    let run = http::field(reply, "run_id").ok_or_else(|| Error::of("no run_id in the reply"))?.to_owned();
                    let mut stream = Connection::open(&address)?;
                    stream.follow(&format!("/v1/runs/{run}/events"), b"event: caught_up")?;
                    held.push(stream);
                }
                Ok(held)
            })
        })
        .collect::<Result<_, _>>()?;
    let mut held = Vec::new();
    for maker in makers {
        held.extend(maker.join().map_err(|_| Error::of("a client panicked"))??);
    }
    println!("held {}", held.len());
    // Until whoever started this closes the input.
    let _ = std::io::stdin().read(&mut [0]);
    Ok(())
}

fn completed(reply: &[u8]) -> Result<(), Error> {
    if http::contains(reply, b"\"status\":\"completed\"") {
        return Ok(());
    }
    Err(Error::of(format!("a turn did not complete: {}", String::from_utf8_lossy(reply))))
}

fn succeeded(reply: &[u8]) -> Result<(), Error> {
    if http::contains(reply, b"\"status\":\"SUCCEEDED\"") {
        return Ok(());
    }
    Err(Error::of(format!("an execution did not succeed: {}", String::from_utf8_lossy(reply))))
}

fn steps_of(metrics: &mut Connection) -> Result<u64, Error> {
    let text = String::from_utf8_lossy(metrics.get("/metrics")?).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("bedplate_steps_total "));
    line.and_then(|value| value.trim().parse().ok()).ok_or_else(|| Error::of("the metrics have no bedplate_steps_total"))
}

#[allow(clippy::cast_precision_loss, reason = "counts here are small")]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<thread::JoinHandle<T>, Error> {
    thread::Builder::new().stack_size(STACK_BYTES).spawn(work).map_err(Error::io)
}
