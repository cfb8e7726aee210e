//! Accepts connections and serves them. Not `axum::serve`, because a cut must close the connection without
//! a status line, which only a failing service makes hyper do.

use super::spoil::Cut;
use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::fmt;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Time that calls in hand have at the end.
const GRACE: Duration = Duration::from_secs(2);

/// Pause after a failed accept (no file descriptor left, for one), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until the token is cancelled, then finishes the calls in hand, for 2 s at most.
pub(crate) async fn serve_connections(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    let force = CancellationToken::new();
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            tracing::warn!("connection not accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        connections.spawn(force.clone().run_until_cancelled_owned(serve(stream, router.clone(), &graceful)));
    }
    connections.close();
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("calls in hand were cut at shutdown");
    }
    force.cancel();
    connections.wait().await;
}

/// Serves one connection. What ends it badly (a cut, a client that went away) is nobody's fault here.
fn serve(stream: TcpStream, router: Router, graceful: &GracefulShutdown) -> impl Future<Output = ()> + use<> {
    let is_set = stream.set_nodelay(true);
    let dispatcher = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        let answer = dispatcher.call(request);
        async move {
            match answer.await {
                Ok(response) if response.extensions().get::<Cut>().is_some() => Err(CutConnection),
                Ok(response) => Ok(response),
                Err(never) => match never {},
            }
        }
    });
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    async move {
        if let Err(error) = is_set {
            tracing::debug!(%error, "no-delay not set");
        }
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection ended early");
        }
    }
}

/// The error that makes hyper close a connection without an answer.
#[derive(Debug)]
struct CutConnection;

impl fmt::Display for CutConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection cut on purpose")
    }
}

impl std::error::Error for CutConnection {}
