//! The data folder: the store, the databases, the pepper, and the address of a running server.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// The data folder of a project.
#[derive(Clone, Debug)]
pub struct DataFolder {
    path: PathBuf,
}

/// How to reach the server that runs on a data folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    /// Its base address, `http://127.0.0.1:7878`.
    pub url: String,
    /// The token that may do everything.
    pub token: String,
    /// Its process.
    pub pid: u32,
    /// What `/v1/info` says as long as it is this very server that answers.
    #[serde(default)]
    pub instance: String,
}

impl DataFolder {
    /// Returns the data folder `given`, or the project's own `.bedplate`, whether it is there or not.
    pub fn of(project: &Path, given: Option<&Path>) -> Self {
        Self { path: given.map_or_else(|| project.join(".bedplate"), Path::to_owned) }
    }

    /// Makes the folder if it is not there. Only its owner can read it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(&self) -> Result<(), Error> {
        let made = || {
            if self.path.exists() {
                return Ok(());
            }
            fs::create_dir_all(&self.path)?;
            private(&self.path, 0o700)
        };
        made().map_err(|error| {
            Error::failed(format!("failed to make the data folder {}: {error}", self.path.display()))
                .hint("choose a folder that you may write to with --data")
        })
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes what the store and the project's databases are kept in, so that only its owner can read it, also in a
    /// folder that others can read; SQLite gives the files beside the store's the same mode.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_store(&self) -> Result<(), Error> {
        let (store, databases) = (self.path.join("bedplate.db"), self.path.join("databases"));
        let made = || {
            if let Err(error) = private_options().create_new(true).open(&store)
                && error.kind() != std::io::ErrorKind::AlreadyExists
            {
                return Err(error);
            }
            if !databases.exists() {
                fs::create_dir(&databases)?;
                private(&databases, 0o700)?;
            }
            Ok(())
        };
        made().map_err(|error: std::io::Error| {
            Error::failed(format!("failed to write to the data folder {}: {error}", self.path.display()))
                .hint("choose a folder that you may write to with --data")
        })
    }

    /// Returns the secret under which the secrets of keys are hashed; it is made at the first start. Whoever calls this
    /// holds the store of the folder, so that no two processes make one each.
    ///
    /// # Errors
    /// When it cannot be read or made, or is damaged.
    pub fn pepper(&self) -> Result<[u8; 32], Error> {
        let path = self.path.join("pepper");
        let failed = |error| Error::failed(format!("failed to keep {}: {error}", path.display()));
        if !path.exists() {
            let fresh: [u8; 32] = rand::random();
            write_private(&path, &fresh).map_err(failed)?;
            return Ok(fresh);
        }
        let bytes = fs::read(&path).map_err(failed)?;
        <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| {
            Error::failed(format!("{} is damaged: it must have 32 bytes", path.display()))
                .hint("restore it from a backup; without it no API key works, and new ones must be made")
        })
    }

    /// Tells the command line where the server is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn announce(&self, running: &Running) -> Result<(), Error> {
        let text = serde_json::to_vec(running).unwrap_or_default();
        write_private(&self.address_file(), &text)
            .map_err(|error| Error::failed(format!("failed to write {}: {error}", self.address_file().display())))
    }

    /// Takes the announcement back.
    pub fn withdraw(&self) {
        // A file that is left behind is recognised by its address, which does not answer.
        let _ = fs::remove_file(self.address_file());
    }

    /// Returns what a server announced; it may be gone since.
    pub fn announced(&self) -> Option<Running> {
        serde_json::from_slice(&fs::read(self.address_file()).ok()?).ok()
    }

    fn address_file(&self) -> PathBuf {
        self.path.join("server.json")
    }
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    // A draft that a crash left behind may have other permissions.
    let _ = fs::remove_file(&draft);
    let mut file = private_options().create_new(true).open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// Returns how a file is opened that only its owner can read when it is made.
fn private_options() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn private(path: &Path, mode: u32) -> std::io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn private(_: &Path, _: u32) -> std::io::Result<()> {
    Ok(())
}
