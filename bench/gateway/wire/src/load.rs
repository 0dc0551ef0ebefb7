//! The load: closed loops, a fixed rate, and many streams at once.

use crate::{
    STACK_BYTES,
    wire::{Connection, count},
};
use std::{
    fs, io,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Where the load goes, and what it says.
pub struct Target {
    address: String,
    request: Vec<u8>,
}

impl Target {
    /// Reads the body and makes the request of it.
    pub fn read(address: &str, path: &str, body: &str, headers: &[&str]) -> io::Result<Self> {
        let body = fs::read(body)?;
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        );
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let mut request = request.into_bytes();
        request.extend_from_slice(&body);
        Ok(Self { address: address.to_owned(), request })
    }

    /// Asks once and returns how long the answer took.
    fn ask(&self, connection: &mut Connection) -> io::Result<Duration> {
        let begun = Instant::now();
        connection.send(&self.request)?;
        let answer = connection.message()?.ok_or_else(|| io::Error::other("no answer came"))?;
        if answer.head.starts_with("http/1.1 200") {
            return Ok(begun.elapsed());
        }
        let said = String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]).into_owned();
        Err(io::Error::other(format!("{} {said}", answer.head.lines().next().unwrap_or_default())))
    }
}

/// Asks on every connection as fast as answers come.
pub fn closed(target: &Target, connections: usize, warmup: u64, seconds: u64) -> io::Result<()> {
    let (measuring, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let answered = AtomicU64::new(0);
    let worker = || -> io::Result<Vec<u32>> {
        let mut connection = Connection::open(&target.address)?;
        let mut took = Vec::new();
        while !over.load(Relaxed) {
            let time = target.ask(&mut connection)?;
            if measuring.load(Relaxed) {
                took.push(micros(time));
                answered.fetch_add(1, Relaxed);
            }
        }
        Ok(took)
    };
    let (took, elapsed) = thread::scope(|scope| -> io::Result<(Vec<u32>, Duration)> {
        let start = || thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, worker);
        let workers: Vec<_> = (0..connections).map(|_| start()).collect::<io::Result<_>>()?;
        thread::sleep(Duration::from_secs(warmup));
        println!("measuring");
        measuring.store(true, Relaxed);
        let begun = Instant::now();
        thread::sleep(Duration::from_secs(seconds));
        measuring.store(false, Relaxed);
        let elapsed = begun.elapsed();
        println!("measured");
        over.store(true, Relaxed);
        Ok((gathered(workers)?, elapsed))
    })?;
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let rate = answered.load(Relaxed) as f64 / elapsed.as_secs_f64();
    report(took, &format!("\"rate\":{rate:.1}"));
    Ok(())
}

/// Asks at a fixed rate, and counts each wait from when the request was due: a slow answer delays none of the others'
/// clocks.
pub fn paced(target: &Target, connections: usize, rate: u64, seconds: u64) -> io::Result<()> {
    let total = rate * seconds;
    let next = AtomicU64::new(0);
    let begun = Instant::now() + Duration::from_millis(200);
    let worker = || -> io::Result<Vec<u32>> {
        let mut connection = Connection::open(&target.address)?;
        let mut took = Vec::new();
        loop {
            let index = next.fetch_add(1, Relaxed);
            if index >= total {
                return Ok(took);
            }
            let due = begun + Duration::from_nanos(index * 1_000_000_000 / rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            target.ask(&mut connection)?;
            // The first second warms up.
            if index >= rate {
                took.push(micros(due.elapsed()));
            }
        }
    };
    let took = thread::scope(|scope| {
        let start = || thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, worker);
        gathered((0..connections).map(|_| start()).collect::<io::Result<_>>()?)
    })?;
    let reached = total as f64 / begun.elapsed().as_secs_f64();
    report(took, &format!("\"rate\":{reached:.1}"));
    Ok(())
}

/// Opens streams on all connections at once, round after round, and counts what comes.
pub fn streams(target: &Target, connections: usize, rounds: u64) -> io::Result<()> {
    let barrier = Arc::new(Barrier::new(connections));
    let frames = Mutex::new((0_usize, 0_usize, u64::MAX, 0_u64));
    let worker = || -> io::Result<Vec<u32>> {
        let mut connection = Connection::open(&target.address)?;
        let mut took = Vec::new();
        for _ in 0..rounds {
            barrier.wait();
            let begun = Instant::now();
            connection.send(&target.request)?;
            let answer = connection.message()?.ok_or_else(|| io::Error::other("no answer came"))?;
            let first = answer.first_byte.ok_or_else(|| io::Error::other("an empty stream"))?;
            took.push(micros(first - begun));
            let words = count(&answer.body, b"\"content\":\"word") as u64;
            let whole = count(&answer.body, b"data: [DONE]") == 1;
            let mut frames = frames.lock().map_err(|_| io::Error::other("a worker broke down"))?;
            frames.0 += 1;
            frames.1 += usize::from(whole);
            frames.2 = frames.2.min(words);
            frames.3 += words;
        }
        Ok(took)
    };
    let took = thread::scope(|scope| {
        let start = || thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, worker);
        gathered((0..connections).map(|_| start()).collect::<io::Result<_>>()?)
    })?;
    let (streams, whole, fewest, words) = *frames.lock().map_err(|_| io::Error::other("a worker broke down"))?;
    report(took, &format!("\"streams\":{streams},\"whole\":{whole},\"fewest\":{fewest},\"frames\":{words}"));
    Ok(())
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

fn gathered(workers: Vec<thread::ScopedJoinHandle<'_, io::Result<Vec<u32>>>>) -> io::Result<Vec<u32>> {
    let mut all = Vec::new();
    for worker in workers {
        all.append(&mut worker.join().map_err(|_| io::Error::other("a worker broke down"))??);
    }
    Ok(all)
}

/// Prints the line of JSON: what is given, and how long answers took, in microseconds.
fn report(mut took: Vec<u32>, rest: &str) {
    took.sort_unstable();
    let at = |share: usize| took.get((took.len() * share / 1000).min(took.len().saturating_sub(1))).copied().unwrap_or(0);
    println!(
        "{{{rest},\"count\":{},\"p50\":{},\"p90\":{},\"p99\":{},\"p999\":{}}}",
        took.len(),
        at(500),
        at(900),
        at(990),
        at(999)
    );
}
