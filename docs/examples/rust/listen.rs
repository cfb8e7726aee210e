//! Listens to an ente's outcomes and says whom of your own cases each is about.
//!
//! `AMQP_URL=amqps://… HASH_KEY_FILE=key cargo run --example listen borgochiaro RSSMRA85T10A562S…`
//!
//! An outcome holds no fiscal code: its `data.destinatario` is a keyed hash that you compute too.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use futures_util::StreamExt as _;
use hmac::{Hmac, Mac as _};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use sha2::Sha256;

fn recipient_hash(key: &str, fiscal_code: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())?;
    mac.update(fiscal_code.to_uppercase().as_bytes());
    let mut hex = String::new();
    for byte in mac.finalize().into_bytes() {
        write!(hex, "{byte:02x}")?;
    }
    Ok(hex)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let ente = arguments.next().ok_or("which ente?")?;
    let key = std::fs::read_to_string(std::env::var("HASH_KEY_FILE")?)?;
    let known = arguments.map(|code| Ok((recipient_hash(key.trim_end(), &code)?, code)));
    let known: HashMap<String, String> = known.collect::<Result<_, Box<dyn std::error::Error>>>()?;
    let mut seen = HashSet::new(); // in your system: a table with the ids of the last weeks

    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://127.0.0.1:5672/%2f".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let (queue, pattern) = (format!("{ente}.esiti"), format!("{ente}.#"));
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.as_str().into(), durable, quorum).await?;
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel
        .queue_bind(
            queue.as_str().into(),
            "promemoria.outcomes".into(),
            pattern.as_str().into(),
            options,
            none,
        )
        .await?;
    channel.basic_qos(100, BasicQosOptions::default()).await?;
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut outcomes = channel.basic_consume(queue.as_str().into(), "".into(), options, none).await?;
    println!("listening");
    while let Some(delivery) = outcomes.next().await {
        let delivery = delivery?;
        let outcome: serde_json::Value = serde_json::from_slice(&delivery.data)?;
        let text = |name: &str| outcome[name].as_str().unwrap_or_default();
        if seen.insert(text("id").to_owned()) {
            // not told before: outcomes are told at least once
            let data = &outcome["data"];
            let about = ["messaggio", "timer", "codice"].iter().find_map(|name| data[name].as_str());
            let person = data["destinatario"].as_str().and_then(|hash| known.get(hash));
            let person = person.map_or("unknown", String::as_str);
            println!("{} {} {} {person}", text("type"), text("subject"), about.unwrap_or("-"));
        }
        delivery.ack(BasicAckOptions::default()).await?; // after your own commit
    }
    Err("the connection is gone".into())
}
