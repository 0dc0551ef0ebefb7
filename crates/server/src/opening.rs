//! A bound on the opening of a connection: a client that connects and says nothing is hung up on.
//!
//! HTTP/1 and HTTP/2 come on one port, and hyper tells them apart by their first bytes before its own time-outs begin.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// What an HTTP/2 client says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose reads fail when its first bytes do not tell the protocol in time.
pub(crate) struct Opening<S> {
    stream: S,
    /// How many bytes of the preface have come.
    matched: usize,
    /// Runs until the protocol is told.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Opening<S> {
    /// Returns `stream`, which must tell its protocol within `limit`.
    pub(crate) fn new(stream: S, limit: Duration) -> Self {
        Self { stream, matched: 0, deadline: Some(Box::pin(sleep(limit))) }
    }

    /// Returns the stream, without a bound.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    fn take(&mut self, fresh: &[u8]) {
        let wanted = &PREFACE[self.matched..];
        let same = fresh.iter().zip(wanted).take_while(|(came, wanted)| came == wanted).count();
        self.matched += same;
        if self.matched == PREFACE.len() || same < fresh.len() {
            self.deadline = None;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opening<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Some(deadline) = &mut self.deadline {
            if read.is_pending() {
                return deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
            }
            self.take(&buf.filled()[before..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opening<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const LIMIT: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_or_half_a_preface_is_hung_up_on() {
        for said in [&b""[..], b"PRI * HT"] {
            let (mut client, server) = duplex(64);
            client.write_all(said).await.expect("the other side listens");
            let mut server = Opening::new(server, LIMIT);
            let mut read = vec![0; said.len()];
            server.read_exact(&mut read).await.expect("what was said comes");
            let error = server.read_u8().await.expect_err("nothing more comes");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_told_its_protocol_may_be_silent_for_longer() {
        for said in [&b"GET /"[..], PREFACE] {
            let (mut client, server) = duplex(64);
            client.write_all(said).await.expect("the other side listens");
            let mut server = Opening::new(server, LIMIT);
            let mut read = vec![0; said.len()];
            server.read_exact(&mut read).await.expect("what was said comes");
            let (answer, ()) = tokio::join!(server.read_u8(), async {
                sleep(LIMIT * 2).await;
                client.write_all(b"x").await.expect("the other side listens");
            });
            assert_eq!(answer.expect("it is still open"), b'x');
        }
    }
}
