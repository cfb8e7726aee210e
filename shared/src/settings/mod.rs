//! Settings of the fleet, and the enti.
//!
//! `Settings::load` lays built-in defaults, one TOML file and the environment over each other
//! (`merge`), reads them key by key (`reader`, `kinds`, `read`) and reports every fault at once.
//! `enti` reads one file per ente; `live` keeps the enti in force and follows their folder.
//! `page` writes `docs/configuration.md`.

mod endpoint;
mod enti;
mod kinds;
mod live;
mod merge;
mod model;
mod page;
mod read;
mod reader;
mod redact;
mod secret;
mod servizio;
mod watch;

#[cfg(test)]
mod tests;

pub use enti::{Enti, Loaded};
pub use live::{Live, Registry, Validator};
pub use model::{
    Amqp, Bind, Durability, Io, Log, LogFormat, LogLevel, Privacy, Redis, RedisTopology, Retention,
    Scheduler, Settings, Tls, Tracing,
};
pub use page::configuration_page;

/// The environment variable that names the settings file where the command line does not.
pub const CONFIG_VARIABLE: &str = "PROMEMORIA_CONFIG";

/// Exit code of a process whose settings are at fault: `EX_CONFIG` of sysexits.h.
pub const EXIT_CONFIG: u8 = 78;

/// The environment of this process, without the variables that are not Unicode.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
