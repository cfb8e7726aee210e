//! The parts in order.

use std::fs;

use anyhow::Context as _;

use super::command::{Part, Plan};
use super::machine;
use super::measure::{self, median};
use super::report::{
    cost_table, fire_table, latency_table, memory_table, of, quota_table, rebuild_table, relay_table,
    service_table,
};
use super::system::{Ground, Side};

/// Measures and reports.
pub(super) async fn run(plan: &Plan) -> anyhow::Result<()> {
    let ground = Ground::prepare().await?;
    if plan.redis_first {
        ground.put_redis_first().await?;
    }
    let stop = shared::shutdown::on_signal()?;
    let report = stop.run_until_cancelled(measured(&ground, plan)).await;
    let report = report.unwrap_or_else(|| Err(anyhow::anyhow!("stopped")));
    ground.brokers.shutdown().await?;
    let report = report?;
    if let Some(file) = &plan.markdown {
        fs::write(file, &report).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Runs the parts that are asked for; says each table as soon as it is there, and returns all.
async fn measured(ground: &Ground, plan: &Plan) -> anyhow::Result<String> {
    let (mut report, mut held) = (String::new(), Ok(()));
    let mut say = |part: String| {
        println!("{part}");
        report.push_str(&part);
        report.push('\n');
    };
    let order = if plan.redis_first { "; Redis first on the processors" } else { "" };
    say(format!("{}{order}\n", machine::line(ground)));
    let sides = if plan.floor_only { &[Side::Floor][..] } else { &[Side::Floor, Side::Fleet] };
    if plan.wants(Part::Relay) || plan.wants(Part::Latency) {
        let runs = pairs(plan.pairs, sides, async |side| measure::relay(ground, side, plan.n).await).await?;
        say(relay_table(plan.n, &runs).to_string());
        say(cost_table(&runs).to_string());
        say(service_table(&runs).to_string());
        if plan.wants(Part::Latency) {
            let half = |side| median(of(&runs, side).map(|run| run.rate)) / 2.0;
            let latencies =
                pairs(2, sides, async |side| measure::latency(ground, side, half(side)).await).await?;
            say(latency_table(&latencies).to_string());
        }
    }
    if plan.wants(Part::Fire) {
        let runs = pairs(plan.due_pairs, sides, async |side| measure::fire(ground, side, plan.due).await);
        say(fire_table(plan.due, &runs.await?).to_string());
    }
    if plan.wants(Part::Memory) && !plan.floor_only {
        say(memory_table(&measure::memory(ground, plan.timers).await?).to_string());
    }
    if plan.wants(Part::Quota) {
        let quota = measure::quota(ground, plan.due).await?;
        say(quota_table(&quota).to_string());
        held = quota.hold();
    }
    if plan.wants(Part::Rebuild) {
        say(rebuild_table(&measure::rebuild(ground, plan.timers).await?).to_string());
    }
    // Said last, so that the other parts are measured all the same.
    held.map(|()| report)
}

/// Both sides in turns, `count` times.
async fn pairs<T>(
    count: usize,
    sides: &[Side],
    mut one: impl AsyncFnMut(Side) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<(Side, T)>> {
    let mut runs = Vec::new();
    for pair in 1..=count {
        for side in sides {
            eprintln!("{} {pair} of {count}, load average {}", side.name(), machine::load());
            let run = one(*side).await.with_context(|| format!("{}, pair {pair}", side.name()))?;
            runs.push((*side, run));
        }
    }
    Ok(runs)
}
