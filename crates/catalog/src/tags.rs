//! Tags of state machines and activities.

use crate::{
    Activity, Catalog, Machine, Scope, StoreError, Tag, Target,
    documents::{ACTIVITIES, ATTEMPTS, MACHINES, id},
};
use bedplate_core::{id::Tenant, port::documents::Precondition};
use serde::{Serialize, de::DeserializeOwned};

/// How many tags a resource has at most.
const MAX_TAGS: usize = 50;

/// Why tags were not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TagError {
    /// Nothing that has tags is called so.
    #[error("there is no such resource")]
    NotFound,
    /// There would be too many.
    #[error("a resource has {MAX_TAGS} tags at most")]
    TooMany,
    /// Others change it all the time. Retryable.
    #[error("the tags change too fast")]
    Contended,
    /// The documents failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Something that has tags.
trait Tagged: Serialize + DeserializeOwned {
    fn tags(&mut self) -> &mut Vec<Tag>;
}

impl Tagged for Machine {
    fn tags(&mut self) -> &mut Vec<Tag> {
        &mut self.tags
    }
}

impl Tagged for Activity {
    fn tags(&mut self) -> &mut Vec<Tag> {
        &mut self.tags
    }
}

/// Returns `old` with `new`, sorted by key; a later value of a key counts. None when there are too many.
pub(crate) fn merged(old: &[Tag], new: &[Tag]) -> Option<Vec<Tag>> {
    let mut tags = old.to_vec();
    for tag in new {
        match tags.iter_mut().find(|kept| kept.key == tag.key) {
            Some(kept) => kept.value.clone_from(&tag.value),
            None => tags.push(tag.clone()),
        }
    }
    tags.sort_by(|a, b| a.key.cmp(&b.key));
    (tags.len() <= MAX_TAGS).then_some(tags)
}

impl Catalog {
    /// Returns the tags of a state machine or an activity.
    ///
    /// # Errors
    /// [`TagError`].
    pub async fn tags(&self, tenant: &Tenant, scope: &Scope, target: &Target) -> Result<Vec<Tag>, TagError> {
        match target {
            Target::Machine(name) => {
                let machine = self.machine(tenant, scope, name).await;
                machine.map(|machine| machine.tags).map_err(|error| match error {
                    crate::MachineError::Store(error) => error.into(),
                    crate::MachineError::NotFound | crate::MachineError::OfProject => TagError::NotFound,
                })
            }
            Target::Activity(name) => {
                let found = self.read::<Activity>(tenant, ACTIVITIES, &id(scope, &[name])).await?;
                found.map(|(activity, _)| activity.tags).ok_or(TagError::NotFound)
            }
            _ => Err(TagError::NotFound),
        }
    }

    /// Adds tags to a state machine or an activity, and replaces the values of keys that are there.
    ///
    /// # Errors
    /// [`TagError`].
    pub async fn tag(&self, tenant: &Tenant, scope: &Scope, target: &Target, tags: &[Tag]) -> Result<(), TagError> {
        self.change_tags(tenant, scope, target, |old| merged(old, tags)).await
    }

    /// Takes tags away by their keys.
    ///
    /// # Errors
    /// [`TagError`].
    pub async fn untag(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        target: &Target,
        keys: &[String],
    ) -> Result<(), TagError> {
        let kept = |old: &[Tag]| Some(old.iter().filter(|tag| !keys.contains(&tag.key)).cloned().collect());
        self.change_tags(tenant, scope, target, kept).await
    }

    async fn change_tags(
        &self,
        tenant: &Tenant,
        scope: &Scope,
        target: &Target,
        change: impl Fn(&[Tag]) -> Option<Vec<Tag>>,
    ) -> Result<(), TagError> {
        match target {
            Target::Machine(name) => {
                let key = id(scope, &[name]);
                let fresh = match self.0.definitions.workflow(name) {
                    Some(declared) => Some(self.of_project(tenant, scope, &declared).await?),
                    None => None,
                };
                self.change::<Machine>(tenant, MACHINES, &key, fresh, change).await
            }
            Target::Activity(name) => {
                self.change::<Activity>(tenant, ACTIVITIES, &id(scope, &[name]), None, change).await
            }
            _ => Err(TagError::NotFound),
        }
    }

    /// Changes the tags of a document; `fresh` is written when there is none yet.
    async fn change<T: Tagged + Clone>(
        &self,
        tenant: &Tenant,
        collection: &str,
        key: &str,
        fresh: Option<T>,
        change: impl Fn(&[Tag]) -> Option<Vec<Tag>>,
    ) -> Result<(), TagError> {
        for _ in 0..ATTEMPTS {
            let (mut value, precondition) = match (self.read::<T>(tenant, collection, key).await?, &fresh) {
                (Some((value, revision)), _) => (value, Precondition::At(revision)),
                (None, Some(fresh)) => (fresh.clone(), Precondition::Absent),
                (None, None) => return Err(TagError::NotFound),
            };
            let tags = change(value.tags()).ok_or(TagError::TooMany)?;
            *value.tags() = tags;
            if self.write(tenant, collection, key, &value, precondition).await? {
                return Ok(());
            }
        }
        Err(TagError::Contended)
    }
}
