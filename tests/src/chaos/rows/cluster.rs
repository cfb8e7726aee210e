//! F22 to F24: RabbitMQ as three nodes, of which some die or are cut off.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, sleep};

use super::life::lasts;
use crate::brokers::{Cluster, Minority, NODES, Network};
use crate::chaos::bounds::Measure;
use crate::chaos::checker::Bounds;
use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Needs, Row, Seen};
use crate::chaos::trial::{Setup, Trial};
use crate::fleet::SERVICES;

/// How long a majority is away, and how long a node is cut off: longer than the time after which the nodes
/// take a silent one for gone (15 to 20 s).
const AWAY: Duration = Duration::from_mins(1);
/// How long a publish may be unconfirmed before it counts as not taken; lapin's own limit is longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a cluster may take to confirm that is well again; then it is asked on another connection.
const ANSWERS: Duration = Duration::from_secs(1);
/// Between two events of a steady load.
const PACE: Duration = Duration::from_millis(50);

/// The rows.
pub(in crate::chaos) fn rows() -> Vec<Row> {
    // Each has brokers of its own beside the shared Redis.
    let lane = (Needs::Lane, false);
    let apart = Row::runs(
        "F24",
        [
            "the broker's cluster is partitioned",
            "three nodes, each in a network namespace; the leader, which fleet and integrator are connected to, is cut off from the others for 60 s",
            "the minority confirms nothing, the majority goes on; whole again by itself",
        ],
        lane,
        partitioned,
    );
    vec![
        Row::runs(
            "F22",
            [
                "a node of the broker's cluster dies",
                "three nodes under a steady load: kill -9 of the leader, then of each node in turn, each started again",
                "confirms go on within 5 s",
            ],
            lane,
            node_by_node,
        ),
        Row::runs(
            "F23",
            [
                "the broker's cluster loses its majority",
                "three nodes, kill -9 of two for 60 s; once the third stops, once it keeps its connections",
                "nothing is confirmed, every service is not ready; goes on by itself: counted from when a publisher of its own is confirmed, on a new connection",
            ],
            lane,
            without_majority,
        ),
        apart.only_if(Network::is_possible),
    ]
}

/// A fleet on a cluster that is not killed in its first second.
async fn begin(ground: &Ground, cluster: &Cluster) -> anyhow::Result<Trial> {
    let trial = Trial::start(ground, Setup::default()).await?;
    cluster.write_down().await?;
    Ok(trial)
}

async fn node_by_node(ground: Ground) -> anyhow::Result<Seen> {
    let cluster = Cluster::start(false, Minority::Pauses).await?;
    let ground = ground.on_cluster(&cluster);
    let mut trial = begin(&ground, &cluster).await?;
    let over = AtomicBool::new(false);
    let kills = async {
        let first = cluster.leader("promemoria.events").await?;
        for node in std::iter::once(first).chain((0..NODES).filter(|node| *node != first)) {
            cluster.kill(node).await?;
            // What it led is led by another before it is back.
            lasts(PATIENCE).await;
            cluster.start_again(node).await?;
            cluster.wait_whole().await?;
        }
        over.store(true, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let (gap, kills) = tokio::join!(steadily(&mut trial, &over), kills);
    kills?;
    let gap = gap?;
    ground.stopwatch.hold(Measure::Gap, gap)?;
    trial.mended();
    let took = trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    cluster.shutdown().await?;
    let longest = gap.as_secs_f64();
    Ok(Seen::new(
        format!("longest time without a confirm {longest:.1} s; all over {took:.1} s after the last"),
        report,
    ))
}

/// Publishes one event after another until it is over; returns the longest time to a confirm.
async fn steadily(trial: &mut Trial, over: &AtomicBool) -> anyhow::Result<Duration> {
    let mut longest = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        trial.publish(1).await?;
        longest = longest.max(begun.elapsed());
        sleep(PACE).await;
    }
    Ok(longest)
}

async fn without_majority(ground: Ground) -> anyhow::Result<Seen> {
    let goes_on = majority_lost(&ground, Minority::GoesOn).await?;
    let pauses = majority_lost(&ground, Minority::Pauses).await?;
    Ok(Seen { words: format!("{}; where the third goes on: {}", pauses.words, goes_on.words), ..pauses })
}

async fn majority_lost(ground: &Ground, minority: Minority) -> anyhow::Result<Seen> {
    let cluster = Cluster::start(false, minority).await?;
    let ground = ground.clone().on_cluster(&cluster);
    let mut trial = begin(&ground, &cluster).await?;
    trial.publish(20).await?;
    let begun = Instant::now();
    for node in [0, 1] {
        cluster.kill(node).await?;
    }
    let mut offers = 0;
    for service in SERVICES {
        trial.wait_readiness(service, false).await?;
    }
    while begun.elapsed() < AWAY {
        ensure!(!trial.is_taken(PATIENCE).await?, "one node of three confirmed an event");
        offers += 1;
        sleep(PACE).await;
    }
    for node in [0, 1] {
        cluster.start_again(node).await?;
    }
    cluster.wait_whole().await?;
    let whole = Instant::now();
    // Whole, its queues may still elect who leads them: that is RabbitMQ's time, not the fleet's.
    while !trial.is_taken(ANSWERS).await? {
        ensure!(whole.elapsed() < PATIENCE * 12, "the cluster is whole and confirms nothing");
    }
    let confirms = whole.elapsed().as_secs_f64();
    trial.mended();
    trial.publish(20).await?;
    for service in SERVICES {
        trial.wait_readiness(service, true).await?;
    }
    let took = trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    cluster.shutdown().await?;
    Ok(Seen::new(
        format!(
            "{offers} offers, none confirmed; not ready meanwhile; the cluster confirmed {confirms:.1} s after it was whole, all over {took:.1} s later"
        ),
        report,
    ))
}

async fn partitioned(ground: Ground) -> anyhow::Result<Seen> {
    let cluster = Cluster::start(true, Minority::Pauses).await?;
    let ground = ground.on_cluster(&cluster);
    let mut trial = begin(&ground, &cluster).await?;
    trial.publish(20).await?;
    trial.settle().await?;
    // Queues are led by the node on which they were declared: the first, where everybody is connected.
    let minority = cluster.leader("promemoria.events").await?;
    cluster.cut(minority)?;
    let begun = Instant::now();
    let cut_off = cluster.urls()[minority].clone();
    let (mut refused, mut by_minority, mut taken) = (0, 0, 0);
    while begun.elapsed() < AWAY {
        // In turn to each node, the minority's too; one that takes no connection is passed over.
        let offered_to_minority = trial.integrator.node() == cut_off;
        if !trial.is_taken(PATIENCE).await? {
            refused += usize::from(offered_to_minority);
        } else if trial.integrator.node() == cut_off {
            by_minority += 1;
        } else {
            taken += 1;
        }
        trial.integrator.elsewhere().await;
        sleep(PACE * 4).await;
    }
    cluster.mend(minority)?;
    cluster.wait_whole().await?;
    trial.mended();
    for service in SERVICES {
        trial.wait_readiness(service, true).await?;
    }
    trial.publish(20).await?;
    let took = trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    cluster.shutdown().await?;
    ensure!(by_minority == 0, "the minority confirmed {by_minority} events");
    ensure!(refused > 0 && taken > 0, "{refused} refused and {taken} taken: nothing was cut");
    Ok(Seen::new(
        format!(
            "the minority confirmed none of {refused}, the majority {taken}, none of which is lost; all over {took:.1} s after the cluster was whole"
        ),
        report,
    ))
}
