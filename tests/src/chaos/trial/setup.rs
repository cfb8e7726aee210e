//! What a row asks of the fleet that it breaks.

use crate::chaos::crew::Environment;
use crate::fleet::Enti;

/// Which fleet a trial runs.
#[derive(Clone, Default)]
pub(in crate::chaos) struct Setup {
    pub(super) enti: Option<Enti>,
    pub(super) environment: Environment,
    pub(super) crash: Option<(&'static str, String)>,
    pub(super) through: Vec<&'static str>,
    pub(super) io_port: Option<u16>,
    pub(super) own_users: bool,
    pub(super) later_journal: bool,
    pub(super) address_space: Option<u64>,
}

impl Setup {
    /// Policy for unknown outcomes.
    pub(in crate::chaos) fn in_doubt(mut self, policy: &'static str) -> Self {
        self.enti.get_or_insert_with(usual_enti).in_doubt = policy;
        self
    }

    /// `io.calls_per_5s` of each account, at the sandbox too.
    pub(in crate::chaos) fn quota(mut self, calls_per_5s: u32) -> Self {
        self.enti.get_or_insert_with(usual_enti).calls_per_5s = calls_per_5s;
        self
    }

    /// The sandbox listens there: something else stands before it already.
    pub(in crate::chaos) fn io_on(mut self, port: u16) -> Self {
        self.io_port = Some(port);
        self
    }

    /// Each service signs in as its own user and may declare nothing, as `deploy/` has it.
    pub(in crate::chaos) fn own_users(mut self) -> Self {
        self.own_users = true;
        self
    }

    /// The journal gets lines of a later release, which this one refuses to read: it is not audited.
    pub(in crate::chaos) fn later_journal(mut self) -> Self {
        self.later_journal = true;
        self
    }

    /// Each process of a service has so many bytes of address space.
    pub(in crate::chaos) fn address_space(mut self, bytes: u64) -> Self {
        self.address_space = Some(bytes);
        self
    }

    /// A setting for every service: `SCHEDULER__LEASE`.
    pub(in crate::chaos) fn with(mut self, setting: &str, value: &str) -> Self {
        self.environment.push((format!("PROMEMORIA__{setting}"), value.to_owned()));
        self
    }

    /// A variable for every service, as it stands.
    pub(in crate::chaos) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first process of the service comes to this crash point: `name[:n[:deed]]`.
    pub(in crate::chaos) fn crash(mut self, service: &'static str, point: impl Into<String>) -> Self {
        self.crash = Some((service, point.into()));
        self
    }

    /// The services reach `amqp`, `redis` or `io` over a cable.
    pub(in crate::chaos) fn through(mut self, what: &'static str) -> Self {
        self.through.push(what);
        self
    }
}

/// Statuses are not asked for: most rows are about sending.
pub(super) fn usual_enti() -> Enti {
    Enti { track_status: false, ..Enti::default() }
}
