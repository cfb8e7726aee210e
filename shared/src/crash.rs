//! Crash points: named places at which a test has a process end, panic, freeze, or take all memory.
//!
//! [`crash_point!`](crate::crash_point) marks a place. Without the cargo feature `crash-points`, which only
//! the package `tests` turns on, the macro is empty: a release has neither the code nor the names.
//! With it, the environment says what happens:
//!
//! ```text
//! PROMEMORIA_CRASH_POINT=<name>[@<subject>][:<n>[:<abort|panic|stop|allocate>]]
//! ```
//!
//! At the `n`th time (from 1, the default) that the process comes to that place, with that subject if one is
//! named, it aborts (the default), panics in that task, stops as under `SIGSTOP` until somebody sends `SIGCONT`, or
//! allocates until its limit (`RLIMIT_AS`) refuses, of which Rust's allocator aborts. Where the place has something
//! personal in hand, the panic's text quotes it, as a careless one would.

/// A place at which a test may have the process end. Empty without the feature `crash-points`.
#[cfg(feature = "crash-points")]
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        $crate::crash::reached($name, "", b"")
    };
    ($name:literal, $subject:expr) => {
        $crate::crash::reached($name, $subject, b"")
    };
    ($name:literal, $subject:expr, $in_hand:expr) => {
        $crate::crash::reached($name, $subject, $in_hand)
    };
}

/// A place at which a test may have the process end. Empty without the feature `crash-points`.
#[cfg(not(feature = "crash-points"))]
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {};
    ($name:literal, $subject:expr) => {};
    ($name:literal, $subject:expr, $in_hand:expr) => {};
}

#[cfg(feature = "crash-points")]
pub use armed::reached;

#[cfg(feature = "crash-points")]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// What happens at the place.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Deed {
        Abort,
        Panic,
        Stop,
        Allocate,
    }

    /// The place that the environment names.
    #[derive(Debug, PartialEq, Eq)]
    struct Armed {
        name: String,
        /// What the process must have in hand there; none is anything.
        subject: Option<String>,
        at: u32,
        deed: Deed,
    }

    static ARMED: LazyLock<Option<Armed>> =
        LazyLock::new(|| Armed::read(&std::env::var("PROMEMORIA_CRASH_POINT").ok()?));

    /// How often the armed place was reached.
    static REACHED: AtomicU32 = AtomicU32::new(0);

    impl Armed {
        fn read(text: &str) -> Option<Self> {
            let mut parts = text.split(':');
            let place = parts.next().filter(|name| !name.is_empty())?;
            let (name, subject) = match place.split_once('@') {
                Some((name, subject)) => (name.to_owned(), Some(subject.to_owned())),
                None => (place.to_owned(), None),
            };
            let at = parts.next().map_or(Some(1), |at| at.parse().ok())?;
            let deed = match parts.next() {
                None | Some("abort") => Deed::Abort,
                Some("panic") => Deed::Panic,
                Some("stop") => Deed::Stop,
                Some("allocate") => Deed::Allocate,
                Some(_) => return None,
            };
            Some(Self { name, subject, at, deed })
        }

        fn is_at(&self, name: &str, subject: &str) -> bool {
            self.name == name && self.subject.as_deref().is_none_or(|wanted| wanted == subject)
        }
    }

    /// What [`crash_point!`](crate::crash_point) calls.
    ///
    /// # Panics
    /// If the environment asks for it.
    pub fn reached(name: &str, subject: &str, in_hand: &[u8]) {
        let Some(armed) = ARMED.as_ref().filter(|armed| armed.is_at(name, subject)) else { return };
        if REACHED.fetch_add(1, Ordering::SeqCst) + 1 != armed.at {
            return;
        }
        // The tests look for this line: a crash that came from elsewhere is none of theirs.
        eprintln!("crash point {name}");
        match armed.deed {
            Deed::Abort => std::process::abort(),
            Deed::Panic => panic!("crash point {name} with {}", String::from_utf8_lossy(in_hand)),
            Deed::Stop => stop(),
            Deed::Allocate => allocate(),
        }
    }

    /// How long this thread waits for the freeze to reach it.
    const FREEZES_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);

    /// Freezes the whole process. The kernel stops the threads one after the other, and on a busy machine this
    /// one, which must not go on, among the last: it rests until that is over.
    fn stop() {
        let id = std::process::id().to_string();
        let sent = std::process::Command::new("kill").args(["-STOP", &id]).status();
        if !sent.is_ok_and(|status| status.success()) {
            // Going on as if nothing were would look like a fault that was withstood.
            eprintln!("the process could not be stopped");
            std::process::abort();
        }
        std::thread::sleep(FREEZES_WITHIN);
    }

    /// Bytes that are asked for at a time, and how often at most: more than any test lets a process have.
    const BITE: usize = 16 << 20;
    const BITES: usize = 4096;

    /// Asks for memory until there is none. It is never written to, so that the machine's own is not used up.
    fn allocate() -> ! {
        let mut eaten: Vec<Vec<u8>> = Vec::new();
        for _ in 0..BITES {
            eaten.push(std::hint::black_box(Vec::with_capacity(BITE)));
        }
        // An end that looks like a refused allocation would look like a fault that was withstood.
        eprintln!("memory is not bounded: {} allocations of {BITE} bytes", eaten.len());
        std::process::exit(1)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_environment_names_place_time_and_deed() {
            let armed = |name: &str, at, deed| Some(Armed { name: name.to_owned(), subject: None, at, deed });
            let one = Armed::read("a.b@event-1:2:panic").expect("an armed one");
            assert!(
                one.is_at("a.b", "event-1") && !one.is_at("a.b", "event-2") && !one.is_at("a.c", "event-1")
            );
            assert!(Armed::read("a.b").expect("an armed one").is_at("a.b", "anything"));
            assert_eq!((one.at, one.deed), (2, Deed::Panic));
            assert_eq!(Armed::read("a.b"), armed("a.b", 1, Deed::Abort));
            assert_eq!(Armed::read("a.b:3"), armed("a.b", 3, Deed::Abort));
            assert_eq!(Armed::read("a.b:2:panic"), armed("a.b", 2, Deed::Panic));
            assert_eq!(Armed::read("a.b:1:stop"), armed("a.b", 1, Deed::Stop));
            assert_eq!(Armed::read("a.b:1:allocate"), armed("a.b", 1, Deed::Allocate));
            for bad in ["", ":1", "a.b:x", "a.b:1:sleep"] {
                assert_eq!(Armed::read(bad), None, "{bad}");
            }
        }
    }
}
