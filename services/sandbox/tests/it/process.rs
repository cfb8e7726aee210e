//! The binary: its first line, its exit codes, its signals.

use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_sandbox");

async fn with_config(text: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fleet.toml");
    std::fs::write(&file, text).unwrap();
    let run = Command::new(BINARY).arg("--config").arg(&file).kill_on_drop(true).output();
    tokio::time::timeout(Duration::from_secs(20), run).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_address_is_the_first_line_and_sigterm_ends_it_well() {
    let mut child = Command::new(BINARY)
        .args(["--bind", "127.0.0.1:0"])
        .env_remove("PROMEMORIA_CONFIG")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first =
        tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await.unwrap().unwrap().unwrap();
    let address = first.strip_prefix("sandbox listening on http://").unwrap();
    let address: std::net::SocketAddr = address.parse().unwrap();
    assert!(address.ip().is_loopback() && address.port() != 0, "{address}");
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    let end = tokio::time::timeout(Duration::from_secs(20), child.wait()).await.unwrap().unwrap();
    assert_eq!(end.code(), Some(0));
}

#[tokio::test]
async fn bad_settings_are_listed_and_end_in_78() {
    let output = with_config("[sandbox]\nbind = 1\ncolour = 2\n").await;
    assert_eq!(output.status.code(), Some(78));
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("sandbox.bind: must be an address"), "{stderr}");
    assert!(stderr.contains("sandbox.colour: unknown key"), "{stderr}");
}

#[tokio::test]
async fn a_broken_file_is_named_without_its_text() {
    let output = with_config("[sandbox]\n[[sandbox.servizi]]\nchiave = \"segretissima\n").await;
    assert_eq!(output.status.code(), Some(78));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("line 3: not TOML"), "{stderr}");
    assert!(!stderr.contains("segretissima"), "{stderr}");
}

#[tokio::test]
async fn a_wrong_argument_is_a_usage_error() {
    let output = Command::new(BINARY).args(["--bind", "nowhere"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
}
