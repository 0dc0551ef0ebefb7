//! The models that make embeddings for caches.

use crate::route::residency::{Candidates, Leg};
use bedplate_core::port::{
    Caller,
    model::{EmbedCall, ModelError, ModelErrorKind},
};
use bedplate_core::time::Timestamp;
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// The routes and models of a configuration, as far as embeddings are concerned; filled once all are built.
pub(crate) type Embedders = Arc<OnceLock<HashMap<String, Embedder>>>;

/// A route or model that may make embeddings.
#[derive(Clone)]
pub(crate) struct Embedder {
    pub(crate) name: Arc<str>,
    pub(crate) legs: Vec<Arc<Leg>>,
    pub(crate) jurisdiction: Option<String>,
}

/// Returns the vector of `text`, made by `model` on behalf of `caller`: where its data may be worked on holds here too.
pub(super) async fn embed(
    embedders: &Embedders,
    model: &str,
    caller: &Caller,
    text: String,
    deadline: Option<Timestamp>,
) -> Result<Vec<f32>, ModelError> {
    let missing = || ModelError::new(ModelErrorKind::NotFound, format!("there is no route or model `{model}`"));
    let embedder = embedders.get().and_then(|all| all.get(model)).ok_or_else(missing)?;
    let candidates = Candidates::embedding(&embedder.legs, &embedder.name, caller, embedder.jurisdiction.as_deref())?;
    let call =
        EmbedCall { caller: caller.clone(), model: model.to_owned(), inputs: vec![text], dimensions: None, deadline };
    let mut embeddings = candidates.first().embed(call).await?;
    embeddings.vectors.pop().ok_or_else(missing)
}
