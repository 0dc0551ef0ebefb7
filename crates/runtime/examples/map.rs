//! Measures a distributed Map of many items on the real store: items a second, and the processor's time for each.
//!
//! `cargo run --release -p bedplate-runtime --example map -- FOLDER [ITEMS]`: makes a store in FOLDER, which must be
//! empty, runs the Map once, and prints one line of JSON.

#![expect(clippy::print_stdout, reason = "figures are what this program is for")]

mod execution;

use bedplate_core::{
    id::Tenant,
    port::{
        BoxFuture,
        tasks::{TaskCall, TaskError, TaskPlan, TaskReply, Tasks},
    },
};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// The allocator of the product, so that the figure is its figure.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error>;

/// A bucket with one file: a list of items.
struct File(usize);

impl Tasks for File {
    fn perform(&self, _: TaskCall) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        let items: Vec<Value> = (0..self.0).map(|id| json!({"id": id})).collect();
        Box::pin(async move { Ok(TaskReply::Done(json!({"Body": Value::Array(items).to_string()}))) })
    }

    fn plan(&self, _: &TaskCall) -> Result<TaskPlan, TaskError> {
        Ok(TaskPlan::Perform)
    }
}

fn definition() -> Value {
    json!({"StartAt": "Each", "States": {"Each": {
        "Type": "Map", "ResultPath": null, "End": true,
        "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket": "items", "Key": "items.json"}},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Work", "States": {"Work": {"Type": "Pass", "Result": 1, "End": true}}}}}})
}

/// Returns how long this process has used the processors.
fn processor() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks()? + ticks()?) * 10))
}

/// Returns the largest memory that was resident, in bytes.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("the folder for the store is missing")?;
    let items = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let store = bedplate_store::Store::open(Path::new(&folder), bedplate_store::Options::default())?;
    let runtime = execution::runtime(&store, Arc::new(File(items)), true);
    let (begin, before) = (Instant::now(), processor());
    let run = runtime.start_execution(execution::request("map", &definition(), json!({}))).await?.run;
    let view = runtime.wait_execution(&Tenant::default(), run).await?;
    let took = begin.elapsed();
    let used = processor().zip(before).map(|(after, before)| after.saturating_sub(before));
    runtime.shutdown().await;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / items.max(1) as f64;
    let said: Value = json!({"status": view.status.word(), "succeeded": view.map_runs[0].now.succeeded,
        "items_per_s": items as f64 / took.as_secs_f64(), "us_each": each(took),
        "processor_us_each": used.map(each), "peak_bytes": peak()});
    println!("{said}");
    Ok(())
}
