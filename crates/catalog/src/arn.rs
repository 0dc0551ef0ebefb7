//! Names of resources as Step Functions writes them.

use std::{fmt, sync::Arc};

/// The region and account that a caller means. Nothing is shared between two of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The region, for example `us-east-1`.
    pub region: Arc<str>,
    /// The account, 12 digits.
    pub account: Arc<str>,
}

impl Default for Scope {
    /// Returns where things are that nobody places elsewhere.
    fn default() -> Self {
        Self { region: "us-east-1".into(), account: "000000000000".into() }
    }
}

impl Scope {
    /// Returns the name of a resource of this kind.
    fn arn(&self, kind: &str, rest: impl fmt::Display) -> String {
        format!("arn:aws:states:{}:{}:{kind}:{rest}", self.region, self.account)
    }

    /// Returns the name of a state machine.
    #[must_use]
    pub fn machine(&self, machine: &str) -> String {
        self.arn("stateMachine", machine)
    }

    /// Returns the name of a version of a state machine.
    #[must_use]
    pub fn version(&self, machine: &str, number: u64) -> String {
        self.arn("stateMachine", format_args!("{machine}:{number}"))
    }

    /// Returns the name of an alias of a state machine.
    #[must_use]
    pub fn alias(&self, machine: &str, alias: &str) -> String {
        self.arn("stateMachine", format_args!("{machine}:{alias}"))
    }

    /// Returns the name of a durable execution.
    #[must_use]
    pub fn execution(&self, machine: &str, name: &str) -> String {
        self.arn("execution", format_args!("{machine}:{name}"))
    }

    /// Returns the name of an execution of an Express state machine; `run` tells two of one name apart.
    #[must_use]
    pub fn express(&self, machine: &str, name: &str, run: &str) -> String {
        self.arn("express", format_args!("{machine}:{name}:{run}"))
    }

    /// Returns the name of an activity.
    #[must_use]
    pub fn activity(&self, name: &str) -> String {
        self.arn("activity", name)
    }
}

/// What an ARN of Step Functions names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arn {
    /// Where it is.
    pub scope: Scope,
    /// What it is.
    pub target: Target,
}

/// See [`Arn::target`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A state machine.
    Machine(String),
    /// A version of a state machine.
    Version(String, u64),
    /// An alias of a state machine.
    Alias(String, String),
    /// An execution: the state machine's name and its own.
    Execution(String, String),
    /// An execution of an Express state machine: the state machine's name, its own, and which of that name.
    Express(String, String, String),
    /// An activity.
    Activity(String),
    /// A map run: the state machine's name with the Map's label, and which.
    MapRun(String, String),
}

impl Target {
    /// Returns the word for its kind in an ARN.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Machine(_) | Self::Version(..) | Self::Alias(..) => "stateMachine",
            Self::Execution(..) => "execution",
            Self::Express(..) => "express",
            Self::Activity(_) => "activity",
            Self::MapRun(..) => "mapRun",
        }
    }
}

/// A text that names no resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArnError {
    /// It is no ARN of Step Functions.
    #[error("Invalid ARN prefix: {0}")]
    Prefix(String),
    /// It says no kind that there is.
    #[error("Resource type not valid in this context: {0}")]
    Kind(String),
    /// A part of it is missing or too much.
    #[error("Invalid ARN: {0}")]
    Parts(String),
}

impl Arn {
    /// Reads an ARN.
    ///
    /// # Errors
    /// [`ArnError`].
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        let parts: Vec<&str> = text.split(':').collect();
        let &["arn", partition, "states", region, account, kind, ref rest @ ..] = parts.as_slice() else {
            return Err(ArnError::Prefix(text.to_owned()));
        };
        if !partition.starts_with("aws") || region.is_empty() || account.is_empty() {
            return Err(ArnError::Prefix(text.to_owned()));
        }
        let own = |text: &&str| (*text).to_owned();
        if rest.is_empty() || rest.iter().any(|part| part.is_empty()) {
            return Err(ArnError::Parts(text.to_owned()));
        }
        let target = match (kind, rest) {
            ("stateMachine", [name]) => Target::Machine(own(name)),
            // An alias has a character that is no digit.
            ("stateMachine", [name, qualifier]) => match qualifier.parse() {
                Ok(number) => Target::Version(own(name), number),
                Err(_) => Target::Alias(own(name), own(qualifier)),
            },
            ("execution", [machine, name]) => Target::Execution(own(machine), own(name)),
            ("express", [machine, name, run]) => Target::Express(own(machine), own(name), own(run)),
            ("activity", [name]) => Target::Activity(own(name)),
            ("mapRun", [machine, run]) => Target::MapRun(own(machine), own(run)),
            ("stateMachine" | "execution" | "express" | "activity" | "mapRun", _) => {
                return Err(ArnError::Parts(text.to_owned()));
            }
            (kind, _) => return Err(ArnError::Kind(kind.to_owned())),
        };
        Ok(Self { scope: Scope { region: region.into(), account: account.into() }, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_written_is_read_again() {
        let scope = Scope::default();
        for (text, target) in [
            (scope.machine("m"), Target::Machine("m".into())),
            (scope.version("m", 7), Target::Version("m".into(), 7)),
            (scope.alias("m", "prod"), Target::Alias("m".into(), "prod".into())),
            (scope.execution("m", "e.1"), Target::Execution("m".into(), "e.1".into())),
            (scope.express("m", "e", "r"), Target::Express("m".into(), "e".into(), "r".into())),
            (scope.activity("a"), Target::Activity("a".into())),
        ] {
            assert_eq!(Arn::parse(&text), Ok(Arn { scope: scope.clone(), target }), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_name_is_refused_and_never_panics() {
        for text in
            ["", ":", "arn:aws:states", "arn:aws:sqs:us-east-1:1:q", "arn:aws:states:us-east-1:1:stateMachine:", "x"]
        {
            assert!(Arn::parse(text).is_err(), "{text}");
        }
        assert!(matches!(Arn::parse("arn:aws:states:r:1:job:x"), Err(ArnError::Kind(kind)) if kind == "job"));
    }
}
