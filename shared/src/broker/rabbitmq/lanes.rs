//! Which publishing channel a message goes over: one for each stream, and one for the rest.
//!
//! On one channel two streams get into each other's way: when the leader of one went, RabbitMQ 3.10 confirmed what was
//! published to it and wrote it nowhere, for up to ten seconds. Seen with a client of another language as well
//! (`tests/streams.py`): of 10,236 messages 2,206 over three kills, and none of 8,177 with a channel each.

use crate::broker::topology::{JOURNAL, JOURNAL_EVENTS, JOURNAL_INTENTS, JOURNAL_OUTCOMES, OUTCOMES};

const STREAMS: [&str; 3] = [JOURNAL_EVENTS, JOURNAL_INTENTS, JOURNAL_OUTCOMES];

/// How many channels there are.
pub(super) const LANES: usize = 1 + STREAMS.len();

/// The channel of what is published so: 0 for what no stream takes.
pub(super) fn lane(exchange: &str, routing_key: &str) -> usize {
    let place = STREAMS.iter().position(|it| Some(*it) == stream(exchange, routing_key));
    place.map_or(0, |it| 1 + it)
}

fn stream(exchange: &str, routing_key: &str) -> Option<&'static str> {
    match (exchange, routing_key.split('.').next()?) {
        (JOURNAL, "events") => Some(JOURNAL_EVENTS),
        (JOURNAL, "intents") => Some(JOURNAL_INTENTS),
        (JOURNAL, "outcomes") | (OUTCOMES, _) => Some(JOURNAL_OUTCOMES),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::topology::Topology;

    #[test]
    fn no_two_streams_share_a_channel_and_no_queue_of_work_waits_for_a_stream() {
        let topology = Topology::fleet();
        for binding in &topology.bindings {
            let key = binding.routing_key.replace('#', "alfa.tipo");
            let is_stream = topology.streams.iter().any(|it| it.name == binding.queue);
            let expected = is_stream.then_some(binding.queue.as_str());
            assert_eq!(stream(&binding.exchange, &key), expected, "{binding:?}");
            assert_eq!(lane(&binding.exchange, &key) > 0, is_stream, "{binding:?}");
        }
        assert_eq!(topology.streams.len(), STREAMS.len());
    }
}
