//! The lock of a data folder: one process at a time.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
};

/// A held lock; the system releases it with the process at the latest.
pub(super) struct FolderLock(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

/// Why a folder could not be locked.
pub(super) enum LockError {
    /// Another process holds it; its id, when it could be read.
    Held(Option<u32>),
    /// The lock file could not be made.
    Io(io::Error),
}

impl FolderLock {
    /// Locks `folder` and leaves this process's id in the lock file.
    pub(super) fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join("lock");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let holder = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(LockError::Held(holder));
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(LockError::Io)?;
        Ok(Self(file))
    }
}
