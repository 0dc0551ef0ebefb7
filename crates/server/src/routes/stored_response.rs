//! Responses as they are kept, so that a later request can go on from one: a document each, with what was asked and what
//! was said, and the id of the one before. Nothing is kept twice; a conversation is read back along its ids.

use crate::{ApiError, App, access::Identity};
use bedplate_core::port::documents::{Document, DocumentError, NewDocument, Precondition};
use bedplate_dialects::openai_responses::{self, Inbound, wire};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The collection that they are in.
const COLLECTION: &str = "responses";

/// How many responses one can go back along, and how many bytes all of them may have.
const MAX_CHAIN: usize = 1_000;
const MAX_CHAIN_BYTES: usize = 16 * 1024 * 1024;

/// A response that is kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Stored {
    /// The response as the client got it.
    pub(crate) response: wire::Response,
    /// The items that its request sent.
    pub(crate) input: Vec<wire::Item>,
    /// The response that it went on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<String>,
    /// On whose behalf; absent where no key names a person.
    user: String,
    /// The agent that answered, and the session in which it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
}

impl Stored {
    /// Returns what will be kept of the response to `inbound`.
    pub(crate) fn of(identity: &Identity, inbound: &Inbound) -> Result<Self, ApiError> {
        Ok(Self {
            response: wire::Response::default(),
            input: inbound.items.clone(),
            previous: inbound.previous.clone(),
            user: identity.user(None)?.to_string(),
            agent: None,
            session: None,
        })
    }

    /// Takes the response, and names the items of its request after it.
    pub(crate) fn finish(&mut self, response: &wire::Response) {
        self.response = response.clone();
        for (index, item) in self.input.iter_mut().enumerate() {
            item.name_in(&response.id, index);
        }
    }

    /// Returns the items of request and response, as the next request goes on from them.
    pub(crate) fn into_items(self) -> impl Iterator<Item = wire::Item> {
        self.input.into_iter().chain(self.response.output)
    }
}

/// Keeps a response.
pub(crate) async fn put(app: &App, identity: &Identity, stored: &Stored) -> Result<(), ApiError> {
    let body = serde_json::to_vec(stored).map_err(|error| ApiError::store(&error))?;
    let document = NewDocument {
        id: stored.response.id.clone(),
        user: Some(stored.user.as_str().into()),
        body: Bytes::from(body),
        precondition: Precondition::Absent,
        at: app.now(),
    };
    app.documents().write(&identity.tenant, COLLECTION, document).await.map(|_| ()).map_err(|error| failed(&error))
}

/// Returns a response that this key may see.
pub(crate) async fn get(app: &App, identity: &Identity, id: &str) -> Result<Stored, ApiError> {
    read(app, identity, id).await?.map(|(stored, _)| stored).ok_or_else(|| unknown(id))
}

/// Removes a response.
pub(crate) async fn delete(app: &App, identity: &Identity, id: &str) -> Result<(), ApiError> {
    let deleted = app.documents().delete(&identity.tenant, COLLECTION, id, Precondition::Any).await;
    deleted.map(|_| ()).map_err(|error| failed(&error))
}

/// Returns the responses that `previous` went on from and itself, oldest first.
pub(crate) async fn chain(app: &App, identity: &Identity, previous: Option<&str>) -> Result<Vec<Stored>, ApiError> {
    let mut next = previous.map(str::to_owned);
    let (mut chain, mut bytes) = (Vec::new(), 0);
    while let Some(id) = next.take() {
        let Some((stored, size)) = read(app, identity, &id).await? else {
            return Err(ApiError::bad_request(
                "previous_response_not_found",
                format!("previous_response_id: there is no response `{}` here", shown(&id)),
            ));
        };
        bytes += size;
        if chain.len() == MAX_CHAIN || bytes > MAX_CHAIN_BYTES {
            return Err(ApiError::bad_request(
                "conversation_too_long",
                format!(
                    "previous_response_id: the conversation has more than {MAX_CHAIN} responses or {MAX_CHAIN_BYTES} bytes"
                ),
            ));
        }
        next.clone_from(&stored.previous);
        chain.push(stored);
    }
    chain.reverse();
    Ok(chain)
}

/// Puts the stored items in the place of references to them.
pub(crate) async fn resolve(app: &App, identity: &Identity, inbound: &mut Inbound) -> Result<(), ApiError> {
    let references: Vec<String> = inbound.references().map(str::to_owned).collect();
    let mut last: Option<Stored> = None;
    for id in references {
        let Some(response) = openai_responses::response_of_item(&id) else { continue };
        if last.as_ref().is_none_or(|stored| stored.response.id != response) {
            last = read(app, identity, &response).await?.map(|(stored, _)| stored);
        }
        let items = last.iter().flat_map(|stored| stored.response.output.iter().chain(&stored.input));
        if let Some(item) = items.into_iter().find(|item| item.id.as_ref() == Some(&id)) {
            inbound.resolve(&id, item);
        }
    }
    Ok(())
}

async fn read(app: &App, identity: &Identity, id: &str) -> Result<Option<(Stored, usize)>, ApiError> {
    if !id.starts_with("resp_") || id.len() > 128 {
        return Ok(None);
    }
    let found = app.documents().get(&identity.tenant, COLLECTION, id).await.map_err(|error| failed(&error))?;
    let Some(Document { body, .. }) = found else { return Ok(None) };
    let stored: Stored = serde_json::from_slice(&body).map_err(|error| ApiError::store(&error))?;
    let own = identity.user.as_ref().is_none_or(|user| user.as_str() == stored.user);
    let allowed = match (&stored.agent, &identity.agents) {
        (_, None) => true,
        (Some(agent), Some(_)) => identity.check_agent(agent).is_ok(),
        (None, Some(_)) => false,
    };
    Ok((own && allowed).then_some((stored, body.len())))
}

fn failed(error: &DocumentError) -> ApiError {
    match error {
        DocumentError::TooLarge { .. } => ApiError::bad_request("response_too_large", error.to_string()),
        DocumentError::Conflict | DocumentError::Store(_) => ApiError::store(error),
    }
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found("response_not_found", format!("there is no response `{}` here", shown(id)))
}

fn shown(id: &str) -> String {
    id.chars().filter(|c| !c.is_control()).take(64).collect()
}
