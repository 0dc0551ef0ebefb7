//! Taking over changed files of a project while the server runs; runs keep what they are pinned to.

use super::models;
use bedplate_gateway::Gateway;
use bedplate_project::{ProjectHandle, Watcher};
use std::{path::Path, sync::Arc};

/// Watches the project's files; none when the system cannot, which the log then says.
pub fn watch(definitions: &ProjectHandle, gateway: &Arc<Gateway>, folder: &Path) -> Option<Watcher> {
    let (definitions, gateway, root) = (definitions.clone(), Arc::clone(gateway), folder.to_owned());
    let changed = move || {
        let reload = definitions.reload();
        for problem in &reload.problems {
            tracing::warn!("{problem}");
        }
        if !reload.swapped {
            tracing::warn!("the project has errors: the last good one stays in force");
            return;
        }
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
