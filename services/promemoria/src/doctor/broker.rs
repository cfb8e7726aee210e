//! RabbitMQ: reachable, its queues there, somebody consuming, nothing lost or given up.

use shared::broker::rabbitmq::Depth;
use shared::broker::{BrokerError, topology};
use shared::settings::Settings;

use super::{Finding, State};
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
        match desk.depth(&queue.name).await {
            Ok(depth) => findings.push(of_queue(&queue.name, depth)),
            Err(error) => {
                findings.push(away(&error));
                break;
            }
        }
    }
    for stream in topology::Topology::fleet().streams {
        match desk.depth(&stream.name).await {
            Ok(Some(_)) => findings.push(Finding::good(format!("stream {}", stream.name), "is there")),
            Ok(None) => findings.push(missing(format!("stream {}", stream.name))),
            Err(error) => {
                findings.push(away(&error));
                break;
            }
        }
    }
    desk.close().await;
    findings
}

fn away(error: &BrokerError) -> Finding {
    let cause = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let mend = "check that it runs and that amqp.url has the right host, port, user and virtual host";
    Finding::new(State::Away, "rabbitmq", format!("{error}{cause}"), mend)
}

fn missing(what: String) -> Finding {
    let mend = "start a service with amqp.declare = true, or import deploy/rabbitmq/definitions.json";
    Finding::new(State::Bad, what, "is not there, or this user may not see it", mend)
}

fn of_queue(name: &str, depth: Option<Depth>) -> Finding {
    let what = format!("queue {name}");
    let Some(Depth { messages, consumers }) = depth else { return missing(what) };
    let waiting = counted(usize::try_from(messages).unwrap_or(usize::MAX), "message");
    let how = format!(
        "{waiting} waiting, {}",
        counted(usize::try_from(consumers).unwrap_or(usize::MAX), "consumer")
    );
    let rests = name == topology::DEAD_QUEUE || name == topology::UNROUTED_QUEUE;
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
    fn each_state_of_a_queue_is_told_apart() {
        let depth = |messages, consumers| Some(Depth { messages, consumers });
        for (queue, depth, state, word) in [
            ("promemoria.events", depth(5, 1), State::Good, ""),
            ("promemoria.events", depth(0, 0), State::Bad, "scheduler"),
            ("promemoria.render", depth(0, 0), State::Bad, "renderer"),
            ("promemoria.follow", depth(0, 0), State::Bad, "dispatcher"),
            ("promemoria.dispatch", None, State::Bad, "amqp.declare"),
            ("promemoria.dead", depth(0, 0), State::Good, ""),
            ("promemoria.dead", depth(2, 0), State::Bad, "dead list"),
            ("promemoria.unrouted", depth(1, 0), State::Bad, "binding"),
        ] {
            let finding = of_queue(queue, depth);
            assert_eq!(finding.state, state, "{queue} {depth:?}");
            assert!(finding.mend.contains(word), "{queue}: {}", finding.mend);
        }
    }
}
