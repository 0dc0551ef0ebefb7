//! `bedplate up`: serves a project.

use crate::{
    client::Target,
    compose::{self, Setup},
    error::Error,
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
}

/// Serves until it is told to stop.
///
/// # Errors
/// When the project has problems, the address is taken, or the data folder is in use.
pub fn run(args: Args) -> Result<(), Error> {
    super::runtime()?.block_on(async {
        let setup = Setup { listen: args.listen, model: args.model, announce: true, ..Setup::of(&args.target) };
        let instance = compose::start(setup).await?;
        say(format!("bedplate {} serves {}", env!("CARGO_PKG_VERSION"), instance.project));
        say(format!("  page   {}", instance.running.url));
        say(format!("  API    {0}/v1  (docs: {0}/docs)", instance.running.url));
        say(format!("  model  {}", instance.model_line()));
        for line in &instance.notices {
            say(format!("  note   {line}"));
        }
        instance.report_discovery(|line| say(format!("  model  {line}")));
        stop_signal().await;
        say("stopping: what is under way goes on at the next start");
        instance.stop().await;
        Ok(())
    })
}

/// Returns when the process is asked to stop.
async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            let _ = interrupt.await;
            return;
        };
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = interrupt.await;
}
