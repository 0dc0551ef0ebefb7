//! Errors at the command line: a kind with its exit code, what failed, and what to do.

use std::fmt;

/// What kind of failure; each has its own exit code, documented in `docs/reference/cli.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something outside failed: a port is taken, a disk is full. Exit code 1.
    Failed,
    /// The arguments contradict each other. Exit code 2, as for a wrong argument.
    Usage,
    /// The project has problems. Exit code 3.
    Problems,
    /// What was named does not exist. Exit code 4.
    NotFound,
    /// The server refused. Exit code 5.
    Refused,
    /// The agent's turn or the workflow's execution did not complete. Exit code 6.
    Turn,
}

impl Kind {
    /// Returns the exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Problems => 3,
            Self::NotFound => 4,
            Self::Refused => 5,
            Self::Turn => 6,
        }
    }
}

/// A command that failed.
#[derive(Debug)]
pub struct Error {
    /// The kind.
    pub kind: Kind,
    /// What failed.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Error {
    /// Returns an error of `kind` that says `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// Returns a failure of something outside.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n hint: {hint}")?;
        }
        Ok(())
    }
}
