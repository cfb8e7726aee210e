//! The adapter against a server that misbehaves, on real sockets of this machine.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::super::{Evidence, Misconfigured};
use super::misbehaving::{CODE, Does, ULID, api, person, read_request, request, serve, server, submit};
use super::*;

/// What is taken of an answer without end: the cap, and what lies in buffers of both kernels.
const MOST_TAKEN: u64 = 32 << 20;
/// A 201 as documented, packed: `{"id":"…"}`.
const PACKED: &[u8] = b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 55\r\n\r\n\
    \x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xabV\xcaLQ\xb2R20\xf4\xf0\x0d\xf3\xb5\x0c77\x09\x0a\xf7\xb04\xf6\x0b1t\x8d\xf4\xf3\xf6\xf6\xf3\x0bR\xaa\x05\x00\xd0\xde{\xf1#\x00\x00\x00";

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
            "201 of 1 GB",
            Does::Flood("HTTP/1.1 201 Created\r\nContent-Length: 1073741824\r\n\r\n"),
            "201",
            created(None),
        ),
        // Not unpacked, so that no small answer grows in memory; whatever it holds, it is created.
        ("201 packed", Does::Bytes(PACKED), "201", created(None)),
        (
            "201 as HTML",
            Does::Answer("HTTP/1.1 201 Created\r\nContent-Length: 6\r\n\r\n<html>"),
            "201",
            created(None),
        ),
        (
            "201 without an id",
            Does::Answer("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"),
            "201",
            created(None),
        ),
        (
            "201 with a number for an id",
            Does::Answer("HTTP/1.1 201 Created\r\nContent-Length: 17\r\n\r\n{\"id\":1234567890}"),
            "201",
            created(None),
        ),
        (
            "201, then RST",
            Does::AnswerAndReset("HTTP/1.1 201 Created\r\nContent-Length: 90\r\n\r\n{"),
            "201",
            created(None),
        ),
        (
            "201 in pieces that are none",
            Does::Answer("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "201",
            created(None),
        ),
        ("part of a head, then RST", Does::AnswerAndReset("HTTP/1.1 20"), "none", unknown(Evidence::Reset)),
        ("part of a head, then FIN", Does::Answer("HTTP/1.1 20"), "none", unknown(Evidence::Closed)),
        ("a head without end", Does::Flood("HTTP/1.1 201 Created\r\nX: "), "none", unknown(Evidence::Closed)),
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
        assert_eq!(server.requests(), 1, "{row}: sent once");
        let flooded = server.saw.flooded.load(Ordering::SeqCst);
        assert!(flooded < MOST_TAKEN, "{row}: {flooded} bytes taken");
    });
    futures_util::future::join_all(checks).await;
}

#[tokio::test]
async fn what_fails_before_the_request_leaves_is_not_sent() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = server(Does::Silence).await;
    let mut tls = silent.url.clone();
    tls.set_scheme("https").unwrap();
    let (full, _waiting) = full_backlog().await;
    let rows = [
        ("refused port", Url::parse(&format!("http://{port}/")).unwrap()),
        ("a name that does not exist (RFC 6761)", Url::parse("http://io.invalid/").unwrap()),
        ("TLS to a server that is silent", tls),
        ("a host that drops what it is sent", full),
    ];
    for (row, url) in rows {
        let call = submit(url).await;
        assert_eq!((call.status, call.answer), ("none", SubmitAnswer::NotSent), "{row}");
    }
    assert_eq!(silent.requests(), 0);
}

/// A port whose queue of connections is full: Linux drops further ones without a word.
async fn full_backlog() -> (Url, (TcpListener, Vec<TcpStream>)) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(address)).await
    {
        waiting.push(stream.unwrap());
    }
    (Url::parse(&format!("http://{address}/")).unwrap(), (listener, waiting))
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_goes_nowhere_else() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = server(Does::Silence).await;
        let answer: Arc<str> =
            format!("HTTP/1.1 {status} X\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", elsewhere.url).into();
        let redirecting = serve(move |mut stream, saw| {
            let answer = Arc::clone(&answer);
            async move {
                read_request(&mut stream).await;
                saw.requests.fetch_add(1, Ordering::SeqCst);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        })
        .await;
        let call = submit(redirecting.url.clone()).await;
        let paused = SubmitAnswer::Misconfigured(Misconfigured::Redirect);
        assert_eq!((call.status, call.answer), ("3xx", paused), "{status}");
        assert_eq!((redirecting.requests(), elsewhere.connections()), (1, 0), "{status}");
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
