//! A cable between the adapter and the broker, to be cut, left dead or unplugged.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cable {
    /// Connections pass; a new number cuts those of the old.
    Plugged(u32),
    /// Connections stay, and nothing passes.
    Dead,
    /// Every connection is cut, new ones too.
    Unplugged,
}

/// The cable.
pub(crate) struct Proxy {
    address: SocketAddr,
    cable: watch::Sender<Cable>,
}

impl Proxy {
    /// A cable to `target`.
    pub(crate) async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cable = watch::Sender::new(Cable::Plugged(0));
        let state = cable.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target.clone(), state.clone()));
            }
        });
        Self { address, cable }
    }

    pub(crate) fn url(&self) -> String {
        format!("amqp://{}/%2f", self.address)
    }

    /// Cuts every connection; new ones pass.
    pub(crate) fn cut(&self) {
        self.cable.send_modify(|cable| {
            *cable = match cable {
                Cable::Plugged(number) => Cable::Plugged(*number + 1),
                Cable::Dead | Cable::Unplugged => Cable::Plugged(0),
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
    if matches!(*cable.borrow_and_update(), Cable::Plugged(_)) {
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            changed = cable.changed() => if changed.is_err() { return },
        }
    }
    if *cable.borrow_and_update() == Cable::Dead {
        // Either way it ends here: with the next change, or with the test.
        drop(cable.changed().await);
    }
}
