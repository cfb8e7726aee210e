use super::*;

#[test]
fn the_shipped_definitions_are_those_of_the_code() {
    let shipped = include_str!("../../../deploy/rabbitmq/definitions.json");
    let written = serde_json::to_string_pretty(&Topology::fleet().definitions("/")).unwrap();
    assert_eq!(shipped.trim_end(), written, "write the left file again from the right text");
}

fn names(topology: &Topology) -> impl Iterator<Item = &str> {
    let streams = topology.streams.iter().map(|it| it.name.as_str());
    topology.queues.iter().map(|it| it.name.as_str()).chain(streams)
}

#[test]
fn the_journal_is_kept_longer_than_the_longest_permit() {
    let ages = |topology: Topology| {
        let text = |value: &str| Argument::Text(value.to_owned());
        topology.streams.iter().for_each(|it| assert_eq!(it.arguments()[0].1, text("stream")));
        let ages = topology.streams.iter().map(|stream| stream.arguments()[1].1.clone());
        ages.collect::<Vec<_>>()
    };
    let of = |days: &str| vec![Argument::Text(days.to_owned()); 3];
    assert_eq!(ages(Topology::fleet()), of("3867D"));
    let day = std::time::Duration::from_hours(24);
    assert_eq!(ages(Topology::fleet().keeping_journal(day * 400)), of("400D"));
    assert_eq!(ages(Topology::fleet().keeping_journal(day / 2)), of("1D"), "never less than was asked");
}

#[test]
fn every_binding_joins_an_exchange_and_a_queue_that_are_declared() {
    let topology = Topology::fleet();
    for binding in &topology.bindings {
        assert!(topology.exchanges.iter().any(|it| it.name == binding.exchange), "{binding:?}");
        assert!(names(&topology).any(|it| it == binding.queue), "{binding:?}");
    }
    for name in names(&topology) {
        assert!(topology.bindings.iter().any(|it| it.queue == name), "{name} is unbound");
    }
}

#[test]
fn a_queue_dead_letters_at_least_once_or_never_deletes() {
    let text = |name, value: &str| (name, Argument::Text(value.to_owned()));
    for queue in Topology::fleet().queues {
        let arguments = queue.arguments();
        assert!(arguments.contains(&text("x-queue-type", "quorum")));
        if queue.dead_letter_exchange.is_some() {
            assert!(arguments.contains(&text("x-dead-letter-strategy", "at-least-once")));
            assert!(arguments.contains(&text("x-overflow", "reject-publish")));
            assert!(arguments.contains(&("x-delivery-limit", Argument::Number(1_000))));
        } else {
            assert!(arguments.contains(&("x-delivery-limit", Argument::Number(i32::MAX))));
        }
        // What it drops is the question before: a message of ours and of nobody else.
        assert_eq!(arguments.iter().any(|(name, _)| *name == "x-max-length"), queue.name == PROBE_QUEUE);
    }
}
