//! F36 to F38: Redis empty, an old copy of itself, and failed over while it takes writes; F42: one that would lose
//! timers, which nobody starts on.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use rustix::process::Signal;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::brokers::{Network, Server, Solos};
use crate::chaos::bounds::Measure;
use crate::chaos::checker::{Bounds, CANARIES};
use crate::chaos::crew::{Crew, STEP};
use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Needs, Row, Seen};
use crate::chaos::proxy::Cable;
use crate::chaos::result::Report;
use crate::chaos::rows::life::frozen;
use crate::chaos::trial::{Setup, Trial};
use crate::fleet::{Enti, SERVICES};

/// What production runs with.
const DURABLE: [&str; 6] = ["--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"];
/// Within this a client has left a server that was demoted.
const LEAVES: Duration = Duration::from_secs(5);
/// Between two questions to a server that tells of no change.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// The rows.
pub(in crate::chaos) fn rows() -> Vec<Row> {
    let lane = (Needs::Lane, false);
    let failover = Row::runs(
        "F38",
        [
            "Sentinel fails over",
            "two servers and three sentinels in network namespaces; the master, which still takes the fleet's writes, is cut off from the rest until there is another, then joined again",
            "the fleet leaves the demoted server within 5 s; what only it had is replayed",
        ],
        lane,
        failed_over,
    );
    vec![
        Row::runs(
            "F36",
            [
                "Redis is empty",
                "FLUSHALL; kill -9, FLUSHALL and a restart; FLUSHALL and the rebuild between the record of a sending and its telling",
                "noticed at the next poll and rebuilt; none lost, none sent again, every timer armed",
            ],
            (Needs::Alone, false),
            emptied,
        ),
        Row::runs(
            "F37",
            [
                "Redis is an old copy of itself",
                "everything in it replaced by a copy that is 5 s old, some of which was on its way then; killed, and back as a copy from between the last claim and the sending",
                "as F36",
            ],
            (Needs::Alone, false),
            old_copy,
        ),
        failover.only_if(Network::is_possible),
        Row::quick(
            "F42",
            [
                "Redis would evict, or does not persist",
                "each service started on a server with allkeys-lru, and on one without append-only file",
                "refuses to start and says what to set; starts on a good one",
            ],
            careless,
        ),
    ]
}

/// Sends twenty messages and arms the reminders of five permits.
async fn begin(ground: &Ground) -> anyhow::Result<Trial> {
    let mut trial = Trial::start(ground, Setup::default()).await?;
    trial.publish(20).await?;
    for number in 0..5 {
        let permit = json!({
            "codice_fiscale": CANARIES[0], "tipo_permesso": "O", "data_scadenza": "2036-06-30",
        });
        trial.say("permesso.registrato", &format!("P-{number}"), permit).await?;
    }
    trial.until("the reminders are armed", |book| book.count("messaggio.programmato") == 15).await?;
    trial.settle().await?;
    Ok(trial)
}

/// Waits until a loss was noticed and mended, while more comes; then nothing of before may go again. Returns the seconds
/// until it was noticed, and until all was over.
async fn rebuilt(trial: &mut Trial, timers: usize, lost: Instant) -> anyhow::Result<[f64; 2]> {
    trial.wait_missing("scheduler", "ledger").await?;
    let found = lost.elapsed();
    trial.ground.stopwatch.hold(Measure::Found, found)?;
    trial.publish(5).await?;
    trial.wait_readiness("scheduler", true).await?;
    trial.mended_at(lost);
    let took = trial.settle().await?;
    let armed = trial.due().await?;
    ensure!(armed == timers, "{armed} timers are armed, not {timers}");
    let before = trial.created().await?;
    trial.publish_again(0..20, "").await?;
    trial.publish(1).await?;
    trial.settle().await?;
    let after = trial.created().await?;
    ensure!(after == before + 1, "{} messages were sent again", after - before - 1);
    Ok([found.as_secs_f64(), took])
}

/// Redis is lost between the record of a sending and its telling, which comes after the rebuild has marked the end.
async fn told_late(ground: &Ground) -> anyhow::Result<()> {
    let setup = Setup::default().crash("dispatcher", "dispatcher.settled:1:stop");
    let mut trial = Trial::start(ground, setup).await?;
    trial.publish(1).await?;
    frozen(&trial).await?;
    ground.empty_redis().await?;
    trial.wait_missing("scheduler", "ledger").await?;
    trial.wait_readiness("scheduler", true).await?;
    trial.mended();
    trial.crew.signal("dispatcher", Signal::CONT)?;
    trial.settle().await?;
    trial.close(Bounds::default()).await?;
    Ok(())
}

async fn emptied(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = begin(&ground).await?;
    let timers = trial.due().await?;
    ground.empty_redis().await?;
    let [found, flushed] = rebuilt(&mut trial, timers, Instant::now()).await?;
    // Emptied first, since a server that is back is asked at once.
    ground.empty_redis().await?;
    ground.kill_for(Server::Redis, Duration::ZERO).await?;
    ground.empty_redis().await?;
    let [_, restarted] = rebuilt(&mut trial, timers, Instant::now()).await?;
    let report = trial.close(Bounds::default()).await?;
    Box::pin(told_late(&ground)).await?;
    Ok(Seen::new(
        format!(
            "noticed {found:.1} s and rebuilt {flushed:.1} s after FLUSHALL, {restarted:.1} s after the restart; {timers} timers armed again; what was told after a rebuild is over and not in doubt"
        ),
        report,
    ))
}

async fn old_copy(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = begin(&ground).await?;
    let timers = trial.due().await?;
    let mut redis = ground.redis().await?;
    // Some are on their way when the copy is made.
    trial.publish(20).await?;
    let copy = Copy::take(&mut redis).await?;
    let taken = Instant::now();
    while taken.elapsed() < Duration::from_secs(5) {
        trial.publish(5).await?;
        sleep(Duration::from_millis(200)).await;
    }
    trial.settle().await?;
    copy.restore(&mut redis).await?;
    let [found, took] = rebuilt(&mut trial, timers, Instant::now()).await?;
    trial.close(Bounds::default()).await?;
    let report = lost_after_the_last_claim(&ground).await?;
    Ok(Seen::new(
        format!(
            "noticed after {found:.1} s, the lost 5 s replayed within {took:.1} s; none sent again, nor what no mark tells of"
        ),
        report,
    ))
}

/// What is lost came after the last claim, so that the mark of the copy is the highest that anybody saw. Only the run
/// of the server tells.
async fn lost_after_the_last_claim(ground: &Ground) -> anyhow::Result<Report> {
    let setup = Setup::default().with("SCHEDULER__POLL", "1m").through("redis");
    let mut trial = Trial::start(ground, setup).await?;
    // Frozen and not killed: a new one would wait for a claim of after its start.
    trial.crew.signal("dispatcher", Signal::STOP)?;
    trial.publish(1).await?;
    let mut redis = ground.redis().await?;
    trial.wait_for("it is rendered", is_rendered).await?;
    // Otherwise it might claim once more, and the mark be above the copy's.
    trial.crew.signal("scheduler", Signal::STOP)?;
    let copy = Copy::take(&mut redis).await?;
    let mark = mark(&mut redis).await?;
    trial.crew.signal("dispatcher", Signal::CONT)?;
    trial.until("it is sent", |book| book.count("messaggio.inviato") == 1).await?;
    ensure!(self::mark(&mut redis).await? == mark, "the copy's mark is not that of the last claim");
    trial.cable("redis")?.set(Cable::Refuse);
    ground.kill_for(Server::Redis, Duration::ZERO).await?;
    copy.restore(&mut ground.redis().await?).await?;
    trial.cable("redis")?.mend();
    trial.crew.signal("scheduler", Signal::CONT)?;
    // Their event has the schedule looked at, with the lease of the first long over.
    trial.advance(Duration::from_mins(2)).await?;
    trial.publish(5).await?;
    trial.settle().await?;
    let created = trial.created().await?;
    ensure!(created == 6, "{created} created, not 6");
    trial.close(Bounds::default()).await
}

/// Whether the renderer made something of a request.
async fn is_rendered(trial: &Trial) -> anyhow::Result<bool> {
    let metrics = trial.crew.metrics_of("renderer").await?.concat();
    let counts = metrics.lines().filter(|line| line.starts_with("promemoria_stage_duration_seconds_count{"));
    Ok(counts.filter(|line| line.contains("stage=\"render\"")).any(|line| !line.ends_with(" 0")))
}

/// The instant of the last claim, milliseconds of Redis' clock.
async fn mark(redis: &mut MultiplexedConnection) -> anyhow::Result<u64> {
    Ok(redis.get("pm:{borgochiaro}:mark").await?)
}

/// Everything that a database held at one instant.
struct Copy(Vec<(Vec<u8>, Vec<u8>)>);

impl Copy {
    async fn take(redis: &mut MultiplexedConnection) -> anyhow::Result<Self> {
        let script = redis::Script::new(
            "local all = {}
             for _, key in ipairs(redis.call('KEYS', '*')) do all[#all + 1] = { key, redis.call('DUMP', key) } end
             return all",
        );
        Ok(Self(script.invoke_async(redis).await?))
    }

    /// Puts it in the place of what is there, at one instant.
    async fn restore(&self, redis: &mut MultiplexedConnection) -> anyhow::Result<()> {
        let mut all = redis::pipe();
        all.atomic().cmd("FLUSHDB").ignore();
        for (key, value) in &self.0 {
            all.cmd("RESTORE").arg(key).arg(0).arg(value).ignore();
        }
        Ok(all.query_async(redis).await?)
    }
}

/// Two servers and three sentinels, the first server on a host of its own.
struct Watched {
    network: Network,
    /// Addresses of master and replica, `host:port`.
    servers: [String; 2],
    sentinels: Vec<String>,
    _solos: Solos,
}

impl Watched {
    async fn start() -> anyhow::Result<Self> {
        let mut solos = Solos::new()?;
        let network = solos.network(2)?;
        let open = [&DURABLE[..], &["--protected-mode", "no"]].concat();
        let master = solos.start_on(Some((&network, 0)), "--port", &open).await?;
        let of = format!("{} {master}", network.address(0));
        let follows = [&open[..], &["--replicaof", &of]].concat();
        let replica = solos.start_on(Some((&network, 1)), "--port", &follows).await?;
        let servers =
            [format!("{}:{master}", network.address(0)), format!("{}:{replica}", network.address(1))];
        wait_for(&servers[1], &["INFO", "replication"], "master_link_status:up").await?;
        let mut sentinels = Vec::new();
        for number in 0..3 {
            let file = solos.folder().join(format!("sentinel-{number}.conf"));
            let lines = format!(
                "protected-mode no\nsentinel monitor promemoria {} {master} 2\n\
                 sentinel down-after-milliseconds promemoria 1000\nsentinel failover-timeout promemoria 5000\n",
                network.address(0)
            );
            std::fs::write(&file, lines)?;
            let file = file.to_str().context("a folder's name in UTF-8")?;
            let port = solos.start_on(Some((&network, 1)), "--port", &[file, "--sentinel"]).await?;
            sentinels.push(format!("{}:{port}", network.address(1)));
        }
        for sentinel in &sentinels {
            let ask = ["SENTINEL", "MASTER", "promemoria"];
            wait_for(sentinel, &ask, "num-other-sentinels\", \"2").await?;
            wait_for(sentinel, &ask, "num-slaves\", \"1").await?;
        }
        Ok(Self { network, servers, sentinels, _solos: solos })
    }
}

/// Asks a server until its answer contains `wanted`; returns how long that took.
async fn wait_for(address: &str, command: &[&str], wanted: &str) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    loop {
        let said = ask(address, command).await;
        if said.as_ref().is_ok_and(|said| said.contains(wanted)) {
            return Ok(begun.elapsed());
        }
        ensure!(begun.elapsed() < STEP, "{address} {command:?}: no {wanted} in {said:?}");
        sleep(ASK_AGAIN).await;
    }
}

/// A server's answer as text: words in quotes, a long text as it is.
async fn ask(address: &str, words: &[&str]) -> anyhow::Result<String> {
    let client = redis::Client::open(format!("redis://{address}/0"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    let value: redis::Value = command.query_async(&mut connection).await?;
    let many: Result<Vec<String>, _> = redis::from_redis_value(value.clone());
    Ok(match many {
        Ok(words) => format!("{words:?}"),
        Err(_) => redis::from_redis_value::<String>(value).unwrap_or_default(),
    })
}

async fn failed_over(mut ground: Ground) -> anyhow::Result<Seen> {
    let watched = Watched::start().await?;
    let [old, new] = &watched.servers;
    ground.redis_url = format!("redis://{old}/0");
    let setup = Setup::default()
        .with("REDIS__SENTINEL__MASTER", "promemoria")
        .with("REDIS__SENTINEL__NODES", &watched.sentinels.join(","))
        .with("REDIS__ALLOW_PLAINTEXT", "true");
    let mut trial = Trial::start(&ground, setup).await?;
    trial.publish(20).await?;
    trial.settle().await?;
    // Between the hosts: the fleet still reaches both, and the old master goes on as if nothing were.
    watched.network.cut(0, &[1])?;
    wait_for(new, &["INFO", "replication"], "role:master").await?;
    trial.publish(20).await?;
    trial.settle().await?;
    let fleet_writes = ask(new, &["CLIENT", "LIST"]).await?;
    ensure!(!fleet_writes.contains("cmd=evalsha"), "the fleet left the old master before it had to");
    watched.network.mend(0)?;
    wait_for(old, &["INFO", "replication"], "role:slave").await?;
    let left = wait_for(new, &["CLIENT", "LIST"], "cmd=evalsha").await?;
    trial.mended();
    trial.ground.redis_url = format!("redis://{new}/0");
    trial.publish(20).await?;
    for service in SERVICES {
        trial.wait_readiness(service, true).await?;
    }
    let took = trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    ensure!(left <= LEAVES, "the demoted server was left after {left:?}");
    Ok(Seen::new(
        format!(
            "20 messages sent on the old master alone; left {:.1} s after it was demoted, replayed and all over {took:.1} s later",
            left.as_secs_f64()
        ),
        report,
    ))
}

async fn careless(ground: Ground) -> anyhow::Result<Seen> {
    let mut solos = Solos::new()?;
    let evicts = ["--save", "", "--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"];
    let forgets = ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"];
    let refused = [
        (solos.start("--port", &evicts).await?, "maxmemory-policy noeviction"),
        (solos.start("--port", &forgets).await?, "appendonly yes"),
    ];
    for (port, wanted) in refused {
        let mut crew = on(&ground, port).await?;
        for service in SERVICES {
            crew.enlist(service, &[])?;
            let (code, log) = crew.wait_refused(service).await?;
            ensure!(code == Some(78), "{service} ended with {code:?}\n{log}");
            ensure!(log.contains(wanted), "{service} does not say what to set: {wanted}\n{log}");
        }
        crew.stand_down().await?;
    }
    let mut crew = on(&ground, solos.start("--port", &DURABLE).await?).await?;
    for service in SERVICES {
        crew.enlist(service, &[])?;
    }
    crew.wait_ready().await?;
    crew.stand_down().await?;
    Ok(Seen {
        words: "three services refused each of two servers, with the setting that mends it".to_owned(),
        report: None,
    })
}

/// A crew on that server of loopback, as in production: what may lose timers is refused.
async fn on(ground: &Ground, port: u16) -> anyhow::Result<Crew> {
    let ground = Ground { redis_url: format!("redis://127.0.0.1:{port}/0"), ..ground.clone() };
    let require = ("PROMEMORIA__REDIS__DURABILITY".to_owned(), "require".to_owned());
    Crew::muster(&ground, &Enti::default(), vec![require]).await
}
