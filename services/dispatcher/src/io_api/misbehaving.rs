//! A server that misbehaves, on real sockets of this machine, and counts what it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

pub(super) const CODE: &str = "RSSMRA85T10A562S";
pub(super) const ULID: &str = "01HMVM9W74RWH93NT1EYNKKNNR";

/// What the server does once it has read the whole request.
#[derive(Clone, Copy)]
pub(super) enum Does {
    Answer(&'static str),
    Bytes(&'static [u8]),
    Fin,
    Reset,
    /// Part of an answer, then a reset.
    AnswerAndReset(&'static str),
    Silence,
    /// The head, then one byte every 300 ms for ever.
    Drip(&'static str),
    /// The head, then bytes for ever.
    Flood(&'static str),
}

/// What the server saw.
#[derive(Default)]
pub(super) struct Saw {
    pub(super) connections: AtomicU64,
    pub(super) requests: AtomicU64,
    /// Bytes that the other side took of an answer without end.
    pub(super) flooded: AtomicU64,
}

pub(super) struct Server {
    pub(super) url: Url,
    pub(super) saw: Arc<Saw>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) fn requests(&self) -> u64 {
        self.saw.requests.load(Ordering::SeqCst)
    }

    pub(super) fn connections(&self) -> u64 {
        self.saw.connections.load(Ordering::SeqCst)
    }
}

pub(super) async fn server(does: Does) -> Server {
    serve(move |stream, saw| {
        if let Does::Reset | Does::AnswerAndReset(_) = does {
            stream.set_zero_linger().unwrap();
        }
        misbehave(stream, does, saw)
    })
    .await
}

/// A server whose connections are each handed to `handle`.
pub(super) async fn serve<F, T>(handle: F) -> Server
where
    F: Fn(TcpStream, Arc<Saw>) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/api/v1/", listener.local_addr().unwrap())).unwrap();
    let saw = Arc::new(Saw::default());
    let seen = Arc::clone(&saw);
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            seen.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(handle(stream, Arc::clone(&seen)));
        }
    });
    Server { url, saw, task }
}

pub(super) async fn misbehave(mut stream: impl AsyncRead + AsyncWrite + Unpin, does: Does, saw: Arc<Saw>) {
    if !read_request(&mut stream).await.contains("\r\n\r\n") {
        return; // no request: a handshake, or nothing at all
    }
    saw.requests.fetch_add(1, Ordering::SeqCst);
    match does {
        Does::Answer(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
        Does::Bytes(answer) => stream.write_all(answer).await.unwrap(),
        Does::AnswerAndReset(answer) => {
            stream.write_all(answer.as_bytes()).await.unwrap();
            // A reset overtakes what lies unread: it goes only when the other side has read this much.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Does::Fin | Does::Reset => {}
        Does::Silence => std::future::pending().await,
        Does::Drip(head) => {
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
        Does::Flood(head) => {
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(&[b' '; 4096]).await.is_ok() {
                saw.flooded.fetch_add(4096, Ordering::SeqCst);
            }
        }
    }
}

/// Head and body, by `Content-Length`; what there was, if the other side went before.
pub(super) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        if matches!(stream.read_buf(&mut bytes).await, Ok(0) | Err(_)) {
            return text;
        }
    }
}

pub(super) fn options(base_url: Url) -> HttpOptions {
    HttpOptions {
        base_url,
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(3),
        connections: 4,
    }
}

pub(super) fn api(base_url: Url) -> HttpIoApi {
    HttpIoApi::new(&options(base_url)).unwrap()
}

pub(super) fn person() -> FiscalCode {
    FiscalCode::parse(CODE).unwrap()
}

pub(super) fn request() -> DispatchRequest {
    serde_json::from_value(serde_json::json!({
        "v": 1, "ente": "borgochiaro", "servizio": "alloggi-sociali", "pratica": "P-1",
        "messaggio": "alloggi-protocollo", "chiave": "k", "evento": "e", "caso": "c", "slot": 0, "attempt": 1,
        "codice_fiscale": CODE,
        "content": {"subject": "Domanda protocollata", "markdown": "testo", "require_secure_channels": true},
        "livello": "ADVANCED", "in_dubbio": "hold", "testo": "0123456789abcdef", "dovuto_ms": 0
    }))
    .unwrap()
}

pub(super) async fn submit(url: Url) -> Call<SubmitAnswer> {
    submit_on(api(url)).await
}

pub(super) async fn submit_on(api: HttpIoApi) -> Call<SubmitAnswer> {
    api.submit(&SecretString::from("chiave"), &request()).await
}
