//! A process that ends before it is connected to the broker: in order, without a panic in its log.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::panic;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::broker::{Options, RabbitMq, Tls};
use tests::certificates::Authority;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

/// Ample for what happens at once.
const DEADLINE: Duration = Duration::from_secs(30);
/// How often a process ends in its very first moments; without what is tested here one in ten panicked.
const EARLY_ENDS: usize = 300;

/// The name of the threads of a process that ends here; other tests have processes of their own.
const PROCESS: &str = "ending-process";

fn process() -> Runtime {
    Builder::new_multi_thread().thread_name(PROCESS).enable_all().build().unwrap()
}

/// Where such a process, or lapin, panics from now on.
fn panics_of_processes() -> Arc<Mutex<Vec<String>>> {
    let found = Arc::new(Mutex::new(Vec::new()));
    let (kept, before) = (Arc::clone(&found), panic::take_hook());
    panic::set_hook(Box::new(move |panic| {
        if matches!(std::thread::current().name(), Some("lapin-io-loop" | PROCESS)) {
            kept.lock().unwrap().extend(panic.location().map(ToString::to_string));
        }
        before(panic);
    }));
    found
}

/// Reads what a client says until it leaves.
fn hear_out(mut client: TcpStream) {
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_process_may_end_before_it_is_connected() {
    let panics = panics_of_processes();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    // Accepts and never answers: neither the handshake of AMQP nor that of TLS comes to an end.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = |scheme: &str| {
        let url = format!("{scheme}://127.0.0.1:{}/%2f", mute.local_addr().unwrap().port()).into();
        let tls = Tls { ca_file: Some(authority.file("ca.pem")), ..Tls::default() };
        RabbitMq::start(Options { url, tls, ..Options::default() }).unwrap()
    };
    for scheme in ["amqp", "amqps"] {
        let process = process();
        let broker = process.block_on(async { start(scheme) });
        let clients = [mute.accept().unwrap().0, mute.accept().unwrap().0];
        drop((broker, process));
        clients.into_iter().for_each(hear_out);
    }
    mute.set_nonblocking(true).unwrap();
    for moment in 0..EARLY_ENDS {
        let process = process();
        process.block_on(async {
            let _broker = start("amqp");
            for _ in 0..moment {
                yield_now().await;
            }
        });
        drop(process);
        // Its connections, if it came so far, are not kept waiting: their number is bounded.
        while mute.accept().is_ok() {}
    }
    assert!(panics.lock().unwrap().is_empty(), "{panics:?}");
}
