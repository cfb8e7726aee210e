//! Bodies that no client should trust.

use crate::state::Spoiled;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use std::io;

/// A gigabyte.
const HUGE: usize = 1 << 30;
/// One piece of what is large.
const PIECE: usize = 64 * 1024;
/// Bytes of gzip that unpack to a gigabyte: 13 of them are 2064.
const PACKED: usize = HUGE / 2064 * 13;

/// The answer with another body: its status stays, and its `Location` where the id may come from there.
pub(super) fn spoiled(response: Response, with: Spoiled) -> Response {
    let (mut parts, _) = response.into_parts();
    let headers = &mut parts.headers;
    headers.remove(header::CONTENT_LENGTH);
    let body = match with {
        Spoiled::Empty => without_location(headers, "{}"),
        Spoiled::WrongType => without_location(headers, "{\"id\": 17}"),
        Spoiled::Html => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
            Body::from("<html><body>Creato</body></html>")
        }
        Spoiled::Huge => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(HUGE));
            endless(&Bytes::from(vec![b' '; PIECE]), HUGE)
        }
        Spoiled::Packed => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            endless(&Bytes::from(packed(PIECE)), PACKED)
        }
    };
    Response::from_parts(parts, body)
}

fn without_location(headers: &mut HeaderMap, body: &'static str) -> Body {
    headers.remove(header::LOCATION);
    Body::from(body)
}

/// A first piece, then its periodic rest again and again, until there are so many bytes.
fn endless(first: &Bytes, bytes: usize) -> Body {
    // Each piece ends where a period of 13 does, so that the next goes on as it began after the header.
    let again = first.slice(15..15 + (first.len() - 15) / 13 * 13);
    let whole = first.slice(..15 + again.len());
    Body::from_stream(stream::unfold((whole, again, bytes), async |(piece, again, left)| {
        let sent = piece.slice(..piece.len().min(left));
        let rest = left - sent.len();
        (left > 0).then_some((Ok::<Bytes, io::Error>(sent), (again.clone(), again, rest)))
    }))
}

/// The beginning of a gzip member (RFC 1952) whose one deflate block (RFC 1951, fixed codes) is a zero and then
/// "258 times the byte before", again and again: 13 bits each, so the bytes repeat with a period of 13.
fn packed(bytes: usize) -> Vec<u8> {
    // Block: not the last, fixed codes; the literal 0; then length 258 (code 285) and distance 1 (code 0).
    const BEGIN: &str = "01000110000";
    const AGAIN: &str = "1100010100000";
    let mut bits = BEGIN.bytes().chain(AGAIN.bytes().cycle()).map(|bit| bit & 1);
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    member.resize_with(bytes, || (0..8).map(|place| bits.next().unwrap_or(0) << place).sum());
    member
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packed_body_repeats_after_its_header() {
        let member = packed(15 + 26);
        assert_eq!(member[15..28], member[28..41]);
        assert_eq!(PACKED / 1024 / 1024, 6, "megabytes on the wire");
    }
}
