//! Reads the settings from the merged table, section by section.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::endpoint::{self, Endpoint, Schemes};
use super::reader::{Parsed, Raw, Section};
use super::{
    Amqp, Bind, CONFIG_VARIABLE, Durability, Io, Log, LogFormat, LogLevel, Privacy, Redis, RedisTopology,
    Retention, Scheduler, Settings, Tls, Tracing, kinds, merge, reader, redact, secret,
};
use crate::broker::MAX_PUBLISH_WINDOW;
use crate::domain::Fault;
use crate::domain::catalogue::InDubbio;

/// The hash key for trial. Not a secret: it is public, hence only where nobody else listens.
const TRIAL_KEY: &str = "promemoria trial key, not for production";
/// How long IO's gateway may hold a request (io-api.md section 1): a copy must not overtake the first.
const GATEWAY_HOLDS: Duration = Duration::from_mins(3);
/// The least bytes of a hash key: 128 bits.
const SHORTEST_KEY: usize = 16;

impl Settings {
    /// Loads the settings: built-in defaults, under the file (`path`, else what `PROMEMORIA_CONFIG`
    /// names, else none), under the `PROMEMORIA__…` variables of `environment`.
    ///
    /// # Errors
    ///
    /// Every fault of file and environment at once.
    pub fn load(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Vec<Fault>> {
        let environment: Vec<_> = environment.collect();
        let named = environment.iter().find(|(name, _)| name == CONFIG_VARIABLE);
        let path = path.map(PathBuf::from).or_else(|| named.map(|(_, value)| PathBuf::from(value)));
        let (origin, table) = merge::layers(path.as_deref(), environment).map_err(|fault| vec![fault])?;
        let untouched = path.is_none() && origin.environment.is_empty();
        let redacted = redact::settings(&table);
        let read = reader::read(origin, table, |root| settings(root, untouched, redacted));
        if read.faults.is_empty() { read.value.ok_or_else(Vec::new) } else { Err(read.faults) }
    }
}

/// Reads the root. `None` comes with a fault.
fn settings(root: &mut Section, untouched: bool, redacted: serde_json::Value) -> Option<Settings> {
    let enti_dir = directory(root, "enti_dir");
    let catalogue_dir = directory(root, "catalogue_dir");
    let amqp = root.section("amqp", amqp);
    let redis = root.section("redis", redis);
    let io = root.section("io", io).flatten();
    let scheduler = root.section("scheduler", scheduler);
    let renderer = root.section("renderer", service);
    let dispatcher = root.section("dispatcher", service);
    let retention = root.section("retention", retention);
    let trial = untouched
        || (is_local(amqp.as_ref()) && redis.as_ref().is_some_and(|it| it.2) && is_local(io.as_ref()));
    let redis = redis.map(|redis| resolve_durability(redis, trial));
    let privacy = root.section("privacy", |section| privacy(section, trial));
    let shutdown_grace = root.section("shutdown", |section| section.get("grace", kinds::duration));
    let log = root.section("log", log);
    let tracing = root.section("tracing", tracing).flatten();
    root.ignore("sandbox"); // the sandbox's own, read by it
    Some(Settings {
        enti_dir,
        catalogue_dir,
        amqp: amqp?.0,
        redis: redis?.0,
        io: io?.0,
        scheduler: scheduler?,
        renderer: renderer?,
        dispatcher: dispatcher?,
        retention: retention?,
        privacy: privacy?,
        shutdown_grace: shutdown_grace?,
        log: log?,
        tracing,
        redacted,
    })
}

/// `auto` becomes what it stands for.
fn resolve_durability(
    (mut redis, asked, local): (Redis, Option<Durability>, bool),
    trial: bool,
) -> (Redis, bool) {
    let usual = if trial { Durability::Warn } else { Durability::Require };
    redis.durability = asked.unwrap_or(usual);
    (redis, local)
}

fn is_local<T>(section: Option<&(T, bool)>) -> bool {
    section.is_some_and(|(_, local)| *local)
}

/// A folder that must exist.
fn directory(section: &mut Section, key: &str) -> PathBuf {
    let path: PathBuf = section.get(key, kinds::path);
    let path = section.resolve(key, &path);
    if !path.is_dir() {
        section.fault(key, "there is no such folder");
    }
    path
}

/// A file that must exist.
fn file(section: &mut Section, key: &str) -> Option<PathBuf> {
    let path = section.opt(key, kinds::path)?;
    let path = section.resolve(key, &path);
    if !path.is_file() {
        section.fault(key, "there is no such file");
    }
    Some(path)
}

/// The section, and whether it leads to this machine only.
fn amqp(section: &mut Section) -> (Amqp, bool) {
    let allow_plaintext = section.get("allow_plaintext", kinds::flag);
    let (url, mut endpoint) = url(section, &Schemes { plain: "amqp", tls: "amqps" });
    let nodes = section.opt("nodes", kinds::list(kinds::checked(endpoint::check_node))).unwrap_or_default();
    endpoint.loopback &= endpoint::all_loopback(&nodes);
    endpoint::refuse_plaintext(section, "url", endpoint, allow_plaintext);
    let tls = section.section("tls", |section| tls(section, endpoint)).unwrap_or_default();
    let amqp = Amqp {
        url,
        nodes,
        tls,
        allow_plaintext,
        declare: section.get("declare", kinds::flag),
        prefetch: section.get("prefetch", kinds::count(1..=65_535)),
        publish_window: section.get("publish_window", kinds::count(1..=MAX_PUBLISH_WINDOW.into())),
        publish_timeout: section.get("publish_timeout", kinds::duration),
    };
    (amqp, endpoint.loopback)
}

/// `url` or `url_file`, checked. One that was refused counts as loopback: one fault is enough.
fn url(section: &mut Section, schemes: &Schemes) -> (SecretString, Endpoint) {
    let taken = secret::take(section, "url");
    let endpoint = taken.as_ref().and_then(|url| endpoint::check(section, "url", url, schemes));
    (taken.unwrap_or_default(), endpoint.unwrap_or(Endpoint { loopback: true, tls: true }))
}

fn tls(section: &mut Section, endpoint: Endpoint) -> Tls {
    let tls = Tls {
        ca_file: file(section, "ca_file"),
        cert_file: file(section, "cert_file"),
        key_file: file(section, "key_file"),
    };
    match (&tls.cert_file, &tls.key_file) {
        (Some(_), None) => section.fault("key_file", "required with cert_file"),
        (None, Some(_)) => section.fault("cert_file", "required with key_file"),
        _ => {}
    }
    if tls != Tls::default() && !endpoint.tls {
        section.fault("ca_file", "certificates are of no use without a TLS url");
    }
    tls
}

/// The section, what it says of durability (none for `auto`), and whether it leads to this machine only.
fn redis(section: &mut Section) -> (Redis, Option<Durability>, bool) {
    let allow_plaintext = section.get("allow_plaintext", kinds::flag);
    let (url, mut endpoint) = url(section, &Schemes { plain: "redis", tls: "rediss" });
    let tls = section.section("tls", |section| tls(section, endpoint)).unwrap_or_default();
    let topology = topology(section);
    if let RedisTopology::Sentinel { nodes, .. } | RedisTopology::Cluster { nodes } = &topology {
        endpoint.loopback = endpoint::all_loopback(nodes);
    }
    endpoint::refuse_plaintext(section, "url", endpoint, allow_plaintext);
    let durabilities = kinds::one_of(&[
        ("auto", None),
        ("require", Some(Durability::Require)),
        ("warn", Some(Durability::Warn)),
    ]);
    let durability = section.get("durability", durabilities);
    let redis = Redis {
        url,
        tls,
        durability: Durability::Require,
        topology,
        allow_plaintext,
        response_timeout: section.get("response_timeout", kinds::duration),
        prefix: section.get("prefix", kinds::checked(check_prefix)),
    };
    (redis, durability, endpoint.loopback)
}

fn topology(section: &mut Section) -> RedisTopology {
    let nodes = || kinds::list(kinds::checked(endpoint::check_node));
    let sentinel = section.section("sentinel", |section| {
        let master = section.opt("master", kinds::text);
        let nodes = section.opt("nodes", nodes());
        let username = section.opt("username", kinds::text);
        let password = secret::take(section, "password");
        match (master, nodes) {
            (Some(master), Some(nodes)) => {
                Some(RedisTopology::Sentinel { master, nodes, username, password })
            }
            (None, Some(_)) => {
                section.fault("master", "required with nodes");
                None
            }
            (Some(_), None) => {
                section.fault("nodes", "required with master");
                None
            }
            (None, None) => None,
        }
    });
    let cluster = section.section("cluster", |section| section.opt("nodes", nodes()));
    match (sentinel.flatten(), cluster.flatten()) {
        (Some(sentinel), None) => sentinel,
        (None, Some(nodes)) => RedisTopology::Cluster { nodes },
        (None, None) => RedisTopology::Single,
        (Some(_), Some(_)) => {
            section.fault("cluster", "give sentinel or cluster, not both");
            RedisTopology::Single
        }
    }
}

fn check_prefix(prefix: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if prefix.len() <= 16 && prefix.chars().all(plain) {
        Ok(())
    } else {
        Err("must be 1 to 16 of a-z, 0-9, -, _")
    }
}

/// The section, and whether it leads to this machine only. `None` comes with a fault.
fn io(section: &mut Section) -> Option<(Io, bool)> {
    let allow_plaintext = section.get("allow_plaintext", kinds::flag);
    let base = section.opt("base_url", base_url);
    let endpoint = base.as_ref().map_or(Endpoint { loopback: true, tls: true }, |(_, endpoint)| *endpoint);
    endpoint::refuse_plaintext(section, "base_url", endpoint, allow_plaintext);
    let connect_timeout = section.get("connect_timeout", kinds::duration);
    let request_timeout = section.get("request_timeout", kinds::duration);
    if connect_timeout > request_timeout {
        section.fault("connect_timeout", "must not be longer than request_timeout");
    }
    let concurrency = section.get("concurrency", kinds::count(1..=4096));
    let in_doubt = section.get("in_doubt", kinds::one_of(&InDubbio::ALL));
    let resend_after = section.get("resend_after", kinds::duration);
    if resend_after <= GATEWAY_HOLDS {
        section
            .fault("resend_after", "must be longer than the 180 s for which IO's gateway may hold a request");
    }
    let track_status = section.get("track_status", kinds::flag);
    let (base_url, endpoint) = base?;
    let io = Io {
        base_url,
        allow_plaintext,
        connect_timeout,
        request_timeout,
        concurrency,
        in_doubt,
        resend_after,
        track_status,
    };
    Some((io, endpoint.loopback))
}

/// A base URL, without a final slash, and what is known of it.
fn base_url(raw: Raw) -> Parsed<(Url, Endpoint)> {
    let text = kinds::text(raw)?;
    let url =
        Url::parse(text.trim_end_matches('/')).map_err(|_| "must be a URL such as https://host/path")?;
    let endpoint = endpoint::check_base(&url)?;
    Ok((url, endpoint))
}

/// None where nothing is traced.
fn tracing(section: &mut Section) -> Option<Tracing> {
    let allow_plaintext = section.get("allow_plaintext", kinds::flag);
    let sample_ratio = section.get("sample_ratio", kinds::share);
    let (url, endpoint) = section.opt("endpoint", base_url)?;
    endpoint::refuse_plaintext(section, "endpoint", endpoint, allow_plaintext);
    Some(Tracing { endpoint: url, sample_ratio })
}

fn scheduler(section: &mut Section) -> Scheduler {
    Scheduler {
        bind: bind(section),
        poll: section.get("poll", kinds::duration),
        lease: section.get("lease", kinds::duration),
        claim: section.get("claim", kinds::count(1..=5000)),
        claim_loops: section.get("claim_loops", kinds::count(1..=64)),
        in_flight: section.get("in_flight", kinds::count(1..=1_000_000)),
        conservation: section.get("conservation", kinds::duration),
    }
}

fn service(section: &mut Section) -> Bind {
    Bind { bind: bind(section) }
}

/// The address; the stand-in comes with a fault.
fn bind(section: &mut Section) -> SocketAddr {
    section.opt("bind", kinds::bind).unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into())
}

fn retention(section: &mut Section) -> Retention {
    let retention = Retention {
        dedup: section.get("dedup", kinds::duration),
        idle_case: section.get("idle_case", kinds::duration),
        payload: section.get("payload", kinds::duration),
        sweep: section.get("sweep", kinds::duration),
        journal: section.get("journal", kinds::duration),
    };
    // A case that is younger than what is remembered of its events could not be planned again from them.
    if retention.journal < retention.dedup.max(retention.payload) {
        section.fault("journal", "must be no shorter than dedup and payload");
    }
    retention
}

fn privacy(section: &mut Section, trial: bool) -> Privacy {
    let key = "recipient_hash_key";
    let given = section.has(key) || section.has("recipient_hash_key_file");
    let taken = secret::take(section, key);
    if taken.as_ref().is_some_and(|key| key.expose_secret().len() < SHORTEST_KEY) {
        section.fault(key, format!("must have at least {SHORTEST_KEY} bytes"));
    }
    if !given && !trial {
        section.fault(
            "recipient_hash_key_file",
            "required, unless amqp.url, redis.url and io.base_url are all loopback",
        );
    }
    let trial_key = !given;
    Privacy { recipient_hash_key: taken.unwrap_or_else(|| TRIAL_KEY.into()), trial_key }
}

fn log(section: &mut Section) -> Log {
    let formats = kinds::one_of(&[("json", LogFormat::Json), ("text", LogFormat::Text)]);
    let levels = kinds::one_of(&[
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ]);
    Log { format: section.get("format", formats), level: section.get("level", levels) }
}
