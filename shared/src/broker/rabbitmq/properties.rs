//! AMQP properties, kept with their types, and the form in which a message goes out.

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};

use crate::broker::{BrokerError, Outgoing};
use crate::trace::Span;

/// Largest body: RabbitMQ 4 closes the channel on more by default (`max_message_size`, 16 MiB).
const MAX_BODY: usize = 16 * 1024 * 1024;
/// Largest header table. Properties must fit in one frame (128 KiB by default, of which 4 KiB are left
/// for the rest): a larger one would end the connection, again at every attempt.
const MAX_HEADERS: usize = 124 * 1024;
/// AMQP's `delivery-mode` of a message that survives a restart of the broker.
const PERSISTENT: u8 = 2;
/// Set on a copy whose original headers were too large to keep.
const HEADERS_DROPPED: &str = "x-promemoria-headers-dropped";

/// The properties of a message, opaque outside the adapter. `Debug` prints none: headers may hold
/// personal data.
#[derive(Clone, Default)]
pub struct Properties(BasicProperties);

impl std::fmt::Debug for Properties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Properties(…)")
    }
}

impl Properties {
    pub(crate) fn new(properties: BasicProperties) -> Self {
        Self(properties)
    }

    pub(crate) fn content_type(&self) -> Option<&str> {
        self.0.content_type().as_ref().map(ShortString::as_str)
    }

    pub(crate) fn message_id(&self) -> Option<&str> {
        self.0.message_id().as_ref().map(ShortString::as_str)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        match self.0.headers().as_ref()?.inner().get(name)? {
            AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
            AMQPValue::ShortString(text) => Some(text.as_str()),
            // What some clients make of a text header.
            AMQPValue::ByteArray(bytes) => std::str::from_utf8(bytes.as_slice()).ok(),
            _ => None,
        }
    }

    /// Its place in the stream that it was read from.
    pub(crate) fn offset(&self) -> Option<u64> {
        match self.0.headers().as_ref()?.inner().get("x-stream-offset")? {
            AMQPValue::LongLongInt(offset) => u64::try_from(*offset).ok(),
            _ => None,
        }
    }
}

/// A message in the types of the wire, checked, ready to be offered any number of times.
pub(crate) struct Envelope {
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    pub(crate) mandatory: bool,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Bytes,
    pub(crate) span: Span,
}

impl Envelope {
    pub(crate) fn seal(outgoing: Outgoing) -> Result<Self, BrokerError> {
        if outgoing.body.len() > MAX_BODY {
            return Err(BrokerError::invalid("body", format!("longer than {MAX_BODY} bytes")));
        }
        let original = outgoing.original.unwrap_or_default().0;
        let headers = header_table(&original, outgoing.headers)?;
        let mut properties = without_effects(original)
            .with_delivery_mode(PERSISTENT)
            .with_message_id(short("message_id", outgoing.message_id)?)
            .with_content_type(short("content_type", outgoing.content_type)?);
        if !headers.inner().is_empty() {
            properties = properties.with_headers(headers);
        }
        Ok(Self {
            exchange: short("exchange", outgoing.exchange)?,
            routing_key: short("routing_key", outgoing.routing_key)?,
            mandatory: outgoing.mandatory,
            properties,
            body: outgoing.body,
            span: outgoing.span,
        })
    }

    #[cfg(feature = "testing")]
    pub(crate) fn into_properties(self) -> Properties {
        Properties(self.properties)
    }
}

/// The original's headers with ours beside them.
fn header_table(original: &BasicProperties, ours: Vec<(String, String)>) -> Result<FieldTable, BrokerError> {
    let mut table = original.headers().clone().unwrap_or_default();
    let ours = ours.into_iter().map(|(name, value)| Ok((short("header", name)?, text(value))));
    let ours = ours.collect::<Result<Vec<_>, BrokerError>>()?;
    let moved =
        [("x-promemoria-expiration", original.expiration()), ("x-promemoria-user-id", original.user_id())];
    let moved = moved.into_iter().filter_map(|(name, value)| {
        Some((ShortString::from(name), text(value.as_ref()?.as_str().to_owned())))
    });
    let added: Vec<_> = moved.chain(ours).collect();
    let added_size: usize = added.iter().map(|(name, value)| entry_size(name, value)).sum();
    if table_size(&table) + added_size > MAX_HEADERS {
        table = FieldTable::default();
        table.insert(HEADERS_DROPPED.into(), AMQPValue::Boolean(true));
    }
    for (name, value) in added {
        table.insert(name, value);
    }
    if table_size(&table) > MAX_HEADERS {
        return Err(BrokerError::invalid("headers", format!("longer than {MAX_HEADERS} bytes together")));
    }
    Ok(table)
}

/// The original's properties, less the two that make the broker act: `expiration` deletes the message
/// where it rests, and `user-id` must be the connection's user. There is no way to unset a property, so
/// the others are carried over one by one.
fn without_effects(original: BasicProperties) -> BasicProperties {
    if original.expiration().is_none() && original.user_id().is_none() {
        return original;
    }
    let mut kept = BasicProperties::default();
    macro_rules! carry {
        ($($get:ident => $set:ident),* $(,)?) => {
            $(if let Some(value) = original.$get().clone() {
                kept = kept.$set(value);
            })*
        };
    }
    carry!(
        content_type => with_content_type,
        content_encoding => with_content_encoding,
        headers => with_headers,
        priority => with_priority,
        correlation_id => with_correlation_id,
        reply_to => with_reply_to,
        message_id => with_message_id,
        timestamp => with_timestamp,
        kind => with_type,
        app_id => with_app_id,
        cluster_id => with_cluster_id,
    );
    kept
}

fn text(value: String) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

pub(super) fn short(field: &'static str, value: String) -> Result<ShortString, BrokerError> {
    ShortString::try_new(value).map_err(|_| BrokerError::invalid(field, "longer than 255 bytes"))
}

fn table_size(table: &FieldTable) -> usize {
    4 + table.inner().iter().map(|(name, value)| entry_size(name, value)).sum::<usize>()
}

fn entry_size(name: &ShortString, value: &AMQPValue) -> usize {
    1 + name.as_str().len() + value_size(value)
}

/// Bytes of a value on the wire, its type's octet included; an upper bound for the fixed-size types.
fn value_size(value: &AMQPValue) -> usize {
    match value {
        AMQPValue::ShortString(text) => 2 + text.as_str().len(),
        AMQPValue::LongString(text) => 5 + text.len(),
        AMQPValue::ByteArray(bytes) => 5 + bytes.len(),
        AMQPValue::FieldArray(array) => 5 + array.as_slice().iter().map(value_size).sum::<usize>(),
        AMQPValue::FieldTable(table) => 1 + table_size(table),
        _ => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy_of(original: BasicProperties) -> Outgoing {
        let mut outgoing = Outgoing::new("x", "y", "m-1", "body").with_header("x-ours", "1");
        outgoing.original = Some(Properties(original));
        outgoing
    }

    fn table(name: &str, value: AMQPValue) -> FieldTable {
        let mut table = FieldTable::default();
        table.insert(name.into(), value);
        table
    }

    #[test]
    fn a_copy_keeps_the_types_of_the_original_headers() {
        let nested = AMQPValue::FieldTable(table("inner", AMQPValue::Timestamp(7)));
        let original = BasicProperties::default()
            .with_priority(4)
            .with_correlation_id("c-1".into())
            .with_headers(table("x-death", nested.clone()));
        let sealed = Envelope::seal(copy_of(original)).unwrap().properties;
        let headers = sealed.headers().clone().unwrap();
        assert_eq!(headers.inner().get("x-death"), Some(&nested));
        assert_eq!(headers.inner().get("x-ours"), Some(&text("1".into())));
        assert_eq!((sealed.priority(), sealed.delivery_mode()), (&Some(4), &Some(2)));
        assert_eq!(sealed.correlation_id(), &Some("c-1".into()));
    }

    #[test]
    fn a_header_of_bytes_is_read_as_text_where_it_is_text() {
        let headers = |bytes: &[u8]| table("traceparent", AMQPValue::ByteArray(bytes.to_vec().into()));
        let header = |bytes| {
            let properties = Properties(BasicProperties::default().with_headers(headers(bytes)));
            properties.header("traceparent").map(str::to_owned)
        };
        assert_eq!(header(b"00-1"), Some("00-1".to_owned()));
        assert_eq!(header(&[0xff]), None);
    }

    #[test]
    fn a_copy_carries_expiration_and_user_as_headers_only() {
        let original = BasicProperties::default()
            .with_expiration("1000".into())
            .with_user_id("integratore".into())
            .with_reply_to("r".into());
        let sealed = Envelope::seal(copy_of(original)).unwrap().properties;
        assert_eq!((sealed.expiration(), sealed.user_id()), (&None, &None));
        assert_eq!(sealed.reply_to(), &Some("r".into()));
        let properties = Properties(sealed);
        assert_eq!(properties.header("x-promemoria-expiration"), Some("1000"));
        assert_eq!(properties.header("x-promemoria-user-id"), Some("integratore"));
    }

    #[test]
    fn original_headers_that_leave_no_room_in_a_frame_are_dropped_and_it_says_so() {
        let original =
            BasicProperties::default().with_headers(table("big", text("x".repeat(MAX_HEADERS - 20))));
        let sealed = Properties(Envelope::seal(copy_of(original)).unwrap().properties);
        assert_eq!(sealed.header("x-ours"), Some("1"));
        assert_eq!(sealed.header("big"), None);
        assert!(sealed.0.headers().as_ref().unwrap().contains_key(HEADERS_DROPPED));
    }

    #[test]
    fn a_field_too_long_for_the_wire_is_refused_by_name() {
        let long = "k".repeat(256);
        let refused = |outgoing: Outgoing| match Envelope::seal(outgoing) {
            Err(BrokerError::Invalid { field, .. }) => field,
            _ => "accepted",
        };
        assert_eq!(refused(Outgoing::new("x", &long, "m", "b")), "routing_key");
        assert_eq!(refused(Outgoing::new(&long, "k", "m", "b")), "exchange");
        assert_eq!(refused(Outgoing::new("x", "k", long.clone(), "b")), "message_id");
        assert_eq!(refused(Outgoing::new("x", "k", "m", "b").with_header(&long, "v")), "header");
        assert_eq!(refused(Outgoing::new("x", "k", "m", vec![0; MAX_BODY + 1])), "body");
        let huge = "v".repeat(MAX_HEADERS);
        assert_eq!(refused(Outgoing::new("x", "k", "m", "b").with_header("h", huge)), "headers");
    }
}
