//! Publishes one event: persistent, mandatory, confirmed.
//!
//! `AMQP_URL=amqps://… cargo run --example publish permesso-rinnovato.json`

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://127.0.0.1:5672/%2f".to_owned());
    let body = std::fs::read(std::env::args().nth(1).ok_or("which file?")?)?;
    let event: serde_json::Value = serde_json::from_slice(&body)?;
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let routing_key = format!("{}.{}", text("ente"), text("type"));

    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let properties = BasicProperties::default()
        .with_content_type("application/cloudevents+json".into())
        .with_message_id(text("id").into())
        .with_delivery_mode(2); // persistent
    let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm = channel
        .basic_publish("promemoria.events".into(), routing_key.as_str().into(), mandatory, &body, properties)
        .await?
        .await?;
    connection.close(200, "done".into()).await?;
    match confirm {
        Confirmation::Ack(None) => {
            println!("confirmed");
            Ok(())
        }
        Confirmation::Ack(Some(_)) => Err("returned: the fleet's topology is not there".into()),
        _ => Err("not confirmed: publish it again with the same id".into()),
    }
}
