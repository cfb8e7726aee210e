//! F18, what asks for memory: events at and above the limits of the contract, and one that takes all there is.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use shared::domain::event::LARGEST_BODY;

use super::delivery::{ends_everyone, poisons};
use super::ill::largest_mib;
use crate::chaos::checker::Bounds;
use crate::chaos::ground::Ground;
use crate::chaos::result::Report;
use crate::chaos::trial::{Setup, Trial};

/// The address space of each process. Most of what a process has of it is never used: threads have stacks and heaps of
/// their own set aside.
const ADDRESS_SPACE: u64 = 4 << 30;
/// How much larger, in MiB, a service may be after such events.
const GROWTH: u64 = 64;
/// Deepest nesting below a field of `data` that is taken (`event/json.rs`).
const DEEPEST: usize = 30;
/// Bodies that are refused, larger than they may be or not.
const REFUSED: usize = 6;

/// Bodies that nobody should have to take apart.
fn refused() -> [String; REFUSED] {
    let open = |count| "[".repeat(count);
    let keys: Vec<String> = (0..7_000).map(|number| format!("\"{number}\":0")).collect();
    [
        open(1 << 20),
        open(LARGEST_BODY + 1),
        open(LARGEST_BODY),
        "{\"a\":".repeat(LARGEST_BODY / 5),
        // Wide, and no event.
        format!("{{{}}}", keys.join(",")),
        format!("{{\"id\":{}}}", "9".repeat(LARGEST_BODY - 7)),
    ]
}

/// Events that the parser takes or refuses at its limits: in constant memory.
pub(super) async fn large(ground: &Ground) -> anyhow::Result<String> {
    let mut trial = Trial::start(ground, Setup::default().address_space(ADDRESS_SPACE)).await?;
    trial.publish(20).await?;
    trial.settle().await?;
    let before = largest_mib(&trial);
    for body in refused() {
        trial.integrator.publish("borgochiaro.domanda.protocollata", body.as_bytes()).await?;
    }
    let nested = (0..DEEPEST).fold(json!(0), |inner, _| json!([inner]));
    let wide = trial.publish_filled(|number| (format!("k{number}"), json!(0))).await?;
    let deep = trial.publish_filled(|number| (format!("k{number}"), nested.clone())).await?;
    let long = "x".repeat(1_000);
    trial.publish_filled(|number| (format!("k{number}"), Value::from(long.as_str()))).await?;
    trial.publish(20).await?;
    let refused = |tipo: &str| tipo == "evento.rifiutato";
    trial
        .until("what is too much is refused", |book| {
            book.outcomes.iter().filter(|it| it["type"].as_str().is_some_and(refused)).count() == REFUSED
        })
        .await?;
    trial.settle().await?;
    let after = largest_mib(&trial);
    let report = trial.close(Bounds::default()).await?;
    ensure!(report.ok == 43, "{} of 43 were sent", report.ok);
    ensure!(after < before + GROWTH, "{before} MiB before, {after} MiB after");
    Ok(format!(
        "{REFUSED} bodies of up to 1 MiB refused, 64 KiB with {wide} keys and with {deep} trees {DEEPEST} deep taken, {after} MiB afterwards"
    ))
}

/// An event, and the request for a message, that takes all memory of whoever has it in hand.
pub(super) async fn hungry(ground: &Ground) -> anyhow::Result<(String, Report)> {
    let (mut words, mut last) = (Vec::new(), None);
    for poison in poisons().iter().take(ground.length(1, 3)) {
        let setup = Setup::default().address_space(ADDRESS_SPACE);
        let (took, report) = Box::pin(ends_everyone(ground, setup, (poison, "allocate"))).await?;
        words.push(format!("{} {took:.1} s", poison.service));
        last = Some(report);
    }
    let report = last.context("nothing is hungry")?;
    Ok((format!("three ends for want of memory, all over after the third: {}", words.join(", ")), report))
}
