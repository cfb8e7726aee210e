//! A gate of TLS before a server of plain text: it shows the certificate that a test wants, good or bad, and carries
//! what comes through.

use std::sync::Arc;

use anyhow::Context as _;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What the gate shows.
#[derive(Clone)]
pub(super) enum Face {
    /// A certificate.
    Shows(Arc<ServerConfig>),
    /// A server of 2006: whatever the client offers, it answers with TLS 1.1.
    Old,
}

/// The gate. It is taken away when dropped.
pub(super) struct Gate {
    port: u16,
    face: watch::Sender<Face>,
    task: JoinHandle<()>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gate {
    /// Before `host:port`.
    pub(super) async fn before(target: String, face: Face) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for a gate")?;
        let port = listener.local_addr()?.port();
        let face = watch::Sender::new(face);
        let shown = face.subscribe();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, target.clone(), shown.clone()));
            }
        });
        Ok(Self { port, face, task })
    }

    /// Its port on loopback.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Shows another face from now on; connections that stand end.
    pub(super) fn show(&self, face: Face) {
        self.face.send_replace(face);
    }
}

/// Carries a connection until it or the face ends.
async fn pass(mut client: TcpStream, target: String, mut face: watch::Receiver<Face>) {
    let shown = face.borrow_and_update().clone();
    let carried = async {
        match shown {
            Face::Shows(config) => {
                let mut client = TlsAcceptor::from(config).accept(client).await?;
                let mut server = TcpStream::connect(target).await?;
                copy_bidirectional(&mut client, &mut server).await.map(drop)
            }
            Face::Old => answer_as_of_old(&mut client).await,
        }
    };
    tokio::select! {
        // However it ends, it has.
        ended = carried => drop(ended),
        changed = face.changed() => drop(changed),
    }
}

async fn answer_as_of_old(client: &mut TcpStream) -> std::io::Result<()> {
    let mut hello = [0; 4096];
    if client.read(&mut hello).await? == 0 {
        return Ok(());
    }
    // Server hello of version 3.2 with a random of zeros, no session, TLS_RSA_WITH_AES_128_CBC_SHA.
    let mut answer = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    answer.extend([0; 33]);
    answer.extend([0, 0x2f, 0]);
    client.write_all(&answer).await?;
    // Until the client has gone.
    while matches!(client.read(&mut hello).await, Ok(1..)) {}
    Ok(())
}
