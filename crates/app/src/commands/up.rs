//! `bedplate up`: serves a project.

use crate::{
    compose::{self, Setup},
    error::Error,
    target::Target,
    terminal::say,
};

/// Serve a project: its agents, the API and the page
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bedplate up examples/mangaassist
  bedplate up shop --listen 127.0.0.1:9000 --model rehearsal")]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// The address to listen on; default: the project's, else 127.0.0.1:7878
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The model of every route `auto`: a [models] name of the project, or `rehearsal`
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Let tests prepare the answers of workflows' tasks over HTTP (POST /dev/task-mocks); never in earnest
    #[arg(long)]
    dev_task_mocks: bool,
    /// Let time pass N times as fast, so that tests of workflows need not wait; never in earnest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    dev_clock_speed: Option<u32>,
}

/// Serves until it is told to stop.
///
/// # Errors
/// When the project has problems, the address is taken, or the data folder is in use.
pub fn run(args: Args) -> Result<(), Error> {
    super::runtime()?.block_on(async {
        let setup = Setup {
            listen: args.listen,
            model: args.model,
            task_mocks: args.dev_task_mocks,
            clock_speed: args.dev_clock_speed,
            announce: true,
            ..Setup::of(&args.target)
        };
        // Before anybody can know that it runs, so that nobody's wish to stop it finds the system's own handler.
        let stop = stop_signal()?;
        let instance = compose::start(setup).await?;
        say(format!("bedplate {} serves {}", env!("CARGO_PKG_VERSION"), instance.project));
        say(format!("  page   {}", instance.running.url));
        say(format!("  API    {0}/v1  (docs: {0}/docs)", instance.running.url));
        say(format!("  model  {}", instance.model_line()));
        for line in &instance.notices {
            say(format!("  note   {line}"));
        }
        instance.report_discovery(|line| say(format!("  model  {line}")));
        stop.await;
        say("stopping: what is under way goes on at the next start");
        instance.stop().await;
        Ok(())
    })
}

/// Listens for the wish to stop from here on; what is returned resolves with the first one.
///
/// # Errors
/// When the system refuses to tell.
fn stop_signal() -> Result<impl Future<Output = ()>, Error> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error| Error::failed(format!("failed to listen for signals: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
