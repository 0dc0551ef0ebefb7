//! The accept loop: connections with TCP_NODELAY, header time-outs against slow senders, graceful shutdown.

use crate::{App, opening::Opening};
use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use std::{future::Future, time::Duration};
use tokio::net::TcpListener;

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
    let graceful = GracefulShutdown::new();
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
        let connection = builder
            .serve_connection_with_upgrades(
                TokioIo::new(Opening::new(stream, HEADER_TIMEOUT)),
                TowerToHyperService::new(router.clone()),
            )
            .into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    app.close();
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
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
