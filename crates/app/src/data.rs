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
}

impl DataFolder {
    /// Returns the data folder `given`, or the project's own `.bedplate`, made if it is not there. Only its owner can
    /// read it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(project: &Path, given: Option<&Path>) -> Result<Self, Error> {
        let path = given.map_or_else(|| project.join(".bedplate"), Path::to_owned);
        let failed = |error| Error::failed(format!("failed to make the data folder {}: {error}", path.display()));
        if !path.exists() {
            fs::create_dir_all(&path).map_err(failed)?;
            private(&path, 0o700).map_err(failed)?;
        }
        Ok(Self { path })
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the secret under which the secrets of keys are hashed; it is made at the first start.
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
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(unix)]
fn private(path: &Path, mode: u32) -> std::io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn private(_: &Path, _: u32) -> std::io::Result<()> {
    Ok(())
}
