//! How many doubts each fault may cost. The bound of a run is the sum.
//!
//! A request that left and got no answer is in doubt; so is one whose end could not be recorded while its intent lasted.
//! Where a late answer is recorded after all it closes its doubt, so that less is found than is allowed.

use std::time::Duration;

use super::CONCURRENCY;
use super::fault::{Fault, Roll};

/// How long the intent of a trial lasts: `io.request_timeout` and the dispatcher's margin.
const INTENT_LASTS: Duration = Duration::from_secs(13);
/// The longest that a dispatcher waits before it asks a store again that was away.
const ASKS_AGAIN: Duration = Duration::from_secs(5);

/// Most doubts that it may leave; `cut_answers` were cut by the cable to IO.
pub(super) fn at_most(roll: &Roll, cut_answers: usize) -> usize {
    match roll.fault {
        // What was under way in the process that is gone, or that slept past its own time-outs.
        Fault::Killed | Fault::Frozen | Fault::Crashed => of_a_dispatcher(roll.service),
        // Each request that is under way when IO falls silent, or goes away. And of what is under way when Redis loses
        // everything the journal gives back the intents, and not yet what came of them.
        Fault::AnswerDrips | Fault::IoMute | Fault::IoRefuses | Fault::RedisEmptied => CONCURRENCY,
        Fault::AnswerReset | Fault::AnswerEnded => cut_answers,
        Fault::IoCut | Fault::IoLate | Fault::BadGateway => 1,
        // An intent that the fault outlasts: whatever came of it is recorded too late.
        Fault::RedisMute | Fault::RedisFrozen | Fault::RedisFull | Fault::RedisKilled | Fault::RedisCut => {
            if roll.lasts + ASKS_AGAIN < INTENT_LASTS {
                0
            } else {
                CONCURRENCY
            }
        }
        // Nothing leaves without a confirmed line, a panic is before the fence, an end in order waits for answers, and
        // an answer that is definite leaves no doubt.
        Fault::Replaced
        | Fault::Panicked
        | Fault::BrokerKilled
        | Fault::BrokerStopped
        | Fault::BrokerAlarm
        | Fault::ExchangeDeleted
        | Fault::QueueDeleted
        | Fault::Unbound
        | Fault::ConnectionsEnded
        | Fault::BrokerCut
        | Fault::BrokerMute
        | Fault::ScriptsForgotten
        | Fault::Grey
        | Fault::Repeated
        | Fault::IoTruncates
        | Fault::Throttled
        | Fault::ServerError => 0,
    }
}

fn of_a_dispatcher(service: &str) -> usize {
    if service == "dispatcher" { CONCURRENCY } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::dice::Dice;

    fn cost(fault: Fault, service: &'static str, seconds: u64, cut_answers: usize) -> usize {
        let roll =
            Roll { service, lasts: Duration::from_secs(seconds), ..Roll::next(&mut Dice::new(7), &[fault]) };
        at_most(&roll, cut_answers)
    }

    #[test]
    fn a_fault_costs_what_was_under_way_and_no_more() {
        assert_eq!(cost(Fault::Killed, "dispatcher", 0, 0), CONCURRENCY);
        assert_eq!(cost(Fault::Killed, "scheduler", 0, 0), 0);
        assert_eq!(cost(Fault::Frozen, "dispatcher", 1, 0), CONCURRENCY);
        assert_eq!(cost(Fault::AnswerReset, "renderer", 0, 3), 3);
        assert_eq!(cost(Fault::BadGateway, "renderer", 0, 0), 1);
        assert_eq!(cost(Fault::RedisMute, "renderer", 7, 0), 0);
        assert_eq!(cost(Fault::RedisMute, "renderer", 8, 0), CONCURRENCY);
        assert_eq!(cost(Fault::BrokerMute, "dispatcher", 30, 9), 0);
    }
}
