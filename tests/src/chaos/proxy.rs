//! A cable between the fleet and what it talks to, on which a test does what networks do.
//!
//! It carries bytes and knows no protocol. What it does can change at any moment and holds for the
//! connections that stand and for those to come.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How bytes pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    /// Each piece arrives this much later.
    pub latency: Duration,
    /// Longest piece, bytes; 0 is as they come.
    pub slice: usize,
    /// Bytes a second; 0 is as fast as it goes.
    pub bandwidth: usize,
    /// One piece in so many is lost on its way and sent again after [`SENT_AGAIN`]; 0 loses none.
    pub loses: usize,
}

impl Flow {
    /// A network that is slow, thin and loses some: grey.
    pub const GREY: Self =
        Self { latency: Duration::from_millis(200), bandwidth: 10_000, loses: 100, slice: 0 };
    /// A byte at a time, each late: no time-out between two bytes ends it.
    pub const DRIP: Self = Self { latency: Duration::from_millis(300), bandwidth: 0, loses: 0, slice: 1 };
}

/// What a lost packet costs on a way of 200 ms: TCP's first retransmission timeout is a second (RFC 6298).
pub const SENT_AGAIN: Duration = Duration::from_secs(1);

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// FIN: what was read before is delivered.
    Fin,
    /// RST: what is on the way is lost.
    Reset,
}

/// What the cable does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cable {
    /// Bytes pass.
    Pass(Flow),
    /// Connections stay and take what is written to them, and nothing arrives: a firewall that drops.
    Hold,
    /// Bytes of the answers pass so, those of the requests as they come.
    SlowAnswers(Flow),
    /// The next answer of each connection ends after so many bytes: 0 lets nothing of it arrive.
    EndAnswerAfter(usize, End),
    /// The client's side of every connection is ended towards the server, answers still pass.
    HalfClose,
    /// No connection is carried: those that stand end, new ones are reset.
    Cut(End),
    /// Nobody listens: those that stand end, new ones are refused.
    Refuse,
}

/// What a cable has seen.
#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicUsize,
    cut_answers: AtomicUsize,
}

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// The cable. It is rolled up when dropped.
pub struct Proxy {
    address: SocketAddr,
    cable: watch::Sender<Cable>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cable.send_replace(Cable::Cut(End::Reset));
    }
}

impl Proxy {
    /// A cable to `host:port`.
    ///
    /// # Errors
    /// Loopback has no port left.
    pub fn to(target: String) -> anyhow::Result<Self> {
        // Bound and never listening, it keeps the port while nobody listens there.
        let seat = bound(SocketAddr::from(([127, 0, 0, 1], 0))).context("no port for a proxy")?;
        let address = seat.local_addr()?;
        let listener = bound(address)?.listen(BACKLOG)?;
        let cable = watch::Sender::new(Cable::Pass(Flow::default()));
        let counts = Arc::<Counts>::default();
        let (state, count) = (cable.subscribe(), Arc::clone(&counts));
        let task = tokio::spawn(async move {
            // It ends with the cable, or with a port that cannot be had again, which shows as a cable that is cut.
            drop(serve(listener, &target, state, &count).await);
            drop(seat);
        });
        Ok(Self { address, cable, counts, task })
    }

    /// Its port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections taken so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::Relaxed)
    }

    /// Answers that [`Cable::EndAnswerAfter`] cut so far.
    #[must_use]
    pub fn cut_answers(&self) -> usize {
        self.counts.cut_answers.load(Ordering::Relaxed)
    }

    /// Has the cable do this from now on.
    pub fn set(&self, cable: Cable) {
        self.cable.send_replace(cable);
    }

    /// Lets everything pass again.
    pub fn mend(&self) {
        self.set(Cable::Pass(Flow::default()));
    }
}

/// A socket with this address, which another may have as long as neither listens.
fn bound(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Listens, but while the cable refuses, until there is no cable any more.
async fn serve(
    mut listener: TcpListener,
    target: &str,
    cable: watch::Receiver<Cable>,
    counts: &Arc<Counts>,
) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let mut watched = cable.clone();
    loop {
        let refuses = tokio::select! {
            refuses = comes_to(&mut watched, true) => refuses,
            accepted = listener.accept() => {
                counts.accepted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(carry(accepted?.0, target.to_owned(), cable.clone(), Arc::clone(counts)));
                continue;
            }
        };
        drop(listener);
        if !refuses || !comes_to(&mut watched, false).await {
            return Ok(());
        }
        listener = bound(address)?.listen(BACKLOG)?;
    }
}

/// Waits until the cable refuses, or does no longer; false if there is none any more.
async fn comes_to(cable: &mut watch::Receiver<Cable>, refuses: bool) -> bool {
    cable.wait_for(|cable| (*cable == Cable::Refuse) == refuses).await.is_ok()
}

/// Carries one connection until either side or the cable ends it.
async fn carry(client: TcpStream, target: String, cable: watch::Receiver<Cable>, counts: Arc<Counts>) {
    let refused = match *cable.borrow() {
        Cable::Cut(end) => Some(end),
        // Accepted as it began.
        Cable::Refuse => Some(End::Reset),
        _ => None,
    };
    if let Some(end) = refused {
        prepare(&client, end);
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    // Small frames must not wait for each other here: the cable is not what is measured.
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        pump(from_client, to_server, cable.clone(), None),
        pump(from_server, to_client, cable, Some(&counts))
    );
}

/// Carries one direction, and ends what it wrote to as the source or the cable ended. Where that is the direction of
/// the answers, it counts those that are cut.
async fn pump(
    mut reader: OwnedReadHalf,
    mut writer: OwnedWriteHalf,
    mut cable: watch::Receiver<Cable>,
    cut_answers: Option<&Counts>,
) {
    let answers = cut_answers.is_some();
    let mut buffer = vec![0; 16 * 1024];
    let mut pieces = 0_usize;
    let ending = loop {
        let now = *cable.borrow_and_update();
        let most = match now {
            Cable::Cut(end) => break end,
            Cable::Refuse => break End::Fin,
            Cable::HalfClose if !answers => break End::Fin,
            Cable::SlowAnswers(flow) if answers && flow.slice > 0 => flow.slice,
            Cable::Pass(flow) if flow.slice > 0 => flow.slice,
            _ => buffer.len(),
        };
        let most = most.min(buffer.len());
        let read = tokio::select! {
            // The change first: what comes after it must not pass as before, in one piece for example.
            biased;
            changed = cable.changed() => if changed.is_ok() { continue } else { break End::Fin },
            read = reader.read(&mut buffer[..most]), if now != Cable::Hold => read,
        };
        let Ok(count @ 1..) = read else { break End::Fin };
        let now = *cable.borrow();
        if let (Cable::EndAnswerAfter(most, end), Some(counts)) = (now, cut_answers) {
            counts.cut_answers.fetch_add(1, Ordering::Relaxed);
            // What cannot be written is lost, as it is meant to be.
            drop(writer.write_all(&buffer[..count.min(most)]).await);
            break end;
        }
        pieces += 1;
        if matches!(now, Cable::Pass(flow) if flow.loses > 0 && pieces.is_multiple_of(flow.loses)) {
            sleep(SENT_AGAIN).await;
        }
        if !pass(&mut writer, &buffer[..count], &mut cable, answers).await {
            break End::Fin;
        }
    };
    prepare(writer.as_ref(), ending);
    if ending == End::Reset {
        // Dropped, it would say goodbye in order first.
        writer.forget();
    }
}

/// Delivers a piece as the cable lets it; false if it did not arrive.
async fn pass(
    writer: &mut OwnedWriteHalf,
    piece: &[u8],
    cable: &mut watch::Receiver<Cable>,
    answers: bool,
) -> bool {
    let held = cable.wait_for(|cable| *cable != Cable::Hold).await.map(|cable| *cable);
    let wait = match held {
        Ok(Cable::Pass(flow) | Cable::SlowAnswers(flow)) if answers || matches!(held, Ok(Cable::Pass(_))) => {
            let slow = if flow.bandwidth > 0 {
                Duration::from_secs(1).mul_f64(count_of(piece.len()) / count_of(flow.bandwidth))
            } else {
                Duration::ZERO
            };
            flow.latency + slow
        }
        Ok(_) => Duration::ZERO,
        Err(_) => return false,
    };
    if !wait.is_zero() {
        sleep(wait).await;
    }
    // What is on its way when the cable is cut is lost with it.
    if matches!(*cable.borrow(), Cable::Cut(_)) {
        return false;
    }
    writer.write_all(piece).await.is_ok()
}

fn count_of(bytes: usize) -> f64 {
    u32::try_from(bytes).map_or(f64::from(u32::MAX), f64::from)
}

/// Has a socket end as asked when it is closed.
fn prepare(stream: &TcpStream, end: End) {
    if end == End::Reset {
        // The platform may lack it: the connection then ends with a FIN, which the test sees.
        drop(stream.set_zero_linger());
    }
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
