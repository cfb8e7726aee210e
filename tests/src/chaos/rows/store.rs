//! F35 to F45: Redis dead, mute, full and busy; clocks that are wrong.

use std::time::Duration;

use anyhow::ensure;

use super::life::lasts;
use crate::brokers::Server;
use crate::chaos::checker::Bounds;
use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Needs, Row, Seen};
use crate::chaos::proxy::{Cable, End, Flow};
use crate::chaos::stored::Stored;
use crate::chaos::trial::{Setup, Trial};

/// The rows.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(in crate::chaos) fn rows() -> Vec<Row> {
    let alone = (Needs::Alone, false);
    vec![
        Row::runs(
            "F35",
            ["Redis dies", "kill -9 and restart with its append-only file, under load", "none lost"],
            (Needs::Alone, true),
            dies,
        ),
        Row::runs(
            "F39",
            [
                "the network to Redis swallows everything",
                "a cable that delivers nothing for 15 s, without a reset; one that is cut when an event was committed and the answer is on its way",
                "goes on by itself; what was committed has its line in the journal",
            ],
            (Needs::Lane, false),
            swallowed,
        ),
        Row::runs(
            "F40",
            [
                "Redis is frozen",
                "SIGSTOP for 3 s and for 60 s",
                "what timed out may have happened: no claim lost, none sent twice",
            ],
            alone,
            frozen,
        ),
        Row::runs(
            "F41",
            [
                "Redis is full",
                "maxmemory 1 with noeviction while 20 events come",
                "intake waits, nothing lost, goes on by itself",
            ],
            (Needs::Alone, true),
            full,
        ),
        Row::runs(
            "F43",
            [
                "Redis forgets its scripts, is busy with one, or refuses them",
                "SCRIPT FLUSH under load; a script that runs for 8 s; the access list takes EVALSHA away while 20 events come",
                "loaded again; what is refused is named; none lost",
            ],
            (Needs::Alone, false),
            scripts,
        ),
        Row::quick(
            "F44",
            [
                "Redis's clock jumps",
                "an hour ahead and an hour back, with a timer armed for half an hour from now (the matrix: and on one scheduler, which F45 does)",
                "nothing early; emission stops until the clocks agree",
            ],
            clock_jumps,
        ),
        Row::quick(
            "F45",
            [
                "two schedulers disagree on the time",
                "a second one's clock is 5 minutes ahead, a third one's 5 minutes behind; both abort at their first claim",
                "each message once, by Redis's time; the wrong ones do not emit",
            ],
            clocks_apart,
        ),
    ]
}

async fn dies(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    trial.publish(50).await?;
    ground.brokers.kill(Server::Redis).await?;
    trial.publish(50).await?;
    ground.brokers.start_again(Server::Redis).await?;
    trial.mended();
    let took = trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    Ok(Seen::new(format!("all over {took:.1} s after it answered"), report))
}

async fn swallowed(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default().through("redis")).await?;
    trial.publish(20).await?;
    trial.cable("redis")?.set(Cable::Hold);
    trial.publish(20).await?;
    lasts(Duration::from_secs(15)).await;
    trial.cable("redis")?.mend();
    trial.mended();
    let took = trial.settle().await?;
    let report = trial.close(Bounds { doubts: 20, ..Bounds::default() }).await?;
    answer_lost(&ground).await?;
    Ok(Seen::new(format!("all over {took:.1} s after it was mended; journaled without the answer"), report))
}

/// The scheduler repeats what it knows no end of, and finds the event taken: by itself, a moment ago.
async fn answer_lost(ground: &Ground) -> anyhow::Result<()> {
    let mut trial = Trial::start(ground, Setup::default().through("redis")).await?;
    // Each answer long enough on its way to be lost there.
    let slow = Flow { latency: Duration::from_secs(1), ..Flow::default() };
    trial.cable("redis")?.set(Cable::SlowAnswers(slow));
    trial.publish(1).await?;
    trial
        .wait_for("the event is committed", async |trial: &Trial| {
            Ok(Stored::count(&trial.ground).await?.total() == 1)
        })
        .await?;
    trial.cable("redis")?.set(Cable::Cut(End::Reset));
    trial
        .wait_for("intake tries again", async |trial: &Trial| {
            Ok(trial.crew.log_of("scheduler").contains("event not taken yet"))
        })
        .await?;
    trial.cable("redis")?.mend();
    trial.settle().await?;
    trial.close(Bounds::default()).await.map(drop)
}

async fn frozen(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    let mut took = Vec::new();
    for seconds in [3, 60] {
        trial.publish(20).await?;
        ground.brokers.pause(Server::Redis).await?;
        trial.publish(20).await?;
        lasts(Duration::from_secs(seconds)).await;
        ground.brokers.resume(Server::Redis).await?;
        trial.mended();
        took.push(trial.settle().await?);
    }
    // An intent that the freeze outlasted is a doubt: its answer came, and could be recorded only later.
    let report = trial.close(Bounds { doubts: 20, ..Bounds::default() }).await?;
    Ok(Seen::new(format!("all over {:.1} s after 3 s, {:.1} s after 60 s", took[0], took[1]), report))
}

async fn full(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    ground.limit_redis(1).await?;
    trial.publish(20).await?;
    trial
        .wait_for("intake says why it waits", async |trial: &Trial| {
            Ok(trial.crew.log_of("scheduler").contains("event not taken yet"))
        })
        .await?;
    let created = trial.created().await?;
    ground.limit_redis(0).await?;
    trial.mended();
    let took = trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    ensure!(created == 0, "{created} messages were sent without a record");
    Ok(Seen::new(format!("intake waited; all over {took:.1} s after there was room"), report))
}

async fn scripts(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    let mut redis = ground.redis().await?;
    for _ in 0..5 {
        ground.forget_scripts().await?;
        trial.publish(10).await?;
    }
    trial.settle().await?;
    let (mut busy, endless) = (ground.redis().await?, "while true do end");
    let script =
        tokio::spawn(
            async move { redis::cmd("EVAL").arg(endless).arg(0).query_async::<()>(&mut busy).await },
        );
    trial.publish(20).await?;
    lasts(Duration::from_secs(8)).await;
    redis::cmd("SCRIPT").arg("KILL").query_async::<()>(&mut redis).await?;
    ensure!(script.await?.is_err(), "the endless script ended by itself");
    trial.mended();
    let took = trial.settle().await?;
    let granted = without_permission(&ground, &mut trial).await?;
    let report = trial.close(Bounds { doubts: 20, ..Bounds::default() }).await?;
    Ok(Seen::new(
        format!(
            "loaded again after each flush; all over {took:.1} s after the busy script; NOPERM named, all over {granted:.1} s after it was granted"
        ),
        report,
    ))
}

/// The access list lacks what the services need. Not a command in the middle of a script: Redis takes back nothing
/// that the script did before.
async fn without_permission(ground: &Ground, trial: &mut Trial) -> anyhow::Result<f64> {
    let mut redis = ground.redis().await?;
    let mut rule = async |rule: &str| {
        redis::cmd("ACL").arg("SETUSER").arg("default").arg(rule).query_async::<()>(&mut redis).await
    };
    rule("-evalsha").await?;
    trial.publish(20).await?;
    let named = trial
        .wait_for("intake names the refusal", async |trial: &Trial| {
            Ok(trial.crew.log_of("scheduler").contains("redis refused a command: NOPERM"))
        })
        .await;
    rule("+@all").await?;
    named?;
    trial.mended();
    trial.settle().await
}

async fn clock_jumps(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial =
        Trial::start(&ground, Setup::default().variable("PROMEMORIA_TEST_CLOCKS", "agree")).await?;
    let hour = 3_600_000_i64;
    for jump in [hour, -hour] {
        // Emitted before the jump, so that the claiming loop is at work when it comes.
        trial.publish(5).await?;
        trial.settle().await?;
        let before = trial.created().await?;
        let armed = trial.arm_in(Duration::from_mins(30)).await?;
        trial.shift_clock(jump).await?;
        trial.wait_readiness("scheduler", false).await?;
        trial.publish(5).await?;
        trial.wait_for("the events are taken in", async |trial: &Trial| Ok(trial.due().await? == 6)).await?;
        let early = trial.created().await? - before;
        ensure!(early == 0, "{early} messages were sent while the clocks differed");
        trial.shift_clock(-jump).await?;
        trial.wait_readiness("scheduler", true).await?;
        trial.disarm(armed).await?;
        if jump > 0 {
            // Taken while Redis was an hour ahead, they are due in an hour: late, which can be mended.
            trial.make_due(usize::MAX).await?;
        }
        trial.settle().await?;
    }
    let report = trial.close(Bounds::default()).await?;
    Ok(Seen::new(
        "an hour ahead and an hour back: emission stopped, nothing early, all sent afterwards",
        report,
    ))
}

async fn clocks_apart(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial =
        Trial::start(&ground, Setup::default().variable("PROMEMORIA_TEST_CLOCKS", "agree")).await?;
    for ahead_ms in ["300000", "-300000"] {
        let armed =
            [("PROMEMORIA_TEST_CLOCK_AHEAD_MS", ahead_ms), ("PROMEMORIA_CRASH_POINT", "emit.claimed")];
        trial.crew.enlist("scheduler", &armed)?;
    }
    let says = "the clocks of redis and of this process differ";
    trial
        .wait_for("the wrong ones say so", async |trial: &Trial| {
            Ok(trial.crew.log_of("scheduler").matches(says).count() >= 2)
        })
        .await?;
    trial.publish(40).await?;
    trial.settle().await?;
    // Each answers still: it would have aborted at a claim.
    let schedulers = trial.crew.metrics_of("scheduler").await?.len();
    let report = trial.close(Bounds::default()).await?;
    ensure!(schedulers == 3, "a scheduler with a wrong clock is gone");
    Ok(Seen::new("the schedulers with a wrong clock said so and claimed nothing", report))
}
