//! On whose behalf work is done after the request that asked for it is over.

use crate::{
    ApiError, App,
    access::Identity,
    extract::identifier,
    said::{self, Said},
};
use axum::http::StatusCode;
use bedplate_core::{
    id::{Tenant, UserId},
    port::Priority,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whoever asked for work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Who {
    pub(super) user: UserId,
    /// Whether the key is bound to the user.
    bound: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    team: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agents: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jurisdiction: Option<String>,
}

impl Who {
    pub(super) fn of(identity: &Identity, user: Option<&str>) -> Result<Self, ApiError> {
        let said = identity.said.clone();
        Ok(Self {
            user: identity.user(user.or(said.user.as_deref()))?,
            bound: identity.user.is_some(),
            key: identity.key.clone(),
            team: identity.team.clone(),
            agents: identity.agents.clone(),
            session: said.session,
            tags: said.tags,
            jurisdiction: said.jurisdiction,
        })
    }

    /// Says what more the work is billed to.
    ///
    /// # Errors
    /// When that is more than 16 tags, or one is longer than tags are.
    pub(super) fn tag(&mut self, tags: impl Iterator<Item = (String, String)>) -> Result<(), ApiError> {
        for (key, value) in tags {
            let named = said::tag_name(&key).ok_or_else(|| {
                let message = "the key of a tag has 1 to 64 letters, digits, `_`, `-` and `.`";
                ApiError::bad_request("invalid_request", message)
            })?;
            self.tags.insert(named, identifier("tag", &value)?.to_owned());
        }
        if self.tags.len() > said::MAX_TAGS {
            let message = format!("there are at most {} tags, those of the headers included", said::MAX_TAGS);
            return Err(ApiError::bad_request("invalid_request", message));
        }
        Ok(())
    }

    /// Returns the identity as it is now: work of a key that was revoked since is not done any more.
    pub(super) async fn identity(&self, app: &App, tenant: &Tenant) -> Result<Identity, ApiError> {
        if let Some(id) = &self.key {
            let found = app.keys().get(id).await.map_err(|error| ApiError::store(&error))?;
            let now = app.now();
            let valid =
                found.is_some_and(|(key, _)| key.revoked_at.is_none() && key.expires_at.is_none_or(|end| end > now));
            if !valid {
                return Err(ApiError::new(
                    StatusCode::UNAUTHORIZED,
                    "unauthorized",
                    "the key was revoked or has expired",
                ));
            }
        }
        Ok(Identity {
            tenant: tenant.clone(),
            user: self.bound.then(|| self.user.clone()),
            agents: self.agents.clone(),
            admin: false,
            key: self.key.clone(),
            team: self.team.clone(),
            said: Said {
                user: Some(self.user.to_string()),
                session: self.session.clone(),
                tags: self.tags.clone(),
                jurisdiction: self.jurisdiction.clone(),
                priority: Priority::Batch,
                ..Said::default()
            },
        })
    }
}
