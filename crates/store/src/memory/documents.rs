//! The Documents port over the store in memory.

use super::MemoryStore;
use crate::documents::{check, meets};
use bedplate_core::{
    id::{Tenant, UserId},
    port::{
        BoxFuture,
        documents::{
            Document, DocumentError, DocumentQuery, Documents, MAX_DOCUMENTS, NewDocument, Precondition, Revision,
        },
    },
};

impl Documents for MemoryStore {
    fn write(
        &self,
        tenant: &Tenant,
        collection: &str,
        document: NewDocument,
    ) -> BoxFuture<'static, Result<Revision, DocumentError>> {
        let (store, place) = (self.clone(), (collection.to_owned(), tenant.clone(), document.id.clone()));
        Box::pin(async move {
            check(&place.0, &document)?;
            let mut state = store.lock();
            let stored = state.documents.get(&place).map(|document| document.revision);
            meets(document.precondition, stored)?;
            let NewDocument { id, user, body, at, .. } = document;
            let revision = stored.unwrap_or(0) + 1;
            state.documents.insert(place, Document { id, user, revision, at, body });
            Ok(revision)
        })
    }

    fn get(
        &self,
        tenant: &Tenant,
        collection: &str,
        id: &str,
    ) -> BoxFuture<'static, Result<Option<Document>, DocumentError>> {
        let (store, place) = (self.clone(), (collection.to_owned(), tenant.clone(), id.to_owned()));
        Box::pin(async move { Ok(store.lock().documents.get(&place).cloned()) })
    }

    fn list(&self, tenant: &Tenant, query: DocumentQuery) -> BoxFuture<'static, Result<Vec<Document>, DocumentError>> {
        let (store, tenant) = (self.clone(), tenant.clone());
        Box::pin(async move {
            let state = store.lock();
            let after = |id: &String| match &query.after {
                None => true,
                Some(after) if query.reverse => id < after,
                Some(after) => id > after,
            };
            let of_collection = state.documents.iter().filter(|((collection, of, id), _)| {
                *collection == query.collection && *of == tenant && id.starts_with(&query.prefix) && after(id)
            });
            let documents = of_collection.map(|(_, document)| document.clone());
            let limit = query.limit.clamp(1, MAX_DOCUMENTS);
            Ok(if query.reverse { documents.rev().take(limit).collect() } else { documents.take(limit).collect() })
        })
    }

    fn delete(
        &self,
        tenant: &Tenant,
        collection: &str,
        id: &str,
        precondition: Precondition,
    ) -> BoxFuture<'static, Result<bool, DocumentError>> {
        let (store, place) = (self.clone(), (collection.to_owned(), tenant.clone(), id.to_owned()));
        Box::pin(async move {
            let mut state = store.lock();
            meets(precondition, state.documents.get(&place).map(|document| document.revision))?;
            Ok(state.documents.remove(&place).is_some())
        })
    }

    fn delete_user(&self, tenant: &Tenant, user: &UserId) -> BoxFuture<'static, Result<u64, DocumentError>> {
        let (store, tenant, user) = (self.clone(), tenant.clone(), user.clone());
        Box::pin(async move {
            let mut state = store.lock();
            let before = state.documents.len();
            state.documents.retain(|(_, of, _), document| *of != tenant || document.user.as_ref() != Some(&user));
            Ok((before - state.documents.len()) as u64)
        })
    }

    fn tenants(&self, collection: &str) -> BoxFuture<'static, Result<Vec<Tenant>, DocumentError>> {
        let (store, collection) = (self.clone(), collection.to_owned());
        Box::pin(async move {
            let state = store.lock();
            let of_collection = state.documents.keys().filter(|(of, _, _)| *of == collection);
            let mut tenants: Vec<Tenant> = of_collection.map(|(_, tenant, _)| tenant.clone()).collect();
            tenants.dedup();
            Ok(tenants)
        })
    }
}
