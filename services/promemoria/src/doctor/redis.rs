//! Redis: reachable, keeps what it is given, agrees on the time, and its schedule moves.

use shared::clock::Clock;
use shared::settings::RedisTopology;
use shared::store::inspect::{Inspector, Server, Tally, Weakness};

use super::{Finding, State};
use crate::connect;
use crate::report::Failure;
use crate::setup::Setup;
use crate::timers::LATE_MS;

/// A clock that differs by more is worth a look: quotas of replicas and due instants count on Redis' clock,
/// certificates and logs on the machine's.
const SKEW_MS: u64 = 2_000;

/// Looks at Redis and at each ente's schedule.
pub(super) async fn look(setup: &Setup) -> Vec<Finding> {
    let redis = match connect::redis(&setup.settings).await {
        Ok(redis) => redis,
        Err(failure) => return vec![away(&failure)],
    };
    let inspector = Inspector::new(redis.clone());
    let (servers, store_ms) = match (inspector.servers().await, redis.now_ms().await) {
        (Ok(servers), Ok(now_ms)) => (servers, now_ms),
        (Err(error), _) | (_, Err(error)) => return vec![away(&connect::redis_away(&error))],
    };
    let cluster = matches!(setup.settings.redis.topology, RedisTopology::Cluster { .. });
    let mut findings: Vec<_> = servers.iter().flat_map(|server| of_server(server, cluster)).collect();
    findings.push(of_clock(store_ms.abs_diff(Clock::system().now().timestamp_millis())));
    for ente in setup.enti.enti() {
        match inspector.tally(&ente.id, LATE_MS).await {
            Ok(tally) => findings.push(of_schedule(&ente.id, tally)),
            Err(error) => findings.push(away(&connect::redis_away(&error))),
        }
    }
    findings.extend(super::fleet::look(setup, &redis).await);
    findings
}

fn away(failure: &Failure) -> Finding {
    let how = match failure {
        Failure::Away(how) | Failure::Usage(how) => how.clone(),
        Failure::Fault(lines) => lines.join("; "),
    };
    let mend = "check that it runs and that redis.url has the right host, port, password and database";
    Finding::new(State::Away, "redis", how, mend)
}

fn of_server(server: &Server, cluster: bool) -> Vec<Finding> {
    let mut findings = vec![Finding::good("redis", format!("answers, version {}", server.version))];
    let mut bad = |what: &str, how: String, mend: &str| {
        findings.push(Finding::new(State::Bad, format!("redis {what}"), how, mend));
    };
    for Weakness { what, how, mend } in server.weaknesses() {
        bad(what, how, mend);
    }
    if server.writing_failed {
        bad(
            "persistence",
            "its last write to disk failed".to_owned(),
            "look at its log and at the disk's room",
        );
    }
    // In a cluster replicas answer too, each for itself.
    if server.role == "slave" && !cluster {
        bad("role", "is a replica: it takes no writes".to_owned(), "name the master, or use redis.sentinel");
    }
    if server.maxmemory > 0 && server.used_memory > server.maxmemory / 10 * 9 {
        bad("memory", "more than 90% in use: soon it takes no more timers".to_owned(), "raise `maxmemory`");
    }
    findings
}

fn of_clock(skew_ms: u64) -> Finding {
    let how = format!("{skew_ms} ms from this machine's");
    if skew_ms <= SKEW_MS {
        return Finding::good("redis clock", how);
    }
    Finding::new(
        State::Bad,
        "redis clock",
        how,
        "run a time service (chrony, systemd-timesyncd) on both machines",
    )
}

fn of_schedule(ente: &str, tally: Tally) -> Finding {
    let what = format!("schedule of {ente}");
    let Tally { due, late, in_flight, in_doubt, .. } = tally;
    let how = format!("{due} armed, {in_flight} in flight, {late} late, {in_doubt} in doubt");
    if late > 0 {
        return Finding::new(State::Bad, what, how, "start the scheduler, or look at its log and metrics");
    }
    if in_doubt > 0 {
        return Finding::new(State::Bad, what, how, "look at them with `promemoria in-doubt list`");
    }
    Finding::good(what, how)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Server {
        Server {
            version: "7.0.15".to_owned(),
            maxmemory_policy: "noeviction".to_owned(),
            append_only: true,
            writing_failed: false,
            role: "master".to_owned(),
            used_memory: 1,
            maxmemory: 0,
        }
    }

    #[test]
    fn a_redis_that_may_lose_timers_is_bad() {
        assert_eq!(of_server(&sound(), false).len(), 1);
        for server in [
            Server { maxmemory_policy: "allkeys-lru".to_owned(), ..sound() },
            Server { append_only: false, ..sound() },
            Server { writing_failed: true, ..sound() },
            Server { role: "slave".to_owned(), ..sound() },
            Server { maxmemory: 100, used_memory: 95, ..sound() },
        ] {
            let findings = of_server(&server, false);
            assert_eq!(findings.len(), 2, "{server:?}");
            assert!(findings[1].state == State::Bad && !findings[1].mend.is_empty());
        }
    }

    #[test]
    fn a_replica_is_no_fault_of_a_cluster() {
        let replica = Server { role: "slave".to_owned(), ..sound() };
        assert_eq!(of_server(&replica, true).len(), 1);
    }

    #[test]
    fn clocks_that_differ_and_schedules_that_stand_are_bad() {
        assert_eq!(of_clock(2_000).state, State::Good);
        assert_eq!(of_clock(2_001).state, State::Bad);
        let tally = |late, in_doubt| Tally { now_ms: 0, due: 9, late, in_flight: 0, in_doubt };
        assert_eq!(of_schedule("x", tally(0, 0)).state, State::Good);
        assert!(of_schedule("x", tally(1, 1)).mend.contains("scheduler"));
        assert!(of_schedule("x", tally(0, 1)).mend.contains("in-doubt"));
    }
}
