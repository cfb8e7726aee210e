//! Whether a broker answers, by its own protocol.

use std::time::Duration;

use anyhow::Context as _;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// One try may take this long: a broker that boots accepts the connection before it answers.
const TRY: Duration = Duration::from_secs(5);

/// Octets of a greeting: RabbitMQ's is about 500. What is larger was sent by something else.
const LARGEST_GREETING: u32 = 65_536;

const UNKNOWN: &str = "of an unknown version";

/// Opens an AMQP connection and closes it.
pub(super) async fn amqp_handshake(url: &str) -> anyhow::Result<()> {
    let handshake = async {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        connection.close(200, "ready".into()).await
    };
    timeout(TRY, handshake).await.context("no AMQP handshake in time")?.context("no AMQP handshake")
}

/// Sends PING. A Redis that loads its file refuses it, so an answer means that its data is there.
pub(super) async fn redis_ping(url: &str) -> anyhow::Result<()> {
    let ping = async {
        let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
        redis::cmd("PING").query_async::<String>(&mut connection).await
    };
    timeout(TRY, ping).await.context("no answer to PING in time")?.context("no answer to PING")?;
    Ok(())
}

/// `redis_version` of INFO, with the server's name where it is not Redis.
pub(super) async fn redis_version(url: &str) -> String {
    let info = timeout(TRY, redis_info(url)).await.ok().and_then(Result::ok).unwrap_or_default();
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
    match field("valkey_version:") {
        Some(version) => format!("Valkey {version}"),
        None => format!("Redis {}", field("redis_version:").unwrap_or(UNKNOWN)),
    }
}

async fn redis_info(url: &str) -> redis::RedisResult<String> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    redis::cmd("INFO").arg("server").query_async(&mut connection).await
}

/// `version` of the server properties that an AMQP 0-9-1 server sends before anybody signs in
/// (specification 1.4.2, `connection.start`): the client library does not show them.
pub(super) async fn rabbitmq_version(url: &str) -> String {
    let greeting = timeout(TRY, amqp_greeting(url)).await.ok().and_then(Result::ok).unwrap_or_default();
    let version = long_string_field(&greeting, "version");
    format!("RabbitMQ {}", version.as_deref().unwrap_or(UNKNOWN))
}

/// The payload of the first frame that the server sends. Over TLS there is none to read this way.
async fn amqp_greeting(url: &str) -> anyhow::Result<Vec<u8>> {
    let address: AMQPUri = url.parse().map_err(anyhow::Error::msg)?;
    let mut stream = TcpStream::connect((address.authority.host.as_str(), address.authority.port)).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    // A frame's header: type, channel (two octets), size of the payload (four).
    let mut header = [0; 7];
    stream.read_exact(&mut header).await?;
    let size = u32::from_be_bytes([header[3], header[4], header[5], header[6]]);
    let mut payload = vec![0; usize::try_from(size.min(LARGEST_GREETING))?];
    stream.read_exact(&mut payload).await?;
    Ok(payload)
}

/// A field of an AMQP table: its name with one octet of length before, `S`, four octets of length, the text.
fn long_string_field(table: &[u8], name: &str) -> Option<String> {
    let mut key = vec![u8::try_from(name.len()).ok()?];
    key.extend_from_slice(name.as_bytes());
    key.push(b'S');
    let at = table.windows(key.len()).position(|window| window == key)? + key.len();
    let length = u32::from_be_bytes(table.get(at..at + 4)?.try_into().ok()?);
    let text = table.get(at + 4..)?.get(..usize::try_from(length).ok()?)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_field_is_found_by_its_whole_name() {
        let table = b"\x0bsub_versionS\x00\x00\x00\x01x\x07versionS\x00\x00\x00\x063.10.8\x08platformS";
        assert_eq!(long_string_field(table, "version").as_deref(), Some("3.10.8"));
        assert_eq!(long_string_field(table, "product"), None);
        assert_eq!(long_string_field(&table[..28], "version"), None);
    }
}
