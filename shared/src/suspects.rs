//! What ends the process that takes it must not do so for ever: an event, or a request for one message.
//!
//! A delivery that comes again may be why the process before ended. The broker counts returns, but of everything
//! that was prefetched, so its count says little of any one. So whoever takes a delivery again notes that first
//! and strikes the note when it is done: what is noted then was in hand when a process ended. Such a suspect is
//! taken alone, so that its next end is nobody else's, and not before the process has been ready for a while, so that
//! processes that die of something else (they are killed, the machine is restarted) do not blame it. After
//! three ends it is given up: one unnoted, one among others, one alone.
//!
//! A delivery that comes for the first time costs nothing of this. A request that is new, and whose message was
//! emitted before, costs a look: its lease may have ended while the delivery before it waited as a suspect.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

use crate::domain::hex;
use crate::store::StoreError;

/// Notes after which it is given up. The first end of all is not noted: nobody suspected it yet.
const MOST: u32 = 2;
/// Deliveries that come again and are in hand at once, where one takes milliseconds: an end makes no more suspects
/// than these, and the rest of a prefetched thousand still passes within seconds.
pub const CROWD: usize = 4;
/// The same where one waits for calls of IO, for 2 s at most: what a dispatcher had in hand passes well within a
/// lease.
pub const WAITING_CROWD: usize = 16;
/// Reason of what is given up.
pub const ENDED_EVERYONE: &str = "every process that took it ended while it did";
/// How long a process has been ready before it takes a suspect. Longer than processes live that are killed one
/// after the other, and short against the delivery acknowledgement timeout of the broker (30 minutes). Ready,
/// because what comes for the first time must have had its turn: a store may have to be rebuilt before.
const CALM: Duration = Duration::from_secs(30);
/// How often it is looked whether the process is ready.
const LOOK: Duration = Duration::from_secs(1);

/// What may end a process: the digest of what it is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Suspect([u8; 16]);

impl Suspect {
    /// Of a queue and what tells its deliveries apart, the body for example. A digest, so that nothing of it is
    /// in the store.
    #[must_use]
    pub fn of(queue: &str, what: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(queue).chain_update([0]).chain_update(what).finalize();
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        Self(short)
    }
}

impl fmt::Display for Suspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Remembers, beyond the end of a process, what was in its hand.
pub trait CrashCount: Send + Sync + 'static {
    /// How often it was noted and not forgotten.
    fn of(&self, suspect: &Suspect) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// Notes it for the `count`th time.
    fn note(&self, suspect: &Suspect, count: u32) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// It was handled.
    fn forget(&self, suspect: &Suspect) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// How a delivery that may be a suspect came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coming {
    /// For the first time, as far as anybody knows: nothing is asked.
    First,
    /// It was given out before, by the broker's word.
    Again,
    /// It was not, and its message was: handled like any other unless it is noted.
    Anew,
}

impl Coming {
    /// Of a request for this emission of a message, from 1.
    #[must_use]
    pub fn of(redelivered: bool, emission: u32) -> Self {
        match emission {
            _ if redelivered => Self::Again,
            0 | 1 => Self::First,
            2.. => Self::Anew,
        }
    }
}

/// Decides in which company a delivery that comes again is handled.
pub struct Suspects<C> {
    count: Arc<C>,
    is_ready: Box<dyn Fn() -> bool + Send + Sync>,
    ready_since: OnceLock<Instant>,
    crowd: Arc<Semaphore>,
    alone: Arc<Semaphore>,
    /// Since when each stands at its last note, as far as this process saw.
    last_seen: Mutex<HashMap<Suspect, Instant>>,
}

/// What is done with it.
pub enum Admission<C> {
    /// It is handled; [`Leave::over`] afterwards.
    Handle(Leave<C>),
    /// It ended too many processes.
    GiveUp,
}

/// Leave to handle one delivery. If it is dropped without [`Leave::over`], because the handler panicked, the
/// note stays.
pub struct Leave<C> {
    /// Where it is noted; none if it is not.
    noted: Option<Arc<C>>,
    suspect: Suspect,
    _place: Option<OwnedSemaphorePermit>,
}

impl<C: CrashCount> Suspects<C> {
    /// Of a process that starts now; `crowd` is [`CROWD`] or [`WAITING_CROWD`], `is_ready` says whether it does its
    /// work.
    #[must_use]
    pub fn new(count: C, crowd: usize, is_ready: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self {
            count: Arc::new(count),
            is_ready: Box::new(is_ready),
            ready_since: OnceLock::new(),
            crowd: places(crowd),
            alone: places(1),
            last_seen: Mutex::default(),
        }
    }

    /// Waits until the process has been ready for [`CALM`].
    async fn calm(&self) {
        while self.ready_since.get().is_none() {
            if (self.is_ready)() {
                self.ready_since.get_or_init(Instant::now);
            } else {
                sleep(LOOK).await;
            }
        }
        if let Some(since) = self.ready_since.get() {
            sleep_until(*since + CALM).await;
        }
    }

    /// At the last note another process may have it in hand, alone, and be done with it soon. That is waited for once:
    /// a message whose lease is shorter would be emitted anew before each of its deliveries had waited.
    async fn last_note(&self, suspect: Suspect, noted: u32) {
        if noted < MOST {
            self.last_seen().remove(&suspect);
            return;
        }
        let since = *self.last_seen().entry(suspect).or_insert_with(Instant::now);
        sleep_until(since + CALM).await;
    }

    fn last_seen(&self) -> MutexGuard<'_, HashMap<Suspect, Instant>> {
        self.last_seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it was noted. A store that does not answer knows of nothing: the broker's own limit is left then.
    async fn noted(&self, suspect: &Suspect) -> u32 {
        self.count.of(suspect).await.unwrap_or_else(|failure| {
            debug!(error = %failure, "returns are not counted");
            0
        })
    }

    /// Waits until a delivery may be handled.
    pub async fn admit(&self, suspect: Suspect, coming: Coming) -> Admission<C> {
        let free = Leave { noted: None, suspect, _place: None };
        if coming == Coming::First {
            return Admission::Handle(free);
        }
        let mut noted = self.noted(&suspect).await;
        let place = match (noted, coming) {
            (0, Coming::First | Coming::Anew) => return Admission::Handle(free),
            (0, Coming::Again) => Arc::clone(&self.crowd).acquire_owned().await,
            (1.., _) => {
                warn!(%suspect, "in hand when a process ended: taken alone");
                tokio::join!(self.calm(), self.last_note(suspect, noted));
                let place = Arc::clone(&self.alone).acquire_owned().await;
                // Another delivery of the same may have been handled meanwhile, or have ended another process.
                noted = self.noted(&suspect).await;
                place
            }
        };
        if noted >= MOST {
            return Admission::GiveUp;
        }
        if let Err(failure) = self.count.note(&suspect, noted + 1).await {
            debug!(error = %failure, "returns are not counted");
        }
        // Nobody closes them; without a place it is handled all the same.
        Admission::Handle(Leave { noted: Some(Arc::clone(&self.count)), suspect, _place: place.ok() })
    }
}

impl<C: CrashCount> Leave<C> {
    /// It was handled, whatever came of it: the note is struck.
    pub async fn over(self) {
        let Some(count) = &self.noted else { return };
        if let Err(failure) = count.forget(&self.suspect).await {
            debug!(error = %failure, "returns are not counted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a store would hold, across processes.
    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<HashMap<Suspect, u32>>>);

    impl Notes {
        fn with<T>(&self, look: impl FnOnce(&mut HashMap<Suspect, u32>) -> T) -> T {
            look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl CrashCount for Notes {
        async fn of(&self, suspect: &Suspect) -> Result<u32, StoreError> {
            Ok(self.with(|notes| notes.get(suspect).copied().unwrap_or(0)))
        }

        async fn note(&self, suspect: &Suspect, count: u32) -> Result<(), StoreError> {
            self.with(|notes| notes.insert(*suspect, count));
            Ok(())
        }

        async fn forget(&self, suspect: &Suspect) -> Result<(), StoreError> {
            self.with(|notes| notes.remove(suspect));
            Ok(())
        }
    }

    /// A process that is ready at once.
    fn started(notes: &Notes) -> Suspects<Notes> {
        Suspects::new(notes.clone(), CROWD, || true)
    }

    fn suspect(name: &str) -> Suspect {
        Suspect::of("queue", name.as_bytes())
    }

    async fn leave(process: &Suspects<Notes>, name: &str) -> Leave<Notes> {
        match process.admit(suspect(name), Coming::Again).await {
            Admission::Handle(leave) => leave,
            Admission::GiveUp => panic!("{name} is given up"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_process_after_process_is_given_up_after_the_third() {
        let notes = Notes::default();
        // The first end was before anybody suspected it. The second, among others:
        let process = started(&notes);
        drop(leave(&process, "poison").await);
        leave(&process, "good").await.over().await;
        // The third, alone and after a while:
        let process = started(&notes);
        let begun = Instant::now();
        drop(leave(&process, "poison").await);
        assert_eq!(begun.elapsed(), CALM);
        let process = started(&notes);
        assert!(matches!(process.admit(suspect("poison"), Coming::Again).await, Admission::GiveUp));
        leave(&process, "good").await.over().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspect_waits_for_a_process_that_is_not_ready() {
        let notes = Notes::default();
        notes.with(|notes| notes.insert(suspect("poison"), 1));
        let ready_at = Instant::now() + Duration::from_mins(5);
        let process = Suspects::new(notes, CROWD, move || Instant::now() >= ready_at);
        leave(&process, "good").await.over().await;
        assert!(Instant::now() < ready_at, "nobody else waits");
        leave(&process, "poison").await.over().await;
        assert!(Instant::now() >= ready_at + CALM);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_only_there_when_a_process_ended_is_cleared_of_it() {
        let notes = Notes::default();
        let process = started(&notes);
        drop((leave(&process, "a").await, leave(&process, "b").await));
        let process = started(&notes);
        for name in ["a", "b"] {
            leave(&process, name).await.over().await;
        }
        assert!(notes.with(|notes| notes.is_empty()));
    }

    #[tokio::test(start_paused = true)]
    async fn suspects_are_in_hand_one_at_a_time_and_others_in_a_small_crowd() {
        let notes = Notes::default();
        for name in ["a", "b"] {
            notes.with(|notes| notes.insert(suspect(name), 1));
        }
        let process = started(&notes);
        let first = leave(&process, "a").await;
        let (second, soon) = (process.admit(suspect("b"), Coming::Again), Duration::from_hours(1));
        let second = tokio::time::timeout(soon, second).await;
        assert!(second.is_err(), "two suspects at once");
        first.over().await;
        leave(&process, "b").await.over().await;

        let mut crowd = Vec::new();
        for number in 0..CROWD {
            crowd.push(leave(&process, &number.to_string()).await);
        }
        assert!(tokio::time::timeout(soon, process.admit(suspect("one more"), Coming::Again)).await.is_err());
    }
    #[tokio::test(start_paused = true)]
    async fn what_comes_anew_is_held_to_the_note_of_its_message_and_leaves_none() {
        let notes = Notes::default();
        let process = started(&notes);
        let mut crowd = Vec::new();
        for number in 0..CROWD {
            crowd.push(leave(&process, &number.to_string()).await);
        }
        let Admission::Handle(free) = process.admit(suspect("good"), Coming::Anew).await else {
            panic!("given up")
        };
        assert_eq!(notes.with(|notes| notes.get(&suspect("good")).copied()), None, "noted without a reason");
        free.over().await;
        drop(crowd);
        notes.with(|notes| notes.insert(suspect("poison"), 1));
        let begun = Instant::now();
        let Admission::Handle(alone) = process.admit(suspect("poison"), Coming::Anew).await else {
            panic!("given up too soon")
        };
        assert_eq!(begun.elapsed(), CALM);
        drop(alone);
        assert!(matches!(process.admit(suspect("poison"), Coming::Anew).await, Admission::GiveUp));
    }

    #[tokio::test(start_paused = true)]
    async fn two_deliveries_of_one_suspect_count_one_end() {
        let notes = Notes::default();
        notes.with(|notes| notes.insert(suspect("a"), 1));
        let process = Arc::new(started(&notes));
        let first = leave(&process, "a").await;
        let second = tokio::spawn({
            let process = Arc::clone(&process);
            async move { leave(&process, "a").await }
        });
        tokio::task::yield_now().await;
        first.over().await;
        let second = second.await.expect("the second");
        assert_eq!(notes.with(|notes| notes.get(&suspect("a")).copied()), Some(1), "blamed for the first");
        second.over().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_again_faster_than_one_waits_is_given_up_all_the_same() {
        let notes = Notes::default();
        notes.with(|notes| notes.insert(suspect("poison"), MOST));
        let process = started(&notes);
        // Only its newest delivery counts: those before it are turned away as late.
        let newest = async {
            loop {
                let soon = Duration::from_secs(3);
                let admitted =
                    tokio::time::timeout(soon, process.admit(suspect("poison"), Coming::Anew)).await;
                if matches!(admitted, Ok(Admission::GiveUp)) {
                    return;
                }
            }
        };
        tokio::time::timeout(CALM * 2, newest).await.expect("given up");
    }
}
