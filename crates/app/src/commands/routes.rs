//! `bedplate routes`: what routes learn.

use crate::{
    data::DataFolder,
    error::{Error, Kind},
    target::Target,
    terminal::{json, say},
};
use bedplate_core::{
    id::Tenant,
    port::records::{CallRecord, Dimension, MAX_RECORDS, RecordFilter},
};
use bedplate_gateway::{Router, examples};
use bedplate_store::Store;
use std::path::PathBuf;

/// Teach routes from the project's own calls
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Train(Train),
}

/// Learn from the records of a cascade which prompts need the strong model
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bedplate routes train frugal shop
  bedplate routes train frugal shop --good 0.95 --out routers/frugal.json

The calls' requests must be in the log, and no server may hold the data folder meanwhile.")]
struct Train {
    /// The route, a cascade
    route: String,
    #[command(flatten)]
    target: Target,
    /// Which part of the calls that the cheap model gets it must answer well enough, 0 to 1
    #[arg(long, default_value_t = 0.9, value_name = "PART")]
    good: f64,
    /// The file to write, within the project; default: routers/ROUTE.json
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The tenant whose calls are learned from
    #[arg(long, default_value = "default", value_name = "NAME")]
    tenant: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When there is too little to learn from, or the store or the file cannot be used.
pub fn run(args: Args) -> Result<(), Error> {
    match args.command {
        Command::Train(args) => super::runtime()?.block_on(train(&args)),
    }
}

/// How many calls are learned from at most, the newest.
const MOST: usize = 20_000;

async fn train(args: &Train) -> Result<(), Error> {
    if !(0.0..=1.0).contains(&args.good) {
        return Err(Error::new(Kind::Usage, "--good is a part, 0 to 1"));
    }
    let folder = DataFolder::of(&args.target.project, args.target.data.as_deref());
    let store = Store::open(folder.path(), bedplate_store::Options::default()).map_err(|error| {
        Error::failed(error.to_string()).hint("stop the server of this project first, or name a copy with --data")
    })?;
    let records = read(&store, &args.tenant, &args.route).await;
    let closed = tokio::task::spawn_blocking(move || store.close()).await;
    if closed.is_err() {
        tracing::warn!("the store did not close in order");
    }
    let examples = examples(&records?);
    let router = Router::train(&examples, args.good).ok_or_else(|| {
        Error::new(
            Kind::NotFound,
            format!("{} calls of the route `{}` can be learned from, which is too few", examples.len(), args.route),
        )
        .hint("a cascade needs about a hundred logged calls, some of which went up a tier and some of which did not")
    })?;
    let file = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("routers/{}.json", args.route)));
    write(&args.target.project.join(&file), &router)?;
    let report = &router.report;
    if args.json {
        json(&serde_json::json!({ "file": file, "threshold": router.threshold, "report": report }));
        return Ok(());
    }
    let percent = |part: f64| format!("{:.1} %", part * 100.0);
    say(format!("learned from {} calls, judged on {} others", report.trained_on, report.judged_on));
    say(format!(
        "the cheap model would have got {} of those, and answered {} of them well enough",
        percent(report.cheap_share),
        percent(report.cheap_good)
    ));
    say(format!(
        "cost with the strong model alone: {:.4} USD; with this router: {:.4} USD",
        dollars(report.cost_strong),
        dollars(report.cost_routed)
    ));
    say(format!("calibration error {:.3}, threshold {:.3}", report.calibration_error, router.threshold));
    say(format!("wrote {}: name it as `router` in a route with strategy = \"learned\"", file.display()));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "shown with four digits")]
fn dollars(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Reads the newest records of a route with their payloads, oldest first.
async fn read(store: &Store, tenant: &str, route: &str) -> Result<Vec<CallRecord>, Error> {
    let (records, tenant) = (store.records(), Tenant::from(tenant));
    let filter = RecordFilter { equal: vec![(Dimension::Route, route.to_owned())], ..RecordFilter::default() };
    let mut found = Vec::new();
    let mut before = None;
    while found.len() < MOST {
        let page = records.list(&tenant, filter.clone(), before, MAX_RECORDS).await;
        let page = page.map_err(|error| Error::failed(error.to_string()))?;
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        for record in &page {
            let whole = records.get(&tenant, record.id).await.map_err(|error| Error::failed(error.to_string()))?;
            found.extend(whole);
        }
    }
    found.reverse();
    Ok(found)
}

fn write(file: &std::path::Path, router: &Router) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::failed(format!("failed to write {}: {error}", file.display()));
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let text = serde_json::to_string(router).map_err(|error| Error::failed(error.to_string()))?;
    std::fs::write(file, text).map_err(failed)
}
