//! Aliases: names that lead to one version or, by weight, to two.

use crate::{
    Alias, Catalog, Page, PageQuery, Route, Scope, StoreError, VersionError,
    documents::{ALIASES, ATTEMPTS, id},
    names::is_alias,
};
use bedplate_core::{id::Tenant, port::documents::Precondition};

/// An alias that a caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAlias {
    /// Its name.
    pub name: String,
    /// What is said about it.
    pub description: Option<String>,
    /// The state machine's name.
    pub machine: String,
    /// Where it leads.
    pub routes: Vec<Route>,
}

/// What is to change of an alias; absent: it stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AliasUpdate {
    /// What is said about it.
    pub description: Option<String>,
    /// Where it leads.
    pub routes: Option<Vec<Route>>,
}

/// Why an alias was not made, changed or found.
#[derive(Debug, thiserror::Error)]
pub enum AliasError {
    /// Its name is not taken.
    #[error("the name `{0}` is not taken for an alias")]
    Name(String),
    /// It leads to no version, to more than two, or twice to one.
    #[error("an alias leads to one version, or to two different ones")]
    Routes,
    /// The weights do not add up to 100.
    #[error("the weights of an alias add up to 100")]
    Weights,
    /// It leads to a version that does not exist.
    #[error("there is no version {0}")]
    NoVersion(u64),
    /// There is another alias of that name.
    #[error("there is another alias of that name")]
    Exists,
    /// There is no such alias.
    #[error("there is no such alias")]
    NotFound,
    /// Others change it all the time. Retryable.
    #[error("the alias changes too fast")]
    Contended,
    /// The documents failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Alias {
    /// Returns the version that an execution gets; `entropy` decides by weight.
    #[must_use]
    pub fn draw(&self, entropy: [u8; 16]) -> Option<u64> {
        let mut low = [0; 8];
        low.copy_from_slice(&entropy[..8]);
        // 2^64 is no multiple of 100; the bias is below 10^-17.
        let mut at = u64::from_be_bytes(low) % 100;
        for route in &self.routes {
            let weight = u64::from(route.weight);
            if at < weight {
                return Some(route.version);
            }
            at -= weight;
        }
        self.routes.last().map(|route| route.version)
    }
}

impl Catalog {
    /// Makes an alias. A repeat of the same request changes nothing and gives what is there.
    ///
    /// # Errors
    /// [`AliasError`].
    pub async fn create_alias(&self, tenant: &Tenant, scope: &Scope, new: NewAlias) -> Result<Alias, AliasError> {
        if !is_alias(&new.name) {
            return Err(AliasError::Name(new.name));
        }
        self.check_routes(tenant, scope, &new.machine, &new.routes).await?;
        let now = self.now();
        let key = id(scope, &[&new.machine, &new.name]);
        let alias = Alias {
            machine: new.machine,
            name: new.name,
            description: new.description,
            routes: new.routes,
            created_at: now,
            updated_at: now,
        };
        if self.write(tenant, ALIASES, &key, &alias, Precondition::Absent).await? {
            return Ok(alias);
        }
        match self.read::<Alias>(tenant, ALIASES, &key).await? {
            Some((found, _)) if found.routes == alias.routes && found.description == alias.description => Ok(found),
            _ => Err(AliasError::Exists),
        }
    }

    /// Returns an alias.
    ///
    /// # Errors
    /// [`AliasError::NotFound`], [`AliasError::Store`].
    pub async fn alias(&self, tenant: &Tenant, scope: &Scope, machine: &str, name: &str) -> Result<Alias, AliasError> {
        let found = self.read(tenant, ALIASES, &id(scope, &[machine, name])).await?;
        found.map(|(alias, _)| alias).ok_or(AliasError::NotFound)
    }

    /// Lists the aliases of a state machine by name; with `version`, only those that lead to it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn aliases(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        machine: &str,
        version: Option<u64>,
        query: PageQuery,
    ) -> Result<Page<Alias>, StoreError> {
        let mut page: Page<Alias> =
            self.page(tenant, ALIASES, &format!("{}/", id(scope, &[machine])), &query, false).await?;
        if let Some(version) = version {
            page.items.retain(|alias| alias.routes.iter().any(|route| route.version == version));
        }
        Ok(page)
    }

    /// Changes an alias; executions that begin from now on follow it.
    ///
    /// # Errors
    /// [`AliasError`].
    pub async fn update_alias(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        machine: &str,
        name: &str,
        update: AliasUpdate,
    ) -> Result<Alias, AliasError> {
        if let Some(routes) = &update.routes {
            self.check_routes(tenant, scope, machine, routes).await?;
        }
        let key = id(scope, &[machine, name]);
        for _ in 0..ATTEMPTS {
            let (mut alias, revision) = self.read::<Alias>(tenant, ALIASES, &key).await?.ok_or(AliasError::NotFound)?;
            if let Some(routes) = &update.routes {
                alias.routes.clone_from(routes);
            }
            if update.description.is_some() {
                alias.description.clone_from(&update.description);
            }
            alias.updated_at = self.now();
            if self.write(tenant, ALIASES, &key, &alias, Precondition::At(revision)).await? {
                return Ok(alias);
            }
        }
        Err(AliasError::Contended)
    }

    /// Removes an alias; what does not exist is removed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_alias(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        machine: &str,
        name: &str,
    ) -> Result<bool, StoreError> {
        self.remove(tenant, ALIASES, &id(scope, &[machine, name])).await
    }

    async fn check_routes(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        machine: &str,
        routes: &[Route],
    ) -> Result<(), AliasError> {
        match routes {
            [_] => {}
            [one, other] if one.version != other.version => {}
            _ => return Err(AliasError::Routes),
        }
        if routes.iter().map(|route| u64::from(route.weight)).sum::<u64>() != 100 {
            return Err(AliasError::Weights);
        }
        for route in routes {
            match self.version(tenant, scope, machine, route.version).await {
                Ok(_) => {}
                Err(VersionError::Store(error)) => return Err(error.into()),
                Err(VersionError::NotFound | VersionError::InUse(_)) => {
                    return Err(AliasError::NoVersion(route.version));
                }
            }
        }
        Ok(())
    }
}
