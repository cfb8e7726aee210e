//! Which key a service sends with, and the services that IO refuses for now.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use shared::domain::ente::ServizioEnte;
use tokio::time::Instant;

/// First pause of a service that IO refuses; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_mins(1);
/// Longest pause: a key mended at IO's side works again within ten minutes, one mended here at once.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// A key to send with.
#[derive(Debug, Clone)]
pub struct Key {
    /// The key.
    pub secret: SecretString,
    secondary: bool,
}

/// What a refused key leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterRefusal {
    /// The other key is to be tried.
    OtherKey,
    /// Both keys are refused: the service is paused.
    Paused(Duration),
}

/// State of the services' keys. Each replica learns it by itself.
#[derive(Debug, Default)]
pub struct Keys {
    services: Mutex<HashMap<(String, String), State>>,
}

/// State of a service, thrown away when its keys change.
#[derive(Debug)]
struct State {
    keys: [u8; 32],
    secondary: bool,
    paused: Option<Instant>,
    strikes: u32,
}

impl State {
    fn new(keys: [u8; 32]) -> Self {
        Self { keys, secondary: false, paused: None, strikes: 0 }
    }

    fn pause(&mut self) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1_u32 << self.strikes.min(8)).min(LONGEST_PAUSE);
        self.strikes = self.strikes.saturating_add(1);
        self.paused = Some(Instant::now() + pause);
        self.secondary = false; // after the pause, from the start
        pause
    }

    fn rest(&self) -> Option<Duration> {
        self.paused?.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero())
    }
}

impl Keys {
    /// The key to send with, or how long the service is paused for.
    ///
    /// # Errors
    /// The rest of the pause.
    pub fn current(&self, ente: &str, servizio: &str, keys: &ServizioEnte) -> Result<Key, Duration> {
        self.with(ente, servizio, keys, |state| match state.rest() {
            Some(rest) => Err(rest),
            None => Ok(match (&keys.chiave_secondaria, state.secondary) {
                (Some(secret), true) => Key { secret: secret.clone(), secondary: true },
                _ => Key { secret: keys.chiave.clone(), secondary: false },
            }),
        })
    }

    /// IO refused `key`.
    pub fn refused(&self, ente: &str, servizio: &str, keys: &ServizioEnte, key: &Key) -> AfterRefusal {
        self.with(ente, servizio, keys, |state| {
            if let Some(rest) = state.rest() {
                return AfterRefusal::Paused(rest); // another message was told first
            }
            if key.secondary != state.secondary {
                return AfterRefusal::OtherKey; // another message changed the key meanwhile
            }
            if !state.secondary && keys.chiave_secondaria.is_some() {
                state.secondary = true;
                return AfterRefusal::OtherKey;
            }
            AfterRefusal::Paused(state.pause())
        })
    }

    /// IO refuses whatever the service sends: it is paused. Returns for how long.
    pub fn pause(&self, ente: &str, servizio: &str, keys: &ServizioEnte) -> Duration {
        self.with(ente, servizio, keys, |state| state.rest().unwrap_or_else(|| state.pause()))
    }

    /// IO took a key: the next pause is a short one again.
    pub fn accepted(&self, ente: &str, servizio: &str, keys: &ServizioEnte) {
        self.with(ente, servizio, keys, |state| state.strikes = 0);
    }

    fn with<T>(
        &self,
        ente: &str,
        servizio: &str,
        keys: &ServizioEnte,
        act: impl FnOnce(&mut State) -> T,
    ) -> T {
        let print = fingerprint(keys);
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let state =
            services.entry((ente.to_owned(), servizio.to_owned())).or_insert_with(|| State::new(print));
        if state.keys != print {
            *state = State::new(print);
        }
        act(state)
    }
}

/// Tells whether the keys have changed, without keeping them.
fn fingerprint(keys: &ServizioEnte) -> [u8; 32] {
    let secondary = keys.chiave_secondaria.as_ref().map_or("", |key| key.expose_secret());
    let mut digest = Sha256::new();
    digest.update(keys.chiave.expose_secret());
    digest.update([0]);
    digest.update(secondary);
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(primary: &str, secondary: Option<&str>) -> ServizioEnte {
        ServizioEnte {
            chiave: SecretString::from(primary),
            chiave_secondaria: secondary.map(SecretString::from),
            ..ServizioEnte::default()
        }
    }

    fn current(keys: &Keys, service: &ServizioEnte) -> Result<String, Duration> {
        keys.current("e", "s", service).map(|key| key.secret.expose_secret().to_owned())
    }

    fn refuse(keys: &Keys, service: &ServizioEnte) -> AfterRefusal {
        let key = keys.current("e", "s", service).unwrap();
        keys.refused("e", "s", service, &key)
    }

    #[tokio::test(start_paused = true)]
    async fn the_secondary_key_is_tried_once_and_then_only_that_service_is_paused() {
        let (keys, service) = (Keys::default(), service("one", Some("two")));
        assert_eq!(current(&keys, &service).unwrap(), "one");
        assert_eq!(refuse(&keys, &service), AfterRefusal::OtherKey);
        assert_eq!(current(&keys, &service).unwrap(), "two");
        assert_eq!(refuse(&keys, &service), AfterRefusal::Paused(Duration::from_mins(1)));
        assert!(current(&keys, &service).is_err());
        assert!(keys.current("e", "other", &service).is_ok());
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(current(&keys, &service).unwrap(), "one");
    }

    #[tokio::test(start_paused = true)]
    async fn messages_that_were_under_way_with_the_first_key_do_not_condemn_the_second() {
        let (keys, service) = (Keys::default(), service("one", Some("two")));
        let first = keys.current("e", "s", &service).unwrap();
        assert_eq!(keys.refused("e", "s", &service, &first), AfterRefusal::OtherKey);
        assert_eq!(keys.refused("e", "s", &service, &first), AfterRefusal::OtherKey);
        assert_eq!(current(&keys, &service).unwrap(), "two");
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_ten_minutes_until_a_key_works() {
        let (keys, service) = (Keys::default(), service("one", None));
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let AfterRefusal::Paused(pause) = refuse(&keys, &service) else { panic!("no other key") };
            pauses.push(pause.as_secs());
            tokio::time::advance(pause).await;
        }
        assert_eq!(pauses, [60, 120, 240, 480, 600, 600]);
        keys.accepted("e", "s", &service);
        assert_eq!(refuse(&keys, &service), AfterRefusal::Paused(Duration::from_mins(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_key_ends_the_pause() {
        let keys = Keys::default();
        keys.pause("e", "s", &service("one", None));
        assert!(current(&keys, &service("one", None)).is_err());
        assert_eq!(current(&keys, &service("new", None)).unwrap(), "new");
    }
}
