//! The prepared answers of executions as documents: an execution that began with them has them after a restart, too.

use crate::mocks::{Case, States};
use bedplate_core::{
    id::{Tenant, UserId},
    port::{
        BoxFuture,
        clock::Clock,
        documents::{Document, DocumentError, DocumentQuery, Documents, NewDocument, Precondition, Revision},
        tasks::PreparedFor,
    },
};
use std::sync::Arc;

/// By the ARN of the execution: a JSON object of the answers by state, with how often each was given.
const COLLECTION: &str = "prepared-answers";

/// How many are read at once.
const PAGE: usize = 100;

/// Where prepared answers are kept.
#[derive(Clone)]
pub(crate) struct Shelf {
    documents: Arc<dyn Documents>,
    clock: Arc<dyn Clock>,
}

impl Shelf {
    pub(crate) fn new(documents: Arc<dyn Documents>, clock: Arc<dyn Clock>) -> Self {
        Self { documents, clock }
    }

    /// Returns all that are kept, the oldest first.
    pub(crate) async fn cases(&self) -> Result<Vec<Case>, DocumentError> {
        let mut found = Vec::new();
        for tenant in self.documents.tenants(COLLECTION).await? {
            let mut after = None;
            loop {
                let query =
                    DocumentQuery { collection: COLLECTION.into(), after, limit: PAGE, ..DocumentQuery::default() };
                let page = self.documents.list(&tenant, query).await?;
                after = page.last().map(|document| document.id.clone());
                let is_last = page.len() < PAGE;
                found.extend(page.into_iter().filter_map(|document| Some((document.at, read(&tenant, document)?))));
                if is_last {
                    break;
                }
            }
        }
        found.sort_by_key(|(at, _)| *at);
        Ok(found.into_iter().map(|(_, case)| case).collect())
    }

    /// Writes the answers of an execution that is to begin.
    pub(crate) fn put(&self, case: &Case) -> BoxFuture<'static, Result<Revision, DocumentError>> {
        self.write(case, Precondition::Any)
    }

    /// Writes them again. Those of a person who was deleted meanwhile stay away.
    pub(crate) fn rewrite(&self, case: &Case) -> BoxFuture<'static, Result<Revision, DocumentError>> {
        self.write(case, Precondition::At(case.revision))
    }

    fn write(&self, case: &Case, precondition: Precondition) -> BoxFuture<'static, Result<Revision, DocumentError>> {
        let PreparedFor { tenant, user, execution } = &case.owner;
        let body = match serde_json::to_vec(&case.states) {
            Ok(body) => body.into(),
            Err(error) => return Box::pin(std::future::ready(Err(DocumentError::Store(error.to_string())))),
        };
        let (id, user, at) = (execution.to_string(), Some(user.clone()), self.clock.now());
        self.documents.write(tenant, COLLECTION, NewDocument { id, user, body, precondition, at })
    }

    /// Removes them.
    pub(crate) async fn remove(&self, owner: &PreparedFor) {
        let removed = self.documents.delete(&owner.tenant, COLLECTION, &owner.execution, Precondition::Any).await;
        if let Err(error) = removed {
            tracing::warn!(%error, "prepared answers were not removed");
        }
    }
}

fn read(tenant: &Tenant, document: Document) -> Option<Case> {
    let Document { id, user, revision, body, .. } = document;
    let states: States = match serde_json::from_slice(&body) {
        Ok(states) => states,
        Err(error) => {
            // Its execution fails where it would need them.
            tracing::error!(%error, execution = id, "prepared answers cannot be read");
            return None;
        }
    };
    let user = user.unwrap_or_else(|| UserId::from(""));
    Some(Case::new(PreparedFor { tenant: tenant.clone(), user, execution: id.into() }, states, revision))
}
