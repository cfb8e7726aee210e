//! The W3C trace context of an event: which trace it belongs to, and which span of it sent the event.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::hex;

/// Bytes of a trace's id.
const TRACE: usize = 16;
/// Bytes of a span's id.
const SPAN: usize = 8;
/// Bytes of a context where bytes are written: ids and flags.
const BYTES: usize = TRACE + SPAN + 1;
/// Length of a `traceparent` of version 00: `00-<32 hex>-<16 hex>-<2 hex>`.
const TEXT: usize = 55;
/// The one flag that version 00 names: the sender keeps its part of the trace.
const SAMPLED: u8 = 1;

/// A trace context (<https://www.w3.org/TR/trace-context/>, `traceparent`). It holds random numbers and
/// nothing else. `tracestate` and baggage are not taken: they are free text of somebody else, and a context
/// rests with its case for months.
///
/// In text forms (JSON) it is written as a `traceparent`, in binary ones as 25 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: [u8; TRACE],
    span: [u8; SPAN],
    flags: u8,
}

impl TraceContext {
    /// Name of the attribute of an event, and of the header of a message or a request, that holds one.
    pub const NAME: &str = "traceparent";

    /// From ids and flags; none if an id is all zero, which names nothing.
    #[must_use]
    pub fn new(trace: [u8; 16], span: [u8; 8], flags: u8) -> Option<Self> {
        (trace != [0; TRACE] && span != [0; SPAN]).then_some(Self { trace, span, flags })
    }

    /// Reads a `traceparent`. What is malformed is no context, and no fault of the event that carries it. Of
    /// a later version the part is read that version 00 has too.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        let version: [u8; 1] = unhex(text.get(..2)?)?;
        let is_first = version == [0];
        let whole = text.len() == TEXT || (!is_first && text.get(TEXT) == Some(&b'-'));
        let separated = [2, 35, 52].iter().all(|place| text.get(*place) == Some(&b'-'));
        if version == [0xff] || !whole || !separated {
            return None;
        }
        let [flags] = unhex(text.get(53..TEXT)?)?;
        // Of a later version only this flag keeps its meaning.
        let flags = if is_first { flags } else { flags & SAMPLED };
        Self::new(unhex(text.get(3..35)?)?, unhex(text.get(36..52)?)?, flags)
    }

    /// The trace's id.
    #[must_use]
    pub fn trace(&self) -> [u8; 16] {
        self.trace
    }

    /// The id of the span that sent it.
    #[must_use]
    pub fn span(&self) -> [u8; 8] {
        self.span
    }

    /// Whether the sender keeps its part of the trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED == SAMPLED
    }
}

impl fmt::Display for TraceContext {
    /// The `traceparent`, version 00.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", hex(&self.trace), hex(&self.span), self.flags)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TraceContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        let mut bytes = [self.flags; BYTES];
        bytes[..TRACE].copy_from_slice(&self.trace);
        bytes[TRACE..TRACE + SPAN].copy_from_slice(&self.span);
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for TraceContext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Form)
        } else {
            deserializer.deserialize_bytes(Form)
        }
    }
}

/// Reads either form.
struct Form;

impl de::Visitor<'_> for Form {
    type Value = TraceContext;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a traceparent, or its {BYTES} bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TraceContext, E> {
        TraceContext::parse(text).ok_or_else(|| E::custom("no traceparent"))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<TraceContext, E> {
        let split = bytes.split_first_chunk::<TRACE>().and_then(|(trace, rest)| {
            let (span, rest) = rest.split_first_chunk::<SPAN>()?;
            let [flags] = rest else { return None };
            TraceContext::new(*trace, *span, *flags)
        });
        split.ok_or_else(|| E::invalid_length(bytes.len(), &self))
    }
}

/// Bytes from lower-case hex; W3C takes no other.
fn unhex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_good_one_is_read_and_written_as_it_came() {
        let context = TraceContext::parse(GOOD).unwrap();
        assert_eq!((context.to_string().as_str(), context.is_sampled()), (GOOD, true));
        assert_eq!((context.trace()[0], context.span()[7]), (0x0a, 0x31));
        let unsampled = GOOD.replace("-01", "-02");
        let context = TraceContext::parse(&unsampled).unwrap();
        assert_eq!((context.to_string(), context.is_sampled()), (unsampled, false));
    }

    #[test]
    fn what_is_malformed_is_no_context() {
        for bad in [
            "",
            "garbage",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
            "00-0af7651916cd43dd8448eb211c80319è-b7ad6b716920333-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn of_a_later_version_the_known_part_is_read() {
        for later in [GOOD.replacen("00", "cc", 1), GOOD.replacen("00", "01", 1) + "-what-comes"] {
            assert_eq!(TraceContext::parse(&later).unwrap().to_string(), GOOD, "{later}");
        }
    }

    #[test]
    fn in_json_it_is_text_and_in_message_pack_25_bytes() {
        let context = TraceContext::parse(GOOD).unwrap();
        let json = serde_json::to_string(&context).unwrap();
        assert_eq!(json, format!("\"{GOOD}\""));
        assert_eq!(serde_json::from_str::<TraceContext>(&json).unwrap(), context);
        let packed = rmp_serde::to_vec(&context).unwrap();
        assert_eq!(packed.len(), 2 + BYTES);
        assert_eq!(rmp_serde::from_slice::<TraceContext>(&packed).unwrap(), context);
        assert!(rmp_serde::from_slice::<TraceContext>(&packed[..packed.len() - 1]).is_err());
    }
}
