//! The adapter against a server that misbehaves, on real sockets of this machine.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::super::{Evidence, Misconfigured};
use super::*;

const CODE: &str = "RSSMRA85T10A562S";
const ULID: &str = "01HMVM9W74RWH93NT1EYNKKNNR";

/// What the server does once it has read the whole request.
#[derive(Clone, Copy)]
enum Does {
    Answer(&'static str),
    Fin,
    Reset,
    Silence,
    /// The head, then one byte at a time for ever.
    Drip(&'static str),
    /// The head, then bytes for ever.
    Flood(&'static str),
}

struct Server {
    url: Url,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn server(does: Does) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/api/v1/", listener.local_addr().unwrap())).unwrap();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(misbehave(stream, does));
        }
    });
    Server { url, task }
}

async fn misbehave(mut stream: TcpStream, does: Does) {
    read_request(&mut stream).await;
    match does {
        Does::Answer(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
        Does::Fin => {}
        Does::Reset => stream.set_zero_linger().unwrap(),
        Does::Silence => std::future::pending().await,
        Does::Drip(head) => {
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Does::Flood(head) => {
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(&[b' '; 4096]).await.is_ok() {}
        }
    }
}

/// Head and body, by `Content-Length`.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return text;
        }
    }
}

fn api(base_url: Url) -> HttpIoApi {
    HttpIoApi::new(&HttpOptions {
        base_url,
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(3),
        connections: 4,
    })
    .unwrap()
}

fn person() -> FiscalCode {
    FiscalCode::parse(CODE).unwrap()
}

fn request() -> DispatchRequest {
    serde_json::from_value(serde_json::json!({
        "v": 1, "ente": "borgochiaro", "servizio": "alloggi-sociali", "pratica": "P-1",
        "messaggio": "alloggi-protocollo", "chiave": "k", "evento": "e", "caso": "c", "slot": 0, "attempt": 1,
        "codice_fiscale": CODE,
        "content": {"subject": "Domanda protocollata", "markdown": "testo", "require_secure_channels": true},
        "livello": "ADVANCED", "in_dubbio": "hold", "testo": "0123456789abcdef", "dovuto_ms": 0
    }))
    .unwrap()
}

async fn submit(url: Url) -> Call<SubmitAnswer> {
    api(url).submit(&SecretString::from("chiave"), &request()).await
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn what_each_misbehaviour_is_taken_for() {
    let created = |io_id: Option<&str>| SubmitAnswer::Created { io_id: io_id.map(str::to_owned) };
    let unknown = SubmitAnswer::Unknown;
    let rows = [
        ("FIN in place of an answer", Does::Fin, "none", unknown(Evidence::Closed)),
        ("RST after the request", Does::Reset, "none", unknown(Evidence::Reset)),
        ("silence", Does::Silence, "none", unknown(Evidence::Timeout)),
        ("head dripped", Does::Drip("HTTP/1.1 201 Created\r\nX: "), "none", unknown(Evidence::Timeout)),
        ("not HTTP", Does::Answer("220 mail.example.it\r\n\r\n"), "none", unknown(Evidence::Closed)),
        (
            "201 cut",
            Does::Answer("HTTP/1.1 201 Created\r\nContent-Length: 90\r\n\r\n{\"id\":\"01HM"),
            "201",
            created(None),
        ),
        (
            "201 cut, with Location",
            Does::Answer(
                "HTTP/1.1 201 Created\r\nLocation: /api/v1/messages/RSSMRA85T10A562S/01HMVM9W74RWH93NT1EYNKKNNR\r\n\
                 Content-Length: 90\r\n\r\n{",
            ),
            "201",
            created(Some(ULID)),
        ),
        (
            "201 dripped",
            Does::Drip("HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n"),
            "201",
            created(None),
        ),
        (
            "201 of 100 MB",
            Does::Flood("HTTP/1.1 201 Created\r\nContent-Length: 100000000\r\n\r\n"),
            "201",
            created(None),
        ),
        (
            "201 without end",
            Does::Flood("HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n"),
            "201",
            created(None),
        ),
        (
            "201 with another JSON",
            Does::Answer("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n[]"),
            "201",
            created(None),
        ),
        (
            "redirect",
            Does::Answer("HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
            "3xx",
            SubmitAnswer::Misconfigured(Misconfigured::Redirect),
        ),
        (
            "502 as HTML",
            Does::Answer("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>"),
            "502",
            unknown(Evidence::Gateway),
        ),
    ];
    let checks = rows.map(async |(row, does, status, answer)| {
        let server = server(does).await;
        let call = submit(server.url.clone()).await;
        assert_eq!((call.status, &call.answer), (status, &answer), "{row}");
    });
    futures_util::future::join_all(checks).await;
}

#[tokio::test]
async fn what_fails_before_the_request_leaves_is_not_sent() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = server(Does::Silence).await;
    let mut tls = silent.url.clone();
    tls.set_scheme("https").unwrap();
    let rows = [
        ("refused port", Url::parse(&format!("http://{port}/")).unwrap()),
        ("TLS to a server that is silent", tls),
    ];
    for (row, url) in rows {
        let call = submit(url).await;
        assert_eq!((call.status, call.answer), ("none", SubmitAnswer::NotSent), "{row}");
    }
}

#[tokio::test]
async fn a_429_tells_its_pause_and_the_budget_left() {
    let server = server(Does::Answer(
        "HTTP/1.1 429 X\r\nx-rate-limit-retry-after: 4\r\nx-rate-limit-remaining: 0\r\nContent-Length: 0\r\n\r\n",
    ))
    .await;
    let call = submit(server.url.clone()).await;
    assert_eq!(call.answer, SubmitAnswer::Throttled { retry_after: Duration::from_secs(4) });
    assert_eq!(call.remaining, Some(0));
}

/// Answers one request with 404 and returns it.
async fn requested(call: impl AsyncFnOnce(HttpIoApi)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/api/v1", listener.local_addr().unwrap())).unwrap();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        request
    };
    let (request, ()) = tokio::join!(serve, call(api(url)));
    request
}

#[tokio::test]
async fn the_requests_are_as_io_documents_them() {
    let key = SecretString::from("chiave");
    let submit = requested(async |api| assert!(api.submit(&key, &request()).await.remaining.is_none())).await;
    let (head, body) = submit.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /api/v1/messages HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nocp-apim-subscription-key: chiave"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/json"), "{head}");
    assert!(!head.contains("accept-encoding") && !head.contains("referer"), "{head}");
    let expected = serde_json::json!({
        "fiscal_code": CODE, "feature_level_type": "ADVANCED",
        "content": {"subject": "Domanda protocollata", "markdown": "testo", "require_secure_channels": true},
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap(), expected);

    let profile =
        requested(async |api| assert!(api.profile(&key, &person()).await.remaining.is_none())).await;
    assert!(profile.starts_with("POST /api/v1/profiles HTTP/1.1\r\n"), "{profile}");
    assert!(profile.ends_with(&format!(r#"{{"fiscal_code":"{CODE}"}}"#)), "{profile}");

    let status =
        requested(async |api| assert!(api.status(&key, &person(), ULID).await.remaining.is_none())).await;
    assert!(status.starts_with(&format!("GET /api/v1/messages/{CODE}/{ULID} HTTP/1.1\r\n")), "{status}");
}

#[tokio::test]
async fn nothing_that_a_call_returns_holds_the_code_or_the_key() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let base_url = Url::parse(&format!("http://{port}/")).unwrap();
    let call = api(base_url).status(&SecretString::from("chiave"), &person(), ULID).await;
    let shown = format!("{call:?}");
    assert!(!shown.contains(CODE) && !shown.contains("chiave"), "{shown}");
}

#[tokio::test]
async fn a_key_that_no_header_can_hold_is_refused_before_anything_leaves() {
    let server = server(Does::Silence).await;
    let call = api(server.url.clone()).submit(&SecretString::from("a\nb"), &request()).await;
    assert_eq!((call.status, call.answer), ("none", SubmitAnswer::KeyRefused));
}
