//! A cable between an adapter and its server, to be cut, left dead, unplugged or led elsewhere.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cable {
    /// Connections pass; a new number cuts those of the old.
    Plugged(u32),
    /// Connections stay, and nothing passes.
    Dead,
    /// New connections pass; those from before stay, and nothing passes on them.
    Renewed,
    /// Every connection is cut, new ones too.
    Unplugged,
}

/// The cable.
pub(crate) struct Proxy {
    address: SocketAddr,
    target: Arc<Mutex<String>>,
    cable: watch::Sender<Cable>,
}

impl Proxy {
    /// A cable to `target`.
    pub(crate) async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cable = watch::Sender::new(Cable::Plugged(0));
        let state = cable.subscribe();
        let target = Arc::new(Mutex::new(target));
        let leads_to = Arc::clone(&target);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let target = leads_to.lock().unwrap().clone();
                tokio::spawn(carry(client, target, state.clone()));
            }
        });
        Self { address, target, cable }
    }

    /// Where it listens, `host:port`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// New connections go there.
    pub(crate) fn lead_to(&self, target: &str) {
        target.clone_into(&mut self.target.lock().unwrap());
    }

    /// Nothing passes any more on the connections that are open; new ones pass.
    pub(crate) fn swallow(&self) {
        self.cable.send_replace(Cable::Renewed);
    }

    /// Cuts every connection; new ones pass.
    pub(crate) fn cut(&self) {
        self.cable.send_modify(|cable| {
            *cable = match cable {
                Cable::Plugged(number) => Cable::Plugged(*number + 1),
                Cable::Dead | Cable::Renewed | Cable::Unplugged => Cable::Plugged(0),
            };
        });
    }

    /// Lets nothing pass, and nobody know.
    pub(crate) fn die(&self) {
        self.cable.send_replace(Cable::Dead);
    }

    /// Cuts every connection, and every new one.
    pub(crate) fn unplug(&self) {
        self.cable.send_replace(Cable::Unplugged);
    }
}

/// Carries one connection until the cable changes; one that goes dead stays open until the next change.
async fn carry(mut client: TcpStream, target: String, mut cable: watch::Receiver<Cable>) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let at = *cable.borrow_and_update();
    if matches!(at, Cable::Plugged(_) | Cable::Renewed) {
        let still = cable.clone();
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let there = pass(from_client, to_server, (&still, at));
        let back = pass(from_server, to_client, (&still, at));
        tokio::select! {
            _ = async { tokio::try_join!(there, back) } => return,
            changed = cable.changed() => if changed.is_err() { return },
        }
    }
    if matches!(*cable.borrow_and_update(), Cable::Dead | Cable::Renewed) {
        // Either way it ends here: with the next change, or with the test.
        drop(cable.changed().await);
    }
}

/// Passes on what comes, as long as the cable is as it was: looked at between reading and writing, so that nothing
/// passes that was sent after the change.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    (cable, at): (&watch::Receiver<Cable>, Cable),
) -> std::io::Result<()> {
    let mut piece = [0; 8192];
    loop {
        let length = from.read(&mut piece).await?;
        if *cable.borrow() != at {
            std::future::pending::<()>().await;
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..length]).await?;
    }
}
