//! The models that make embeddings for caches.

use crate::embed::Embedders;
use bedplate_core::port::{
    Caller,
    model::{EmbedCall, ModelError, ModelErrorKind},
};
use bedplate_core::time::Timestamp;
use std::sync::Arc;

/// Returns the vector of `text`, made by `model` on behalf of `caller`: where its data may be worked on holds here too.
pub(super) async fn embed(
    embedders: &Embedders,
    model: &str,
    caller: &Caller,
    text: String,
    deadline: Option<Timestamp>,
) -> Result<Vec<f32>, ModelError> {
    let candidate = embedders.get(model)?.candidate(caller, None)?;
    let call = EmbedCall {
        caller: caller.clone(),
        model: model.to_owned(),
        inputs: vec![text],
        dimensions: None,
        deadline,
        notes: Arc::default(),
    };
    let missing = || ModelError::new(ModelErrorKind::InvalidReply, format!("`{model}` gave no vector for a text"));
    candidate.embed(call).await?.vectors.pop().ok_or_else(missing)
}
