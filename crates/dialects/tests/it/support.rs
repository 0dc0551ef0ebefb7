//! What several tests need.

use bedplate_core::port::model::{ModelEvent, ModelReply};
use bedplate_dialects::{
    Envelope, NameMap, StreamDecoder, StreamError, anthropic_messages, openai_chat, openai_responses,
};

pub const DIALECTS: [&str; 3] = ["openai", "anthropic", "responses"];

pub fn envelope() -> Envelope {
    Envelope { id: "reply_1".into(), created: 1_700_000_000, model: "the-model".into() }
}

pub fn decoder(dialect: &str) -> Box<dyn StreamDecoder> {
    match dialect {
        "openai" => Box::new(openai_chat::Decoder::new(NameMap::default())),
        "responses" => Box::new(openai_responses::Decoder::new(NameMap::default())),
        _ => Box::new(anthropic_messages::Decoder::new(NameMap::default())),
    }
}

/// Decodes a stream that comes in the given pieces.
pub fn decode(dialect: &str, pieces: &[&[u8]]) -> Result<Vec<ModelEvent>, StreamError> {
    let (mut decoder, mut out) = (decoder(dialect), Vec::new());
    for piece in pieces {
        decoder.feed(piece, &mut out)?;
    }
    decoder.finish(&mut out)?;
    Ok(out)
}

/// Says events to a client as a stream.
pub fn encode(dialect: &str, events: &[ModelEvent]) -> Vec<u8> {
    let mut out = Vec::new();
    match dialect {
        "openai" => {
            let mut encoder = openai_chat::Encoder::new(envelope(), true);
            events.iter().for_each(|event| encoder.event(event, &mut out));
        }
        "responses" => {
            let mut encoder = openai_responses::Encoder::new(envelope(), openai_responses::About::default());
            events.iter().for_each(|event| encoder.event(event, &mut out));
        }
        _ => {
            let mut encoder = anthropic_messages::Encoder::new(envelope());
            events.iter().for_each(|event| encoder.event(event, &mut out));
        }
    }
    out
}

pub fn reply_of(events: &[ModelEvent]) -> ModelReply {
    match events.last() {
        Some(ModelEvent::End(reply)) => reply.as_ref().clone(),
        other => panic!("the stream ends with {other:?}"),
    }
}

pub fn whole(dialect: &str, body: &[u8]) -> ModelReply {
    match dialect {
        "openai" => openai_chat::decode_reply(body, &NameMap::default()),
        "responses" => openai_responses::decode_reply(body, &NameMap::default()),
        _ => anthropic_messages::decode_reply(body, &NameMap::default()),
    }
    .unwrap()
}

pub fn render(dialect: &str, reply: &ModelReply) -> Vec<u8> {
    match dialect {
        "openai" => openai_chat::encode_reply(reply, &envelope()).to_json(),
        "responses" => {
            openai_responses::encode_reply(reply, &envelope(), &openai_responses::About::default()).to_json()
        }
        _ => anthropic_messages::encode_reply(reply, &envelope()).to_json(),
    }
}

/// Checks what every stream of events promises.
pub fn assert_well_formed(events: &[ModelEvent]) {
    let (mut next, mut open) = (0, std::collections::BTreeSet::new());
    for (position, event) in events.iter().enumerate() {
        match event {
            ModelEvent::BlockStart { index, .. } => {
                assert_eq!(*index, next, "indices have no gap");
                next += 1;
                open.insert(*index);
            }
            ModelEvent::TextDelta { index, .. }
            | ModelEvent::InputDelta { index, .. }
            | ModelEvent::ReasoningSeal { index, .. } => {
                assert!(open.contains(index), "{event:?} is outside of its block")
            }
            ModelEvent::BlockStop { index } => assert!(open.remove(index), "block {index} stops twice"),
            ModelEvent::Restart => {}
            ModelEvent::End(_) => {
                assert_eq!(position + 1, events.len(), "nothing comes after the end");
                assert!(open.is_empty(), "{open:?} never stopped");
            }
        }
    }
}
