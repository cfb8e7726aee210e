//! Doubles that answer as they are told and write down what they were asked.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::Registry;
use secrecy::{ExposeSecret, SecretString};
use shared::clock::Clock;
use shared::domain::FiscalCode;
use shared::domain::ente::{ContrattoPremium, Ente, IoAccount, ServizioEnte};
use shared::store::StoreError;
use shared::store::ledger::{Fence, History, Intent, Ledger, Settled, Settlement};
use shared::store::quota::{Grant, QuotaStore, Wanted};
use shared::suspects::{CrashCount, Suspect};
use shared::telemetry::metrics::Known;
use shared::wire::{DispatchRequest, FollowRequest, MessageRef, RecipientHash};
use tokio_util::sync::CancellationToken;

use crate::account::Accounts;
use crate::handler::{Enti, Handler, Parts, Policy};
use crate::io_api::{Call, IoApi, ProfileAnswer, StatusAnswer, SubmitAnswer};
use crate::metrics::Metrics;

pub(crate) const CODE: &str = "RSSMRA85T10A562S";
/// Key of the message.
pub(crate) const CHIAVE: &str = "d070ab882fd3f36b944bc7ce8c4d92a0";
/// HMAC-SHA-256 of the code with the key `chiave`.
pub(crate) fn hash() -> RecipientHash {
    RecipientHash::new(SecretString::from("chiave"))
}

/// Everything that happens, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Profile(String),
    Submit(String),
    Status(String),
    Fence,
    /// Recorded by the emission that passed the fence.
    Settle(Settlement),
    /// Recorded before the fence, where another's try must stand as it is.
    TurnedBack(Settlement),
    /// Taken back by the try of this token, which had passed the fence.
    Withdrawn(String),
    Standard(String),
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) profiles: Mutex<VecDeque<ProfileAnswer>>,
    pub(crate) submits: Mutex<VecDeque<SubmitAnswer>>,
    pub(crate) statuses: Mutex<VecDeque<StatusAnswer>>,
    pub(crate) fences: Mutex<VecDeque<Result<Fence, StoreError>>>,
    pub(crate) settled: Mutex<VecDeque<Result<Settled, StoreError>>>,
    pub(crate) history: Mutex<History>,
    pub(crate) intents: Mutex<Vec<Intent>>,
    pub(crate) pauses: Mutex<Vec<Duration>>,
    pub(crate) clock: Clock,
    /// By how much the clock goes on while the fence is asked.
    pub(crate) fence_lasts: Mutex<Duration>,
    /// How often each was in hand when a process ended.
    pub(crate) ends: Mutex<HashMap<Suspect, u32>>,
}

impl World {
    fn see(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// The settlements recorded, on either side of the fence.
    pub(crate) fn settlements(&self) -> Vec<Settlement> {
        let settle = |seen| match seen {
            Seen::Settle(settlement) | Seen::TurnedBack(settlement) => Some(settlement),
            _ => None,
        };
        self.seen().into_iter().filter_map(settle).collect()
    }
}

fn next<T>(queue: &Mutex<VecDeque<T>>) -> Option<T> {
    queue.lock().unwrap().pop_front()
}

fn call<A>(answer: A) -> Call<A> {
    Call { answer, status: "200", remaining: None }
}

#[derive(Clone)]
pub(crate) struct Double(pub(crate) Arc<World>);

impl IoApi for Double {
    async fn profile(&self, key: &SecretString, _: &FiscalCode) -> Call<ProfileAnswer> {
        self.0.see(Seen::Profile(key.expose_secret().to_owned()));
        call(next(&self.0.profiles).unwrap_or(ProfileAnswer::Allowed))
    }

    async fn submit(&self, key: &SecretString, _: &DispatchRequest) -> Call<SubmitAnswer> {
        self.0.see(Seen::Submit(key.expose_secret().to_owned()));
        let created = SubmitAnswer::Created { io_id: Some("IO-1".to_owned()) };
        call(next(&self.0.submits).unwrap_or(created))
    }

    async fn status(&self, _: &SecretString, _: &FiscalCode, io_id: &str) -> Call<StatusAnswer> {
        self.0.see(Seen::Status(io_id.to_owned()));
        call(next(&self.0.statuses).unwrap_or(StatusAnswer::Processed))
    }
}

impl Ledger for Double {
    async fn fence(&self, _: &MessageRef, intent: &Intent) -> Result<Fence, StoreError> {
        self.0.see(Seen::Fence);
        self.0.intents.lock().unwrap().push(intent.clone());
        let lasts = *self.0.fence_lasts.lock().unwrap();
        self.0.clock.set_offset_ms(i64::try_from(lasts.as_millis()).unwrap());
        next(&self.0.fences).unwrap_or(Ok(Fence::Go))
    }

    async fn settle(&self, _: &MessageRef, settlement: &Settlement) -> Result<Settled, StoreError> {
        self.0.see(Seen::Settle(settlement.clone()));
        next(&self.0.settled).unwrap_or(Ok(Settled::Recorded))
    }

    async fn turn_back(&self, _: &MessageRef, settlement: &Settlement) -> Result<Settled, StoreError> {
        self.0.see(Seen::TurnedBack(settlement.clone()));
        next(&self.0.settled).unwrap_or(Ok(Settled::Recorded))
    }

    async fn withdraw(&self, _: &MessageRef, token: &str, _: Duration) -> Result<Settled, StoreError> {
        self.0.see(Seen::Withdrawn(token.to_owned()));
        next(&self.0.settled).unwrap_or(Ok(Settled::Recorded))
    }

    async fn history(&self, _: &MessageRef) -> Result<History, StoreError> {
        Ok(*self.0.history.lock().unwrap())
    }

    async fn standard_for(&self, ente: &str, time: Duration) -> Result<(), StoreError> {
        self.0.see(Seen::Standard(format!("{ente} {}", time.as_secs())));
        Ok(())
    }
}

impl CrashCount for Double {
    async fn of(&self, suspect: &Suspect) -> Result<u32, StoreError> {
        Ok(self.0.ends.lock().unwrap().get(suspect).copied().unwrap_or(0))
    }

    async fn note(&self, suspect: &Suspect, count: u32) -> Result<(), StoreError> {
        self.0.ends.lock().unwrap().insert(*suspect, count);
        Ok(())
    }

    async fn forget(&self, suspect: &Suspect) -> Result<(), StoreError> {
        self.0.ends.lock().unwrap().remove(suspect);
        Ok(())
    }
}

impl QuotaStore for Double {
    async fn take(&self, _: &str, _: u32, wanted: Wanted<'_>) -> Result<Grant, StoreError> {
        let wanted = wanted.calls;
        Ok(Grant { granted: wanted, wait: Duration::ZERO, left: 1, total: 1, at_ms: 0 })
    }

    async fn pause(&self, _: &str, time: Duration) -> Result<(), StoreError> {
        self.0.pauses.lock().unwrap().push(time);
        Ok(())
    }

    async fn observe(&self, _: &str, _: u32, _: &Grant, _: u32) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Enti for Arc<Ente> {
    fn ente(&self, id: &str) -> Option<Arc<Ente>> {
        (self.id == id).then(|| Arc::clone(self))
    }
}

/// The ente `borgochiaro` with one service and both of its keys.
fn ente() -> Arc<Ente> {
    let servizio = ServizioEnte {
        chiave: SecretString::from("prima"),
        chiave_secondaria: Some(SecretString::from("seconda")),
        ..ServizioEnte::default()
    };
    Arc::new(Ente {
        id: "borgochiaro".to_owned(),
        denominazione: "Comune di Borgochiaro".to_owned(),
        comune: "Borgochiaro".to_owned(),
        fuso: "Europe/Rome".parse().unwrap(),
        festivita_locali: Vec::new(),
        io: IoAccount { account: "borgochiaro".to_owned(), calls_per_5s: 150 },
        premium: ContrattoPremium::default(),
        servizi: BTreeMap::from([("alloggi-sociali".to_owned(), servizio)]),
    })
}

pub(crate) type Tested = Handler<Double, Double, Double, Arc<Ente>>;

/// A handler in a world of its own.
pub(crate) fn handler() -> (Tested, Arc<World>) {
    let world = Arc::new(World::default());
    let double = Double(Arc::clone(&world));
    let metrics = Arc::new(Metrics::register(&Registry::new(), &Known::default()).unwrap());
    let parts = Parts {
        api: double.clone(),
        ledger: double.clone(),
        accounts: Accounts::new(8, Arc::new(double), Arc::clone(&metrics)),
        enti: ente(),
        clock: Clock::system(),
        hash: hash(),
        policy: Policy {
            request_timeout: Duration::from_secs(10),
            resend_after: Duration::from_mins(4),
            track_status: true,
        },
        metrics,
        stopping: CancellationToken::new(),
    };
    (Handler::new(parts), world)
}

fn message() -> serde_json::Value {
    serde_json::json!({
        "v": 1, "ente": "borgochiaro", "servizio": "alloggi-sociali", "pratica": "P-1",
        "messaggio": "alloggi-protocollo", "chiave": CHIAVE, "evento": "e", "caso": "c", "slot": 0, "attempt": 1,
        "codice_fiscale": CODE,
    })
}

/// A request, with some of its fields in place of the usual ones.
pub(crate) fn request(fields: serde_json::Value) -> DispatchRequest {
    let mut body = message();
    let usual = serde_json::json!({
        "content": {"subject": "Domanda protocollata", "markdown": "testo", "require_secure_channels": true},
        "livello": "STANDARD", "in_dubbio": "hold", "testo": "0123456789abcdef", "dovuto_ms": 0
    });
    for fields in [usual, fields] {
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    }
    serde_json::from_value(body).unwrap()
}

/// A question for the status of `IO-1`, sent at that instant.
pub(crate) fn follow_request(inviato_ms: i64, attempt: u32) -> FollowRequest {
    let mut body = message();
    let fields = serde_json::json!({"io_id": "IO-1", "inviato_ms": inviato_ms, "attempt": attempt});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(body).unwrap()
}
