//! A RabbitMQ of our own: Debian's package on free loopback ports, with its own directory and `epmd`.

use std::{
    fs,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use tempfile::TempDir;

const BIN: &str = "/usr/lib/rabbitmq/bin";

/// A running broker; it ends with its last holder.
pub(crate) struct Private {
    home: TempDir,
    ports: [u16; 3],
    epmd: Child,
    server: Mutex<Child>,
}

/// The broker that tests share.
pub(crate) fn shared() -> Arc<Private> {
    static SHARED: Mutex<Weak<Private>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let started = Arc::new(Private::start());
        *shared = Arc::downgrade(&started);
        started
    })
}

impl Private {
    /// Starts a broker; whoever connects waits until it answers.
    pub(crate) fn start() -> Self {
        assert!(Path::new(BIN).is_dir(), "needs Debian's rabbitmq-server, or PROMEMORIA_TEST_AMQP_URL");
        let home = tempfile::tempdir().unwrap();
        // All three are held until all are known, so they differ.
        let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = held.each_ref().map(|it| it.local_addr().unwrap().port());
        drop(held);
        let config = format!("listeners.tcp.1 = 127.0.0.1:{}\nlog.file.level = warning\n", ports[0]);
        fs::write(home.path().join("rabbitmq.conf"), config).unwrap();
        fs::write(home.path().join("plugins"), "[].").unwrap();
        let epmd =
            Command::new("epmd").args(["-address", "127.0.0.1", "-port", &ports[2].to_string()]).spawn();
        let server = Mutex::new(spawn_server(home.path(), ports));
        Self { home, ports, epmd: epmd.expect("epmd comes with rabbitmq-server"), server }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}/%2f", self.ports[0])
    }

    /// Stops it in order and starts it again on the same data.
    pub(crate) fn restart(&self) {
        let mut server = self.server.lock().unwrap();
        end(&mut server);
        *server = spawn_server(self.home.path(), self.ports);
    }

    /// Runs `rabbitmqctl` on it.
    pub(crate) fn control(&self, arguments: &[&str]) {
        let mut command = environment("rabbitmqctl", self.home.path(), self.ports);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        end(self.server.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner));
        self.epmd.kill().unwrap();
        self.epmd.wait().unwrap();
    }
}

fn environment(program: &str, home: &Path, [amqp, distribution, epmd]: [u16; 3]) -> Command {
    let mut command = Command::new(format!("{BIN}/{program}"));
    command
        .env("HOME", home)
        .env("RABBITMQ_NODENAME", format!("test-{amqp}@localhost"))
        .env("RABBITMQ_DIST_PORT", distribution.to_string())
        .env("ERL_EPMD_PORT", epmd.to_string())
        .env("RABBITMQ_MNESIA_BASE", home.join("data"))
        .env("RABBITMQ_LOG_BASE", home.join("log"))
        .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("plugins"));
    command
}

fn spawn_server(home: &Path, ports: [u16; 3]) -> Child {
    environment("rabbitmq-server", home, ports)
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-start_epmd false")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap()
}

/// Asks it to end, and after a while ends its whole group: the server is a child of its script.
fn end(server: &mut Child) {
    let signal = |signal: &str, target: String| {
        Command::new("kill").args([signal, "--", &target]).stderr(Stdio::null()).status().unwrap();
    };
    signal("-TERM", server.id().to_string());
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    signal("-KILL", format!("-{}", server.id()));
    server.wait().unwrap();
}
