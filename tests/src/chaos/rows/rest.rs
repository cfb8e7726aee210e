//! The rows without an injection, each with its reason or with the test that holds it.

use crate::chaos::matrix::{Kind, Row};

/// The rows.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(in crate::chaos) fn rows() -> Vec<Row> {
    use Kind::{NotHere, NotYet, TestedIn};
    let row = Row::unrun;
    vec![
        row(
            "F22",
            [
                "a node of the broker's cluster dies",
                "kill -9 of the leader, then of each node in turn",
                "confirms go on within 5 s",
            ],
            NotYet("the test brokers are single nodes"),
        ),
        row(
            "F23",
            [
                "the broker's cluster loses its majority",
                "two of three nodes down for 60 s",
                "not ready, nothing acknowledged; resumes alone",
            ],
            NotYet("the test brokers are single nodes"),
        ),
        row(
            "F24",
            [
                "the broker's cluster is partitioned",
                "one node in a network namespace, cut off for 60 s",
                "no split acceptance",
            ],
            NotYet("the test brokers are single nodes"),
        ),
        row(
            "F30",
            [
                "the broker takes a delivery away",
                "consumer_timeout below the time a handler needs",
                "no POST after the loss",
            ],
            NotYet(
                "no delivery waits here: IO is asked within io.request_timeout, all else goes back to the schedule",
            ),
        ),
        row(
            "F31",
            [
                "a message that crashes who takes it",
                "a process that aborts at each delivery of it",
                "dead after at most 3 returns",
            ],
            NotYet(
                "the queues give up after 20 returns (x-delivery-limit), not 3; no injection singles out one message yet",
            ),
        ),
        row(
            "F36",
            [
                "Redis is empty",
                "FLUSHALL; restart with an empty folder",
                "rebuilt; none lost, none sent again",
            ],
            TestedIn("`redis_may_lose_everything` (tests/tests/fleet/journal.rs)"),
        ),
        row(
            "F37",
            ["Redis is an old copy of itself", "the append-only file of some seconds ago", "as F36"],
            TestedIn("`redis_may_come_back_as_an_old_copy` (tests/tests/fleet/journal.rs)"),
        ),
        row(
            "F38",
            [
                "Sentinel fails over",
                "the old master cut off while it takes writes",
                "the client leaves it within 5 s",
            ],
            TestedIn("`a_demoted_server_is_left_for_the_new_master` (tests/tests/ports/redis.rs)"),
        ),
        row(
            "F42",
            ["Redis would evict, or does not persist", "allkeys-lru; appendonly no", "refused at start"],
            TestedIn("`a_server_that_may_lose_timers_is_refused_or_named` (tests/tests/ports/redis.rs)"),
        ),
        row(
            "F46",
            ["nights of the clock change, 29 February, year end", "virtual time", "local hour right"],
            NotYet(
                "the calendar's own tests hold it (shared/src/domain/calendar.rs, the acceptance stories); not run on the fleet",
            ),
        ),
        row(
            "F55",
            [
                "bad certificates",
                "expired, wrong host, self-signed, TLS 1.1",
                "refused by name; never plain text",
            ],
            TestedIn(
                "`redis_by_tls_is_verified_and_never_plain` and `rabbitmq_by_tls_is_verified_and_never_plain` (tests/tests/ports/tls.rs)",
            ),
        ),
        row(
            "F62",
            [
                "a million timers, 100,000 of them due at once",
                "the schedule filled by events",
                "no lease missed, no stall of Redis above 100 ms",
            ],
            NotHere("measured by `make bench`, which has the machine to itself: docs/performance.md"),
        ),
    ]
}
