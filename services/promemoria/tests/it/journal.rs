//! `rebuild`, `journal export`, `audit`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use shared::broker::Publisher as _;
use shared::clock::Clock;
use shared::domain::event::CaseEvent;
use shared::journal::event_line;
use shared::service;
use tokio::io::AsyncWriteExt as _;

use crate::store::rent;
use crate::trial::{CANARY, ENTE, TEXT, Trial, command, write_settings};

/// The same brokers, and keys of its own: nothing is there yet.
pub(crate) async fn the_journal_is_counted_kept_and_put_back(trial: &Trial) {
    let folder = tempfile::tempdir().unwrap();
    let urls = (trial.brokers.amqp_url(), trial.brokers.redis_url());
    let config = write_settings(folder.path(), urls, &format!("j{}", std::process::id()));
    let json = async |words: &[&str]| -> (Value, u8) {
        let ending = command(&config, &[words, &["--json"]].concat()).await;
        assert!(!ending.out.contains(CANARY) && !ending.out.contains(TEXT), "{words:?}: {ending:?}");
        (serde_json::from_str(&ending.out).unwrap_or(Value::Null), ending.code)
    };
    take_line(trial).await;
    let (missing, code) = json(&["rebuild", "--dry-run"]).await;
    let missing = missing["enti"][ENTE].as_array().unwrap();
    assert_eq!((missing.len(), code), (3, 1));
    assert!(missing.iter().all(|it| it["kind"] == "missing"), "{missing:?}");
    assert_eq!(json(&["audit"]).await.1, 1);
    // Of a case whose record is gone the journal tells.
    let (case, code) = json(&["case", "show", ENTE, "CAN/9"]).await;
    assert_eq!(
        (&case["cases"], &case["history"][0]["what"], code),
        (&json!([]), &json!("evento"), 0),
        "{case}"
    );
    assert_eq!(case["history"][0]["key"], "avviso-1");
    assert_eq!(json(&["case", "show", ENTE, "CAN/9", "--no-journal"]).await.1, 1);

    let archive = folder.path().join("journal.jsonl");
    let file = archive.to_str().unwrap();
    assert_eq!(json(&["journal", "export", file]).await, (json!({ "lines": 1 }), 0));
    assert_eq!(std::fs::metadata(&archive).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(json(&["journal", "export", file]).await.1, 1, "an archive is never overwritten");
    let kept = std::fs::read(&archive).unwrap();
    assert_eq!(piped(&config, &["journal", "export", "-"], &[]).await, (kept.clone(), Some(0)));
    assert_eq!(json(&["journal", "export", "-"]).await, (Value::Null, 2), "JSON would be among the lines");
    let (found, code) = piped(&config, &["audit", "--from", "-", "--json"], &kept).await;
    let found: Value = serde_json::from_slice(&found).unwrap();
    assert_eq!((&found["enti"][ENTE]["journal"]["accepted"], code), (&json!(3), Some(1)), "{found}");

    let (rebuilt, code) = json(&["rebuild", "--from", file]).await;
    assert_eq!((&rebuilt["enti"][ENTE]["events"], code), (&json!(1), 0));

    assert_eq!(json(&["rebuild", "--dry-run"]).await.1, 0);
    for words in [&["audit", "--ente", ENTE][..], &["audit", "--from", file]] {
        let (audit, code) = json(words).await;
        let tally = &audit["enti"][ENTE]["ledger"];
        assert_eq!((&tally["accepted"], &tally["pending"], code), (&json!(3), &json!(3), 0), "{audit}");
    }
    let (again, code) = json(&["rebuild"]).await;
    assert_eq!((&again["enti"][ENTE]["events"], code), (&json!(0), 0));
}

/// What a process of its own says, given this on its standard input, and how it ends.
async fn piped(config: &Path, words: &[&str], input: &[u8]) -> (Vec<u8>, Option<i32>) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_promemoria"));
    command.arg("--config").arg(config).args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    (output.stdout, output.status.code())
}

/// The line that the scheduler writes of a notice of rent.
async fn take_line(trial: &Trial) {
    let (catalogue, live) = service::in_force(&trial.settings).unwrap();
    let known = live.current();
    let now = Clock::system().now();
    let body = rent("avviso-1", now).to_string();
    let key = format!("{ENTE}.pagamento.avviso-emesso");
    let ente = known.ente(ENTE).unwrap();
    let event = CaseEvent::parse(body.as_bytes(), None, &key, &catalogue, |_| Some(ente)).unwrap();
    let broker = trial.broker().await;
    let taken = event_line(&event, &key, &body.clone().into(), now.timestamp_millis());
    broker.publisher().publish(taken).await.unwrap();
    broker.close().await;
}
