//! Redis in its three shapes, and what can go wrong with each.

use std::future::Future;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ::redis::Value;
use shared::service::{self, RunError};
use shared::settings::Settings;
use shared::store::{Place, Redis, StoreError};
use shared::telemetry::probes::Health;
use tests::brokers::Solos;
use tests::fleet::project_root;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::proxy::Proxy;
use crate::rabbitmq::unique;
use crate::store::{commit_two, contract, options, send_one};

/// What production runs with.
const DURABLE: [&str; 6] = ["--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"];
/// Bound on anything that comes by itself: generous, since the machine may compile meanwhile.
const DEADLINE: Duration = Duration::from_mins(1);

/// Asks until the answer is good.
async fn until<T, F: Future<Output = Result<T, String>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match ask().await {
            Ok(good) => return good,
            Err(last) => assert!(Instant::now() < deadline, "{what}: {last}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// One command on a connection of its own.
pub(crate) async fn command(port: u16, words: &[&str]) -> ::redis::RedisResult<Value> {
    let client = ::redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut command = ::redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    command.query_async(&mut connection).await
}

/// Waits until the store takes work.
async fn works(redis: &Redis, what: &str) {
    let ente = unique("w");
    until(what, async || match redis.now_ms().await {
        Ok(_) => {
            let cases = shared::store::CaseStore::new(redis.clone());
            cases.claim(&ente, 1, 1_000, (1, None)).await.map(drop).map_err(|error| format!("{error:?}"))
        }
        Err(error) => Err(format!("{error:?}")),
    })
    .await;
}

pub(crate) async fn pair(solos: &mut Solos) -> (u16, u16) {
    let master = solos.start("--port", &DURABLE).await.unwrap();
    let its_master = format!("127.0.0.1 {master}");
    let of = [&DURABLE[..], &["--replicaof", &its_master]].concat();
    let replica = solos.start("--port", &of).await.unwrap();
    until("the replica follows", async || {
        let info = command(replica, &["INFO", "replication"]).await.map_err(|error| error.to_string())?;
        let text: String = ::redis::from_redis_value(info).map_err(|error| error.to_string())?;
        if text.contains("master_link_status:up") { Ok(()) } else { Err(text) }
    })
    .await;
    (master, replica)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_name_the_master_and_its_successor() {
    let mut solos = Solos::new().unwrap();
    let (master, replica) = pair(&mut solos).await;
    let mut nodes = Vec::new();
    for number in 0..3 {
        let file = solos.folder().join(format!("sentinel-{number}.conf"));
        let lines = format!(
            "sentinel monitor promemoria 127.0.0.1 {master} 2\nsentinel down-after-milliseconds promemoria 500\n\
             sentinel failover-timeout promemoria 5000\n"
        );
        std::fs::write(&file, lines).unwrap();
        let port = solos.start("--port", &[file.to_str().unwrap(), "--sentinel"]).await.unwrap();
        nodes.push(format!("127.0.0.1:{port}"));
    }
    for node in &nodes {
        let port: u16 = node.rsplit_once(':').unwrap().1.parse().unwrap();
        until("the sentinels know each other and the replica", async || {
            let ask = command(port, &["SENTINEL", "MASTER", "promemoria"]).await;
            let pairs: Vec<String> =
                ask.and_then(|it| Ok(::redis::from_redis_value(it)?)).unwrap_or_default();
            let has = |name: &str, value: &str| pairs.chunks(2).any(|pair| pair == [name, value]);
            if has("num-other-sentinels", "2") && has("num-slaves", "1") {
                Ok(())
            } else {
                Err(format!("{pairs:?}"))
            }
        })
        .await;
    }
    // The first of the nodes is no sentinel and nobody: the next one is asked.
    nodes.insert(0, "127.0.0.1:1".to_owned());
    let place = Place::Sentinel { master: "promemoria".to_owned(), nodes, username: None, password: None };
    let redis = Redis::connect(&options("redis://127.0.0.1/0", place)).await.unwrap();
    contract(&redis, "before").await;
    solos.kill(master).await.unwrap();
    works(&redis, "the successor").await;
    contract(&redis, "after").await;
    let role = command(replica, &["ROLE"]).await.unwrap();
    assert!(format!("{role:?}").contains("master"), "{role:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_the_contract_and_each_script_stays_in_one_slot() {
    let mut solos = Solos::new().unwrap();
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let port = cluster_node(&mut solos).await;
        nodes.push(format!("127.0.0.1:{port}"));
    }
    let made = tokio::process::Command::new("redis-cli")
        .args(["--cluster", "create"])
        .args(&nodes)
        .args(["--cluster-yes"])
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    for node in &nodes {
        until("the node knows that the cluster is whole", async || {
            let port = node.rsplit_once(':').unwrap().1.parse().unwrap();
            let info = command(port, &["CLUSTER", "INFO"]).await.map_err(|error| format!("{error:?}"))?;
            let info: String = ::redis::from_redis_value(info).map_err(|error| format!("{error:?}"))?;
            if info.contains("cluster_state:ok") { Ok(()) } else { Err(info) }
        })
        .await;
    }
    let place = Place::Cluster { nodes: nodes[..1].to_vec() };
    let redis = until("the cluster serves", async || {
        let redis = Redis::connect(&options("redis://127.0.0.1/0", place.clone())).await;
        let redis = redis.map_err(|error| format!("{error:?}"))?;
        redis.ping().await.map(|()| redis).map_err(|error| format!("{error:?}"))
    })
    .await;
    // CLUSTER KEYSLOT of `{alfa}`, `{beta}`, `{gamma}` and `{q:…}` lie on different nodes.
    for ente in ["alfa", "beta", "gamma", "delta"] {
        contract(&redis, ente).await;
    }
    let mut holders = 0;
    for node in &nodes {
        let port = node.rsplit_once(':').unwrap().1.parse().unwrap();
        let size: u64 = ::redis::from_redis_value(command(port, &["DBSIZE"]).await.unwrap()).unwrap();
        holders += u32::from(size > 0);
    }
    assert!(holders > 1, "everything lies on one node");
    assert_eq!(shared::store::inspect::Inspector::new(redis).servers().await.unwrap().len(), 3);
}

/// A cluster's nodes talk to each other on the port 10000 above their own.
async fn cluster_node(solos: &mut Solos) -> u16 {
    let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
    solos.start("--port", &[&DURABLE[..], &cluster].concat()).await.unwrap()
}

/// The address stays, the server behind it was demoted and is alive: a load balancer, or a name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demoted_server_is_left_for_the_new_master() {
    let mut solos = Solos::new().unwrap();
    let (master, replica) = pair(&mut solos).await;
    let proxy = Proxy::to(format!("127.0.0.1:{master}")).await;
    let redis =
        Redis::connect(&options(&format!("redis://{}/0", proxy.address()), Place::Single)).await.unwrap();
    contract(&redis, "before").await;
    command(replica, &["REPLICAOF", "NO", "ONE"]).await.unwrap();
    command(master, &["REPLICAOF", "127.0.0.1", &replica.to_string()]).await.unwrap();
    let refused = shared::store::CaseStore::new(redis.clone()).claim("before", 1, 1_000, (1, None)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    proxy.lead_to(&format!("127.0.0.1:{replica}"));
    works(&redis, "the new master").await;
    contract(&redis, "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_swallows_is_given_up() {
    let mut solos = Solos::new().unwrap();
    let port = solos.start("--port", &DURABLE).await.unwrap();
    let proxy = Proxy::to(format!("127.0.0.1:{port}")).await;
    let mut quick = options(&format!("redis://{}/0", proxy.address()), Place::Single);
    quick.response_timeout = Duration::from_millis(300);
    let redis = Redis::connect(&quick).await.unwrap();
    proxy.swallow();
    assert!(matches!(redis.ping().await, Err(StoreError::Unavailable(_))));
    works(&redis, "a new connection").await;
    // A server that hangs keeps its connections; what is asked meanwhile fails in time and may have run.
    solos.pause(port).unwrap();
    for _ in 0..3 {
        assert!(matches!(redis.ping().await, Err(StoreError::Unavailable(_))));
    }
    solos.resume(port).unwrap();
    works(&redis, "the server goes on").await;
    solos.kill(port).await.unwrap();
    assert!(matches!(redis.ping().await, Err(StoreError::Unavailable(_))));
}

/// Intake is refused by name, what is due still leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_memory_stops_intake_and_not_emission() {
    let mut solos = Solos::new().unwrap();
    let port = solos.start("--port", &DURABLE).await.unwrap();
    let redis =
        Redis::connect(&options(&format!("redis://127.0.0.1:{port}/0"), Place::Single)).await.unwrap();
    commit_two(&redis, "pieno").await.unwrap();
    command(port, &["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    let refused = commit_two(&redis, "altro").await;
    assert!(matches!(&refused, Err(StoreError::Refused { code }) if code == "OOM"), "{refused:?}");
    let cases = shared::store::CaseStore::new(redis.clone());
    assert_eq!(cases.claim("pieno", 10, 60_000, (100, None)).await.unwrap().entries.len(), 2);
    send_one(&redis, "pieno").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_may_lose_timers_is_refused_or_named() {
    let mut solos = Solos::new().unwrap();
    let loose = ["--save", "", "--maxmemory-policy", "allkeys-lru"];
    let port = solos.start("--port", &loose).await.unwrap();
    let durable = solos.start("--port", &DURABLE).await.unwrap();
    let reach = async |port: u16, durability: &str| {
        let folder = |name: &str| project_root().join(name).display().to_string();
        let environment = [
            ("PROMEMORIA__ENTI_DIR", folder("deploy/config/enti")),
            ("PROMEMORIA__CATALOGUE_DIR", folder("shared/catalogue")),
            ("PROMEMORIA__IO__BASE_URL", "http://127.0.0.1:1/api/v1".to_owned()),
            ("PROMEMORIA__REDIS__URL", format!("redis://127.0.0.1:{port}/0")),
            ("PROMEMORIA__REDIS__DURABILITY", durability.to_owned()),
        ];
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value));
        let settings = Settings::load(None, environment).unwrap();
        service::redis(&settings, &Health::new(&[]), &CancellationToken::new()).await
    };
    let Err(RunError::Faults(faults)) = reach(port, "require").await else { panic!("it was taken") };
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["maxmemory-policy", "appendonly"]);
    assert!(faults[0].to_string().contains("set `maxmemory-policy noeviction`"), "{}", faults[0]);
    // Everything is on loopback here: that is a trial.
    for durability in ["warn", "auto"] {
        assert!(matches!(reach(port, durability).await, Ok(Some(_))), "{durability}");
    }
    assert!(matches!(reach(durable, "require").await, Ok(Some(_))));
}
