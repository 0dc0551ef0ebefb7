//! Versions: state machines as they were published.

use crate::{
    Alias, Catalog, Machine, MachineError, Origin, Page, PageQuery, Scope, StoreError, Version,
    documents::{ALIASES, ATTEMPTS, MACHINES, VERSIONS, id},
};
use bedplate_core::{id::Tenant, port::documents::Precondition};

/// Why a version was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The state machine was not found.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The state machine is at another revision than the caller thinks.
    #[error("the state machine is at revision {current}")]
    Revision {
        /// Where it is.
        current: String,
    },
}

/// Why a version was not removed or found.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// There is no such version.
    #[error("there is no such version")]
    NotFound,
    /// Aliases lead to it.
    #[error("aliases lead to this version: {}", .0.join(", "))]
    InUse(Vec<String>),
    /// The documents failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What stands for the revision of a state machine that was never changed.
const INITIAL: &str = "INITIAL";

/// Returns the id of a version; ids sort as numbers do.
fn key(scope: &Scope, machine: &str, number: u64) -> String {
    id(scope, &[machine, &format!("{number:020}")])
}

impl Catalog {
    /// Publishes a state machine as it is. A repeat without a change between gives the version that is there.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn publish_version(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        machine: &str,
        revision: Option<&str>,
        description: Option<String>,
    ) -> Result<Version, PublishError> {
        let machine = self.machine(tenant, scope, machine).await?;
        let current = machine.revision.as_deref().unwrap_or(INITIAL);
        if revision.is_some_and(|wanted| wanted != current) {
            return Err(PublishError::Revision { current: current.to_owned() });
        }
        Ok(self.publish(tenant, scope, &machine, description).await.map_err(MachineError::from)?)
    }

    /// Publishes `machine`, which is as the store has it.
    pub(crate) async fn publish(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        machine: &Machine,
        description: Option<String>,
    ) -> Result<Version, StoreError> {
        let first = PageQuery { after: None, limit: 1 };
        let prefix = format!("{}/", id(scope, &[&machine.name]));
        let latest: Page<Version> = self.page(tenant, VERSIONS, &prefix, &first, true).await?;
        if let Some(latest) = latest.items.into_iter().next()
            && latest.machine.revision == machine.revision
            && latest.machine.definition == machine.definition
        {
            return Ok(latest);
        }
        if machine.origin == Origin::Project
            && let Some(text) = self.definition(tenant, machine.definition).await?
        {
            self.keep_definition(tenant, &text).await?;
        }
        let number = self.next_version(tenant, scope, machine).await?;
        let version = Version { number, description, created_at: self.now(), machine: machine.clone() };
        self.write(tenant, VERSIONS, &key(scope, &machine.name, number), &version, Precondition::Any).await?;
        Ok(version)
    }

    /// Takes the next number. One that is taken and not written is lost, never given twice.
    async fn next_version(&self, tenant: &Tenant, scope: &Scope, machine: &Machine) -> Result<u64, StoreError> {
        let key = id(scope, &[&machine.name]);
        for _ in 0..ATTEMPTS {
            let kept = self.read::<Machine>(tenant, MACHINES, &key).await?;
            let precondition = kept.as_ref().map_or(Precondition::Absent, |(_, revision)| Precondition::At(*revision));
            let mut kept = kept.map_or_else(|| machine.clone(), |(kept, _)| kept);
            kept.versions += 1;
            if self.write(tenant, MACHINES, &key, &kept, precondition).await? {
                return Ok(kept.versions);
            }
        }
        Err(StoreError::Documents(bedplate_core::port::documents::DocumentError::Conflict))
    }

    /// Returns a version.
    ///
    /// # Errors
    /// [`VersionError::NotFound`], [`VersionError::Store`].
    pub async fn version(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        machine: &str,
        number: u64,
    ) -> Result<Version, VersionError> {
        let found = self.read(tenant, VERSIONS, &key(scope, machine, number)).await?;
        found.map(|(version, _)| version).ok_or(VersionError::NotFound)
    }

    /// Lists the versions of a state machine, latest first; an unknown one has none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn versions(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        machine: &str,
        query: PageQuery,
    ) -> Result<Page<Version>, StoreError> {
        self.page(tenant, VERSIONS, &format!("{}/", id(scope, &[machine])), &query, true).await
    }

    /// Removes a version; what does not exist is removed.
    ///
    /// # Errors
    /// [`VersionError::InUse`], [`VersionError::Store`].
    pub async fn delete_version(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        machine: &str,
        number: u64,
    ) -> Result<(), VersionError> {
        let all = PageQuery { after: None, limit: 1_000 };
        let aliases: Page<Alias> =
            self.page(tenant, ALIASES, &format!("{}/", id(scope, &[machine])), &all, false).await?;
        let leads = |alias: &&Alias| alias.routes.iter().any(|route| route.version == number);
        let using: Vec<String> = aliases.items.iter().filter(leads).map(|alias| alias.name.clone()).collect();
        if !using.is_empty() {
            return Err(VersionError::InUse(using));
        }
        self.remove(tenant, VERSIONS, &key(scope, machine, number)).await?;
        Ok(())
    }
}
