//! The tables of the report.

use super::measure::{Fire, Latency, Memory, Quota, Rebuild, Relay, median};
use super::system::Side;
use super::table::Table;

/// The runs of one side.
pub(super) fn of<T>(runs: &[(Side, T)], side: Side) -> impl Iterator<Item = &T> {
    runs.iter().filter(move |(of, _)| *of == side).map(|(_, run)| run)
}

/// One row for each pair: the floor's figure, the fleet's, their ratio; and the median ratio.
fn paired<T>(
    table: &mut Table,
    runs: &[(Side, T)],
    figure: impl Fn(&T) -> f64,
    more: impl Fn(&T, Option<&T>) -> Vec<String>,
) {
    let fleet: Vec<&T> = of(runs, Side::Fleet).collect();
    let mut ratios = Vec::new();
    for (place, floor) in of(runs, Side::Floor).enumerate() {
        let other = fleet.get(place).copied();
        let mut cells = vec![(place + 1).to_string(), format!("{:.0}", figure(floor))];
        if let Some(other) = other {
            ratios.push(figure(other) / figure(floor));
            cells.extend([format!("{:.0}", figure(other)), format!("{:.2}", figure(other) / figure(floor))]);
        } else {
            cells.extend(["-".to_owned(), "-".to_owned()]);
        }
        cells.extend(more(floor, other));
        table.row(cells);
    }
    let mut cells = vec!["median".to_owned(), format!("{:.0}", median(of(runs, Side::Floor).map(&figure)))];
    if !ratios.is_empty() {
        cells.push(format!("{:.0}", median(fleet.iter().map(|run| figure(run)))));
        cells.push(format!("**{:.2}**", median(ratios)));
    }
    table.row(cells);
}

fn both<T>(floor: &T, fleet: Option<&T>, figure: impl Fn(&T) -> f64, digits: usize) -> String {
    let text = |run: &T| format!("{:.digits$}", figure(run));
    fleet.map_or_else(|| text(floor), |fleet| format!("{} / {}", text(floor), text(fleet)))
}

/// Messages a second, pair by pair.
pub(super) fn relay_table(n: u64, runs: &[(Side, Relay)]) -> Table {
    let title = format!("Relay: {n} events to {n} messages at IO, each exactly once, messages a second");
    let mut table = Table::new(
        &title,
        ["pair", "floor", "fleet", "ratio", "others' CPU %", "scripts a message", "slowest script ms"],
    );
    paired(
        &mut table,
        runs,
        |run| run.rate,
        |floor, fleet| {
            vec![
                both(floor, fleet, |run| run.cost.others_percent, 0),
                both(floor, fleet, |run| run.scripts, 2),
                both(floor, fleet, |run| run.slowest_script_ms, 1),
            ]
        },
    );
    table
}

/// CPU time of each process.
pub(super) fn cost_table(runs: &[(Side, Relay)]) -> Table {
    let mut table =
        Table::new("CPU microseconds a message (median of the runs)", ["process", "floor", "fleet"]);
    let costs = |side| of(runs, side).map(|run: &Relay| &run.cost.per_message).collect::<Vec<_>>();
    let (floor, fleet) = (costs(Side::Floor), costs(Side::Fleet));
    let each = |runs: &[&Vec<(&str, f64)>], place: usize| {
        median(runs.iter().filter_map(|run| run.get(place)).map(|(_, us)| *us))
    };
    let names = floor.first().map(|run| run.iter().map(|(name, _)| *name)).into_iter().flatten();
    let mut sums = (0.0, 0.0);
    for (place, name) in names.enumerate() {
        let (of_floor, of_fleet) = (each(&floor, place), each(&fleet, place));
        sums = (sums.0 + of_floor, sums.1 + of_fleet);
        table.row(vec![name.to_owned(), format!("{of_floor:.0}"), format!("{of_fleet:.0}")]);
    }
    table.row(vec!["all".to_owned(), format!("{:.0}", sums.0), format!("{:.0}", sums.1)]);
    table
}

/// Start and memory of the services.
pub(super) fn service_table(runs: &[(Side, Relay)]) -> Table {
    let mut table = Table::new(
        "Processes (median of the runs)",
        ["side", "process", "start to ready ms", "MiB idle", "MiB after the run"],
    );
    for side in [Side::Floor, Side::Fleet] {
        let services: Vec<_> = of(runs, side).map(|run| &run.services).collect();
        let names = services.first().map(|run| run.iter().map(|service| service.0));
        for (place, name) in names.into_iter().flatten().enumerate() {
            let each = || services.iter().filter_map(|run| run.get(place));
            table.row(vec![
                side.name().to_owned(),
                name.to_owned(),
                format!("{:.0}", median(each().map(|service| service.1))),
                format!("{:.1}", median(each().map(|service| service.2))),
                format!("{:.1}", median(each().map(|service| service.3))),
            ]);
        }
    }
    table
}

/// Latency of each run.
pub(super) fn latency_table(runs: &[(Side, Latency)]) -> Table {
    let title = "Latency at half of the own rate, open loop, from the intended time, first 10 % skipped";
    let mut table = Table::new(title, ["side", "events a second", "p50 ms", "p99 ms"]);
    for (side, run) in runs {
        table.row(vec![
            side.name().to_owned(),
            format!("{:.0}", run.rate),
            format!("{:.1}", run.p50_ms),
            format!("{:.1}", run.p99_ms),
        ]);
    }
    table
}

/// Timers a second, pair by pair.
pub(super) fn fire_table(n: u64, runs: &[(Side, Fire)]) -> Table {
    let title = format!("{n} timers due at one instant: confirmed on the render queue, timers a second");
    let mut table = Table::new(&title, ["pair", "floor", "fleet", "ratio", "slowest script ms"]);
    paired(
        &mut table,
        runs,
        |run| run.rate,
        |floor, fleet| vec![both(floor, fleet, |run| run.slowest_script_ms, 1)],
    );
    table
}

/// The limit and the fresh messages beside a backlog.
pub(super) fn quota_table(run: &Quota) -> Table {
    let mut table = Table::new(
        "One IO account, several dispatchers, a backlog",
        [
            "dispatchers",
            "due at once",
            "limit in 5 s",
            "most in any 5 s",
            "limit used",
            "fresh, median ms",
            "fresh, longest ms",
        ],
    );
    table.row(vec![
        run.dispatchers.to_string(),
        run.due.to_string(),
        run.limit.to_string(),
        run.busiest.to_string(),
        format!("{:.1} %", run.used * 100.0),
        format!("{:.0}", run.fresh_ms[0]),
        format!("{:.0}", run.fresh_ms[1]),
    ]);
    table.note("Fresh: another ente of the same account, one event every 2 s, from event to IO.".to_owned());
    table.note(
        "Calls are counted as the sandbox sees them: a stalled machine moves some to a later window."
            .to_owned(),
    );
    table
}

/// A Redis put back from the journal.
pub(super) fn rebuild_table(run: &Rebuild) -> Table {
    let mut table = Table::new(
        "An empty Redis rebuilt from the journal",
        ["events", "put back a second", "known a second, when repeated", "slowest script ms"],
    );
    table.row(vec![
        run.events.to_string(),
        format!("{:.0}", run.rate),
        format!("{:.0}", run.again),
        format!("{:.1}", run.slowest_script_ms),
    ]);
    table.note("Each event arms four timers, whose announcements are four more lines to read.".to_owned());
    table
}

/// Bytes a timer.
pub(super) fn memory_table(runs: &[Memory]) -> Table {
    let mut table = Table::new(
        "Redis memory of armed timers, every key counted",
        [
            "timers a case",
            "timers",
            "bytes a timer",
            "armed a second",
            "mean script us",
            "slowest script ms",
            "slowest claim of 250 ms",
        ],
    );
    for run in runs {
        table.row(vec![
            run.timers_per_case.to_string(),
            run.timers.to_string(),
            format!("{:.0}", run.bytes),
            format!("{:.0}", run.rate),
            format!("{:.0}", run.mean_script_us),
            format!("{:.1}", run.slowest_script_ms),
            format!("{:.1}", run.slowest_claim_ms),
        ]);
    }
    table.note("The slowest script is wall time: it includes being put aside by the kernel.".to_owned());
    table
}
