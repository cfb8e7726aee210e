//! Who waits for a call of an account.

use std::collections::VecDeque;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::budget::{Busy, Priority, Token};
use crate::recent::Recent;

/// One who waits.
#[derive(Debug)]
pub(crate) struct Ask {
    /// Who goes first.
    pub(crate) priority: Priority,
    /// For whom.
    pub(crate) ente: String,
    /// Where the call is given.
    pub(crate) reply: oneshot::Sender<Result<Token, Busy>>,
}

/// Places in [`Waiting`], the first served first: a message of an ente that took little goes before those of one
/// that takes nearly all.
const CLASSES: usize = 5;
/// How many of them are of enti that took little.
const LIGHT: usize = 2;

/// All who wait: by class, within it one of each ente in turn, and of an ente by arrival.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    classes: [Turns; CLASSES],
    recent: Recent,
}

/// Asks of several enti. Those of one that has much to send must not hold up the few of another.
#[derive(Debug, Default)]
struct Turns(VecDeque<(String, VecDeque<Ask>)>);

impl Waiting {
    /// One more waits.
    pub(crate) fn add(&mut self, ask: Ask) {
        let usual = if self.recent.is_little(&ask.ente, Instant::now()) { 0 } else { LIGHT };
        let class = match ask.priority {
            Priority::Submit => usual,
            Priority::Profile => usual + 1,
            Priority::Status => CLASSES - 1,
        };
        self.classes[class].add(ask);
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.classes.iter().map(Turns::len).sum()
    }

    /// How many of them are of enti that took little.
    pub(crate) fn light(&self) -> usize {
        self.classes[..LIGHT].iter().map(Turns::len).sum()
    }

    fn next(&mut self) -> Option<Ask> {
        self.classes.iter_mut().find_map(Turns::next)
    }

    /// Hands out calls; one for somebody who no longer waits goes to the next.
    pub(crate) fn serve(&mut self, token: Token, granted: u32) {
        let mut left = if token.is_fresh() { granted } else { 0 };
        while left > 0 {
            let Some(ask) = self.next() else { return };
            if ask.reply.send(Ok(token)).is_ok() {
                left -= 1;
                self.recent.took(ask.ente, Instant::now());
            }
        }
    }

    /// Nobody gets a call for a while.
    pub(crate) fn turn_away(&mut self, busy: Busy) {
        while let Some(ask) = self.next() {
            // Somebody who no longer waits needs no answer.
            ask.reply.send(Err(busy)).ok();
        }
    }

    /// Those who no longer wait are not asked for.
    pub(crate) fn forget_the_gone(&mut self) {
        for turns in &mut self.classes {
            for (_, asks) in &mut turns.0 {
                asks.retain(|ask| !ask.reply.is_closed());
            }
            turns.0.retain(|(_, asks)| !asks.is_empty());
        }
    }
}

impl Turns {
    fn add(&mut self, ask: Ask) {
        match self.0.iter_mut().find(|(ente, _)| *ente == ask.ente) {
            Some((_, asks)) => asks.push_back(ask),
            None => self.0.push_back((ask.ente.clone(), VecDeque::from([ask]))),
        }
    }

    fn len(&self) -> usize {
        self.0.iter().map(|(_, asks)| asks.len()).sum()
    }

    fn next(&mut self) -> Option<Ask> {
        let (ente, mut asks) = self.0.pop_front()?;
        let ask = asks.pop_front();
        if !asks.is_empty() {
            self.0.push_back((ente, asks));
        }
        ask
    }
}
