//! Running a sandbox: in a process of its own, or inside a test.

use crate::http;
use crate::options::Options;
use crate::state::State;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Serves on a listener until the token is cancelled; returns when the calls in hand are done (2 s at most).
pub async fn serve(listener: TcpListener, options: Options, shutdown: CancellationToken) {
    let state = Arc::new(State::new(&options));
    http::serve_connections(listener, http::router(state), shutdown).await;
}

/// A sandbox on a free loopback port, running in the background of a test. Dropping it stops it.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Starts one.
    ///
    /// # Errors
    /// No loopback port could be had.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve(listener, options, shutdown.clone()));
        Ok(Self { address, shutdown, task: Some(task) })
    }

    /// Address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, without a final slash: the inbox and the inspection endpoints.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Base URL of the API, as `io.base_url` of the fleet wants it.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}{}", self.url(), http::BASE_PATH)
    }

    /// Stops it and waits for its end.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(task) = self.task.take() {
            // A task that panicked has said so already.
            drop(task.await);
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
