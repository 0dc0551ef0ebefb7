//! Noticing that the files of a project changed.

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// How long the files must be quiet before a change is told: editors and checkouts write in bursts.
const QUIET: Duration = Duration::from_millis(150);

/// Watches as long as it lives.
pub struct Watcher {
    _watcher: Arc<Mutex<RecommendedWatcher>>,
}

/// The folder could not be watched.
#[derive(Debug, thiserror::Error)]
#[error("failed to watch the project folder: {0}")]
pub struct WatchError(#[from] notify::Error);

/// Calls `changed`, on a thread of its own, after the project's files in `folder` changed. Only files that are loaded
/// count: data folders and databases within the project do not.
///
/// # Errors
/// [`WatchError`] when the system does not watch the folder.
pub fn watch(folder: &Path, changed: impl Fn() + Send + 'static) -> Result<Watcher, WatchError> {
    let folder = folder.canonicalize().map_err(notify::Error::io)?;
    let (sender, receiver) = mpsc::channel();
    let root = folder.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // A failed watch may have lost changes, so it counts as one.
        let counts = event.map_or(true, |event| {
            !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(|path| is_loaded(&root, path))
        });
        if counts {
            // The receiver is gone only when the watcher is being dropped.
            let _ = sender.send(());
        }
    })?;
    // The root is watched by itself, and each folder of files below it as a whole, so that a data folder of many files
    // costs nothing.
    watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    watch_folders(&mut watcher, &folder);
    let watcher = Arc::new(Mutex::new(watcher));
    let weak = Arc::downgrade(&watcher);
    thread::Builder::new()
        .name("project-watch".to_owned())
        .spawn(move || {
            while receiver.recv().is_ok() {
                loop {
                    match receiver.recv_timeout(QUIET) {
                        Ok(()) => {}
                        Err(RecvTimeoutError::Timeout) => break,
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
                // A folder that is new, or was replaced, must be watched before it is read, so that nothing is missed.
                match weak.upgrade() {
                    Some(watcher) => {
                        watch_folders(&mut watcher.lock().unwrap_or_else(PoisonError::into_inner), &folder)
                    }
                    None => return,
                }
                changed();
            }
        })
        .map_err(notify::Error::io)?;
    Ok(Watcher { _watcher: watcher })
}

const FOLDERS: [&str; 4] = ["agents", "tools", "prompts", "workflows"];

/// Watches the folders of files that exist; watching one again changes nothing.
fn watch_folders(watcher: &mut RecommendedWatcher, root: &Path) {
    for folder in FOLDERS.map(|kind| root.join(kind)).iter().filter(|folder| folder.is_dir()) {
        // A folder that vanished since the look is told by the watch of the root.
        let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
    }
}

fn is_loaded(root: &Path, path: &Path) -> bool {
    let relative: PathBuf = path.strip_prefix(root).map_or_else(|_| path.to_owned(), Path::to_owned);
    let hidden = relative.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let first = relative.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
    !hidden && first.is_some_and(|first| first == crate::config::FILE || FOLDERS.contains(&first.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_are_loaded_count() {
        let root = Path::new("/p");
        for (path, counts) in [
            ("/p/bedplate.toml", true),
            ("/p/agents/a.md", true),
            ("/p/agents", true),
            ("/p/agents/.a.md.swp", false),
            ("/p/data/shop.db", false),
            ("/p/.bedplate/databases/shop.db-wal", false),
        ] {
            assert_eq!(is_loaded(root, Path::new(path)), counts, "{path}");
        }
    }
}
