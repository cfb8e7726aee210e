//! The client examples of the documentation, run as an integrator runs them: listen, publish, and see what
//! becomes of the event.
//!
//! Python always; `PROMEMORIA_EXAMPLES=python,java,php` names others, as `make docs-check` does. What is
//! named must be there: `deploy/setup.sh test docs` installs it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use redis::AsyncCommands as _;
use tests::brokers::{Brokers, Options};
use tests::fleet::{Enti, Fleet, HASH_KEY, project_root};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long a program may take for its next line: it starts, and the fleet does its work, on a machine
/// that compiles at the same time.
const LINE: Duration = Duration::from_mins(1);
/// The recipient of the example event.
const PERSON: &str = "RSSMRA85T10A562S";
/// A minute after the `time` of the example event: the fleet's clock.
const NOW: &str = "2027-01-18T09:01:00Z";

/// A language's two programs.
struct Language {
    name: &'static str,
    program: &'static str,
    arguments: Vec<String>,
    publish: &'static str,
    listen: &'static str,
}

impl Language {
    fn named(name: &str) -> anyhow::Result<Self> {
        let language = |name, program, arguments, [publish, listen]: [&'static str; 2]| Self {
            name,
            program,
            arguments,
            publish,
            listen,
        };
        Ok(match name {
            // Debian's own, which sees Debian's pika.
            "python" => language("python", "/usr/bin/python3", Vec::new(), ["publish.py", "listen.py"]),
            "php" => language("php", "php", Vec::new(), ["publish.php", "listen.php"]),
            "java" => language("java", "java", class_path(), ["Publish.java", "Listen.java"]),
            other => bail!("PROMEMORIA_EXAMPLES: no example can be run in \"{other}\""),
        })
    }

    /// The command of one of its programs.
    fn command(&self, file: &str, fleet: &Fleet) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(&self.arguments)
            .arg(examples().join(self.name).join(file))
            .env("AMQP_URL", fleet.brokers.amqp_url())
            .env("HASH_KEY_FILE", fleet.dir().join("hash-key"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// Where Debian puts what the Java examples need.
fn class_path() -> Vec<String> {
    let jars =
        ["amqp-client", "jackson-core", "jackson-databind", "jackson-annotations", "slf4j-api", "slf4j-nop"];
    let path: Vec<String> = jars.iter().map(|jar| format!("/usr/share/java/{jar}.jar")).collect();
    vec!["-cp".to_owned(), path.join(":")]
}

fn examples() -> PathBuf {
    project_root().join("docs/examples")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_examples_publish_and_hear_what_became_of_it() -> anyhow::Result<()> {
    let named = std::env::var("PROMEMORIA_EXAMPLES").unwrap_or_else(|_| "python".to_owned());
    let brokers = Brokers::start(&Options::from_env()?).await?;
    set_clock(brokers.redis_url()).await?;
    let fleet = Fleet::start_on(brokers, crate::binaries(), &Enti::default()).await?;
    // The line break at the end is no part of the key.
    std::fs::write(fleet.dir().join("hash-key"), format!("{HASH_KEY}\n"))?;
    for (number, name) in named.split(',').enumerate() {
        let language = Language::named(name)?;
        let case = format!("2026/0451-{number}");
        let event = event(fleet.dir(), &case)?;
        round(&fleet, &language, &case, &event).await.with_context(|| format!("the examples in {name}"))?;
    }
    fleet.shutdown().await
}

/// The example event, as another event of this case.
fn event(folder: &Path, case: &str) -> anyhow::Result<PathBuf> {
    let shipped = std::fs::read(examples().join("permesso-rinnovato.json"))?;
    let mut event: serde_json::Value = serde_json::from_slice(&shipped)?;
    event["id"] = format!("example of {case}").into();
    event["subject"] = case.into();
    let path = folder.join("example.json");
    std::fs::write(&path, event.to_string())?;
    Ok(path)
}

/// Listens, publishes, and waits until the message has reached the citizen.
async fn round(fleet: &Fleet, language: &Language, case: &str, event: &Path) -> anyhow::Result<()> {
    let (mut listener, mut lines) = listen(fleet, language).await?;
    let published = timeout(LINE, language.command(language.publish, fleet).arg(event).output()).await??;
    let said = String::from_utf8_lossy(&published.stdout);
    ensure!(
        published.status.success() && said.trim_end() == "confirmed",
        "it did not publish: {said}{}",
        String::from_utf8_lossy(&published.stderr)
    );
    let armed = format!("messaggio.programmato {case} permesso-in-scadenza {PERSON}");
    let delivered = format!("messaggio.consegnato {case} permesso-pratica-conclusa {PERSON}");
    let mut heard = Vec::new();
    let reminders = |heard: &[String]| heard.iter().filter(|line| **line == armed).count();
    while !heard.contains(&delivered) || reminders(&heard) < 3 {
        // What the listener before did not acknowledge comes again: it is of another case.
        heard.push(next(&mut lines).await.with_context(|| format!("heard so far: {heard:#?}"))?);
    }
    ensure!(reminders(&heard) == 3, "not three reminders: {heard:#?}");
    listener.kill().await?;
    Ok(())
}

/// Starts the listener and waits until its queue is bound.
async fn listen(
    fleet: &Fleet,
    language: &Language,
) -> anyhow::Result<(Child, Lines<BufReader<ChildStdout>>)> {
    let mut command = language.command(language.listen, fleet);
    let mut listener = command.args(["borgochiaro", PERSON]).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(listener.stdout.take().context("its output")?).lines();
    let first = next(&mut lines).await?;
    ensure!(first == "listening", "it says {first} first");
    Ok((listener, lines))
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<String> {
    timeout(LINE, lines.next_line()).await.context("no line in time")??.context("it ended")
}

/// Puts the fleet's clock, before it starts, to the day of the example event.
async fn set_clock(redis_url: &str) -> anyhow::Result<()> {
    let mut redis = redis::Client::open(redis_url)?.get_multiplexed_async_connection().await?;
    let now: chrono::DateTime<chrono::Utc> = NOW.parse()?;
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await?;
    let offset = now.timestamp_millis() - seconds * 1000 - micros / 1000;
    let () = redis.set("promemoria:clock-offset-ms", offset).await?;
    Ok(())
}
