use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::super::{Durability, LogFormat, LogLevel, RedisTopology, Settings};
use super::{assert_fault, root, write};
use crate::domain::Fault;
use crate::domain::catalogue::InDubbio;

const LOCAL: &str = r#"
enti_dir = "enti"
catalogue_dir = "catalogue"
[io]
base_url = "http://127.0.0.1:8099/api/v1/"
"#;

/// A folder with a settings file, and the folders it names.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "fleet.toml", text);
    std::fs::create_dir_all(folder.path().join("enti")).unwrap();
    std::fs::create_dir_all(folder.path().join("catalogue")).unwrap();
    folder
}

fn load(folder: &Path, environment: &[(&str, &str)]) -> Result<Settings, Vec<Fault>> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::load(Some(&folder.join("fleet.toml")), environment)
}

/// Faults of the local settings with more text after them.
fn faults(more: &str) -> Vec<Fault> {
    load(folder(&format!("{LOCAL}{more}")).path(), &[]).unwrap_err()
}

#[test]
fn defaults_are_those_of_the_contract() {
    let folder = folder(LOCAL);
    let settings = load(folder.path(), &[]).unwrap();
    assert_eq!(settings.enti_dir, folder.path().join("enti"));
    assert_eq!(settings.amqp.url.expose_secret(), "amqp://127.0.0.1:5672/%2f");
    assert!(settings.amqp.declare && settings.io.track_status);
    assert_eq!((settings.amqp.prefetch, settings.amqp.publish_window), (1000, 512));
    assert!(matches!(settings.redis.topology, RedisTopology::Single));
    assert_eq!(settings.redis.durability, Durability::Warn, "all on loopback");
    assert_eq!(settings.redis.prefix, "pm");
    assert_eq!(settings.io.base_url.as_str(), "http://127.0.0.1:8099/api/v1");
    assert_eq!(settings.io.request_timeout, Duration::from_secs(10));
    assert_eq!(settings.io.in_doubt, InDubbio::Hold);
    assert_eq!(settings.scheduler.bind.to_string(), "0.0.0.0:9101");
    assert_eq!(settings.scheduler.poll, Duration::from_millis(250));
    assert_eq!(settings.renderer.bind.port(), 9102);
    assert_eq!(settings.dispatcher.bind.port(), 9103);
    assert_eq!(settings.retention.idle_case, Duration::from_hours(1825 * 24));
    assert_eq!(settings.shutdown_grace, Duration::from_secs(25));
    assert_eq!((settings.log.format, settings.log.level), (LogFormat::Json, LogLevel::Info));
    assert!(settings.privacy.trial_key);
    assert!(settings.tracing.is_none());
}

#[test]
fn nothing_given_asks_for_no_hash_key() {
    // Run in the package's folder, where the default folders are not: the only faults.
    let faults = Settings::load(None, std::iter::empty()).unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert_fault(&faults, "built-in defaults", "enti_dir", "no such folder");
    assert_fault(&faults, "built-in defaults", "catalogue_dir", "no such folder");
}

#[test]
fn the_file_of_deploy_equals_the_defaults_but_for_its_folders() {
    let file = std::fs::read_to_string(root().join("deploy/config/fleet.toml")).unwrap();
    let defaults = super::super::merge::DEFAULTS
        .replace(r#""deploy/config/enti""#, r#""enti""#)
        .replace(r#""shared/catalogue""#, r#""../../shared/catalogue""#);
    assert!(file == defaults, "copy shared/src/settings/defaults.toml to deploy/config/fleet.toml");
    let environment =
        [("PROMEMORIA__PRIVACY__RECIPIENT_HASH_KEY", "0123456789abcdef"), ("PROMEMORIA__CATALOGUE_DIR", ".")];
    load(&root().join("deploy/config"), &environment).unwrap();
}

#[test]
fn the_environment_overrides_the_file() {
    let folder = folder(&format!("{LOCAL}[log]\nlevel = \"warn\"\n"));
    let environment = [
        ("PROMEMORIA__AMQP__URL", "amqp://localhost:5673"),
        ("PROMEMORIA__AMQP__PREFETCH", "7"),
        ("PROMEMORIA__IO__TRACK_STATUS", "false"),
        ("PROMEMORIA__LOG__LEVEL", "debug"),
        ("PROMEMORIA__REDIS__CLUSTER__NODES", "127.0.0.1:7000, [::1]:7001"),
        ("PROMEMORIA_CONFIG", "not read: the path is given"),
        ("OTHER", "left alone"),
    ];
    let settings = load(folder.path(), &environment).unwrap();
    assert_eq!(settings.amqp.url.expose_secret(), "amqp://localhost:5673");
    assert_eq!((settings.amqp.prefetch, settings.io.track_status), (7, false));
    assert_eq!(settings.log.level, LogLevel::Debug);
    let nodes = vec!["127.0.0.1:7000".to_owned(), "[::1]:7001".to_owned()];
    assert!(matches!(settings.redis.topology, RedisTopology::Cluster { nodes: given } if given == nodes));
}

#[test]
fn a_redis_that_may_lose_timers_is_taken_on_one_machine_only() {
    let durability = |more: &str, variable: &[(&str, &str)]| {
        load(folder(&format!("{LOCAL}{more}")).path(), variable).unwrap().redis.durability
    };
    let far = [("PROMEMORIA__REDIS__URL", "rediss://redis.example"), HASH_KEY];
    assert_eq!(durability("", &far), Durability::Require);
    let loose = [far[0], HASH_KEY, ("PROMEMORIA__REDIS__DURABILITY", "warn")];
    assert_eq!(durability("", &loose), Durability::Warn);
    assert_eq!(durability("[redis]\ndurability = \"require\"", &[]), Durability::Require);
}

/// Needed as soon as something is not on loopback.
const HASH_KEY: (&str, &str) = ("PROMEMORIA__PRIVACY__RECIPIENT_HASH_KEY", "sixteen bytes or more");

#[test]
fn promemoria_config_names_the_file_where_no_path_is_given() {
    let folder = folder(LOCAL);
    let path = folder.path().join("fleet.toml").display().to_string();
    let environment = [("PROMEMORIA_CONFIG".to_owned(), path)];
    let settings = Settings::load(None, environment.into_iter()).unwrap();
    assert_eq!(settings.enti_dir, folder.path().join("enti"));
}

#[test]
fn a_fault_of_the_environment_names_the_environment() {
    let environment = [("PROMEMORIA__AMQP__PREFETCH", "many"), ("PROMEMORIA__AMPQ__URL", "x")];
    let faults = load(folder(LOCAL).path(), &environment).unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert_fault(&faults, "environment", "amqp.prefetch", "whole number from 1 to 65535");
    assert_fault(&faults, "environment", "ampq", "unknown key");
}

#[test]
fn every_class_of_fault_names_file_key_and_reason() {
    let cases: &[(&str, &str, &str)] = &[
        ("concurrency = 0", "io.concurrency", "whole number from 1 to 4096"),
        ("track_status = \"yes\"", "io.track_status", "true or false"),
        ("in_doubt = \"maybe\"", "io.in_doubt", r#""hold" or "resend""#),
        ("request_timeout = \"10\"", "io.request_timeout", "a duration above zero"),
        ("request_timeout = \"0s\"", "io.request_timeout", "a duration above zero"),
        ("request_timeout = \"99999d\"", "io.request_timeout", "a duration above zero"),
        ("request_timeout = 10", "io.request_timeout", "a duration above zero"),
        ("connect_timeout = \"20s\"", "io.connect_timeout", "longer than request_timeout"),
        ("surprise = 1", "io.surprise", "unknown key; known here: allow_plaintext, base_url"),
        ("[redis]\nurl = \"redis://10.0.0.1\"", "redis.url", "allow_plaintext = true"),
        ("[redis]\nurl = \"http://127.0.0.1\"", "redis.url", "the scheme must be rediss or redis"),
        ("[redis]\nurl = \"nonsense\"", "redis.url", "must be a URL such as"),
        ("[redis]\nurl = \"\"", "redis.url", "must not be empty"),
        ("[redis]\nurl_file = \"absent\"", "redis.url_file", "cannot be read: entity not found"),
        ("[redis]\nurl = \"redis://127.0.0.1\"\nurl_file = \"x\"", "redis.url", "not both"),
        ("[redis]\nprefix = \"Pro:\"", "redis.prefix", "1 to 16 of a-z"),
        ("[redis.tls]\nca_file = \"fleet.toml\"", "redis.tls.ca_file", "of no use without a TLS url"),
        ("[redis.sentinel]\nmaster = \"m\"", "redis.sentinel.nodes", "required with master"),
        ("[redis.sentinel]\nnodes = [\"a:1\"]", "redis.sentinel.master", "required with nodes"),
        ("[redis]\ndurability = \"maybe\"", "redis.durability", r#""auto" or "require" or "warn""#),
        ("[amqp]\nnodes = [\"far:5672\"]", "amqp.url", "allow_plaintext = true"),
        ("[amqp]\nnodes = [\"a\"]", "amqp.nodes", "entry 1: must be \"host:port\""),
        ("[redis.cluster]\nnodes = []", "redis.cluster.nodes", "must not be an empty list"),
        ("[redis.cluster]\nnodes = [\"a\"]", "redis.cluster.nodes", "entry 1: must be \"host:port\""),
        ("[redis.cluster]\nnodes = [\"a:1\", \"a:1\"]", "redis.cluster.nodes", "entry 2: given twice"),
        ("[redis.cluster]\nnodes = [\"far:1\"]", "redis.url", "plain text"),
        ("[amqp]\nurl = \"amqp://rabbit:5672\"", "amqp.url", "allow_plaintext = true"),
        ("[amqp.tls]\ncert_file = \"fleet.toml\"", "amqp.tls.key_file", "required with cert_file"),
        ("[amqp.tls]\nca_file = \"absent.pem\"", "amqp.tls.ca_file", "no such file"),
        ("[scheduler]\nbind = \"9101\"", "scheduler.bind", "an IP address and port"),
        ("[privacy]\nrecipient_hash_key = \"short\"", "privacy.recipient_hash_key", "at least 16 bytes"),
        ("[log]\nlevel = \"loud\"", "log.level", r#""error" or "warn""#),
        ("[tracing]\nsample_ratio = 1.5", "tracing.sample_ratio", "from 0 to 1"),
        ("[tracing]\nendpoint = \"http://otel:4318\"", "tracing.endpoint", "allow_plaintext"),
        ("[tracing]\nendpoint = \"https://u:p@otel\"", "tracing.endpoint", "credentials"),
        ("[shutdown]\ngrace = true", "shutdown.grace", "a duration above zero"),
        ("[[amqp]]\nurl = 1", "amqp", "must be a table"),
    ];
    for (text, key, reason) in cases {
        assert_fault(&faults(text), "fleet.toml", key, reason);
    }
}

#[test]
fn a_base_url_is_checked() {
    let cases = [
        ("http://io.example.it", "allow_plaintext = true"),
        ("ftp://io.example.it", "https or http"),
        ("https://user:secret@io.example.it", "must not hold credentials"),
        ("https://io.example.it/?key=secret", "query"),
        ("io.example.it", "must be a URL"),
    ];
    for (url, reason) in cases {
        let faults = load(folder(LOCAL).path(), &[("PROMEMORIA__IO__BASE_URL", url)]).unwrap_err();
        assert_fault(&faults, "environment", "io.base_url", reason);
        assert!(!format!("{faults:?}").contains("secret"));
    }
}

#[test]
fn all_faults_come_at_once() {
    let faults = faults("concurrency = 0\nx = 1\n[redis]\nprefix = \"A\"\n[log]\nlevel = 3\n[extra]\n");
    assert_eq!(faults.len(), 5, "{faults:#?}");
}

#[test]
fn what_is_not_toml_names_the_line_and_quotes_nothing() {
    let faults = load(folder("a = 1\n[amqp]\nurl = \"amqp://u:canary@h\n").path(), &[]).unwrap_err();
    assert_fault(&faults, "fleet.toml", "-", "not TOML, line 3");
    assert!(!format!("{faults:?}").contains("canary"));
    let absent = Settings::load(Some(Path::new("absent.toml")), std::iter::empty()).unwrap_err();
    assert_fault(&absent, "absent.toml", "-", "cannot be read: entity not found");
}

#[test]
fn plain_text_is_taken_where_it_is_allowed() {
    let text = "[amqp]\nurl = \"amqp://rabbit\"\nallow_plaintext = true\n[privacy]\nrecipient_hash_key_file = \"key\"";
    let folder = folder(&format!("{LOCAL}{text}"));
    write(folder.path(), "key", "0123456789abcdef \r\n\n");
    let settings = load(folder.path(), &[]).unwrap();
    assert!(!settings.privacy.trial_key);
    assert_eq!(settings.privacy.recipient_hash_key.expose_secret(), "0123456789abcdef");
}

#[test]
fn away_from_loopback_a_hash_key_is_required() {
    let away = [
        ("PROMEMORIA__AMQP__URL", "amqps://rabbit"),
        ("PROMEMORIA__REDIS__URL", "rediss://redis"),
        ("PROMEMORIA__IO__BASE_URL", "https://api.io.pagopa.it/api/v1"),
    ];
    for variable in away {
        let faults = load(folder(LOCAL).path(), &[variable]).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert_fault(&faults, "fleet.toml", "privacy.recipient_hash_key_file", "all loopback");
    }
}

#[test]
fn a_secret_of_the_environment_wins_over_the_files() {
    let folder = folder(&format!("{LOCAL}[redis]\nurl_file = \"absent\"\n"));
    let settings = load(folder.path(), &[("PROMEMORIA__REDIS__URL", "redis://127.0.0.1:1/2")]).unwrap();
    assert_eq!(settings.redis.url.expose_secret(), "redis://127.0.0.1:1/2");
}

#[test]
fn the_sandbox_part_is_left_alone() {
    load(folder(&format!("{LOCAL}[sandbox]\nanything = 1\n")).path(), &[]).unwrap();
}

#[test]
fn no_secret_is_printed() {
    let text = "[redis]\nurl = \"redis://user:canary@127.0.0.1:6379/0\"
[amqp]\nurl = \"amqp://user:canary@127.0.0.1:5672/%2f?x=canary\"
[privacy]\nrecipient_hash_key = \"canary canary canary\"
[[sandbox.servizi]]\nchiave = \"canary\"";
    let settings = load(folder(&format!("{LOCAL}{text}")).path(), &[]).unwrap();
    let printed = format!("{settings:?} {}", settings.redacted());
    assert!(!printed.contains("canary"), "{printed}");
    assert_eq!(settings.redacted()["amqp"]["url"], "amqp://***@127.0.0.1:5672/%2f");
    assert_eq!(settings.redacted()["redis"]["prefix"], "pm");
}

#[test]
fn tracing_is_on_where_a_collector_is_named() {
    let folder = folder(&format!("{LOCAL}[tracing]\nendpoint = \"http://127.0.0.1:4318/\"\n"));
    let tracing = load(folder.path(), &[]).unwrap().tracing.unwrap();
    assert_eq!((tracing.endpoint.as_str(), tracing.sample_ratio), ("http://127.0.0.1:4318/", 0.1));
    let tracing = load(folder.path(), &[("PROMEMORIA__TRACING__SAMPLE_RATIO", "1")]).unwrap().tracing;
    assert_eq!(tracing.map(|it| it.sample_ratio), Some(1.0));
}
