//! TLS that must be refused, with certificates of one fault each. Whatever is refused left nothing behind:
//! the request goes only after the handshake.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use reqwest::Certificate;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::misbehaving::{Does, Server, misbehave, options, serve, submit_on};
use super::*;

const CREATED: &str =
    "HTTP/1.1 201 Created\r\nContent-Length: 35\r\n\r\n{\"id\":\"01HMVM9W74RWH93NT1EYNKKNNR\"}";

/// An authority that the client trusts.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    // A name of its own: a certificate signed by itself must not seem to be this one's.
    params.distinguished_name.push(DnType::CommonName, "Authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key for a server: of `issuer`, or signed by itself.
fn identity(
    issuer: Option<&CertifiedIssuer<'static, KeyPair>>,
    name: &str,
    shape: impl Fn(&mut CertificateParams),
) -> ServerConfig {
    drop(rustls::crypto::ring::default_provider().install_default());
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    shape(&mut params);
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer),
        None => params.self_signed(&key),
    };
    let chain = vec![certificate.unwrap().der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap()
}

async fn tls_server(config: ServerConfig) -> Server {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve(move |stream, saw| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                misbehave(stream, Does::Answer(CREATED), saw).await;
            }
        }
    })
    .await
}

/// A server of 2006: whatever the client offers, it answers with TLS 1.1.
async fn old_server() -> Server {
    serve(async |mut stream: tokio::net::TcpStream, _| {
        let mut hello = [0; 4096];
        assert!(stream.read(&mut hello).await.unwrap() > 0);
        // Server hello of version 3.2 with a random of zeros, no session, TLS_RSA_WITH_AES_128_CBC_SHA.
        let mut answer = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
        answer.extend([0; 33]);
        answer.extend([0, 0x2f, 0]);
        stream.write_all(&answer).await.unwrap();
        // Until the client has gone.
        while matches!(stream.read(&mut hello).await, Ok(1..)) {}
    })
    .await
}

/// The way that is taken to a server: `https`, with its name, trusting one authority.
fn trusting(authority: &CertifiedIssuer<'static, KeyPair>, server: &Server) -> HttpIoApi {
    let mut url = server.url.clone();
    url.set_scheme("https").unwrap();
    url.set_host(Some("localhost")).unwrap();
    let root = Certificate::from_der(authority.der()).unwrap();
    HttpIoApi::on(client(&options(url.clone())).tls_certs_only([root]), &url).unwrap()
}

#[tokio::test]
async fn a_good_certificate_is_taken() {
    let authority = authority();
    let server = tls_server(identity(Some(&authority), "localhost", |_| {})).await;
    let call = submit_on(trusting(&authority, &server)).await;
    assert!(matches!(call.answer, SubmitAnswer::Created { io_id: Some(_) }), "{call:?}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn tls_that_is_not_as_it_should_be_is_refused_by_name_and_nothing_is_sent() {
    let authority = authority();
    let past = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(2090, 1, 1);
    let rows = [
        ("expired", "tls-certificate-dates", tls_server(identity(Some(&authority), "localhost", past)).await),
        (
            "not valid yet",
            "tls-certificate-dates",
            tls_server(identity(Some(&authority), "localhost", future)).await,
        ),
        (
            "another host's",
            "tls-certificate-name",
            tls_server(identity(Some(&authority), "api.example.it", |_| {})).await,
        ),
        ("self-signed", "tls-certificate-issuer", tls_server(identity(None, "localhost", |_| {})).await),
        ("TLS 1.1", "tls", old_server().await),
    ];
    for (row, code, server) in rows {
        let api = trusting(&authority, &server);
        let error = api.client.post(api.messages.clone()).send().await.unwrap_err();
        assert_eq!(unreached(&error), code, "{row}: {error:?}");
        let call = submit_on(api).await;
        assert_eq!((call.status, call.answer), ("none", SubmitAnswer::NotSent), "{row}");
        assert_eq!(server.requests(), 0, "{row}");
        assert!(server.saw.connections.load(Ordering::SeqCst) >= 2, "{row}: it was asked");
    }
}

#[tokio::test]
async fn https_to_a_server_of_plain_text_does_not_fall_back() {
    let server = super::misbehaving::server(Does::Answer(CREATED)).await;
    let mut url = server.url.clone();
    url.set_scheme("https").unwrap();
    let call = super::misbehaving::submit(url).await;
    assert_eq!((call.status, call.answer), ("none", SubmitAnswer::NotSent));
}

#[tokio::test]
async fn a_closed_port_is_told_from_a_name_that_is_not_known() {
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (url, code) in
        [(format!("http://{port}/"), "refused"), ("http://io.invalid/".to_owned(), "name-or-network")]
    {
        let api = super::misbehaving::api(Url::parse(&url).unwrap());
        let error = api.client.post(api.messages.clone()).send().await.unwrap_err();
        // A resolver that is itself away answers nothing at all.
        let code = if error.is_timeout() { "connect-timeout" } else { code };
        assert_eq!(unreached(&error), code, "{url}");
    }
}
