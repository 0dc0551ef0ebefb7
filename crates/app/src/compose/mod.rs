//! The composition root: makes one running instance out of a project folder and a data folder.

mod clock;
mod files;
mod ledger;
mod models;
mod policy;
mod reload;
mod retention;
mod tasks;
mod webhooks;
mod workflow_tool;

use crate::{
    data::{DataFolder, Running},
    error::{Error, Kind},
    target::Target,
};
use bedplate_catalog::Catalog;
use bedplate_core::port::{
    clock::{Clock, Entropy},
    tasks::TaskMocks,
};
use bedplate_gateway::{Gateway, Recorder, Timeouts};
use bedplate_project::{Problem, Project, ProjectHandle, Severity};
use bedplate_runtime::{
    Runtime,
    system::{SystemClock, SystemEntropy},
};
use bedplate_server::{Access, App, key::Pepper};
use bedplate_store::Store;
use bedplate_tools::{DatabaseSpec, Databases, HttpLimits, ToolBox};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub use models::discover;

/// Where a server listens when nobody says.
const LISTEN: &str = "127.0.0.1:7878";

/// How long a claim on a run holds. One process owns the store, so nobody waits for it in practice.
const LEASE: Duration = Duration::from_secs(60);

/// How long calls that are under way are waited for when the server stops.
const RECORDS: Duration = Duration::from_secs(5);

/// How long a run that nobody asks for stays in memory.
const IDLE: Duration = Duration::from_secs(3);

/// How an instance is wanted.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The project folder.
    pub project: PathBuf,
    /// The data folder; none: `.bedplate` in the project.
    pub data: Option<PathBuf>,
    /// The address to listen on; none: the project's, else the default.
    pub listen: Option<String>,
    /// What stands behind the route `auto`; none: a real model as soon as one is found.
    pub model: Option<String>,
    /// Whether interrupted work is taken up, and due work done.
    pub drive: bool,
    /// Whether tasks of workflows take prepared answers over HTTP; for tests alone.
    pub task_mocks: bool,
    /// How many times as fast as time the clock runs; for tests alone. None: as time does.
    pub clock_speed: Option<u32>,
    /// Whether other commands may find this instance and its project's files are watched.
    pub announce: bool,
}

impl Setup {
    /// Returns the plain setup of a command's target.
    pub fn of(target: &Target) -> Self {
        Self {
            project: target.project.clone(),
            data: target.data.clone(),
            listen: None,
            model: None,
            drive: true,
            task_mocks: false,
            clock_speed: None,
            announce: false,
        }
    }
}

/// A running instance.
pub struct Instance {
    /// How to reach it.
    pub running: Running,
    /// The project's name.
    pub project: String,
    /// What whoever started it should know.
    pub notices: Vec<String>,
    folder: DataFolder,
    announced: bool,
    runtime: Runtime,
    gateway: Arc<Gateway>,
    look_for_model: bool,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    store: Store,
    recorder: Recorder,
    retention: Vec<JoinHandle<()>>,
    _watcher: Option<bedplate_project::Watcher>,
}

/// Loads and checks a project; all problems are there also when it can be used.
pub fn load(folder: &Path) -> (Option<Project>, Vec<Problem>) {
    let (project, mut problems) = Project::load(folder, &bedplate_tools::builtin::definitions());
    let Some(project) = project else { return (None, problems) };
    let tools = tool_problems(&project);
    let broken = tools.iter().any(|problem| problem.severity == Severity::Error);
    problems.extend(tools);
    ((!broken).then_some(project), problems)
}

/// Returns what is wrong with the tools of `project` as far as that shows without calling them: their SQL is prepared
/// against databases that are built from the seeds in a folder of their own, which is removed again.
fn tool_problems(project: &Project) -> Vec<Problem> {
    let scratch = std::env::temp_dir().join(format!("bedplate-check-{:032x}", rand::random::<u128>()));
    let (databases, errors) = Databases::rehearse(&scratch, &database_specs(project));
    let mut problems: Vec<Problem> =
        errors.iter().map(|error| problem("bedplate.toml".into(), "invalid_database", error.to_string())).collect();
    let tools = ToolBox::new(bedplate_tools::Options {
        databases: Arc::new(databases),
        secrets: Arc::new(|_| None),
        http: HttpLimits::default(),
        workflows: None,
    });
    let declared = project.tools.iter().filter(|(_, tool)| tool.kind != bedplate_tools::builtin::KIND);
    for (name, tool) in declared {
        let file = format!("tools/{name}.toml");
        problems.extend(tools.check(tool).into_iter().map(|message| problem(file.clone(), "invalid_tool", message)));
    }
    // Only the scratch databases are lost when this fails.
    let _ = std::fs::remove_dir_all(&scratch);
    problems
}

fn problem(file: String, code: &'static str, message: String) -> Problem {
    Problem { file, line: 1, column: 1, code, message, hint: None, severity: Severity::Error }
}

fn database_specs(project: &Project) -> Vec<DatabaseSpec> {
    let databases = project.config.databases.iter();
    databases.map(|database| DatabaseSpec { name: database.name.clone(), seed: database.seed.clone() }).collect()
}

/// Starts an instance. It is ready when this returns.
///
/// # Errors
/// When the project has problems, the data folder is in use, or the address cannot be listened on.
pub async fn start(setup: Setup) -> Result<Instance, Error> {
    log();
    let project = usable(&setup.project)?;
    let folder = DataFolder::of(&setup.project, setup.data.as_deref());
    folder.make()?;
    folder.make_store()?;
    let clock: Arc<dyn Clock> = match setup.clock_speed {
        Some(speed) => Arc::new(clock::FastClock::new(speed)),
        None => Arc::new(SystemClock),
    };
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);

    let store = Store::open(folder.path(), bedplate_store::Options::default())
        .map_err(|error| Error::failed(error.to_string()))?;
    let pepper = Pepper::new(folder.pepper()?);
    let databases =
        Databases::open(folder.path(), &database_specs(&project)).map_err(|error| Error::failed(error.to_string()))?;
    let listener = listen(&setup, &project).await?;
    let address = listener.local_addr().map_err(|error| Error::failed(format!("failed to listen: {error}")))?;
    let keyed = store.keys().any(clock.now()).await.map_err(|error| Error::failed(error.to_string()))?;
    refuse_open_network(address, keyed)?;

    let mut notices = Vec::new();
    let ledger = ledger::ledger(project.config.usage.ledger.as_ref(), &store, &mut notices).await?;
    let recorder = Recorder::start(store.records());
    let gateway = Gateway::trusting(
        models::config(&project, &setup.project)?,
        bedplate_gateway::Options {
            clock: Arc::clone(&clock),
            timeouts: Timeouts::default(),
            recorder: Some(recorder.clone()),
            ledger: Some(ledger),
        },
        &models::extra_roots()?,
    )
    .map_err(|error| Error::new(Kind::Problems, error.to_string()))?;
    let look_for_model = models::pin(&gateway, &project, &setup)?;
    if !keyed {
        notices.push(
            "no API key exists: every caller on this machine is let in (`bedplate keys create` changes that)".into(),
        );
    }

    let retention_days = project.config.retention_days;
    let bulk = project.config.bulk.clone();
    let record_days = project.config.usage.log.retention_days;
    let secrets = project.config.secrets.clone();
    let access = access(&project, address);
    let name = project.config.name.clone();
    let definitions = ProjectHandle::new(project, bedplate_tools::builtin::definitions());
    let secrets: bedplate_tools::SecretLookup = Arc::new(move |name| {
        secrets.iter().any(|declared| declared == name).then(|| std::env::var(name).ok()).flatten()
    });
    let catalog = Catalog::new(bedplate_catalog::Options {
        documents: store.documents(),
        definitions: Arc::new(definitions.clone()),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
    });
    let starter = workflow_tool::Starter::new(catalog.clone(), Arc::clone(&entropy));
    let tools = Arc::new(ToolBox::new(bedplate_tools::Options {
        databases: Arc::new(databases),
        secrets: Arc::clone(&secrets),
        http: HttpLimits::default(),
        workflows: Some(starter.runner()),
    }));
    let parts = tasks::Parts { model: gateway.clone(), tools: tools.clone(), secrets, clock: Arc::clone(&clock) };
    let tasks = tasks::tasks(&definitions, &setup.project, store.documents(), parts)
        .await
        .map_err(|error| Error::failed(error.to_string()))?;
    if setup.task_mocks {
        notices.push("tasks of workflows take prepared answers (--dev-task-mocks): for tests alone".into());
    }
    let runtime = Runtime::start(bedplate_runtime::Options {
        journal: store.journal(),
        model: gateway.clone(),
        tools,
        definitions: Arc::new(definitions.clone()),
        tasks: Arc::new(tasks.mocked.clone()),
        workflows: Arc::new(catalog.clone()),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        lease: LEASE,
        idle: IDLE,
        recover: setup.drive,
    });
    starter.set(&runtime);
    let token = access.admin_token.clone().unwrap_or_default();
    let instance = format!("{:032x}", rand::random::<u128>());
    let app = App::new(bedplate_server::Options {
        runtime: runtime.clone(),
        definitions: Arc::new(definitions.clone()),
        model: gateway.clone(),
        journal: store.journal(),
        documents: store.documents(),
        webhooks: Arc::new(webhooks::HttpWebhooks::new(bulk.private_webhooks)),
        output_buckets: bulk.output_buckets,
        bulk: bedplate_server::BulkLimits { concurrency: bulk.concurrency, per_minute: bulk.per_minute },
        catalog,
        tasks: Some(Arc::new(tasks.mocked.clone())),
        mock_cases: Some(Arc::new(tasks.mocked.clone())),
        workflow_files: Some(Arc::new(files::ProjectFiles::new(&setup.project, &definitions))),
        task_mocks: setup.task_mocks.then(|| Arc::new(tasks.mocked.clone()) as Arc<dyn TaskMocks>),
        keys: store.keys(),
        records: store.records(),
        live: Arc::new(recorder.clone()),
        budgets: gateway.clone(),
        health: gateway.clone(),
        clock,
        entropy,
        access,
        pepper,
        version: env!("CARGO_PKG_VERSION"),
        instance: instance.clone(),
    });
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(async move {
        let shutdown = async {
            // The sender is dropped only together with the instance, which means the same.
            let _ = stopped.await;
        };
        if let Err(error) = bedplate_server::serve(listener, app, shutdown).await {
            tracing::error!(%error, "the server stopped");
        }
    });
    let running = Running { url: format!("http://{}", reachable(address)), token, pid: std::process::id(), instance };
    if setup.announce {
        folder.announce(&running)?;
    }
    let mut retention: Vec<JoinHandle<()>> = Vec::new();
    if setup.drive {
        retention.extend(retention_days.map(|days| retention::keep(store.journal(), days)));
        retention.extend(record_days.map(|days| retention::keep_records(store.records(), days)));
    }
    let watcher = setup.announce.then(|| reload::watch(&definitions, &gateway, &tasks.table, &setup.project)).flatten();
    Ok(Instance {
        running,
        project: name,
        notices,
        folder,
        announced: setup.announce,
        runtime,
        gateway,
        look_for_model,
        stop,
        serving,
        store,
        recorder,
        retention,
        _watcher: watcher,
    })
}

impl Instance {
    /// Returns what stands behind the route `default`, for people.
    pub fn model_line(&self) -> String {
        models::line(&self.gateway)
    }

    /// Looks for a real model while the server already serves, and reports what it found, once.
    pub fn report_discovery(&self, report: impl FnOnce(String) + Send + 'static) {
        if !self.look_for_model {
            return;
        }
        let gateway = Arc::clone(&self.gateway);
        tokio::spawn(async move {
            if let Some(said) = models::adopt(&gateway).await {
                report(said);
            }
        });
    }

    /// Stops: no new work, appends end, what is under way goes on at the next start.
    pub async fn stop(self) {
        if self.announced {
            self.folder.withdraw();
        }
        // The server ends its streams, and the runtime its turns, so that no connection holds up the other's end.
        let _ = self.stop.send(());
        self.runtime.shutdown().await;
        // A task that panicked has nothing left to end.
        let _ = self.serving.await;
        for retention in self.retention {
            retention.abort();
        }
        // Every stream has ended by now, so that every call has its record.
        self.recorder.close(RECORDS).await;
        let store = self.store;
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }
}

fn usable(folder: &Path) -> Result<Project, Error> {
    let (project, problems) = Project::load(folder, &bedplate_tools::builtin::definitions());
    project.ok_or_else(|| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Error::new(Kind::Problems, format!("{} has problems:\n{}", folder.display(), lines.join("\n")))
            .hint("`bedplate init FOLDER` makes a project that works")
    })
}

async fn listen(setup: &Setup, project: &Project) -> Result<TcpListener, Error> {
    let address =
        setup.listen.clone().or_else(|| project.config.server.listen.clone()).unwrap_or_else(|| LISTEN.into());
    let resolved = address.to_socket_addrs().ok().and_then(|mut found| found.next());
    let resolved = resolved.ok_or_else(|| {
        Error::new(Kind::Usage, format!("`{address}` is no address to listen on"))
            .hint("write HOST:PORT, for example 127.0.0.1:7878")
    })?;
    TcpListener::bind(resolved).await.map_err(|error| {
        Error::failed(format!("failed to listen on {resolved}: {error}")).hint(match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program has the port: choose one with --listen, or 127.0.0.1:0 for any"
            }
            _ => "choose an address of this machine with --listen, for example 127.0.0.1:7878",
        })
    })
}

/// Returns where this machine reaches a server that listens on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn refuse_open_network(address: SocketAddr, keyed: bool) -> Result<(), Error> {
    if address.ip().is_loopback() || keyed {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("{address} can be reached from other machines, and no API key exists"))
        .hint("make one first with `bedplate keys create NAME`, or listen on 127.0.0.1"))
}

fn access(project: &Project, address: SocketAddr) -> Access {
    Access {
        hosts: project.config.server.allowed_hosts.clone(),
        origins: project.config.server.allowed_origins.clone(),
        admin_token: Some(format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())),
        open_without_keys: address.ip().is_loopback(),
    }
}

/// Sends the log to standard error, once.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("BEDPLATE_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // A second instance in one process finds the first one's log in place.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
