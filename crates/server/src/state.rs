//! What every handler shares.

use crate::{
    access::Access,
    bulk::{Bulk, BulkLimits},
    key::Pepper,
    metrics::Metrics,
};
use bedplate_catalog::Catalog;
use bedplate_core::{
    port::{
        clock::{Clock, Entropy},
        definitions::Definitions,
        documents::Documents,
        health::Health,
        journal::Journal,
        keys::Keys,
        ledger::Budgets,
        model::Model,
        records::{LiveRecords, Records},
        tasks::{TaskMocks, Tasks},
        webhooks::Webhooks,
    },
    time::Timestamp,
};
use bedplate_runtime::Runtime;
use std::{future::Future, sync::Arc};
use tokio::sync::watch;

/// Writes files of the project, so that it can be changed on the page.
pub trait WorkflowFiles: Send + Sync {
    /// Writes the definition of a workflow of the project, byte for byte, and lets the project take it over.
    ///
    /// # Errors
    /// A text for people, without a path of the machine.
    fn write(&self, name: &str, text: &str) -> Result<(), String>;
}

/// What the server is made of.
pub struct Options {
    /// Drives the runs.
    pub runtime: Runtime,
    /// What the project declares.
    pub definitions: Arc<dyn Definitions>,
    /// Models, for calls without a run.
    pub model: Arc<dyn Model>,
    /// The journals, for looking at them.
    pub journal: Arc<dyn Journal>,
    /// Small named records that are no run.
    pub documents: Arc<dyn Documents>,
    /// State machines, versions, aliases and activities.
    pub catalog: Catalog,
    /// Performs the tasks of states that are tested; none: they fail.
    pub tasks: Option<Arc<dyn Tasks>>,
    /// Takes prepared answers of tasks over HTTP; only ever for tests, where the server was started so.
    pub task_mocks: Option<Arc<dyn TaskMocks>>,
    /// Prepares the answers of a case of a workflow's mocks file for an execution.
    pub mock_cases: Option<Arc<dyn TaskMocks>>,
    /// Writes the definitions of the project's workflows; none: they cannot be changed here.
    pub workflow_files: Option<Arc<dyn WorkflowFiles>>,
    /// Servers that callers name.
    pub webhooks: Arc<dyn Webhooks>,
    /// How much work that nobody waits for is done at once.
    pub bulk: BulkLimits,
    /// The buckets that results of asynchronous invocations may be written to.
    pub output_buckets: Vec<String>,
    /// API keys.
    pub keys: Arc<dyn Keys>,
    /// The records of model calls.
    pub records: Arc<dyn Records>,
    /// The same as they come.
    pub live: Arc<dyn LiveRecords>,
    /// How the budgets stand.
    pub budgets: Arc<dyn Budgets>,
    /// How the models do.
    pub health: Arc<dyn Health>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Unpredictable bytes, for ids and new keys.
    pub entropy: Arc<dyn Entropy>,
    /// Who is let in.
    pub access: Access,
    /// The secret under which key secrets are hashed.
    pub pepper: Pepper,
    /// The version that `/v1/info` tells.
    pub version: &'static str,
    /// What `/v1/info` tells of this one server and no other; no secret.
    pub instance: String,
}

/// The state of the server, shared by all handlers.
#[derive(Clone)]
pub struct App(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) metrics: Metrics,
    /// Work that nobody waits for.
    pub(crate) bulk: Bulk,
    /// When the server was made.
    pub(crate) started: Timestamp,
    /// Whether the server stops.
    closing: watch::Sender<bool>,
}

impl App {
    /// Returns the state made of `options`.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let metrics = Metrics::new(options.runtime.clone());
        let (started, bulk) = (options.clock.now(), Bulk::new(options.bulk));
        Self(Arc::new(Shared { options, bulk, metrics, started, closing: watch::Sender::new(false) }))
    }

    /// Ends the open streams; their clients resume them elsewhere or later.
    pub(crate) fn close(&self) {
        self.0.closing.send_replace(true);
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.0.closing.borrow()
    }

    /// Resolves when the server stops.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closing = self.0.closing.subscribe();
        async move {
            // The sender goes only together with the server, which means the same.
            let _ = closing.wait_for(|closing| *closing).await;
        }
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.0.options.runtime
    }

    pub(crate) fn definitions(&self) -> &dyn Definitions {
        &*self.0.options.definitions
    }

    pub(crate) fn model(&self) -> &dyn Model {
        &*self.0.options.model
    }

    pub(crate) fn journal(&self) -> &dyn Journal {
        &*self.0.options.journal
    }

    pub(crate) fn documents(&self) -> &Arc<dyn Documents> {
        &self.0.options.documents
    }

    pub(crate) fn tasks(&self) -> Option<&Arc<dyn Tasks>> {
        self.0.options.tasks.as_ref()
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.0.options.catalog
    }

    /// Returns the routes as the server itself calls them; none before it serves.
    pub(crate) fn server(&self) -> Option<axum::Router> {
        self.0.bulk.server()
    }

    pub(crate) fn keys(&self) -> &dyn Keys {
        &*self.0.options.keys
    }

    pub(crate) fn now(&self) -> bedplate_core::time::Timestamp {
        self.0.options.clock.now()
    }
}
