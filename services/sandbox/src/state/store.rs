//! The messages that were sent: the newest ones whole, all of them counted.

use super::accounts::Service;
use crate::codec::NewMessage;
use crate::recipients::{self, Fate};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Status of a message, as `GET /messages` answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Status {
    Accepted,
    Processed,
    Rejected,
    Failed,
}

/// One accepted message.
#[derive(Debug)]
pub(crate) struct Stored {
    /// 1 for the first message since the start or the last emptying.
    pub(crate) sequence: u64,
    pub(crate) id: String,
    pub(crate) fiscal_code: String,
    pub(crate) received: DateTime<Utc>,
    accepted: Instant,
    pub(crate) service: Arc<Service>,
    pub(crate) message: NewMessage,
    /// Header of the request.
    pub(crate) traceparent: Option<String>,
    is_read: AtomicBool,
    is_paid: AtomicBool,
}

impl Stored {
    /// Status at this moment; `usual` is the time that processing takes.
    pub(crate) fn status(&self, usual: Duration) -> Status {
        let (fate, after) = recipients::fate(&self.fiscal_code, usual);
        match fate {
            _ if self.accepted.elapsed() < after => Status::Accepted,
            Fate::Processed => Status::Processed,
            Fate::Rejected => Status::Rejected,
            Fate::Failed => Status::Failed,
        }
    }

    pub(crate) fn is_read(&self) -> bool {
        self.is_read.load(Ordering::Relaxed)
    }

    pub(crate) fn mark_read(&self) {
        self.is_read.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_paid(&self) -> bool {
        self.is_paid.load(Ordering::Relaxed)
    }

    pub(crate) fn mark_paid(&self) {
        self.is_paid.store(true, Ordering::Relaxed);
    }

    /// Two 64-bit hashes of what a citizen would call "the same message".
    fn fingerprint(&self) -> u128 {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, &self.fiscal_code, self.message.subject(), self.message.markdown()).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(1) << 64 | half(2)
    }
}

/// Which messages a reader wants.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) fiscal_code: Option<String>,
    pub(crate) account: Option<String>,
    /// Lower-case text to be found in subject or markdown.
    pub(crate) text: Option<String>,
}

impl Filter {
    fn admits(&self, stored: &Stored) -> bool {
        let contains = |text: &str, wanted: &str| text.to_lowercase().contains(wanted);
        self.fiscal_code.as_ref().is_none_or(|code| *code == stored.fiscal_code)
            && self.account.as_ref().is_none_or(|account| **account == *stored.service.account)
            && self.text.as_ref().is_none_or(|wanted| {
                contains(stored.message.subject(), wanted) || contains(stored.message.markdown(), wanted)
            })
    }
}

/// Counters since the start or the last emptying.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Messages accepted.
    pub(crate) received: u64,
    /// Messages still held whole.
    pub(crate) stored: u64,
    /// Distinct (recipient, subject, markdown).
    pub(crate) unique: u64,
    /// `received` minus `unique`.
    pub(crate) duplicates: u64,
}

/// The store. Its lock is held for a few map operations at a time; scans copy pointers in short turns.
#[derive(Debug)]
pub(crate) struct Store {
    keep: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// In order of `sequence`, without gaps.
    newest: VecDeque<Arc<Stored>>,
    by_id: HashMap<String, Arc<Stored>>,
    fingerprints: HashSet<u128>,
    received: u64,
}

/// Messages that a scan copies in one turn of the lock.
const TURN: usize = 5_000;

impl Store {
    /// A store that holds the newest `keep` messages whole.
    pub(crate) fn new(keep: usize) -> Self {
        Self { keep, inner: Mutex::default() }
    }

    /// Keeps an accepted message and gives it its id.
    pub(crate) fn add(
        &self,
        fiscal_code: &str,
        service: Arc<Service>,
        (message, traceparent): (NewMessage, Option<String>),
    ) -> Arc<Stored> {
        let mut stored = Stored {
            sequence: 0,
            id: ulid::Ulid::new().to_string(),
            fiscal_code: fiscal_code.to_owned(),
            received: crate::clock::now(),
            accepted: Instant::now(),
            service,
            message,
            traceparent,
            is_read: AtomicBool::default(),
            is_paid: AtomicBool::default(),
        };
        let fingerprint = stored.fingerprint();
        let mut evicted = None;
        let mut inner = self.lock();
        inner.received += 1;
        stored.sequence = inner.received;
        let stored = Arc::new(stored);
        inner.fingerprints.insert(fingerprint);
        inner.by_id.insert(stored.id.clone(), Arc::clone(&stored));
        inner.newest.push_back(Arc::clone(&stored));
        if inner.newest.len() > self.keep {
            evicted = inner.newest.pop_front();
        }
        if let Some(old) = &evicted {
            inner.by_id.remove(&old.id);
        }
        drop(inner);
        // Only now, outside the lock, is the evicted message freed.
        drop(evicted);
        stored
    }

    /// The message of an id, if it is still held.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Stored>> {
        self.lock().by_id.get(id).cloned()
    }

    /// Up to `limit` messages after a sequence number, oldest first.
    pub(crate) fn after(&self, sequence: u64, filter: &Filter, limit: usize) -> Vec<Arc<Stored>> {
        let mut found = Vec::new();
        let mut cursor = sequence;
        loop {
            let turn = self.turn(|inner| {
                let from = inner.newest.partition_point(|stored| stored.sequence <= cursor);
                inner.newest.iter().skip(from).take(TURN).cloned().collect()
            });
            let Some(last) = turn.last() else { return found };
            cursor = last.sequence;
            found.extend(turn.into_iter().filter(|stored| filter.admits(stored)).take(limit - found.len()));
            if found.len() >= limit {
                return found;
            }
        }
    }

    /// Up to `limit` messages before a sequence number, newest first.
    pub(crate) fn before(&self, sequence: u64, filter: &Filter, limit: usize) -> Vec<Arc<Stored>> {
        let mut found = Vec::new();
        let mut cursor = sequence;
        loop {
            let turn = self.turn(|inner| {
                let to = inner.newest.partition_point(|stored| stored.sequence < cursor);
                inner.newest.iter().take(to).rev().take(TURN).cloned().collect()
            });
            let Some(last) = turn.last() else { return found };
            cursor = last.sequence;
            found.extend(turn.into_iter().filter(|stored| filter.admits(stored)).take(limit - found.len()));
            if found.len() >= limit {
                return found;
            }
        }
    }

    /// The counters.
    pub(crate) fn counts(&self) -> Counts {
        let inner = self.lock();
        let (stored, unique) = (inner.newest.len() as u64, inner.fingerprints.len() as u64);
        Counts { received: inner.received, stored, unique, duplicates: inner.received.saturating_sub(unique) }
    }

    /// Forgets everything, counters too.
    pub(crate) fn clear(&self) {
        let old = std::mem::take(&mut *self.lock());
        drop(old);
    }

    fn turn(&self, read: impl Fn(&Inner) -> Vec<Arc<Stored>>) -> Vec<Arc<Stored>> {
        read(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
