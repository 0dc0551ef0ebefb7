//! Measures how long an execution with a long history takes to be taken up again, on the real store.
//!
//! `cargo run --release -p bedplate-runtime --example resume -- FOLDER [EVENTS]`: makes the execution in FOLDER, which
//! must be empty, and prints one line of JSON. The store stays there, so that its rows can be read without Bedplate.

#![expect(clippy::print_stdout, reason = "figures are what this program is for")]

mod execution;

use bedplate_core::id::{RunId, Tenant};
use bedplate_runtime::Unconfigured;
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// The allocator of the product, so that the figure is its figure.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often it is taken up to look at it.
const LOOKS: usize = 21;

type Failure = Box<dyn std::error::Error>;

/// A loop of a Pass and a Choice, four events a round, and a long wait after it.
fn definition(rounds: u64) -> Value {
    json!({"StartAt": "Count", "States": {
        "Count": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": "More"},
        "More": {"Type": "Choice", "Default": "Hold",
            "Choices": [{"Variable": "$.n", "NumericLessThan": rounds, "Next": "Count"}]},
        "Hold": {"Type": "Wait", "Seconds": 86_400, "End": true}}})
}

/// Runs the execution until it waits; returns its run, and how many events its history has then.
async fn make(folder: &Path, events: u64) -> Result<(RunId, u64), Failure> {
    let store = bedplate_store::Store::open(folder, bedplate_store::Options::default())?;
    let runtime = execution::runtime(&store, Arc::new(Unconfigured), false);
    let run = runtime.start_execution(execution::request("long", &definition(events / 4), json!({"n": 0}))).await?.run;
    loop {
        let view = runtime.execution(&Tenant::default(), run).await?;
        if view.states.iter().any(|state| state.doing == "waiting") {
            runtime.shutdown().await;
            return Ok((run, view.history_length));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}

async fn measure(folder: &Path, run: RunId) -> Result<(f64, f64), Failure> {
    let store = bedplate_store::Store::open(folder, bedplate_store::Options::default())?;
    let runtime = execution::runtime(&store, Arc::new(Unconfigured), false);
    let mut looks = Vec::with_capacity(LOOKS);
    for _ in 0..LOOKS {
        let begin = Instant::now();
        runtime.execution(&Tenant::default(), run).await?;
        looks.push(milliseconds(begin));
    }
    looks.sort_by(f64::total_cmp);
    let begin = Instant::now();
    runtime.stop_execution(&Tenant::default(), run, None, None).await?;
    let stopped = milliseconds(begin);
    runtime.shutdown().await;
    Ok((looks[LOOKS / 2], stopped))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("the folder for the store is missing")?;
    let events = arguments.next().map_or(Ok(24_000), |text| text.parse())?;
    let (run, events) = make(Path::new(&folder), events).await?;
    let (folded, resumed) = measure(Path::new(&folder), run).await?;
    let said: Value = json!({"run": run.to_string(), "events": events, "folded_ms": folded, "resumed_ms": resumed});
    println!("{said}");
    Ok(())
}
