//! The accept loop: connections with TCP_NODELAY, header time-outs against slow senders, graceful shutdown.

use crate::{
    App,
    handover::{self, Handing, Line},
    opening::Opening,
};
use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use std::{convert::Infallible, future::Future, time::Duration};
use tokio::{net::TcpListener, sync::mpsc};

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// How often an HTTP/2 client is asked whether it is still there; one that does not answer is hung up on.
const PING: Duration = Duration::from_secs(30);

/// How long open requests may go on after the shutdown began.
const DRAIN: Duration = Duration::from_secs(5);

/// The largest head of a request, and the size that a connection's buffer may reach, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Accepting failed for good.
#[derive(Debug, thiserror::Error)]
#[error("failed to accept connections: {0}")]
pub struct ServeError(#[from] std::io::Error);

/// Serves `app` on `listener` until `shutdown` resolves; then streams end, and open requests get five seconds to.
///
/// # Errors
/// [`ServeError`] when the listener is broken; a single connection's failure never ends the loop.
pub async fn serve(listener: TcpListener, app: App, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let router: Router = crate::routes::router(app.clone());
    crate::bulk::start(&app, router.clone());
    let graceful = GracefulShutdown::new();
    // Nothing is ever sent: the streams outside of hyper hold clones, and the channel ends with the last.
    let (streaming, mut streams) = mpsc::channel::<Infallible>(1);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX));
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_of_connection(&error) => continue,
            Err(error) if is_exhausted(&error) => {
                tracing::warn!(%error, "no file descriptor is free; new connections wait");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        // A stream without NODELAY still works, only slower.
        let _ = stream.set_nodelay(true);
        let line = Line::new(Opening::new(stream, HEADER_TIMEOUT));
        let router = TowerToHyperService::new(router.clone());
        let connection = builder
            .serve_connection_with_upgrades(TokioIo::new(line.clone()), Handing { router, line: line.clone() })
            .into_owned();
        let connection = graceful.watch(connection);
        let streaming = streaming.clone();
        tokio::spawn(async move {
            let (socket, body) = tokio::select! {
                biased;
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return;
                }
                handed = line.handed_over() => handed,
            };
            // In a task of its own, so that this one and hyper's buffers with it are gone.
            tokio::spawn(async move {
                if let Err(error) = handover::write(socket, body).await {
                    tracing::debug!(%error, "a stream ended early");
                }
                drop(streaming);
            });
        });
    }
    drop(listener);
    app.close();
    drop(streaming);
    let drained = async { tokio::join!(graceful.shutdown(), streams.recv()) };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::info!("requests that were still open have been cut");
    }
    Ok(())
}

/// Returns whether the fault is of the one connection that was about to come.
fn is_of_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Returns whether the process or the system has no file descriptor left (EMFILE, ENFILE).
fn is_exhausted(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}
