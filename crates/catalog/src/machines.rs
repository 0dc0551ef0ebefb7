//! State machines: made, changed, shown, removed.

use crate::{
    Arn, Catalog, Kind, Logging, Machine, NameError, Origin, Page, PageQuery, Scope, StoreError, Tag, Target, Version,
    check_name,
    documents::{ALIASES, ATTEMPTS, DEFINITIONS, MACHINES, VERSIONS, id, parse},
    tags,
};
use bedplate_core::{
    id::{ContentHash, RunId, Tenant},
    port::{
        definitions::ProjectWorkflow,
        documents::{DocumentQuery, MAX_DOCUMENTS, Precondition},
    },
    time::Timestamp,
};
use bedplate_engine::workflow::definition::{self, Diagnostic, MachineType, Severity};
use serde_json::Value;
use std::sync::Arc;

/// A state machine that a caller wants.
#[derive(Clone, Debug, Default)]
pub struct NewMachine {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// The text of its definition.
    pub definition: String,
    /// The role that it names.
    pub role: String,
    /// What is said about logs.
    pub logging: Logging,
    /// Whether traces are wanted.
    pub tracing: bool,
    /// What encrypts it.
    pub encryption: Option<Value>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Whether it is published as its first version.
    pub publish: bool,
    /// What is said about that version.
    pub version_description: Option<String>,
}

/// What is to change of a state machine; absent: it stays.
#[derive(Clone, Debug, Default)]
pub struct MachineUpdate {
    /// The text of its definition.
    pub definition: Option<String>,
    /// The role that it names.
    pub role: Option<String>,
    /// What is said about logs.
    pub logging: Option<Logging>,
    /// Whether traces are wanted.
    pub tracing: Option<bool>,
    /// What encrypts it.
    pub encryption: Option<Value>,
    /// Whether it is published as a version.
    pub publish: bool,
    /// What is said about that version.
    pub version_description: Option<String>,
}

/// A state machine that was made, or that was there already and is the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// The state machine.
    pub machine: Machine,
    /// The version that it was published as.
    pub version: Option<Version>,
}

/// A state machine that was changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Updated {
    /// The state machine.
    pub machine: Machine,
    /// The version that it was published as.
    pub version: Option<Version>,
}

/// Why a state machine was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Its name is not taken.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Its definition has errors.
    #[error("the definition is not valid")]
    Definition(Vec<Diagnostic>),
    /// There is another one of that name.
    #[error("there is another state machine of that name")]
    Exists,
    /// The project declares a workflow of that name.
    #[error("the project declares a workflow of that name")]
    OfProject,
    /// It has too many tags.
    #[error("too many tags")]
    TooManyTags,
    /// The documents failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a state machine was not found.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// There is none of that name.
    #[error("there is no such state machine")]
    NotFound,
    /// The project declares it; it changes with its file.
    #[error("the project declares this workflow")]
    OfProject,
    /// The documents failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a state machine was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The new definition has errors.
    #[error("the definition is not valid")]
    Definition(Vec<Diagnostic>),
    /// It was not found, or others change it all the time.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// Others change it all the time. Retryable.
    #[error("the state machine changes too fast")]
    Contended,
}

impl From<StoreError> for UpdateError {
    fn from(error: StoreError) -> Self {
        Self::Machine(error.into())
    }
}

/// Returns what is wrong with a definition; warnings included.
pub(crate) fn diagnostics(text: &str, kind: Kind) -> Vec<Diagnostic> {
    let machine_type = match kind {
        Kind::Standard => MachineType::Standard,
        Kind::Express => MachineType::Express,
    };
    definition::check(text, machine_type)
}

fn errors(text: &str, kind: Kind) -> Result<(), Vec<Diagnostic>> {
    let mut found = diagnostics(text, kind);
    found.retain(|one| one.severity == Severity::Error);
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// Returns the revision of a workflow of the project: what its file says.
fn revision_of(definition: ContentHash) -> Option<String> {
    Some(definition.to_string()[..32].to_owned())
}

/// Returns whether `machine` is what `new` asks for, as Step Functions compares a repeated request: tags and role may
/// differ.
fn is_same(machine: &Machine, new: &NewMachine) -> bool {
    machine.kind == new.kind
        && machine.definition == ContentHash::of(new.definition.as_bytes())
        && machine.logging == new.logging
        && machine.tracing == new.tracing
        && machine.encryption == new.encryption
}

impl Catalog {
    /// Makes a state machine. A repeat of the same request changes nothing and gives what is there.
    ///
    /// # Errors
    /// [`CreateError`].
    pub async fn create_machine(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        new: NewMachine,
    ) -> Result<Created, CreateError> {
        check_name(&new.name)?;
        errors(&new.definition, new.kind).map_err(CreateError::Definition)?;
        if self.0.definitions.workflow(&new.name).is_some() {
            return Err(CreateError::OfProject);
        }
        let tags = tags::merged(&[], &new.tags).ok_or(CreateError::TooManyTags)?;
        let now = self.now();
        let machine = Machine {
            name: new.name.clone(),
            kind: new.kind,
            definition: self.keep_definition(tenant, &new.definition).await?,
            role: new.role.clone(),
            logging: new.logging.clone(),
            tracing: new.tracing,
            encryption: new.encryption.clone(),
            tags,
            revision: None,
            versions: 0,
            created_at: now,
            updated_at: now,
            origin: Origin::Api,
        };
        let key = id(scope, &[&new.name]);
        let machine = if self.write(tenant, MACHINES, &key, &machine, Precondition::Absent).await? {
            machine
        } else {
            match self.read::<Machine>(tenant, MACHINES, &key).await? {
                Some((found, _)) if is_same(&found, &new) => found,
                _ => return Err(CreateError::Exists),
            }
        };
        if !new.publish {
            return Ok(Created { machine, version: None });
        }
        let version = self.publish(tenant, scope, &machine, new.version_description).await?;
        Ok(Created { machine, version: Some(version) })
    }

    /// Returns a state machine: one that was made, or one that the project declares.
    ///
    /// # Errors
    /// [`MachineError`].
    pub async fn machine(&self, tenant: &Tenant, scope: &Scope, name: &str) -> Result<Machine, MachineError> {
        if let Some(declared) = self.0.definitions.workflow(name) {
            return Ok(self.of_project(tenant, scope, &declared).await?);
        }
        let found = self.read(tenant, MACHINES, &id(scope, &[name])).await?;
        found.map(|(machine, _)| machine).ok_or(MachineError::NotFound)
    }

    /// Returns the state machine that a workflow of the project is: what callers said about it lies in a document.
    pub(crate) async fn of_project(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        declared: &ProjectWorkflow,
    ) -> Result<Machine, StoreError> {
        let definition = declared.hash;
        let kind = if declared.express { Kind::Express } else { Kind::Standard };
        let kept = self.read::<Machine>(tenant, MACHINES, &id(scope, &[&declared.name])).await?;
        let base = kept.map(|(machine, _)| machine).filter(|machine| machine.origin == Origin::Project);
        Ok(match base {
            Some(machine) => Machine { kind, definition, revision: revision_of(definition), ..machine },
            None => Machine {
                name: declared.name.to_string(),
                kind,
                definition,
                role: declared
                    .role
                    .as_deref()
                    .map_or_else(|| format!("arn:aws:iam::{}:role/bedplate", scope.account), Into::into),
                logging: Logging::default(),
                tracing: false,
                encryption: None,
                tags: Vec::new(),
                revision: revision_of(definition),
                versions: 0,
                created_at: Timestamp(0),
                updated_at: Timestamp(0),
                origin: Origin::Project,
            },
        })
    }

    /// Lists state machines by name, those of the project among them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn machines(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        query: PageQuery,
    ) -> Result<Page<Machine>, StoreError> {
        let prefix = format!("{}/", id(scope, &[]));
        let mut page: Page<Machine> = self.page(tenant, MACHINES, &prefix, &query, false).await?;
        page.items.retain(|machine| machine.origin == Origin::Api);
        for declared in self.0.definitions.workflows() {
            let after_start = query.after.as_deref().is_none_or(|after| *declared.name > *after);
            let before_end = page.next.as_deref().is_none_or(|next| *declared.name <= *next);
            if after_start && before_end {
                let machine = self.of_project(tenant, scope, &declared).await?;
                let at = page.items.partition_point(|other| other.name < machine.name);
                if page.items.get(at).is_some_and(|other| other.name == machine.name) {
                    page.items[at] = machine;
                } else {
                    page.items.insert(at, machine);
                }
            }
        }
        Ok(page)
    }

    /// Lists state machines of all regions and accounts by name, for those who run the server: at most 1,000, and those
    /// of the project.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn machines_everywhere(&self, tenant: &Tenant) -> Result<Vec<(Scope, Machine)>, StoreError> {
        let ask = DocumentQuery { collection: MACHINES.to_owned(), limit: MAX_DOCUMENTS, ..DocumentQuery::default() };
        let mut found = Vec::new();
        for document in self.0.documents.list(tenant, ask).await? {
            let mut parts = document.id.split('/');
            let (Some(region), Some(account)) = (parts.next(), parts.next()) else { continue };
            let machine: Machine = parse(&document.body)?;
            if machine.origin == Origin::Api {
                found.push((Scope { region: region.into(), account: account.into() }, machine));
            }
        }
        for declared in self.0.definitions.workflows() {
            let scope = Scope::default();
            let machine = self.of_project(tenant, &scope, &declared).await?;
            found.push((scope, machine));
        }
        found.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Returns the state machine that people mean by a name or an ARN: one of the project, one of the usual region and
    /// account, or the only one of that name anywhere.
    ///
    /// # Errors
    /// [`MachineError`].
    pub async fn find_machine(&self, tenant: &Tenant, said: &str) -> Result<(Scope, Machine), MachineError> {
        if let Ok(Arn { scope, target: Target::Machine(name) }) = Arn::parse(said) {
            let machine = self.machine(tenant, &scope, &name).await?;
            return Ok((scope, machine));
        }
        let usual = Scope::default();
        match self.machine(tenant, &usual, said).await {
            Ok(machine) => return Ok((usual, machine)),
            Err(MachineError::NotFound) => {}
            Err(error) => return Err(error),
        }
        let mut named = self.machines_everywhere(tenant).await?;
        named.retain(|(_, machine)| machine.name == said);
        match named.len() {
            1 => named.pop().ok_or(MachineError::NotFound),
            _ => Err(MachineError::NotFound),
        }
    }

    /// Changes a state machine. Executions that run keep what they began with.
    ///
    /// # Errors
    /// [`UpdateError`].
    pub async fn update_machine(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        name: &str,
        update: MachineUpdate,
    ) -> Result<Updated, UpdateError> {
        if self.0.definitions.workflow(name).is_some() {
            return Err(MachineError::OfProject.into());
        }
        let key = id(scope, &[name]);
        for _ in 0..ATTEMPTS {
            let found = self.read::<Machine>(tenant, MACHINES, &key).await?;
            let (before, revision) = found.ok_or(MachineError::NotFound)?;
            let mut machine = before.clone();
            if let Some(text) = &update.definition {
                errors(text, machine.kind).map_err(UpdateError::Definition)?;
                machine.definition = self.keep_definition(tenant, text).await?;
            }
            if let Some(role) = &update.role {
                machine.role.clone_from(role);
            }
            if let Some(logging) = &update.logging {
                machine.logging = logging.clone();
            }
            if let Some(tracing) = update.tracing {
                machine.tracing = tracing;
            }
            if let Some(encryption) = &update.encryption {
                machine.encryption = Some(encryption.clone());
            }
            if machine != before || machine.revision.is_none() {
                machine.revision = Some(self.revision());
            }
            machine.updated_at = self.now();
            if !self.write(tenant, MACHINES, &key, &machine, Precondition::At(revision)).await? {
                continue;
            }
            if !update.publish {
                return Ok(Updated { machine, version: None });
            }
            let version = self.publish(tenant, scope, &machine, update.version_description).await?;
            return Ok(Updated { machine, version: Some(version) });
        }
        Err(UpdateError::Contended)
    }

    /// Removes a state machine with its versions and aliases; what does not exist is removed. Executions that run go on.
    ///
    /// # Errors
    /// [`MachineError::OfProject`], [`MachineError::Store`].
    pub async fn delete_machine(&self, tenant: &Tenant, scope: &Scope, name: &str) -> Result<bool, MachineError> {
        if self.0.definitions.workflow(name).is_some() {
            return Err(MachineError::OfProject);
        }
        let below = format!("{}/", id(scope, &[name]));
        self.clear(tenant, ALIASES, &below).await?;
        self.clear(tenant, VERSIONS, &below).await?;
        Ok(self.remove(tenant, MACHINES, &id(scope, &[name])).await?)
    }

    /// Returns the text of a definition; none when it was never kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn definition(&self, tenant: &Tenant, hash: ContentHash) -> Result<Option<Arc<str>>, StoreError> {
        if let Some(declared) = self.0.definitions.workflows().iter().find(|declared| declared.hash == hash) {
            return Ok(Some(Arc::clone(&declared.text)));
        }
        let found = self.read::<String>(tenant, DEFINITIONS, &hash.to_string()).await?;
        Ok(found.map(|(text, _)| text.into()))
    }

    pub(crate) async fn keep_definition(&self, tenant: &Tenant, text: &str) -> Result<ContentHash, StoreError> {
        let hash = ContentHash::of(text.as_bytes());
        // One that is there says the same: its id is the hash of it.
        self.write(tenant, DEFINITIONS, &hash.to_string(), &text, Precondition::Absent).await?;
        Ok(hash)
    }

    /// Returns a fresh name for a state of a state machine, in the form of a UUID.
    fn revision(&self) -> String {
        let digits = RunId(self.0.entropy.bytes()).to_string();
        [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
    }
}
