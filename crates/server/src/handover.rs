//! Long streams outside of hyper: a client that waits for hours costs a small task, not a connection's buffers.
//!
//! hyper keeps 24 KB of buffers for each HTTP/1.1 connection for as long as a response goes on. A stream of a run waits
//! most of its life, and there may be thousands. So hyper reads the request and writes the head of the response, and as
//! soon as the head is with the system, the socket and the rest of the response are handed over to a task of our own,
//! which writes the body as chunks (RFC 9112, section 7.1) and then closes.

use crate::opening::Opening;
use axum::body::Body;
use bytes::Bytes;
use hyper::{
    Request, Response, Version,
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    header::{CONNECTION, HeaderValue},
    service::Service,
};
use hyper_util::service::TowerToHyperService;
use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};

type Socket = Opening<TcpStream>;

/// Marks a response whose body goes on for long, as an extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LongLived;

/// A connection's socket, which hyper has until a stream takes it over. Clones are the same line.
#[derive(Clone)]
pub(crate) struct Line(Arc<Mutex<Inner>>);

struct Inner {
    socket: Option<Socket>,
    stage: Stage,
    waker: Option<Waker>,
}

enum Stage {
    /// hyper answers requests.
    Serving,
    /// A response is on its way whose body we write.
    Promised(Body),
    /// Its head is in hyper's buffer.
    Begun(Body),
    /// Its head is with the system.
    Written(Body),
    /// The socket is ours.
    Over,
}

impl Line {
    /// Returns the line over `socket`.
    pub(crate) fn new(socket: Socket) -> Self {
        Self(Arc::new(Mutex::new(Inner { socket: Some(socket), stage: Stage::Serving, waker: None })))
    }

    /// Resolves when a response is to be written by us; from then on the line is at its end for hyper.
    pub(crate) async fn handed_over(&self) -> (TcpStream, Body) {
        poll_fn(|cx| {
            let mut inner = self.lock();
            if matches!(inner.stage, Stage::Written(_))
                && let Stage::Written(body) = std::mem::replace(&mut inner.stage, Stage::Over)
                && let Some(socket) = inner.socket.take()
            {
                return Poll::Ready((socket.into_inner(), body));
            }
            if !inner.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                inner.waker = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    /// Takes the body of a response, and leaves one whose end hyper never sees.
    fn promise(&self, response: &mut Response<Body>) {
        let body = std::mem::replace(response.body_mut(), Body::new(Placeholder(self.clone())));
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        self.lock().stage = Stage::Promised(body);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, gone: T, act: impl FnOnce(Pin<&mut Socket>) -> Poll<T>) -> Poll<T> {
        self.lock().socket.as_mut().map_or(Poll::Ready(gone), |socket| act(Pin::new(socket)))
    }
}

impl Inner {
    /// Goes from a promised body to a begun one, and from that to a written one.
    fn advance(&mut self) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Promised(body) => Stage::Begun(body),
            Stage::Begun(body) => Stage::Written(body),
            stage => stage,
        };
    }
}

/// The body that hyper sees: it is asked for it once the head is in the buffer.
struct Placeholder(Line);

impl HttpBody for Placeholder {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut inner = self.0.lock();
        if matches!(inner.stage, Stage::Promised(_)) {
            inner.advance();
        }
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(Ok(()), |socket| socket.poll_read(cx, buf))
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.with(Ok(0), |socket| socket.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.with(Ok(()), |socket| socket.poll_flush(cx));
        // hyper flushes the socket only when its own buffer is empty.
        if matches!(flushed, Poll::Ready(Ok(()))) {
            let mut inner = self.lock();
            if matches!(inner.stage, Stage::Begun(_)) {
                inner.advance();
                if let Some(waker) = inner.waker.take() {
                    waker.wake();
                }
            }
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(Ok(()), |socket| socket.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(Ok(0), |socket| socket.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().socket.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }
}

/// The router of one connection, which promises the bodies of long streams to its line.
pub(crate) struct Handing {
    pub(crate) router: TowerToHyperService<axum::Router>,
    pub(crate) line: Line,
}

impl Service<Request<Incoming>> for Handing {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (line, version) = (self.line.clone(), request.version());
        let answer = self.router.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            // An older client knows no chunks, and HTTP/2 has many streams on its one socket.
            if response.extensions_mut().remove::<LongLived>().is_some() && version == Version::HTTP_11 {
                line.promise(&mut response);
            }
            Ok(response)
        })
    }
}

/// Writes the rest of a response and closes; ends early when the client hangs up.
///
/// # Errors
/// When the client cannot be written to.
pub(crate) async fn write(mut socket: TcpStream, mut body: Body) -> io::Result<()> {
    loop {
        let piece = tokio::select! {
            biased;
            piece = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)) => piece,
            () = hung_up(&mut socket) => return Ok(()),
        };
        match piece {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    socket.write_all(&chunk(&data)).await?;
                }
            }
            // A body that broke has no end, so that its client does not take what came for all.
            Some(Err(_)) => return Ok(()),
            None => {
                socket.write_all(b"0\r\n\r\n").await?;
                return socket.shutdown().await;
            }
        }
    }
}

/// Resolves when the client has closed its side. What it says meanwhile belongs to no request that we would answer.
async fn hung_up(socket: &mut TcpStream) {
    let mut said = [0; 64];
    while socket.read(&mut said).await.is_ok_and(|read| read > 0) {}
}

fn chunk(data: &[u8]) -> Vec<u8> {
    let head = format!("{:x}\r\n", data.len());
    let mut chunk = Vec::with_capacity(head.len() + data.len() + 2);
    chunk.extend_from_slice(head.as_bytes());
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, response::IntoResponse, routing::get};
    use futures::StreamExt;
    use hyper_util::rt::TokioIo;
    use std::time::Duration;
    use tokio::{net::TcpListener, sync::mpsc};

    /// Serves one connection as the accept loop does.
    async fn serve(listener: TcpListener, router: Router) {
        let (socket, _) = listener.accept().await.expect("a client comes");
        let line = Line::new(Opening::new(socket, Duration::from_secs(5)));
        let handing = Handing { router: TowerToHyperService::new(router), line: line.clone() };
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(line.clone()), handing);
        let handed = tokio::select! {
            biased;
            ended = connection => return ended.expect("hyper has nothing to complain about"),
            handed = line.handed_over() => handed,
        };
        write(handed.0, handed.1).await.expect("the client reads");
    }

    fn router(pieces: mpsc::Receiver<&'static str>) -> Router {
        let pieces = Arc::new(Mutex::new(Some(pieces)));
        Router::new().route("/plain", get(|| async { "plain" })).route(
            "/stream",
            get(move || async move {
                let pieces = pieces.lock().expect("nobody panics").take().expect("it is asked for once");
                let pieces = futures::stream::unfold(pieces, |mut pieces| async move {
                    let piece = pieces.recv().await?;
                    Some((Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes())), pieces))
                });
                let mut response = Body::from_stream(pieces.boxed()).into_response();
                response.extensions_mut().insert(LongLived);
                response
            }),
        )
    }

    async fn read_until(client: &mut TcpStream, end: &str) -> String {
        let mut said = Vec::new();
        while !said.ends_with(end.as_bytes()) {
            said.push(client.read_u8().await.expect("more comes"));
        }
        String::from_utf8(said).expect("it is text")
    }

    #[tokio::test]
    async fn a_long_stream_is_written_to_its_end_after_hyper_has_let_go() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (send, receive) = mpsc::channel(4);
        let served = tokio::spawn(serve(listener, router(receive)));
        let mut client = TcpStream::connect(address).await.expect("it listens");

        client.write_all(b"GET /plain HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it reads");
        let plain = read_until(&mut client, "\r\n\r\nplain").await;
        assert!(plain.starts_with("HTTP/1.1 200 OK\r\n"), "{plain}");

        client.write_all(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it reads");
        let head = read_until(&mut client, "\r\n\r\n").await;
        assert!(head.contains("transfer-encoding: chunked") && head.contains("connection: close"), "{head}");
        for piece in ["one", "a piece of 22 letters."] {
            send.send(piece).await.expect("the stream is open");
            assert_eq!(read_until(&mut client, piece).await, format!("{:x}\r\n{piece}", piece.len()));
            assert_eq!(read_until(&mut client, "\r\n").await, "\r\n");
        }
        drop(send);
        let mut rest = String::new();
        client.read_to_string(&mut rest).await.expect("it is closed in good order");
        assert_eq!(rest, "0\r\n\r\n");
        served.await.expect("nothing panics");
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_ends_the_stream_at_its_source() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (send, receive) = mpsc::channel(4);
        let served = tokio::spawn(serve(listener, router(receive)));
        let mut client = TcpStream::connect(address).await.expect("it listens");
        client.write_all(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it reads");
        read_until(&mut client, "\r\n\r\n").await;
        drop(client);
        send.closed().await;
        served.await.expect("nothing panics");
    }

    #[tokio::test]
    async fn an_older_client_gets_the_stream_without_chunks() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (send, receive) = mpsc::channel(4);
        let served = tokio::spawn(serve(listener, router(receive)));
        let mut client = TcpStream::connect(address).await.expect("it listens");
        client.write_all(b"GET /stream HTTP/1.0\r\nhost: x\r\n\r\n").await.expect("it reads");
        send.send("one").await.expect("the stream is open");
        drop(send);
        let mut all = String::new();
        client.read_to_string(&mut all).await.expect("it is closed in good order");
        assert!(all.ends_with("\r\n\r\none"), "{all}");
        served.await.expect("nothing panics");
    }
}
