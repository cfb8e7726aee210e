//! Addresses of other programs: their form, and where plain text is taken.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::reader::Section;

/// Schemes of one protocol.
pub(super) struct Schemes {
    /// Without TLS.
    pub(super) plain: &'static str,
    /// With TLS.
    pub(super) tls: &'static str,
}

/// What is known of an address once it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Endpoint {
    /// It leads to this machine only.
    pub(super) loopback: bool,
    /// Its scheme is the one with TLS.
    pub(super) tls: bool,
}

/// Whether a host leads to this machine only.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Checks a URL that may hold credentials; no reason quotes it.
pub(super) fn check(
    section: &mut Section,
    key: &str,
    url: &SecretString,
    schemes: &Schemes,
) -> Option<Endpoint> {
    let form = || format!("must be a URL such as {}://host:port", schemes.tls);
    let Ok(url) = Url::parse(url.expose_secret()) else {
        section.fault(key, form());
        return None;
    };
    let tls = url.scheme() == schemes.tls;
    if !tls && url.scheme() != schemes.plain {
        section.fault(key, format!("the scheme must be {} or {}", schemes.tls, schemes.plain));
        return None;
    }
    match url.host() {
        Some(Host::Domain("")) | None => {
            section.fault(key, form());
            None
        }
        Some(host) => Some(Endpoint { loopback: is_loopback(&host.to_string()), tls }),
    }
}

/// Refuses plain text to other hosts than loopback, unless it was allowed.
pub(super) fn refuse_plaintext(section: &mut Section, key: &str, endpoint: Endpoint, allowed: bool) {
    if !endpoint.tls && !endpoint.loopback && !allowed {
        section.fault(
            key,
            "plain text to a host that is not loopback: use TLS, or set allow_plaintext = true in this section",
        );
    }
}

/// Checks `host:port`.
pub(super) fn check_node(node: &str) -> Result<(), &'static str> {
    let form = r#"must be "host:port""#;
    let (host, port) = node.rsplit_once(':').ok_or(form)?;
    let plain = !host.is_empty() && !host.contains(['/', '@', ' ']);
    if plain && port.parse::<u16>().is_ok_and(|port| port != 0) { Ok(()) } else { Err(form) }
}

/// Whether every `host:port` is loopback.
pub(super) fn all_loopback(nodes: &[String]) -> bool {
    nodes.iter().all(|node| node.rsplit_once(':').is_some_and(|(host, _)| is_loopback(host)))
}

/// Why a base URL is refused, if it is.
pub(super) fn check_base(url: &Url) -> Result<Endpoint, &'static str> {
    let tls = url.scheme() == "https";
    if !tls && url.scheme() != "http" {
        return Err("the scheme must be https or http");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold credentials");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or a fragment");
    }
    Ok(Endpoint { loopback: url.host_str().is_some_and(is_loopback), tls })
}
