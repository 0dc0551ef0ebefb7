//! What Step Functions keeps besides executions: state machines, their versions and aliases, activities and tags.
//!
//! Everything lies in the Documents port; a definition is kept once under the hash of its text. What the project declares
//! as a workflow appears here as a state machine of every region and account, under its own name.
//!
//! Invariant: nothing here knows HTTP, a wire format or an execution's journal.

mod activities;
mod aliases;
mod arn;
mod documents;
mod machines;
mod names;
mod record;
mod resolve;
mod tags;
mod versions;

pub use self::{
    activities::ActivityError,
    aliases::{AliasError, AliasUpdate, NewAlias},
    arn::{Arn, ArnError, Scope, Target},
    documents::{Page, PageQuery},
    machines::{CreateError, Created, MachineError, MachineUpdate, NewMachine, UpdateError, Updated},
    names::{NameError, check_name},
    record::{Activity, Alias, Kind, Logging, Machine, Origin, Route, Tag, Version},
    tags::TagError,
    versions::{PublishError, VersionError},
};

use bedplate_core::port::{
    clock::{Clock, Entropy},
    definitions::Definitions,
    documents::{DocumentError, Documents},
};
use std::sync::Arc;

/// What the catalog is made of.
pub struct Options {
    /// Where it keeps things.
    pub documents: Arc<dyn Documents>,
    /// What the project declares.
    pub definitions: Arc<dyn Definitions>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Unpredictable bytes, for revisions and the choice by weight.
    pub entropy: Arc<dyn Entropy>,
}

/// State machines, versions, aliases and activities. A copy is the same catalog.
#[derive(Clone)]
pub struct Catalog(Arc<Options>);

impl Catalog {
    /// Returns the catalog over `options`.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self(Arc::new(options))
    }
}

/// The documents could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store failed. Retryable.
    #[error(transparent)]
    Documents(#[from] DocumentError),
    /// A document is not in a form that this version reads. Terminal.
    #[error("failed to read a document of the catalog: {0}")]
    Unreadable(String),
}
