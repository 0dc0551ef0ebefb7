//! A whole reply out of an answer, and an answer out of a whole reply.

use bedplate_core::port::model::{Answer, ModelError, ModelErrorKind, ModelEvent, ModelReply};
use bedplate_dialects::events_of;
use futures::{StreamExt, stream};

/// Reads an answer to its end.
///
/// # Errors
/// What broke it.
pub(crate) async fn whole(answer: Answer) -> Result<ModelReply, ModelError> {
    let mut events = answer.into_events()?;
    while let Some(event) = events.next().await {
        if let ModelEvent::End(reply) = event? {
            return Ok(*reply);
        }
    }
    Err(ModelError::new(ModelErrorKind::BrokenStream, "the reply was cut before its end"))
}

/// Returns `reply` as the events that it is made of.
pub(crate) fn answer_of(reply: ModelReply) -> Answer {
    Answer::Events(Box::pin(stream::iter(events_of(reply).into_iter().map(Ok))))
}
