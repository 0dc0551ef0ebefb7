//! A client for HTTP/1.1 without TLS, for model servers in the same network: it does its work in the task of the call.
//!
//! The shared client gives each connection a task of its own, so that an exchange crosses between tasks four times and
//! spawns another to take the connection back, which is most of what such a call costs. Here a call takes a connection
//! out of the pool, writes, reads, and puts it back (RFC 9112). What goes over TLS may be HTTP/2 and is left to the
//! shared client.

mod body;
mod head;

pub(crate) use body::Body;

use bytes::{Bytes, BytesMut};
use hyper::{HeaderMap, Method, Response, StatusCode, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use std::{
    collections::{HashMap, VecDeque},
    io::{self, IoSlice},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{io::AsyncReadExt, net::TcpStream, time::Instant};
use tower_service::Service;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(60);

/// How much is read at once, in bytes.
const READ: usize = 8 << 10;

/// The longest head of an answer, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// An exchange without an answer, or one that broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// There is no connection; nothing was sent.
    #[error("no connection: {0}")]
    Connect(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Lost(#[from] io::Error),
    /// The connection ended before the answer did.
    #[error("the connection ended before the answer")]
    Cut,
    /// What came is no HTTP/1.1.
    #[error("the answer is no HTTP/1.1: {0}")]
    Malformed(&'static str),
}

/// A client; clones share its connections.
#[derive(Clone)]
pub(crate) struct Client {
    connector: HttpConnector,
    pool: Arc<Pool>,
}

/// Connections that wait for their next request, by `host:port`, those that wait longest first.
#[derive(Default)]
struct Pool(Mutex<Idle>);

#[derive(Default)]
struct Idle {
    connections: HashMap<Arc<str>, VecDeque<(Instant, TcpStream)>>,
    /// Whether a task looks after them.
    swept: bool,
}

/// A connection in use, with what was read of it and not yet taken.
struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Client {
    /// Returns a client that opens its connections with `connector`.
    pub(crate) fn new(connector: HttpConnector) -> Self {
        Self { connector, pool: Arc::default() }
    }

    /// Sends a request and returns the head of the answer. The caller bounds the time; dropping it closes the connection.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn send(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Response<Body>, Failure> {
        let authority = uri.authority().ok_or(Failure::Malformed("the address names no host"))?.as_str();
        let request = head::request(method, uri, headers, body.len());
        // A connection that turns out to be closed before it took a single byte is no reason to fail.
        while let Some((place, stream)) = self.pool.take(authority) {
            match exchange(stream, &request, body).await {
                Ok((connection, head)) => return self.answered(method, place, connection, head),
                Err((true, _)) => {}
                Err((false, failure)) => return Err(failure),
            }
        }
        let stream = self.connect(uri).await?;
        let (connection, head) = exchange(stream, &request, body).await.map_err(|(_, failure)| failure)?;
        self.answered(method, authority.into(), connection, head)
    }

    async fn connect(&self, uri: &Uri) -> Result<TcpStream, Failure> {
        let failed = |error: &dyn std::error::Error| {
            let causes = std::iter::successors(error.source(), |error| error.source());
            Failure::Connect(causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}")))
        };
        let mut connector = self.connector.clone();
        std::future::poll_fn(|context| connector.poll_ready(context)).await.map_err(|error| failed(&error))?;
        Ok(connector.call(uri.clone()).await.map_err(|error| failed(&error))?.into_inner())
    }

    fn answered(
        &self,
        method: &Method,
        place: Arc<str>,
        connection: Connection,
        head: head::Head,
    ) -> Result<Response<Body>, Failure> {
        let framing = head.framing(method)?;
        let home = head.keeps.then(|| (Arc::clone(&self.pool), place));
        let mut response = Response::new(Body::new(connection, framing, home)?);
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        Ok(response)
    }
}

/// Writes a request and reads the head of the answer; an error says whether the connection was closed before it took
/// anything.
async fn exchange(
    stream: TcpStream,
    request: &[u8],
    body: &Bytes,
) -> Result<(Connection, head::Head), (bool, Failure)> {
    let mut connection = Connection { stream, buffer: BytesMut::new() };
    let whole = connection.write(request, body).await?;
    loop {
        let mut head = connection.head().await.map_err(|failure| (false, failure))?;
        // What comes before the answer itself says nothing that is used here (RFC 9110, section 15.2).
        if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
            head.keeps &= whole;
            return Ok((connection, head));
        }
    }
}

impl Connection {
    /// Writes head and body; returns false when the answer itself began before all of it was taken, which ends the
    /// request. An informational answer ends nothing (RFC 9110, section 15.2).
    async fn write(&mut self, head: &[u8], body: &[u8]) -> Result<bool, (bool, Failure)> {
        let Self { stream, buffer } = self;
        let (total, mut written) = (head.len() + body.len(), 0);
        while written < total {
            let wrote = match written.checked_sub(head.len()) {
                None => stream.try_write_vectored(&[IoSlice::new(&head[written..]), IoSlice::new(body)]),
                Some(written) => stream.try_write(&body[written..]),
            };
            match wrote {
                Ok(count) => {
                    written += count;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err((written == 0, error.into())),
            }
            let read = tokio::select! {
                biased;
                writable = stream.writable() => writable.map(|()| None),
                readable = stream.readable() => readable.and_then(|()| match stream.try_read_buf(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                    read => read.map(Some),
                }),
            };
            match read {
                Ok(None) => {}
                Ok(Some(0)) => return Err((written == 0, Failure::Cut)),
                Ok(Some(_)) if answer_begins(buffer).map_err(|failure| (false, failure))? => return Ok(false),
                Ok(Some(_)) => {}
                Err(error) => return Err((written == 0, error.into())),
            }
        }
        Ok(true)
    }

    /// Reads the next head.
    async fn head(&mut self) -> Result<head::Head, Failure> {
        loop {
            if !self.buffer.is_empty()
                && let Some(head) = head::read(&mut self.buffer)?
            {
                return Ok(head);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(Failure::Malformed("its head is too long"));
            }
            self.buffer.reserve(READ);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(Failure::Cut);
            }
        }
    }
}

/// Takes informational answers out of what was read; returns whether the answer itself begins after them. One that cannot
/// be told yet is left there.
fn answer_begins(buffer: &mut BytesMut) -> Result<bool, Failure> {
    let at = b"HTTP/1.1 ".len();
    while let Some(status) = buffer.get(at..at + 3) {
        if status[0] != b'1' || status == b"101" {
            return Ok(true);
        }
        if buffer.len() > MAX_HEAD {
            return Err(Failure::Malformed("its head is too long"));
        }
        if head::read(buffer)?.is_none() {
            return Ok(false);
        }
    }
    Ok(false)
}

impl Pool {
    /// Takes a connection that stands, with the name of its place; the one that was used last is the likeliest to.
    fn take(&self, authority: &str) -> Option<(Arc<str>, TcpStream)> {
        let mut idle = self.lock();
        let place = idle.connections.get_key_value(authority).map(|(place, _)| Arc::clone(place))?;
        let waiting = idle.connections.get_mut(&place)?;
        while let Some((since, stream)) = waiting.pop_back() {
            // Whatever comes without a request is an end, or answers nothing.
            let silent = matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
            if silent && since.elapsed() < IDLE {
                return Some((place, stream));
            }
        }
        None
    }

    /// Takes a connection back.
    fn put(self: &Arc<Self>, place: Arc<str>, stream: TcpStream) {
        let mut idle = self.lock();
        idle.connections.entry(place).or_default().push_back((Instant::now(), stream));
        if !std::mem::replace(&mut idle.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections that nobody used for long, until none is left.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.lock();
        idle.connections.retain(|_, waiting| {
            let old = waiting.partition_point(|(since, _)| since.elapsed() >= IDLE);
            waiting.drain(..old);
            !waiting.is_empty()
        });
        if idle.connections.is_empty() {
            idle.swept = false;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    /// Serves connections one after the other: each request's head is answered with the next of its connection's texts,
    /// a piece of `step` bytes at a time; afterwards the connection is closed. Returns the address.
    async fn server(connections: Vec<Vec<&'static str>>, step: usize) -> Uri {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(async move {
            for answers in connections {
                let (mut stream, _) = listener.accept().await.expect("a client comes");
                stream.set_nodelay(true).expect("it is a socket");
                for answer in answers {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\nquestion") {
                        head.push(stream.read_u8().await.expect("the request is whole"));
                    }
                    for piece in answer.as_bytes().chunks(step) {
                        stream.write_all(piece).await.expect("the client reads");
                        tokio::task::yield_now().await;
                    }
                }
            }
        });
        format!("http://{address}/v1").parse().expect("it is an address")
    }

    fn client() -> Client {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Client::new(connector)
    }

    async fn ask(client: &Client, uri: &Uri) -> Result<String, Failure> {
        let question = Bytes::from_static(b"question");
        let answer = client.send(&Method::POST, uri, &HeaderMap::new(), &question).await?;
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(String::from_utf8(body.to_vec()).expect("it is text"))
    }

    const LENGTH: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    const CHUNKS: &str = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                          3\r\nhel\r\n002;x=y\r\nlo\r\n0\r\nsum: 7\r\n\r\n";

    #[tokio::test]
    async fn one_connection_serves_answers_of_every_form_wherever_they_are_cut() {
        for step in [1, 2, 3, 7, 1_000] {
            let uri = server(vec![vec![LENGTH, CHUNKS, LENGTH, CHUNKS]], step).await;
            let client = client();
            for _ in 0..4 {
                assert_eq!(ask(&client, &uri).await.expect("an answer comes"), "hello", "{step}");
            }
        }
    }

    #[tokio::test]
    async fn a_connection_whose_end_is_the_answers_end_is_not_used_again() {
        let close = "HTTP/1.1 200 OK\r\n\r\nhello";
        let said = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello";
        let uri = server(vec![vec![close], vec![said], vec![LENGTH]], 4).await;
        let client = client();
        for _ in 0..3 {
            assert_eq!(ask(&client, &uri).await.expect("an answer comes"), "hello");
        }
    }

    #[tokio::test]
    async fn what_breaks_off_is_no_answer_and_bytes_beyond_one_are_given_to_nobody() {
        let half = "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello";
        let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello";
        let wrong = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n";
        let more = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
        let uri = server(vec![vec![half], vec![chunk], vec![wrong], vec![more], vec![LENGTH]], 1_000).await;
        let client = client();
        assert!(matches!(ask(&client, &uri).await, Err(Failure::Cut)));
        assert!(matches!(ask(&client, &uri).await, Err(Failure::Cut)));
        assert!(matches!(ask(&client, &uri).await, Err(Failure::Malformed(_))));
        assert_eq!(ask(&client, &uri).await.expect("an answer comes"), "hello");
        assert_eq!(ask(&client, &uri).await.expect("the next comes of another connection"), "hello");
    }

    #[tokio::test]
    async fn a_pooled_connection_that_its_server_closed_is_not_written_to() {
        let uri = server(vec![vec![LENGTH], vec![LENGTH]], 1_000).await;
        let client = client();
        assert_eq!(ask(&client, &uri).await.expect("an answer comes"), "hello");
        let place = uri.authority().expect("it has one").as_str();
        // The end has arrived once the pool no longer hands the connection out.
        while let Some((place, stream)) = client.pool.take(place) {
            client.pool.put(place, stream);
            tokio::task::yield_now().await;
        }
        assert_eq!(ask(&client, &uri).await.expect("a new connection is opened"), "hello");
    }

    #[tokio::test]
    async fn a_server_that_refuses_a_great_request_before_its_end_is_heard() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let uri: Uri = format!("http://{}/", listener.local_addr().expect("it is bound")).parse().expect("an address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client comes");
            let refusal = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno";
            stream.write_all(refusal).await.expect("the client reads");
            // It is held open, and nothing of the body is read.
            std::future::pending::<()>().await;
        });
        let body = Bytes::from(vec![b'x'; 64 << 20]);
        let answer = client().send(&Method::POST, &uri, &HeaderMap::new(), &body).await.expect("the refusal comes");
        assert_eq!(answer.status(), 413);
        assert_eq!(answer.into_body().collect().await.expect("it is whole").to_bytes(), "no");
    }

    #[tokio::test]
    async fn an_informational_answer_does_not_stop_a_great_request() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let uri: Uri = format!("http://{}/", listener.local_addr().expect("it is bound")).parse().expect("an address");
        const LENGTH: usize = 64 << 20;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client comes");
            for piece in ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 1", "03 Early Hints\r\nlink: x\r\n\r\n"] {
                stream.write_all(piece.as_bytes()).await.expect("the client reads");
                // What is sent is read by the client before the rest follows.
                let mut some = vec![0; 16 << 20];
                stream.read_exact(&mut some).await.expect("the request goes on");
            }
            let (mut rest, mut piece) = (LENGTH - (32 << 20), vec![0; 1 << 20]);
            while rest > 0 {
                rest = rest.saturating_sub(stream.read(&mut piece).await.expect("the request goes on"));
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await.expect("the client reads");
            std::future::pending::<()>().await;
        });
        let body = Bytes::from(vec![b'x'; LENGTH]);
        let (client, headers) = (client(), HeaderMap::new());
        let asked = client.send(&Method::POST, &uri, &headers, &body);
        let answer = tokio::time::timeout(Duration::from_secs(120), asked).await.expect("the request is sent whole");
        assert_eq!(answer.expect("the answer comes").status(), 200);
    }

    #[tokio::test]
    async fn a_body_that_is_dropped_closes_its_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let uri: Uri = format!("http://{}/", listener.local_addr().expect("it is bound")).parse().expect("an address");
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client comes");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n").await.expect("the client reads");
            let mut rest = Vec::new();
            // Whether in order or by reset, the client goes away.
            let _ = stream.read_to_end(&mut rest).await;
        });
        let client = client();
        let answer = client.send(&Method::POST, &uri, &HeaderMap::new(), &Bytes::new()).await.expect("it begins");
        let mut body = answer.into_body();
        let first = body.frame().await.expect("a piece comes").expect("it is well");
        assert_eq!(first.into_data().expect("it is data"), "data: 1\n\n");
        drop(body);
        serving.await.expect("the server sees the end");
    }
}
