//! A small project to start from.

use crate::Project;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

const FILES: [(&str, &str); 3] = [
    ("bedplate.toml", include_str!("init/bedplate.toml")),
    ("agents/assistant.md", include_str!("init/assistant.md")),
    ("README.md", include_str!("init/README.md")),
];

/// A project that was not made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a file that would be overwritten; nothing was written.
    #[error("failed to make a project: {} exists already", .0.display())]
    Exists(PathBuf),
    /// The folder's name cannot be made a project's name.
    #[error("failed to make a project: {0:?} has no letter or digit to name it by")]
    Name(String),
    /// The disk said no.
    #[error("failed to make a project: {}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

impl Project {
    /// Writes a starter project into `folder`, which is made if it does not exist: an agent with the built-in tools, a
    /// configuration and a README. Returns the files, relative to the folder.
    ///
    /// # Errors
    /// [`InitError`]; no existing file is ever overwritten.
    pub fn init(folder: &Path) -> Result<Vec<&'static str>, InitError> {
        let name = project_name(folder)?;
        for (file, _) in FILES {
            let path = folder.join(file);
            if path.exists() {
                return Err(InitError::Exists(path));
            }
        }
        let mut written = Vec::with_capacity(FILES.len());
        for (file, text) in FILES {
            let path = folder.join(file);
            write(&path, &text.replace("{name}", &name)).map_err(|source| InitError::Io { path, source })?;
            written.push(file);
        }
        Ok(written)
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // A file that appeared since the look must not be overwritten either.
    let mut file = fs::File::create_new(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

/// Makes a project's name of the folder's.
fn project_name(folder: &Path) -> Result<String, InitError> {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let text = absolute.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String =
        text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect();
    let name = name.trim_matches('-').to_owned();
    if name.is_empty() { Err(InitError::Name(text)) } else { Ok(name) }
}
