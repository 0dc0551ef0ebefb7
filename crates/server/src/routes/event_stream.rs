//! Frames of AWS's event streams (`application/vnd.amazon.eventstream`): length, headers, payload and two checksums.

use aws_smithy_eventstream::{error::Error, frame::write_message_to};
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bedplate_dialects::bedrock_converse::Frame;
use bytes::Bytes;

/// The media type of such a stream.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Appends a frame; nothing is appended when it fails.
///
/// # Errors
/// A payload that is longer than a frame may be.
pub(crate) fn write(frame: Frame, out: &mut Vec<u8>) -> Result<(), Error> {
    let (type_header, message_type) =
        if frame.exception { (":exception-type", "exception") } else { (":event-type", "event") };
    let message = [(type_header, frame.kind), (":content-type", "application/json"), (":message-type", message_type)]
        .into_iter()
        .fold(Message::new(Bytes::from(frame.payload)), |message, (name, value)| {
            message.add_header(Header::new(name, HeaderValue::String(value.into())))
        });
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes)?;
    out.append(&mut bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_eventstream::frame::read_message_from;
    use bedplate_dialects::{Fault, bedrock_converse};

    #[test]
    fn a_client_finds_what_a_frame_is_in_its_headers() {
        let event = Frame { kind: "messageStop", exception: false, payload: b"{}".to_vec() };
        let failure = bedrock_converse::exception(Fault::RateLimited, "slow down");
        for (frame, name, kind, message_type) in [
            (event, ":event-type", "messageStop", "event"),
            (failure, ":exception-type", "throttlingException", "exception"),
        ] {
            let payload = frame.payload.clone();
            let mut out = b"before".to_vec();
            write(frame, &mut out).unwrap();
            let message = read_message_from(Bytes::from(out).split_off(6)).unwrap();
            let header = |name: &str| {
                let found = message.headers().iter().find(|header| header.name().as_str() == name).unwrap();
                found.value().as_string().unwrap().as_str().to_owned()
            };
            assert_eq!((header(name), header(":message-type")), (kind.to_owned(), message_type.to_owned()));
            assert_eq!(header(":content-type"), "application/json");
            assert_eq!(message.payload().as_ref(), payload);
        }
    }
}
