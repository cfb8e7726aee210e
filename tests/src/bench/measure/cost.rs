//! CPU time of everything that takes part, between two looks.

use std::fs;

use tokio::time::Instant;

use super::figure;
use crate::bench::process::{self, Worker};
use crate::bench::system::Ground;
use crate::brokers::Server;

/// Clock ticks a second, as in [`process`].
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time so far.
pub(super) struct Look {
    at: Instant,
    /// Microseconds of each process, by name.
    each: Vec<(&'static str, f64)>,
    /// Microseconds that all processes of the machine used.
    machine_us: f64,
}

/// What was used between two looks.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Cost {
    /// Microseconds a message, by name.
    pub(in crate::bench) per_message: Vec<(&'static str, f64)>,
    /// Share of the machine's CPU that others used, percent.
    pub(in crate::bench) others_percent: f64,
}

impl Look {
    /// Looks now.
    pub(super) async fn take(ground: &Ground, workers: &[&Worker]) -> anyhow::Result<Self> {
        let mut each = Vec::new();
        for (name, server) in [("RabbitMQ", Server::RabbitMq), ("Redis", Server::Redis)] {
            let pids = ground.brokers.pids(server).await?;
            each.push((name, pids.into_iter().map(process::cpu_us).sum()));
        }
        each.extend(workers.iter().map(|worker| (worker.name, worker.cpu_us())));
        Ok(Self { at: Instant::now(), each, machine_us: machine_us() })
    }

    /// What was used from this look to a later one, over `n` messages.
    pub(super) fn until(&self, later: &Self, n: u64) -> Cost {
        let used: Vec<(&'static str, f64)> =
            self.each.iter().zip(&later.each).map(|((name, from), (_, to))| (*name, to - from)).collect();
        let ours: f64 = used.iter().map(|(_, us)| us).sum();
        let others = (later.machine_us - self.machine_us - ours).max(0.0);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let there = (later.at - self.at).as_secs_f64() * 1e6 * figure(cores as u64);
        Cost {
            per_message: used.into_iter().map(|(name, us)| (name, us / figure(n))).collect(),
            others_percent: others / there * 100.0,
        }
    }
}

/// user, nice, system, irq, softirq of the first line of `/proc/stat` (proc(5)).
fn machine_us() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    let busy = [0, 1, 2, 5, 6];
    busy.iter().filter_map(|place| ticks.get(*place)).sum::<f64>() / TICKS_PER_SECOND * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_of_ours_used_is_others() {
        let at = Instant::now();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let from = Look { at, each: vec![("a", 100.0)], machine_us: 0.0 };
        let to = Look {
            at: at + std::time::Duration::from_secs(1),
            each: vec![("a", 1_100.0)],
            machine_us: 1_000.0 + figure(cores as u64) * 500_000.0,
        };
        let cost = from.until(&to, 10);
        assert_eq!(cost.per_message, vec![("a", 100.0)]);
        assert!((cost.others_percent - 50.0).abs() < 1e-9);
    }
}
