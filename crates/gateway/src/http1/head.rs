//! Heads: a request's is written, an answer's is read (RFC 9112, sections 2 to 6).

use super::Failure;
use bytes::BytesMut;
use hyper::{
    HeaderMap, Method, StatusCode, Uri,
    header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING},
};

/// How many headers an answer may have.
const MAX_HEADERS: usize = 100;

/// The head of an answer.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Whether the connection serves another request afterwards.
    pub(super) keeps: bool,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// By the last of its chunks.
    Chunked,
    /// When the connection ends.
    Close,
}

/// Returns the head of a request with `length` bytes of body.
pub(super) fn request(method: &Method, uri: &Uri, headers: &HeaderMap, length: usize) -> Vec<u8> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut head = Vec::with_capacity(512);
    for part in [method.as_str(), " ", path, " HTTP/1.1\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    if !headers.contains_key(HOST) {
        head.extend_from_slice(b"host: ");
        head.extend_from_slice(uri.host().unwrap_or_default().as_bytes());
        if let Some(port) = uri.port().filter(|port| port.as_u16() != 80) {
            head.push(b':');
            head.extend_from_slice(port.as_str().as_bytes());
        }
        head.extend_from_slice(b"\r\n");
    }
    for (name, value) in headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    let bodiless = length == 0 && matches!(*method, Method::GET | Method::HEAD);
    if !bodiless && !headers.contains_key(CONTENT_LENGTH) {
        head.extend_from_slice(b"content-length: ");
        head.extend_from_slice(length.to_string().as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Takes a head off the beginning of `buffer`; none where it is not whole yet.
pub(super) fn read(buffer: &mut BytesMut) -> Result<Option<Head>, Failure> {
    let malformed = |_| Failure::Malformed("its head cannot be read");
    let mut parsed = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut parsed);
    let httparse::Status::Complete(length) = answer.parse(buffer).map_err(malformed)? else { return Ok(None) };
    let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Failure::Malformed("its status is none"))?;
    let version = answer.version;
    // The values become parts of the one buffer, so where each stands is noted before that is taken.
    let start = buffer.as_ptr() as usize;
    let places: Vec<(HeaderName, usize, usize)> = answer
        .headers
        .iter()
        .map(|header| {
            let name = HeaderName::from_bytes(header.name.as_bytes())
                .map_err(|_| Failure::Malformed("the name of a header is none"))?;
            Ok((name, header.value.as_ptr() as usize - start, header.value.len()))
        })
        .collect::<Result<_, Failure>>()?;
    let text = buffer.split_to(length).freeze();
    let mut headers = HeaderMap::with_capacity(places.len());
    for (name, at, length) in places {
        // An empty value may stand anywhere.
        let value = if length == 0 {
            HeaderValue::from_static("")
        } else {
            HeaderValue::from_maybe_shared(text.slice(at..at + length))
                .map_err(|_| Failure::Malformed("the value of a header is none"))?
        };
        headers.append(name, value);
    }
    let says = |word: &str| listed(&headers, &CONNECTION).any(|said| said.eq_ignore_ascii_case(word));
    // Who says a length beside chunks may mean something else by the bytes that follow.
    let twofold = headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH);
    let keeps = !twofold && if version == Some(1) { !says("close") } else { says("keep-alive") };
    Ok(Some(Head { status, headers, keeps }))
}

fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).map(str::trim)
}

impl Head {
    /// Returns how the end of the body is known (RFC 9112, section 6.3).
    ///
    /// # Errors
    /// [`Failure::Malformed`] where it cannot be known.
    pub(super) fn framing(&self, method: &Method) -> Result<Framing, Failure> {
        if *method == Method::HEAD || matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok(Framing::Length(0));
        }
        if self.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::Malformed("it speaks another protocol"));
        }
        if self.headers.contains_key(TRANSFER_ENCODING) {
            let last = listed(&self.headers, &TRANSFER_ENCODING).last();
            let chunked = last.is_some_and(|last| last.eq_ignore_ascii_case("chunked"));
            return Ok(if chunked { Framing::Chunked } else { Framing::Close });
        }
        let mut length = None;
        for said in listed(&self.headers, &CONTENT_LENGTH) {
            let digits = !said.is_empty() && said.bytes().all(|byte| byte.is_ascii_digit());
            let said = said.parse::<u64>().ok().filter(|_| digits);
            let said = said.ok_or(Failure::Malformed("its length is no number"))?;
            if length.is_some_and(|length| length != said) {
                return Err(Failure::Malformed("its length is said twice"));
            }
            length = Some(said);
        }
        if length.is_none() && self.headers.contains_key(CONTENT_LENGTH) {
            return Err(Failure::Malformed("its length is no number"));
        }
        Ok(length.map_or(Framing::Close, Framing::Length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(head: &str) -> Result<(Framing, bool), String> {
        let mut buffer = BytesMut::from(head);
        let head = read(&mut buffer).map_err(|error| error.to_string())?.expect("it is whole");
        let framing = head.framing(&Method::POST).map_err(|error| error.to_string())?;
        Ok((framing, head.keeps))
    }

    #[test]
    fn the_end_of_a_body_is_never_guessed() {
        use Framing::{Chunked, Close, Length};
        for (head, wanted) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", (Length(5), true)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nConnection: close\r\n\r\n", (Length(5), false)),
            ("HTTP/1.1 200 \r\nTransfer-Encoding: gzip, Chunked\r\n\r\n", (Chunked, true)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", (Close, true)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", (Chunked, false)),
            ("HTTP/1.0 200 OK\r\n\r\n", (Close, false)),
            ("HTTP/1.0 200 OK\r\nconnection: x, Keep-Alive\r\ncontent-length: 0\r\n\r\n", (Length(0), true)),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", (Length(0), true)),
        ] {
            assert_eq!(framing(head), Ok(wanted), "{head}");
        }
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        ] {
            assert!(framing(head).is_err(), "{head}");
        }
    }

    #[test]
    fn a_head_that_comes_in_pieces_is_waited_for_and_leaves_what_follows() {
        let text = b"HTTP/1.1 200 OK\r\nX-Empty:\r\nContent-Type: application/json\r\n\r\n{}";
        for end in 0..text.len() - 2 {
            assert!(read(&mut BytesMut::from(&text[..end])).expect("it is well so far").is_none(), "{end}");
        }
        let mut buffer = BytesMut::from(&text[..]);
        let head = read(&mut buffer).expect("it is well").expect("it is whole");
        assert_eq!(
            (&head.headers["content-type"], &head.headers["x-empty"]),
            (&"application/json".parse().unwrap(), &"".parse().unwrap())
        );
        assert_eq!(buffer, "{}");
    }

    #[test]
    fn a_request_says_its_host_and_its_length_once() {
        let uri = "http://user@models.lan:8000/v1/chat?a=b".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("*/*"));
        let said =
            |method, headers: &HeaderMap, length| String::from_utf8(request(method, &uri, headers, length)).unwrap();
        assert_eq!(
            said(&Method::POST, &headers, 7),
            "POST /v1/chat?a=b HTTP/1.1\r\nhost: models.lan:8000\r\naccept: */*\r\ncontent-length: 7\r\n\r\n"
        );
        headers.insert("host", HeaderValue::from_static("signed"));
        assert_eq!(said(&Method::GET, &headers, 0), "GET /v1/chat?a=b HTTP/1.1\r\naccept: */*\r\nhost: signed\r\n\r\n");
    }
}
