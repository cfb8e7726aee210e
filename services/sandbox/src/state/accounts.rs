//! Keys, services and accounts.

pub(crate) use super::limiter::Admission;
use super::limiter::Limiter;
use crate::options::{DEFAULT_CALLS_PER_5S, DEFAULT_MAX_AMOUNT, Servizio};
use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;
use ulid::Ulid;

/// A sender service: what a key stands for.
pub(crate) struct Service {
    /// `sender_service_id`, a ULID made from the key's hash.
    pub(crate) id: String,
    pub(crate) nome: String,
    pub(crate) ente: String,
    /// Institution whose calls share one limit.
    pub(crate) account: Arc<str>,
    pub(crate) is_premium: bool,
    /// Euro cents.
    pub(crate) max_amount: u64,
    limiter: Arc<Limiter>,
}

impl Service {
    /// Asks the account's limit for one call at `now`.
    pub(crate) fn admit(&self, now: Instant) -> Admission {
        self.limiter.admit(now)
    }
}

// By hand: the name says enough, and nothing of the key is in here to begin with.
impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a remote content configuration is to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Configuration {
    Owned,
    SomeoneElses,
    Unknown,
}

/// All the services.
#[derive(Debug)]
pub(crate) struct Directory {
    by_key: RwLock<HashMap<String, Arc<Service>>>,
    /// No service was configured: any key is good and becomes its own account.
    is_open: bool,
    /// Account that owns each configuration.
    configurations: HashMap<String, Vec<Arc<str>>>,
}

impl Directory {
    pub(crate) fn new(servizi: &[Servizio]) -> Self {
        let mut limiters: HashMap<&str, (Arc<str>, Arc<Limiter>)> = HashMap::new();
        let mut by_key = HashMap::new();
        let mut configurations: HashMap<String, Vec<Arc<str>>> = HashMap::new();
        for servizio in servizi {
            let (account, limiter) = limiters
                .entry(&servizio.account)
                .or_insert_with(|| {
                    (Arc::from(servizio.account.as_str()), Arc::new(Limiter::new(servizio.calls_per_5s)))
                })
                .clone();
            for configuration in &servizio.configurazioni_remote {
                configurations.entry(configuration.clone()).or_default().push(Arc::clone(&account));
            }
            let service = Arc::new(Service::of(servizio, account, limiter));
            for key in std::iter::once(&servizio.chiave).chain(&servizio.chiave_secondaria) {
                by_key.insert(key.clone(), Arc::clone(&service));
            }
        }
        Self { by_key: RwLock::new(by_key), is_open: servizi.is_empty(), configurations }
    }

    /// The service of a key, if the key is good.
    pub(crate) fn service(&self, key: &str) -> Option<Arc<Service>> {
        let known = self.by_key.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if known.is_some() || !self.is_open || key.is_empty() {
            return known;
        }
        let mut by_key = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        let number = by_key.len() + 1;
        let service = by_key.entry(key.to_owned()).or_insert_with(|| Arc::new(Service::of_any(key, number)));
        Some(Arc::clone(service))
    }

    /// Whether a configuration exists, and whose it is.
    pub(crate) fn configuration(&self, id: &str, caller: &Service) -> Configuration {
        if self.is_open {
            return Configuration::Owned;
        }
        match self.configurations.get(id) {
            None => Configuration::Unknown,
            Some(owners) if owners.contains(&caller.account) => Configuration::Owned,
            Some(_) => Configuration::SomeoneElses,
        }
    }

    /// Whether the caller's account may send `third_party_data`: it has a configuration of its own.
    pub(crate) fn may_send_third_party_data(&self, caller: &Service) -> bool {
        self.is_open || self.configurations.values().any(|owners| owners.contains(&caller.account))
    }
}

impl Service {
    fn of(servizio: &Servizio, account: Arc<str>, limiter: Arc<Limiter>) -> Self {
        Self {
            id: service_id(&servizio.chiave),
            nome: servizio.nome.clone(),
            ente: servizio.ente.clone(),
            account,
            is_premium: servizio.premium,
            max_amount: servizio.max_importo_centesimi,
            limiter,
        }
    }

    /// The service of a key nobody configured. Its account gets a number, so that no key is ever shown.
    fn of_any(key: &str, number: usize) -> Self {
        Self {
            id: service_id(key),
            nome: "Servizio di prova".to_owned(),
            ente: "Ente di prova".to_owned(),
            account: format!("account-{number}").into(),
            is_premium: key.ends_with("-premium"),
            max_amount: DEFAULT_MAX_AMOUNT,
            limiter: Arc::new(Limiter::new(DEFAULT_CALLS_PER_5S)),
        }
    }
}

/// Looks like the ULID that names a subscription; the same for the same key at every start.
fn service_id(key: &str) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, key).hash(&mut hasher);
        hasher.finish()
    };
    Ulid::from((half(1), half(2))).to_string()
}
