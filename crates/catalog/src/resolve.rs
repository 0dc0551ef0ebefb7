//! The Workflows port over the catalog: which definition a name means now.

use crate::{
    ActivityError, AliasError, Arn, Catalog, Kind, Machine, MachineError, Scope, StoreError, Target, VersionError,
};
use bedplate_core::{
    id::Tenant,
    port::{
        BoxFuture,
        workflows::{PinnedWorkflow, ResolveError, Workflows},
    },
};

impl Catalog {
    /// Returns what an execution of the machine, version or alias that `arn` names is pinned to. An alias with weights
    /// draws from `entropy`.
    ///
    /// # Errors
    /// [`ResolveError`].
    pub async fn pin(&self, tenant: &Tenant, arn: &Arn, entropy: [u8; 16]) -> Result<PinnedWorkflow, ResolveError> {
        let scope = &arn.scope;
        match &arn.target {
            Target::Machine(name) => {
                let machine = self.machine(tenant, scope, name).await.map_err(|error| match error {
                    MachineError::NotFound | MachineError::OfProject => ResolveError::NotFound(scope.machine(name)),
                    MachineError::Store(error) => failed(&error),
                })?;
                self.pinned(tenant, scope, machine, None, None).await
            }
            Target::Version(name, number) => {
                let version = scope.version(name, *number);
                let machine = self.published(tenant, scope, name, *number, &version).await?;
                self.pinned(tenant, scope, machine, Some(&version), Some(&version)).await
            }
            Target::Alias(name, alias) => {
                let qualified = scope.alias(name, alias);
                let found = self.alias(tenant, scope, name, alias).await.map_err(|error| match error {
                    AliasError::Store(error) => failed(&error),
                    _ => ResolveError::NotFound(qualified.clone()),
                })?;
                let number = found.draw(entropy).ok_or_else(|| ResolveError::NotFound(qualified.clone()))?;
                let machine = self.published(tenant, scope, name, number, &qualified).await?;
                let version = scope.version(name, number);
                self.pinned(tenant, scope, machine, Some(&qualified), Some(&version)).await
            }
            Target::Execution(..) | Target::Express(..) | Target::Activity(_) | Target::MapRun(..) => {
                Err(ResolveError::NotFound(arn.target.kind().to_owned()))
            }
        }
    }

    async fn published(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        name: &str,
        number: u64,
        said: &str,
    ) -> Result<Machine, ResolveError> {
        match self.version(tenant, scope, name, number).await {
            Ok(version) => Ok(version.machine),
            Err(VersionError::Store(error)) => Err(failed(&error)),
            Err(VersionError::NotFound | VersionError::InUse(_)) => Err(ResolveError::NotFound(said.to_owned())),
        }
    }

    async fn pinned(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        machine: Machine,
        qualified: Option<&str>,
        version: Option<&str>,
    ) -> Result<PinnedWorkflow, ResolveError> {
        let text = self.definition(tenant, machine.definition).await.map_err(|error| failed(&error))?;
        let text = text.ok_or_else(|| ResolveError::Store("a definition is not where it was kept".to_owned()))?;
        Ok(PinnedWorkflow {
            arn: scope.machine(&machine.name).into(),
            name: machine.name.into(),
            qualified: qualified.map(Into::into),
            version: version.map(Into::into),
            role: machine.role.into(),
            express: machine.kind == Kind::Express,
            hash: machine.definition,
            text,
        })
    }
}

impl Workflows for Catalog {
    fn resolve(
        &self,
        tenant: &Tenant,
        machine: &str,
        entropy: [u8; 16],
    ) -> BoxFuture<'static, Result<PinnedWorkflow, ResolveError>> {
        let (catalog, tenant, said) = (self.clone(), tenant.clone(), machine.to_owned());
        Box::pin(async move {
            let arn = match Arn::parse(&said) {
                Ok(arn) => arn,
                // A plain name: `name`, `name:7` or `name:alias`, where nobody says otherwise.
                Err(_) => {
                    Arn::parse(&Scope::default().machine(&said)).map_err(|_| ResolveError::NotFound(said.clone()))?
                }
            };
            catalog.pin(&tenant, &arn, entropy).await
        })
    }

    fn has_activity(&self, tenant: &Tenant, activity: &str) -> BoxFuture<'static, bool> {
        let (catalog, tenant, arn) = (self.clone(), tenant.clone(), Arn::parse(activity));
        Box::pin(async move {
            let Ok(Arn { scope, target: Target::Activity(name) }) = arn else { return false };
            !matches!(catalog.activity(&tenant, &scope, &name).await, Err(ActivityError::NotFound))
        })
    }
}

fn failed(error: &StoreError) -> ResolveError {
    ResolveError::Store(error.to_string())
}
