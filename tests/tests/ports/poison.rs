//! A message that the client library cannot read: the name of a header is not UTF-8. It ends the
//! connection before any of our code sees it.

use std::collections::BTreeSet;
use std::time::Duration;

use shared::broker::rabbitmq::Desk;
use shared::broker::{Consumer, Deliveries, Options, Outgoing, Publisher};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::interval;

use shared::broker::contract::{Rig, soon, take};

use crate::rabbitmq::Rabbit;

/// How often the message may come back in this test; the fleet's queues allow 1000. Enough that pauses which grow
/// would take minutes.
const LIMIT: i32 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_message_ends_among_the_dead_and_blocks_nobody() {
    let rabbit = Rabbit::new(|options| {
        let rest = options.topology.queues[2].name.clone();
        let queue = &mut options.topology.queues[0];
        (queue.dead_letter_exchange, queue.delivery_limit) = (Some(rest), LIMIT);
    })
    .await;
    let (exchange, rest) = (rabbit.name("work"), rabbit.name("rest"));
    let address = rabbit.direct.rsplit('@').next().unwrap().split('/').next().unwrap();
    let good = async |id: &str| {
        rabbit.publisher().publish(Outgoing::new(&exchange, "one", id, "good")).await.unwrap();
    };
    good("m-1").await;
    Raw::connect(address).await.publish(&exchange, "one", b"\xff\xfe").await;
    good("m-2").await;

    let mut deliveries = rabbit.broker.subscribe(&rabbit.name("one"), 10);
    let options = Options { url: rabbit.direct.clone().into(), ..Options::default() };
    let desk = Desk::open(&options).await.unwrap();
    let mut acked = BTreeSet::new();
    let dead_letter = async {
        let mut looks = interval(Duration::from_millis(50));
        while desk.depth(&rest).await.unwrap().unwrap().messages == 0 {
            looks.tick().await;
        }
    };
    let takes = async {
        loop {
            take_good(&mut deliveries, &mut acked).await;
        }
    };
    soon("the dead letter", async {
        tokio::select! { () = dead_letter => {}, () = takes => {} }
    })
    .await;
    while acked.len() < 2 {
        take_good(&mut deliveries, &mut acked).await;
    }
    assert_eq!(acked, BTreeSet::from(["m-1".to_owned(), "m-2".to_owned()]));
    assert!(rabbit.broker.counters().lost() >= 20, "it was no poison");
    // Wary no more: ten are in hand at once again.
    for number in 0..10 {
        good(&format!("n-{number}")).await;
    }
    let mut in_hand = Vec::new();
    while in_hand.len() < 10 {
        in_hand.push(take(&mut deliveries).await);
    }
    assert_eq!(desk.depth(&rest).await.unwrap().unwrap().messages, 1, "one that can be read is dead");
    desk.close().await;
    rabbit.close().await;
}

/// If its connection ended meanwhile it comes again.
async fn take_good(deliveries: &mut impl Deliveries, acked: &mut BTreeSet<String>) {
    let delivery = take(deliveries).await;
    let id = delivery.message_id().unwrap().to_owned();
    if delivery.ack() {
        acked.insert(id);
    }
}

/// AMQP 0-9-1 by hand, as far as one confirmed publish goes: no client library sends such a header.
struct Raw(TcpStream);

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

impl Raw {
    async fn connect(address: &str) -> Self {
        let mut raw = Self(TcpStream::connect(address).await.unwrap());
        raw.0.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
        raw.answer((10, 10)).await;
        let start_ok =
            [&0_u32.to_be_bytes()[..], &short(b"PLAIN"), &long(b"\0guest\0guest"), &short(b"en_US")];
        raw.method(0, (10, 11), &start_ok.concat()).await;
        raw.answer((10, 30)).await;
        // Channels, octets of a frame, no heartbeat.
        let tune_ok = [&16_u16.to_be_bytes()[..], &131_072_u32.to_be_bytes(), &0_u16.to_be_bytes()];
        raw.method(0, (10, 31), &tune_ok.concat()).await;
        raw.method(0, (10, 40), &[&short(b"/")[..], &short(b""), &[0]].concat()).await;
        raw.answer((10, 41)).await;
        raw.method(1, (20, 10), &short(b"")).await;
        raw.answer((20, 11)).await;
        raw.method(1, (85, 10), &[0]).await;
        raw.answer((85, 11)).await;
        raw
    }

    /// Publishes a persistent message with one header of that name, and waits for the confirm.
    async fn publish(&mut self, exchange: &str, key: &str, header: &[u8]) {
        let publish = [&[0, 0][..], &short(exchange.as_bytes()), &short(key.as_bytes()), &[0]].concat();
        self.method(1, (60, 40), &publish).await;
        let entry = [&short(header)[..], b"S", &long(b"value")].concat();
        // Class, weight, octets of the body, then the flags of the properties `headers` and `delivery-mode`.
        let properties = [&[0, 60, 0, 0][..], &4_u64.to_be_bytes(), &[0x30, 0], &long(&entry), &[2]].concat();
        self.frame(HEADER, 1, &properties).await;
        self.frame(BODY, 1, b"body").await;
        self.answer((60, 80)).await;
    }

    async fn method(&mut self, channel: u16, (class, method): (u16, u16), arguments: &[u8]) {
        let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
        self.frame(METHOD, channel, &payload).await;
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let frame = [&[kind][..], &channel.to_be_bytes(), &size, payload, &[0xce]].concat();
        self.0.write_all(&frame).await.unwrap();
    }

    /// Reads a frame, which must hold that method.
    async fn answer(&mut self, (class, method): (u16, u16)) {
        let mut header = [0; 7];
        self.0.read_exact(&mut header).await.unwrap();
        let size = u32::from_be_bytes([header[3], header[4], header[5], header[6]]);
        let mut payload = vec![0; usize::try_from(size).unwrap() + 1];
        self.0.read_exact(&mut payload).await.unwrap();
        let expected = [class.to_be_bytes(), method.to_be_bytes()].concat();
        assert_eq!(payload[..4], expected[..], "{}", String::from_utf8_lossy(&payload));
    }
}

fn short(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()][..], bytes].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}
