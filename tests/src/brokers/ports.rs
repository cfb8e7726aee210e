//! Loopback ports for servers that are stopped and started again under connected clients.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Ports are taken from here: below Linux's ephemeral range (32768 to 60999, `ip_local_port_range`),
/// because a client that reconnects to a closed port inside that range can end up connected to itself,
/// which also keeps the server from listening again. 20000 and more are free of well-known services.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Handed out by this process: free at the moment, but promised to a server that is still starting.
static PROMISED: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port on 127.0.0.1 that nothing listens on and that this process has not handed out before.
///
/// # Errors
///
/// Every port of the range is taken.
pub fn free_port() -> anyhow::Result<u16> {
    let mut promised = PROMISED.lock().unwrap_or_else(PoisonError::into_inner);
    let promised = promised.get_or_insert_with(HashSet::new);
    let length = RANGE.end - RANGE.start;
    let first = start_of_search() % length;
    for step in 0..length {
        let port = RANGE.start + (first + step) % length;
        if !promised.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            promised.insert(port);
            return Ok(port);
        }
    }
    anyhow::bail!("no free port on 127.0.0.1 between {} and {}", RANGE.start, RANGE.end - 1)
}

/// Spreads the searches of processes that start together, so that they seldom meet on one port.
fn start_of_search() -> u16 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let mixed =
        (u64::from(nanos) ^ (u64::from(std::process::id()) << 20)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    u16::try_from(mixed >> 48).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_promised_once_and_lies_below_the_ephemeral_range() {
        let ports: Vec<u16> = (0..50).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), 50);
        assert!(ports.iter().all(|port| RANGE.contains(port)), "{ports:?}");
    }

    #[test]
    fn a_port_in_use_is_not_given() {
        let taken = TcpListener::bind(("127.0.0.1", free_port().unwrap())).unwrap();
        let port = taken.local_addr().unwrap().port();
        PROMISED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().remove(&port);
        assert!((0..20).all(|_| free_port().unwrap() != port));
    }
}
