//! A broker that keeps a connection alive and owes it an answer, as a node without a majority may for ever: the
//! connection is replaced.

use std::time::Duration;

use shared::broker::contract::{self, soon};
use shared::broker::{Options, RabbitMq};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::interval;

use crate::rabbitmq::unique;

/// One connection to publish, one to consume.
const CONNECTIONS: usize = 2;
const HEARTBEAT: [u8; 8] = [8, 0, 0, 0, 0, 0, 0, 0xce];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_whose_declaration_is_not_answered_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://{}/%2f", listener.local_addr().unwrap());
    let topology = contract::topology(&unique("m"));
    let broker = RabbitMq::start(Options { url: url.into(), topology, ..Options::default() }).unwrap();
    let mut open = Vec::new();
    soon("connections in place of the first", async {
        for _ in 0..2 * CONNECTIONS {
            let (socket, _) = listener.accept().await.unwrap();
            open.push(tokio::spawn(serve(socket)));
        }
    })
    .await;
    for connection in open {
        connection.abort();
    }
    drop(listener);
    broker.close().await;
}

/// The broker's side of AMQP 0-9-1 as far as an open channel; nothing after that but heartbeats.
async fn serve(socket: TcpStream) -> Option<()> {
    let (mut reader, mut writer) = socket.into_split();
    reader.read_exact(&mut [0; 8]).await.ok()?;
    let long = |text: &str| [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    // Version 0-9, no properties.
    let start = [&[0, 9, 0, 0, 0, 0][..], &long("PLAIN"), &long("en_US")].concat();
    say(&mut writer, 0, (10, 10), &start).await?;
    let (asked, mut questions) = mpsc::channel(16);
    let reading = async move {
        while let Some(question) = hear(&mut reader).await {
            asked.send(question).await.ok()?;
        }
        Some(())
    };
    let answering = async move {
        let (mut beats, mut is_open) = (interval(Duration::from_millis(500)), false);
        loop {
            tokio::select! {
                _ = beats.tick(), if is_open => writer.write_all(&HEARTBEAT).await.ok()?,
                question = questions.recv() => match question? {
                    // Channels, octets of a frame, a heartbeat a second.
                    (_, 10, 11) => say(&mut writer, 0, (10, 30), &[0, 16, 0, 2, 0, 0, 0, 1]).await?,
                    (_, 10, 40) => {
                        say(&mut writer, 0, (10, 41), &[0]).await?;
                        is_open = true;
                    }
                    (channel, 20, 10) => say(&mut writer, channel, (20, 11), &[0; 4]).await?,
                    _ => {}
                },
            }
        }
    };
    tokio::select! { end = reading => end, end = answering => end }
}

async fn say(
    writer: &mut OwnedWriteHalf,
    channel: u16,
    (class, method): (u16, u16),
    arguments: &[u8],
) -> Option<()> {
    let size = u32::try_from(4 + arguments.len()).unwrap().to_be_bytes();
    let ids = [channel.to_be_bytes(), class.to_be_bytes(), method.to_be_bytes()];
    let frame = [&[1][..], &ids[0], &size, &ids[1], &ids[2], arguments, &[0xce]].concat();
    writer.write_all(&frame).await.ok()
}

/// Channel, class and method of the next frame; zeros for a heartbeat.
async fn hear(reader: &mut OwnedReadHalf) -> Option<(u16, u16, u16)> {
    let mut header = [0; 7];
    reader.read_exact(&mut header).await.ok()?;
    let size = u32::from_be_bytes([header[3], header[4], header[5], header[6]]);
    let mut payload = vec![0; usize::try_from(size).unwrap() + 1];
    reader.read_exact(&mut payload).await.ok()?;
    let word = |at: usize| payload.get(at..at + 2).map_or(0, |it| u16::from_be_bytes([it[0], it[1]]));
    Some((u16::from_be_bytes([header[1], header[2]]), word(0), word(2)))
}
