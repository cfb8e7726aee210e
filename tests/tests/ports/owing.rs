//! A broker that owes an answer while its heartbeats go on, so that no connection ever looks dead.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties, options::QueueDeclareOptions};
use shared::broker::rabbitmq::{Library, Place};
use shared::broker::{BrokerError, Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::rabbitmq::unique;
use crate::shared_brokers;

/// Class and method of `basic.consume-ok`, as a frame's payload begins with them (AMQP 0-9-1, 1.8.3.4).
const CONSUME_OK: [u8; 4] = [0, 60, 0, 21];
/// Type, channel and size, before a frame's payload (AMQP 0-9-1, 2.3.5); one byte ends it.
const HEADER: usize = 7;
/// Well above the adapter's own limit of 30 s: without it the reading would wait for ever.
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_that_the_broker_never_begins_ends_with_an_error() {
    let brokers = shared_brokers().await;
    let direct = brokers.amqp_url().to_owned();
    let stream = declared(&direct).await;
    let address = direct.rsplit('@').next().unwrap().trim_start_matches("amqp://");
    let address = address.split('/').next().unwrap();
    let url = direct.replace(address, &owing(address.to_owned()).await);
    let library = Library::open(&Options { url: url.into(), ..Options::default() }).await.unwrap();
    let read = timeout(PATIENCE, library.read(&stream, Place::First)).await.unwrap();
    assert!(matches!(&read, Err(BrokerError::Silent { stream: of, .. }) if *of == stream), "it was read");
    library.close().await;
    // It was the answer that was missing, nothing else.
    let library = Library::open(&Options { url: direct.into(), ..Options::default() }).await.unwrap();
    assert!(library.read(&stream, Place::First).await.is_ok());
    library.close().await;
}

/// A stream of its own on the broker.
async fn declared(url: &str) -> String {
    let name = format!("{}.stream", unique("owing"));
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("stream".into()));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.as_str().into(), options, arguments).await.unwrap();
    connection.close(200, "OK".into()).await.unwrap();
    name
}

/// `host:port` of a cable to the broker that carries everything but [`CONSUME_OK`].
async fn owing(target: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut asks, answered) = client.into_split();
            let (answers, mut asked) = TcpStream::connect(&target).await.unwrap().into_split();
            tokio::spawn(async move { copy(&mut asks, &mut asked).await });
            tokio::spawn(withhold(answers, answered));
        }
    });
    address
}

/// Carries frames until either side ends.
async fn withhold(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> std::io::Result<()> {
    loop {
        let mut frame = vec![0; HEADER];
        from.read_exact(&mut frame).await?;
        let size = u32::from_be_bytes([frame[3], frame[4], frame[5], frame[6]]);
        frame.resize(HEADER + usize::try_from(size).unwrap() + 1, 0);
        from.read_exact(&mut frame[HEADER..]).await?;
        if !frame[HEADER..].starts_with(&CONSUME_OK) {
            to.write_all(&frame).await?;
        }
    }
}
