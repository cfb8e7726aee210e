//! Log lines: JSON or text on stdout. Lower case, constant text, facts as fields.

use std::fmt::Write as _;
use std::panic::PanicHookInfo;

use rustix::process::{Resource, Rlimit, setrlimit};
use tracing::{Subscriber, error, info, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::{COMMIT, Process, VERSION};
use crate::settings::{Log, LogFormat, LogLevel, Settings};

/// The fleet's own crates, which follow `log.level`.
const OWN: [&str; 6] = ["shared", "scheduler", "renderer", "dispatcher", "sandbox", "promemoria"];

/// Starts the log lines of a service, makes panics log lines, and logs build and settings; from here on the process
/// leaves no core dump. A second call in one process leaves the subscriber of the first.
pub fn start(process: Process, settings: &Settings) {
    let subscriber = subscriber(settings.log, std::io::stdout);
    if subscriber.try_init().is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
    let process = process.name();
    if let Err(error) = forbid_core_dumps() {
        warn!(process, %error, "core dumps not forbidden");
    }
    info!(process, version = VERSION, commit = COMMIT, settings = %settings.redacted(), "starting");
    if settings.privacy.trial_key {
        warn!(process, "recipients are hashed with the trial key, which everybody knows");
    }
}

/// A core dump holds whatever was in hand: fiscal codes, texts and keys.
fn forbid_core_dumps() -> std::io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    Ok(setrlimit(Resource::Core, none)?)
}

fn subscriber<W>(log: Log, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    let registry = tracing_subscriber::registry().with(filter(log.level));
    match log.format {
        LogFormat::Json => Box::new(registry.with(lines.json().flatten_event(true).with_span_list(false))),
        LogFormat::Text => Box::new(registry.with(lines)),
    }
}

/// Libraries stay at `warn`: below that some print what passes through them, URLs with fiscal codes too.
fn filter(level: LogLevel) -> EnvFilter {
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let mut directives = if level == "error" { "error".to_owned() } else { "warn".to_owned() };
    for own in OWN {
        // Writing to a String cannot fail.
        write!(directives, ",{own}={level}").ok();
    }
    EnvFilter::new(directives)
}

/// Where it happened, never the payload, which may quote what was being worked on.
fn log_panic(panic: &PanicHookInfo) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
    error!(location, thread, "panic");
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged meanwhile.
    fn logged(format: LogFormat, level: LogLevel, work: impl FnOnce()) -> String {
        let lines = Lines::default();
        let sink = lines.clone();
        let subscriber = subscriber(Log { format, level }, move || sink.clone());
        tracing::subscriber::with_default(subscriber, work);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_json_line_holds_text_and_facts_side_by_side() {
        let text = logged(LogFormat::Json, LogLevel::Info, || info!(queue = "q", attempt = 2, "taken"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "taken");
        assert_eq!((&line["queue"], &line["attempt"]), (&"q".into(), &2.into()));
        assert_eq!((&line["level"], line["timestamp"].is_string()), (&"INFO".into(), true));
    }

    #[test]
    fn libraries_stay_at_warn_whatever_the_level() {
        let text = logged(LogFormat::Text, LogLevel::Trace, || {
            info!(target: "hyper::client", "canary");
            warn!(target: "lapin", "kept");
            tracing::trace!("ours");
        });
        assert!(text.contains("kept") && text.contains("ours") && !text.contains("canary"), "{text}");
        let text = logged(LogFormat::Text, LogLevel::Error, || warn!(target: "lapin", "canary"));
        assert_eq!(text, "");
    }

    #[test]
    fn a_panic_logs_its_place_and_not_its_payload() {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(log_panic));
        let text = logged(LogFormat::Json, LogLevel::Info, || {
            std::panic::catch_unwind(|| panic!("canary")).unwrap_err();
        });
        std::panic::set_hook(before);
        assert!(text.contains("logging.rs:") && !text.contains("canary"), "{text}");
    }
}
