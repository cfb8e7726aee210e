//! How much of each ente may be on its way to IO.

use std::collections::{BTreeMap, HashSet};

use shared::domain::ente::IoAccount;

/// Seconds of sending that an account with a limit has on its way. As long as the dispatcher lets a message wait
/// for a call (`PATIENCE` in its budget): more would only be turned away, and be ahead of whatever another ente
/// of the account has to say. Less would leave calls unused where IO takes its time (95 % of them are used as
/// long as it answers within 0.9 s).
const SECONDS_AHEAD: usize = 2;
/// Calls of a message: profile and submit.
const CALLS: usize = 2;

/// How many entries of each ente may be in flight: the account's credit, shared evenly among those of its enti
/// that have something on its way or due (`active`), and the ente itself. So one ente alone has all of it, and
/// one that begins finds its share within a claim. `unlimited` is the credit of an account without a limit.
pub(crate) fn credits<'a>(
    enti: impl Iterator<Item = (&'a str, &'a IoAccount)>,
    unlimited: usize,
    active: &HashSet<String>,
) -> BTreeMap<&'a str, usize> {
    let enti: Vec<(&str, &IoAccount)> = enti.collect();
    let mut sharing: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, io) in enti.iter().filter(|(id, _)| active.contains(*id)) {
        *sharing.entry(&io.account).or_default() += 1;
    }
    enti.into_iter()
        .map(|(id, io)| {
            let others = sharing.get(&*io.account).copied().unwrap_or(0);
            let all = others + usize::from(!active.contains(id));
            let credit = of_account(io.calls_per_5s).map_or(unlimited, |credit| credit.min(unlimited));
            (id, (credit / all.max(1)).max(1))
        })
        .collect()
}

/// Messages of an account on their way, if it has a limit of calls in 5 s.
fn of_account(calls_per_5s: u32) -> Option<usize> {
    let limit = usize::try_from(calls_per_5s).unwrap_or(usize::MAX);
    (limit > 0).then(|| (limit.saturating_mul(SECONDS_AHEAD) / (5 * CALLS)).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(enti: &[(&str, &str, u32)], active: &[&str]) -> Vec<usize> {
        let account = |name: &str, calls_per_5s| IoAccount { account: name.to_owned(), calls_per_5s };
        let enti: Vec<(&str, IoAccount)> =
            enti.iter().map(|(id, name, calls)| (*id, account(name, *calls))).collect();
        let active = active.iter().map(|id| (*id).to_owned()).collect();
        credits(enti.iter().map(|(id, io)| (*id, io)), 4000, &active).into_values().collect()
    }

    #[test]
    fn an_account_has_two_seconds_of_sending_and_one_without_limit_the_setting() {
        assert_eq!(given(&[("a", "one", 150), ("b", "two", 0)], &[]), [30, 4000]);
        assert_eq!(given(&[("a", "one", 1)], &["a"]), [1]);
    }

    #[test]
    fn enti_of_one_account_share_it_while_they_are_at_work() {
        let enti = [("a", "one", 150), ("b", "one", 150), ("c", "two", 150)];
        assert_eq!(given(&enti, &["a", "c"]), [30, 15, 30]);
        assert_eq!(given(&enti, &["a", "b"]), [15, 15, 30]);
        assert_eq!(given(&enti, &[]), [30, 30, 30]);
    }
}
