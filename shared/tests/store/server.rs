//! A real Redis: `PROMEMORIA_TEST_REDIS_URL`, else a private server.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use shared::store::quota::RedisQuota;

/// A Redis, ended when dropped if it is ours.
pub(crate) struct Redis {
    pub(crate) url: String,
    server: Option<(Child, tempfile::TempDir)>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        if let Ok(url) = std::env::var("PROMEMORIA_TEST_REDIS_URL") {
            return Self { url, server: None };
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let dir = tempfile::tempdir().unwrap();
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server must be on PATH, or PROMEMORIA_TEST_REDIS_URL set");
        Self { url: format!("redis://127.0.0.1:{port}/"), server: Some((server, dir)) }
    }

    pub(crate) async fn connect(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match client.get_multiplexed_async_connection().await {
                Ok(connection) => return connection,
                Err(error) => assert!(Instant::now() < deadline, "Redis does not answer: {error}"),
            }
            tokio::task::yield_now().await;
        }
    }

    /// A budget of its own for each test, also on a shared server.
    pub(crate) async fn quota(&self, test: &str) -> RedisQuota<MultiplexedConnection> {
        RedisQuota::new(self.connect().await, &format!("test-{test}-{}", std::process::id()))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some((server, _)) = &mut self.server {
            drop(server.kill());
            drop(server.wait());
        }
    }
}
