//! The quota under fire: several dispatchers, two enti on one IO account, a backlog, and 429s.

use std::time::Duration;

use serde_json::{Value, json};
use tests::fleet::client::{Client, sandbox_calls, sandbox_fault};
use tests::fleet::{ENTI, Enti, Fleet};

/// How long all of it may take on a busy machine.
const ALL: Duration = Duration::from_mins(4);
/// Calls of the account in any 5 s.
const LIMIT: u32 = 60;
/// Messages of each ente: with two calls each, several windows of the account.
const MESSAGES: usize = 60;
/// A citizen whose message meets more 429s than a message has attempts.
const STRUCK: &str = "BNCLRA80A41F205G";
/// Refusals of that message, and the pause that each asks for.
const STORM: u32 = 14;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_dispatchers_and_enti_share_the_calls_of_one_account() -> anyhow::Result<()> {
    let enti = Enti { calls_per_5s: LIMIT, one_account: true, track_status: false, ..Enti::default() };
    let mut fleet = Fleet::start(crate::binaries(), &enti).await?;
    for _ in 0..2 {
        fleet.start_another_dispatcher().await?;
    }
    let mut client = Client::connect(fleet.brokers.amqp_url()).await?;
    let storm = json!({"kind": "rate_limited", "calls": STORM, "retry_after": 1, "fiscal_code": STRUCK});
    sandbox_fault(fleet.ports.sandbox, &storm).await?;
    client.publish_event(&registered("colpita", STRUCK, ENTI[0])).await?;
    for number in 0..MESSAGES {
        for ente in ENTI {
            client.publish_event(&registered(&format!("{ente}-{number}"), "RSSMRA85T10A562S", ente)).await?;
        }
    }
    let wanted = 2 * MESSAGES + 1;
    let outcomes = client.outcomes_until(ALL, |all| finals(all).count() >= wanted).await?;
    let kinds: Vec<&Value> = finals(&outcomes).map(|outcome| &outcome["type"]).collect();
    assert!(kinds.iter().all(|kind| **kind == "messaggio.inviato"), "a 429 burns no attempt: {kinds:?}");
    let Some(calls) = sandbox_calls(fleet.ports.sandbox, "insieme").await? else {
        anyhow::bail!("the two enti share no account")
    };
    // By the instants at which the sandbox saw them come. Over the whole run and not in each window: a machine
    // that stalls a process for a tenth of a second moves a call from one window into the next.
    let windows = calls.span_ms.div_ceil(5_000) + 1;
    assert!(calls.calls <= u64::from(LIMIT) * windows, "{calls:?}");
    assert!(calls.calls >= u64::try_from(2 * wanted)? + u64::from(STORM), "{calls:?}");
    fleet.shutdown().await
}

fn finals(outcomes: &[Value]) -> impl Iterator<Item = &Value> {
    let kinds = ["messaggio.inviato", "messaggio.scartato", "messaggio.fallito"];
    outcomes.iter().filter(move |outcome| kinds.iter().any(|kind| outcome["type"] == *kind))
}

/// An application registered: one message at once, each case its own.
fn registered(id: &str, citizen: &str, ente: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "https://gestionale.example.it",
        "type": "domanda.protocollata", "subject": format!("D-{id}"), "time": "2026-11-20T10:00:00+01:00",
        "ente": ente, "servizio": "alloggi-sociali",
        "data": {
            "codice_fiscale": citizen, "bando": "B27", "numero_protocollo": id,
            "url_domanda": "https://domande.example.it/1",
        },
    })
}
