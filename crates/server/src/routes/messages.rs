//! `GET /v1/sessions/{session}/messages`: a conversation as its reader sees it, oldest first.

use crate::{
    ApiError, App,
    access::Identity,
    extract::{Params, page_size},
    routes::{
        invoke::{ErrorBody, run_error},
        sessions,
    },
    wire::MessageBody,
};
use axum::{
    Json,
    extract::{Path, State},
};
use bedplate_core::id::Seq;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MessageParams {
    /// The user; default `anonymous`, or the one that the key is bound to.
    user_id: Option<String>,
    /// How many at most, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Where to go on, as the page before said.
    cursor: Option<String>,
}

/// A page of messages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessagesBody {
    /// Oldest first; tool results stand in the user's messages, as the model reads them.
    messages: Vec<MessageBody>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// Lists the messages of a session, oldest first.
#[utoipa::path(get, path = "/v1/sessions/{session}/messages", tag = "sessions",
    params(("session" = String, Path, description = "What the user calls the session"), MessageParams),
    responses(
        (status = 200, description = "A page of messages", body = MessagesBody),
        (status = "4XX", description = "There is no such session", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    identity: Identity,
    Path(session): Path<String>,
    Params(params): Params<MessageParams>,
) -> Result<Json<MessagesBody>, ApiError> {
    let limit = page_size(params.limit, 50)?;
    let after: Seq = match params.cursor.as_deref() {
        None => 0,
        Some(cursor) => {
            cursor.parse().map_err(|_| ApiError::bad_request("invalid_cursor", "the cursor is none of ours"))?
        }
    };
    let head = sessions::find(&app, &identity, &session, params.user_id.as_deref()).await?;
    let view = app.runtime().view(&identity.tenant, head.run.id, None).await.map_err(run_error)?;
    let mut rest = view.messages.iter().filter(|(seq, _)| *seq > after);
    let messages: Vec<MessageBody> = rest
        .by_ref()
        .take(limit)
        .map(|(seq, message)| MessageBody { seq: *seq, role: message.role, content: message.content.clone() })
        .collect();
    let more = rest.next().is_some();
    let next_cursor = messages.last().filter(|_| more).map(|message| message.seq.to_string());
    Ok(Json(MessagesBody { messages, next_cursor }))
}
