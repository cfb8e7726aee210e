//! RabbitMQ: reachable, its queues there, somebody consuming, nothing lost or given up.

use shared::broker::rabbitmq::{Compared, Depth, Seen};
use shared::broker::{BrokerError, topology};
use shared::settings::Settings;

use super::{Finding, State, streams};
use crate::connect;
use crate::report::counted;

/// Looks at the broker.
pub(super) async fn look(settings: &Settings) -> Vec<Finding> {
    let desk = match connect::open_desk(settings).await {
        Ok(desk) => desk,
        Err(error) => return vec![away(&error)],
    };
    let mut findings = vec![Finding::good("rabbitmq", "answers, and takes the user")];
    for queue in topology::Topology::fleet().queues {
        match desk.look(&queue.name).await {
            Ok(seen) => findings.push(of_queue(&queue.name, seen)),
            Err(error) => {
                findings.push(away(&error));
                break;
            }
        }
    }
    findings.extend(streams::look(settings).await);
    match desk.compare(&topology::Topology::fleet()).await {
        Ok(compared) => findings.extend(of_topology(&compared)),
        Err(error) => findings.push(away(&error)),
    }
    desk.close().await;
    let day = 24 * 3600;
    let kept = settings.retention.journal.as_secs() / day;
    let wanted = topology::LONGEST_WAIT_DAYS + settings.retention.payload.as_secs() / day;
    findings.extend((kept < wanted).then(|| {
        Finding::new(
            State::Note,
            "journal",
            format!("is kept for {kept} days; a timer may wait for {wanted}"),
            "keep copies of Redis no older than that: a rebuild without one brings back younger events only",
        )
    }));
    findings
}

pub(super) fn away(error: &BrokerError) -> Finding {
    let cause = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let mend = "check that it runs and that amqp.url has the right host, port, user and virtual host";
    Finding::new(State::Away, "rabbitmq", format!("{error}{cause}"), mend)
}

pub(super) fn missing(what: String) -> Finding {
    let mend = "start a service with amqp.declare = true, or import deploy/rabbitmq/definitions.json";
    Finding::new(State::Bad, what, "is not there", mend)
}

/// What this user has no permission on is no fault of the broker's: the command line needs only some of the queues.
fn hidden(what: String) -> Finding {
    let mend = "the services look at what they use when they start; ask with an administrator's amqp.url";
    Finding::new(State::Note, what, "this user may not look at it", mend)
}

fn of_queue(name: &str, seen: Seen) -> Finding {
    let what = format!("queue {name}");
    let Depth { messages, consumers } = match seen {
        Seen::There(depth) => depth,
        Seen::Missing => return missing(what),
        Seen::Hidden => return hidden(what),
    };
    let waiting = counted(usize::try_from(messages).unwrap_or(usize::MAX), "message");
    let how = format!(
        "{waiting} waiting, {}",
        counted(usize::try_from(consumers).unwrap_or(usize::MAX), "consumer")
    );
    let rests = [topology::DEAD_QUEUE, topology::UNROUTED_QUEUE, topology::PROBE_QUEUE].contains(&name);
    if name == topology::UNROUTED_QUEUE && messages > 0 {
        let mend = "a binding of promemoria.events is missing: restore the topology, then publish them again";
        return Finding::new(State::Bad, what, how, mend);
    }
    if name == topology::DEAD_QUEUE && messages > 0 {
        return Finding::new(State::Bad, what, how, "look at them with `promemoria dead list`");
    }
    if !rests && consumers == 0 {
        let mend = format!("start the {}", consumer_of(name));
        return Finding::new(State::Bad, what, how, mend);
    }
    Finding::good(what, how)
}

/// What is to be said of the arguments of exchanges, queues and streams. Queues that are missing are told already.
fn of_topology(compared: &[(String, Compared)]) -> Vec<Finding> {
    let names = |wanted: &Compared| {
        let found = compared.iter().filter(|(_, compared)| compared == wanted);
        found.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let mut findings = Vec::new();
    for (name, compared) in compared {
        if let Compared::Differs(words) = compared {
            let mend = "it keeps what it has until it is deleted: stop the fleet, empty it, delete it, declare it again";
            findings.push(Finding::new(State::Bad, format!("topology {name}"), words, mend));
        }
    }
    let is_exchange = |name: &str| topology::Topology::fleet().exchanges.iter().any(|it| it.name == name);
    for (name, _) in compared.iter().filter(|(_, it)| *it == Compared::Missing) {
        // A queue may have an exchange's name.
        if is_exchange(name) {
            findings.push(missing(format!("exchange {name}")));
        }
    }
    let hidden = names(&Compared::Hidden);
    if !hidden.is_empty() {
        let how = format!("not compared, this user may not: {hidden}");
        let mend = "once after an upgrade, ask with an administrator's amqp.url";
        findings.push(Finding::new(State::Note, "topology", how, mend));
    } else if findings.is_empty() {
        findings.push(Finding::good("topology", "as this release describes it"));
    }
    findings
}

/// The service that consumes a queue.
fn consumer_of(queue: &str) -> &'static str {
    match queue {
        topology::EVENTS_QUEUE => "scheduler",
        topology::RENDER_QUEUE => "renderer",
        _ => "dispatcher",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topology_that_differs_is_told_in_the_brokers_words() {
        let told = |compared| of_topology(&[("promemoria.render".to_owned(), compared)]);
        let differs = told(Compared::Differs("inequivalent arg 'x-delivery-limit'".to_owned()));
        assert_eq!((differs[0].state, differs.len()), (State::Bad, 1));
        assert!(differs[0].how.contains("x-delivery-limit"), "{}", differs[0].how);
        assert_eq!(told(Compared::Alike)[0].state, State::Good);
        assert_eq!(told(Compared::Hidden)[0].state, State::Note);
        // Told already, by its depth.
        assert_eq!(told(Compared::Missing)[0].state, State::Good);
        let exchange = of_topology(&[("promemoria.work".to_owned(), Compared::Missing)]);
        assert_eq!(exchange[0].state, State::Bad);
    }

    #[test]
    fn each_state_of_a_queue_is_told_apart() {
        let depth = |messages, consumers| Seen::There(Depth { messages, consumers });
        for (queue, seen, state, word) in [
            ("promemoria.events", depth(5, 1), State::Good, ""),
            ("promemoria.events", depth(0, 0), State::Bad, "scheduler"),
            ("promemoria.render", depth(0, 0), State::Bad, "renderer"),
            ("promemoria.follow", depth(0, 0), State::Bad, "dispatcher"),
            ("promemoria.dispatch", Seen::Missing, State::Bad, "amqp.declare"),
            ("promemoria.dispatch", Seen::Hidden, State::Note, "administrator"),
            ("promemoria.dead", depth(0, 0), State::Good, ""),
            ("promemoria.dead", depth(2, 0), State::Bad, "dead list"),
            ("promemoria.unrouted", depth(1, 0), State::Bad, "binding"),
        ] {
            let finding = of_queue(queue, seen);
            assert_eq!(finding.state, state, "{queue} {seen:?}");
            assert!(finding.mend.contains(word), "{queue}: {}", finding.mend);
        }
    }
}
