//! TLS to both servers: a private authority, client certificates, and refusals that say why.

use std::time::Duration;

use shared::broker::{Options, RabbitMq, Tls as AmqpTls, topology::Topology};
use shared::store::{Place, Redis, Tls};
use tests::brokers::{Brokers, Solos, Source, free_port};
use tests::certificates::{Authority, FAULTS, told};

use crate::rabbitmq::START;
use crate::store::{contract, options};

async fn secure_redis(solos: &mut Solos, authority: &Authority, kind: &str, clients: &str) -> u16 {
    authority.issue(kind, kind).unwrap();
    let [ca, cert, key] = ["ca.pem", &format!("{kind}.pem"), &format!("{kind}.key")]
        .map(|it| authority.file(it).display().to_string());
    let arguments = [
        "--port",
        "0",
        "--tls-ca-cert-file",
        &ca,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        clients,
    ];
    solos.start("--tls-port", &arguments).await.unwrap()
}

async fn reach_redis(url: String, tls: Tls) -> Result<Redis, String> {
    let options = shared::store::Options { tls, ..options(&url, Place::Single) };
    Redis::connect(&options).await.map_err(|error| told(&error))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_by_tls_is_verified_and_never_plain() {
    let mut solos = Solos::new().unwrap();
    let authority = Authority::new(solos.folder()).unwrap();
    authority.issue("client", "client").unwrap();
    let trust = || Tls { ca_file: Some(authority.file("ca.pem")), ..Tls::default() };
    let with_client = || Tls {
        cert_file: Some(authority.file("client.pem")),
        key_file: Some(authority.file("client.key")),
        ..trust()
    };
    let url = |port: u16| format!("rediss://127.0.0.1:{port}/0");

    let port = secure_redis(&mut solos, &authority, "good", "yes").await;
    let redis = reach_redis(url(port), with_client()).await.unwrap();
    contract(&redis, "tls").await;
    assert!(reach_redis(url(port), trust()).await.is_err(), "a client certificate is asked for");
    let public = reach_redis(url(port), Tls::default()).await.err().unwrap();
    assert!(public.contains("UnknownIssuer"), "{public}");
    for (kind, words) in FAULTS {
        let port = secure_redis(&mut solos, &authority, kind, "no").await;
        let refusal = reach_redis(url(port), trust()).await.err().unwrap();
        assert!(refusal.contains(words), "{kind}: {refusal}");
    }
    let plain = solos.start("--port", &["--save", ""]).await.unwrap();
    assert!(reach_redis(url(plain), trust()).await.is_err(), "plain text was taken for TLS");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_by_tls_is_verified_and_never_plain() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    authority.issue("good", "server").unwrap();
    authority.issue("client", "client").unwrap();
    let port = free_port().unwrap();
    let file = |name: &str| authority.file(name).display().to_string();
    let rabbitmq_conf = format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
         ssl_options.keyfile = {}\nssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n",
        file("ca.pem"),
        file("server.pem"),
        file("server.key"),
    );
    let brokers = tests::brokers::Options { rabbitmq_conf, source: Source::Local, ..Default::default() };
    let brokers = Brokers::start(&brokers).await.unwrap();
    let reach = async |url: String, limit: Duration, client: bool| {
        let own = |name: &str| client.then(|| authority.file(name));
        let tls = AmqpTls {
            ca_file: Some(authority.file("ca.pem")),
            cert_file: own("client.pem"),
            key_file: own("client.key"),
        };
        let topology = Topology::default();
        let broker =
            RabbitMq::start(Options { url: url.into(), tls, topology, ..Options::default() }).unwrap();
        let reached = broker.wait_until_up(limit).await.map_err(|error| told(&error));
        broker.close().await;
        reached
    };
    let url = || format!("amqps://guest:guest@127.0.0.1:{port}/%2f");
    let soon = Duration::from_secs(3);
    reach(url(), START, true).await.unwrap();
    assert!(reach(url(), soon, false).await.is_err(), "a client certificate is asked for");
    let plain = brokers.amqp_url().replace("amqp://", "amqps://");
    assert!(reach(plain, soon, true).await.is_err(), "plain text was taken for TLS");
    for (kind, words) in FAULTS {
        authority.issue(kind, "server").unwrap();
        brokers.control(&["eval", "ssl:clear_pem_cache()."]).await.unwrap();
        let refusal = reach(url(), soon, true).await.err().unwrap();
        assert!(refusal.contains(words), "{kind}: {refusal}");
    }
    brokers.shutdown().await.unwrap();
}
