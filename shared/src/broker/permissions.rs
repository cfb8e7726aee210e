//! Who may do what at the broker: the users of the fleet's own processes, and those of an ente's systems.
//!
//! RabbitMQ knows three permissions, each a pattern over the names of exchanges and queues: *configure*
//! (make, delete), *write* (publish to an exchange, bind to a queue), *read* (consume a queue, bind from
//! an exchange). A topic permission narrows write and read on a topic exchange by routing key
//! (<https://www.rabbitmq.com/docs/access-control>).
//!
//! No user of the fleet may configure: the topology comes from `deploy/rabbitmq/definitions.json`, and
//! the processes check what they use (`amqp.declare = false`).

use serde_json::{Value, json};

use super::topology::{
    DEAD, DEAD_QUEUE, DISPATCH_QUEUE, EVENTS, EVENTS_QUEUE, FOLLOW_QUEUE, JOURNAL, JOURNAL_EVENTS,
    JOURNAL_INTENTS, JOURNAL_OUTCOMES, OUTCOMES, PROBE, RENDER_QUEUE, Topology, UNROUTED_QUEUE, WORK,
};

/// A process of the fleet, as a user of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes events, sends work to the renderer and the dispatcher.
    Scheduler,
    /// Takes render requests, sends dispatch requests.
    Renderer,
    /// Takes dispatch and status requests.
    Dispatcher,
    /// `promemoria`, the command line: publishes events, looks after what was given up.
    Operator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Scheduler, Self::Renderer, Self::Dispatcher, Self::Operator];

    /// The name that the process connects under, if it is one of ours.
    #[must_use]
    pub fn of_process(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.process() == name)
    }

    /// The process.
    #[must_use]
    pub fn process(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::Renderer => "renderer",
            Self::Dispatcher => "dispatcher",
            Self::Operator => "promemoria",
        }
    }

    /// Its user, at the broker and in Redis.
    #[must_use]
    pub fn user(self) -> &'static str {
        match self {
            Self::Scheduler => "promemoria-scheduler",
            Self::Renderer => "promemoria-renderer",
            Self::Dispatcher => "promemoria-dispatcher",
            Self::Operator => "promemoria-operator",
        }
    }

    /// The exchanges that it publishes to.
    #[must_use]
    pub fn writes(self) -> &'static [&'static str] {
        match self {
            Self::Scheduler => &[WORK, OUTCOMES, DEAD, JOURNAL, PROBE],
            Self::Renderer => &[WORK, OUTCOMES, DEAD, PROBE],
            Self::Dispatcher => &[OUTCOMES, DEAD, JOURNAL, PROBE],
            Self::Operator => &[EVENTS, OUTCOMES, JOURNAL],
        }
    }

    /// The queues that it takes from.
    #[must_use]
    pub fn reads(self) -> &'static [&'static str] {
        match self {
            Self::Scheduler => &[EVENTS_QUEUE, JOURNAL_EVENTS, JOURNAL_INTENTS, JOURNAL_OUTCOMES],
            Self::Renderer => &[RENDER_QUEUE],
            Self::Dispatcher => &[DISPATCH_QUEUE, FOLLOW_QUEUE],
            Self::Operator => {
                &[DEAD_QUEUE, UNROUTED_QUEUE, JOURNAL_EVENTS, JOURNAL_INTENTS, JOURNAL_OUTCOMES]
            }
        }
    }

    fn permission(self, vhost: &str) -> Value {
        permission(self.user(), vhost, NOTHING, &exactly(self.writes()), &exactly(self.reads()))
    }
}

/// The user with which KEDA asks the management API how much waits. Its tag lets it read counts; no permission
/// lets it touch an exchange or a queue.
pub const COUNTS_USER: &str = "promemoria-keda";

/// A pattern that no name matches: every exchange and queue has one.
const NOTHING: &str = "^$";

impl Topology {
    /// What a process uses of the fleet's topology: all that a user of its own may look at. Brokers from
    /// RabbitMQ 4.3 on refuse even a passive look at what a user has no permission on.
    #[must_use]
    pub fn used_by(role: Role) -> Self {
        let Self { mut exchanges, mut queues, mut streams, .. } = Self::fleet();
        exchanges.retain(|it| role.writes().contains(&it.name.as_str()));
        queues.retain(|it| role.reads().contains(&it.name.as_str()));
        streams.retain(|it| role.reads().contains(&it.name.as_str()));
        Self { exchanges, queues, streams, bindings: Vec::new() }
    }
}

/// The definitions of the fleet's users, for one virtual host. They have no password yet: nobody can sign
/// in until an administrator sets one.
pub(super) fn fleet(vhost: &str) -> [Value; 2] {
    let users = Role::ALL.into_iter().map(|role| user(role.user(), &[]));
    let users: Value = users.chain([user(COUNTS_USER, &["monitoring"])]).collect();
    let counts = permission(COUNTS_USER, vhost, NOTHING, NOTHING, NOTHING);
    let permissions: Value =
        Role::ALL.into_iter().map(|role| role.permission(vhost)).chain([counts]).collect();
    [users, permissions]
}

/// The definitions of an ente's two users, for one virtual host, without passwords.
///
/// `<ente>.events` publishes that ente's events and can do nothing else. `<ente>.outcomes` keeps queues
/// whose names begin with `ente.<ente>.` and binds them to that ente's outcomes.
///
/// Two, because one user who may both publish events and make exchanges could forge: a binding from an
/// exchange of its own to `promemoria.events`, or dead-lettering into it, carries any routing key past the
/// topic permission, which RabbitMQ asks for at publishing only.
#[must_use]
pub fn integrator(ente: &str, vhost: &str) -> Value {
    let (publisher, listener) = (format!("{ente}.events"), format!("{ente}.outcomes"));
    let own = format!(r"^ente\.{ente}\.");
    let reads = format!(r"^(ente\.{ente}\..*|{})$", escaped(OUTCOMES));
    let keys = format!(r"^{ente}\.");
    json!({
        "users": [user(&publisher, &[]), user(&listener, &[])],
        "permissions": [
            permission(&publisher, vhost, NOTHING, &exactly(&[EVENTS]), NOTHING),
            permission(&listener, vhost, &own, &own, &reads),
        ],
        "topic_permissions": [
            topic_permission(&publisher, vhost, EVENTS, &keys, NOTHING),
            topic_permission(&listener, vhost, OUTCOMES, NOTHING, &keys),
        ],
    })
}

fn user(name: &str, tags: &[&str]) -> Value {
    // An empty hash matches no password.
    json!({
        "name": name, "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": tags, "limits": {},
    })
}

fn permission(user: &str, vhost: &str, configure: &str, write: &str, read: &str) -> Value {
    json!({ "user": user, "vhost": vhost, "configure": configure, "write": write, "read": read })
}

fn topic_permission(user: &str, vhost: &str, exchange: &str, write: &str, read: &str) -> Value {
    json!({ "user": user, "vhost": vhost, "exchange": exchange, "write": write, "read": read })
}

/// A pattern of these names and no other.
fn exactly(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| escaped(name)).collect();
    format!("^({})$", names.join("|"))
}

fn escaped(name: &str) -> String {
    name.replace('.', r"\.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_uses_what_is_there_and_configures_nothing() {
        for role in Role::ALL {
            let used = Topology::used_by(role);
            assert_eq!(used.exchanges.len(), role.writes().len(), "{role:?}");
            assert_eq!(used.queues.len() + used.streams.len(), role.reads().len(), "{role:?}");
            assert_eq!(role.permission("/")["configure"], NOTHING);
            assert_eq!(Role::of_process(role.process()), Some(role));
        }
        assert_eq!(exactly(&["a.b", "c"]), r"^(a\.b|c)$");
    }

    #[test]
    fn who_counts_may_touch_nothing() {
        let [users, permissions] = fleet("/");
        let counts = users.as_array().unwrap().iter().find(|user| user["name"] == COUNTS_USER).unwrap();
        assert_eq!(counts["tags"], json!(["monitoring"]));
        let may = permissions.as_array().unwrap().iter().find(|may| may["user"] == COUNTS_USER).unwrap();
        for word in ["configure", "write", "read"] {
            assert_eq!(may[word], NOTHING, "{word}");
        }
    }

    #[test]
    fn the_shipped_example_of_an_ente_is_that_of_the_code() {
        let shipped = include_str!("../../../deploy/rabbitmq/integrator.json");
        let written = serde_json::to_string_pretty(&integrator("ENTE", "/")).unwrap();
        assert_eq!(shipped.trim_end(), written, "write the left file again from the right text");
    }
}
