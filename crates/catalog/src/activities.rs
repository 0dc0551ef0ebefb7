//! Activities: named queues of tasks. The tasks themselves wait in their executions.

use crate::{
    Activity, Catalog, NameError, Page, PageQuery, Scope, StoreError, Tag, check_name,
    documents::{ACTIVITIES, id},
    tags,
};
use bedplate_core::{id::Tenant, port::documents::Precondition};
use serde_json::Value;

/// Why an activity was not made or found.
#[derive(Debug, thiserror::Error)]
pub enum ActivityError {
    /// Its name is not taken.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is one of that name, encrypted otherwise.
    #[error("there is another activity of that name")]
    Exists,
    /// It has too many tags.
    #[error("too many tags")]
    TooManyTags,
    /// There is none of that name.
    #[error("there is no such activity")]
    NotFound,
    /// The documents failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Catalog {
    /// Makes an activity. A repeat changes nothing and gives what is there.
    ///
    /// # Errors
    /// [`ActivityError`].
    pub async fn create_activity(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        name: &str,
        tags: &[Tag],
        encryption: Option<Value>,
    ) -> Result<Activity, ActivityError> {
        check_name(name)?;
        let tags = tags::merged(&[], tags).ok_or(ActivityError::TooManyTags)?;
        let activity = Activity { name: name.to_owned(), encryption, tags, created_at: self.now() };
        let key = id(scope, &[name]);
        if self.write(tenant, ACTIVITIES, &key, &activity, Precondition::Absent).await? {
            return Ok(activity);
        }
        match self.read::<Activity>(tenant, ACTIVITIES, &key).await? {
            Some((found, _)) if found.encryption == activity.encryption => Ok(found),
            _ => Err(ActivityError::Exists),
        }
    }

    /// Returns an activity.
    ///
    /// # Errors
    /// [`ActivityError::NotFound`], [`ActivityError::Store`].
    pub async fn activity(&self, tenant: &Tenant, scope: &Scope, name: &str) -> Result<Activity, ActivityError> {
        let found = self.read(tenant, ACTIVITIES, &id(scope, &[name])).await?;
        found.map(|(activity, _)| activity).ok_or(ActivityError::NotFound)
    }

    /// Lists activities by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn activities(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        query: PageQuery,
    ) -> Result<Page<Activity>, StoreError> {
        self.page(tenant, ACTIVITIES, &format!("{}/", id(scope, &[])), &query, false).await
    }

    /// Removes an activity; what does not exist is removed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_activity(&self, tenant: &Tenant, scope: &Scope, name: &str) -> Result<bool, StoreError> {
        self.remove(tenant, ACTIVITIES, &id(scope, &[name])).await
    }
}
