//! Taking over changed files of a project while the server runs; runs keep what they are pinned to.

use super::{models, tasks};
use bedplate_gateway::Gateway;
use bedplate_project::{BulkConfig, Config, DatabaseConfig, ProjectHandle, ServerConfig, Watcher};
use bedplate_tasks::TaskTable;
use std::{path::Path, sync::Arc};

/// Watches the project's files; none when the system cannot, which the log then says.
pub fn watch(definitions: &ProjectHandle, gateway: &Arc<Gateway>, table: &TaskTable, folder: &Path) -> Option<Watcher> {
    let (definitions, gateway, root) = (definitions.clone(), Arc::clone(gateway), folder.to_owned());
    let table = table.clone();
    let opened = Opened::of(&definitions.project().config);
    let changed = move || {
        let reload = definitions.reload();
        for problem in &reload.problems {
            tracing::warn!("{problem}");
        }
        if !reload.swapped {
            tracing::warn!("the project has errors: the last good one stays in force");
            return;
        }
        for part in opened.differs_in(&definitions.project().config) {
            tracing::warn!("{part} of bedplate.toml changed: that is taken over at the next start");
        }
        table.reload(tasks::config(&definitions.project().config));
        let routes = models::config(&definitions.project(), &root)
            .map_err(|error| error.message)
            .and_then(|config| gateway.reload(config).map_err(|error| error.to_string()));
        match routes {
            Ok(()) => tracing::info!("the project was loaded again"),
            Err(message) => tracing::warn!("the models stay as they were: {message}"),
        }
    };
    bedplate_project::watch(folder, changed)
        .map_err(|error| tracing::warn!(%error, "changes of the project are not noticed"))
        .ok()
}

/// What of a project's configuration is opened once, at the start.
struct Opened {
    server: ServerConfig,
    databases: Vec<DatabaseConfig>,
    secrets: Vec<String>,
    retention_days: Option<u32>,
    bulk: BulkConfig,
}

impl Opened {
    fn of(config: &Config) -> Self {
        Self {
            server: config.server.clone(),
            databases: config.databases.clone(),
            secrets: config.secrets.clone(),
            retention_days: config.retention_days,
            bulk: config.bulk.clone(),
        }
    }

    /// Returns the parts in which `config` says something else.
    fn differs_in<'a>(&self, config: &'a Config) -> impl Iterator<Item = &'a str> + use<'a> {
        let parts = [
            ("[server]", self.server != config.server),
            ("[databases]", self.databases != config.databases),
            ("[secrets]", self.secrets != config.secrets),
            ("[bulk]", self.bulk != config.bulk),
            ("[store]", self.retention_days != config.retention_days),
        ];
        parts.into_iter().filter_map(|(part, differs)| differs.then_some(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_start_takes_over_is_named_and_nothing_else_is() {
        let before = Config::default();
        let mut after = Config { description: "said otherwise".into(), ..before.clone() };
        let differs = |after: &Config| Opened::of(&before).differs_in(after).map(str::to_owned).collect::<Vec<_>>();
        assert!(differs(&after).is_empty());
        after.secrets.push("TOKEN".into());
        after.retention_days = Some(30);
        after.server.allowed_hosts.push("shop.example".into());
        assert_eq!(differs(&after), ["[server]", "[secrets]", "[store]"]);
    }
}
