//! A small network of this machine's own: hosts in network namespaces, joined by a bridge that can be cut
//! between any two of them.
//!
//! The bridge has a namespace too, so that no rule of the machine's firewall stands between the hosts. The
//! tests' process reaches all of them, whatever is cut. Only root may make one.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, ensure};

use super::launch::find_program;
use super::watchdog::{Charge, Watchdog};

/// The last octet of the tests' own address; hosts count from 1.
const OURS: u8 = 254;

/// Third octets to choose from: the networks are `10.251.<third>.0/24`.
const THIRDS: std::ops::Range<u8> = 1..250;

/// A network. It goes with this value, and with this process.
pub struct Network {
    third: u8,
    hosts: Vec<String>,
    bridge: String,
    /// Last: it would remove what is left.
    _watchdog: Arc<Watchdog>,
}

impl Network {
    /// Whether this machine lets us make one; otherwise what is missing.
    ///
    /// # Errors
    /// In words.
    pub fn is_possible() -> Result<(), String> {
        for program in ["ip", "iptables"] {
            find_program(program, &[]).ok_or_else(|| format!("{program} is not installed"))?;
        }
        let probe = format!("pm{}p", std::process::id());
        run("ip", &["netns", "add", &probe])
            .map_err(|error| format!("no network namespace can be made, which root may: {error:#}"))?;
        run("ip", &["netns", "del", &probe]).map_err(|error| format!("{error:#}"))
    }

    /// One of so many hosts.
    ///
    /// # Errors
    /// This machine does not let us: see [`Network::is_possible`].
    pub(super) fn of(hosts: u8, watchdog: &Arc<Watchdog>) -> anyhow::Result<Self> {
        let (third, id) = (free_third()?, std::process::id());
        let bridge = format!("pm{id}t{third}b");
        let names: Vec<String> = (1..=hosts).map(|host| format!("pm{id}t{third}h{host}")).collect();
        // The bridge's first: with it the cables go, and with them our end of one.
        for name in std::iter::once(&bridge).chain(&names) {
            watchdog.guard(&Charge::Namespace(name))?;
            run("ip", &["netns", "add", name])?;
            run("ip", &["-n", name, "link", "set", "lo", "up"])?;
        }
        run("ip", &["-n", &bridge, "link", "add", "br0", "type", "bridge"])?;
        run("ip", &["-n", &bridge, "link", "set", "br0", "up"])?;
        let network = Self { third, hosts: names, bridge, _watchdog: Arc::clone(watchdog) };
        for (host, name) in (1..).zip(&network.hosts) {
            network.cable(host, Some(name))?;
        }
        network.cable(OURS, None)?;
        Ok(network)
    }

    /// The address of a host, from 0.
    #[must_use]
    pub fn address(&self, host: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 251, self.third, u8::try_from(host + 1).unwrap_or(OURS))
    }

    /// What a command line begins with to run on a host, from 0.
    #[must_use]
    pub fn on(&self, host: usize) -> Vec<String> {
        ["ip", "netns", "exec", &self.hosts[host]].map(str::to_owned).to_vec()
    }

    /// Drops everything between a host and others, both ways and without a word to either.
    ///
    /// # Errors
    /// `iptables` refuses.
    pub fn cut(&self, host: usize, others: &[usize]) -> anyhow::Result<()> {
        for other in others {
            let address = self.address(*other).to_string();
            self.firewall(host, &["-A", "INPUT", "-s", &address, "-j", "DROP"])?;
            self.firewall(host, &["-A", "OUTPUT", "-d", &address, "-j", "DROP"])?;
        }
        Ok(())
    }

    /// Drops so many of a thousand packets that come to a host.
    ///
    /// # Errors
    /// `iptables` refuses.
    pub fn lossy(&self, host: usize, of_thousand: u16) -> anyhow::Result<()> {
        let probability = (f64::from(of_thousand) / 1000.0).to_string();
        let some = ["-m", "statistic", "--mode", "random", "--probability", &probability, "-j", "DROP"];
        self.firewall(host, &[&["-A", "INPUT", "-p", "tcp"], &some[..]].concat())
    }

    /// Lets everything pass to and from a host again.
    ///
    /// # Errors
    /// `iptables` refuses.
    pub fn mend(&self, host: usize) -> anyhow::Result<()> {
        self.firewall(host, &["-F"])
    }

    fn firewall(&self, host: usize, rule: &[&str]) -> anyhow::Result<()> {
        run("ip", &[&["netns", "exec", &self.hosts[host], "iptables", "-w"], rule].concat())
    }

    /// A cable from the bridge to a host; without a name, to the tests' own namespace.
    fn cable(&self, host: u8, name: Option<&String>) -> anyhow::Result<()> {
        let (bridge, port) = (&self.bridge, format!("port{host}"));
        // Our end has a name that no other network of this machine has.
        let end =
            name.map_or_else(|| format!("pm{}t{}", std::process::id(), self.third), |_| "eth0".to_owned());
        let plug = ["-n", bridge, "link", "add", &port, "type", "veth", "peer", "name", &end];
        let home = name.map_or_else(|| std::process::id().to_string(), String::clone);
        run("ip", &[&plug[..], &["netns", &home]].concat())?;
        run("ip", &["-n", bridge, "link", "set", &port, "master", "br0", "up"])?;
        let inside: Vec<&str> = name.map_or_else(Vec::new, |name| vec!["-n", name]);
        let address = format!("10.251.{}.{host}/24", self.third);
        run("ip", &[&inside[..], &["address", "add", &address, "dev", &end]].concat())?;
        run("ip", &[&inside[..], &["link", "set", &end, "up"]].concat())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in std::iter::once(&self.bridge).chain(&self.hosts) {
            // One that is gone already is what is wanted.
            drop(run("ip", &["netns", "del", name]));
        }
    }
}

/// A third octet that no route of this machine has.
fn free_third() -> anyhow::Result<u8> {
    let first = u8::try_from(std::process::id() % 249)?;
    let mut thirds = THIRDS.cycle().skip(usize::from(first)).take(THIRDS.len());
    thirds.find(|third| is_free(*third)).context("every network 10.251.0.0/24 to 10.251.249.0/24 is taken")
}

fn is_free(third: u8) -> bool {
    let network = format!("10.251.{third}.0/24");
    let routes = Command::new("ip").args(["route", "show", &network]).output();
    routes.is_ok_and(|routes| routes.status.success() && routes.stdout.is_empty())
}

fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let path = find_program(program, &[]).with_context(|| format!("{program} is not installed"))?;
    let output = Command::new(path).args(arguments).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{SocketAddr, TcpStream};
    use std::time::Duration;

    use super::*;

    /// Where no namespace can be made there is nothing to test, and the rows say so.
    #[test]
    fn what_is_cut_does_not_reach_and_what_is_mended_does() {
        if Network::is_possible().is_err() {
            return;
        }
        let network = Network::of(2, &Arc::new(Watchdog::start().unwrap())).unwrap();
        // A closed port refuses at once; what is dropped is waited for until `timeout` (coreutils) says 124.
        let reaches = |from: usize, to: usize| {
            let mut command = network.on(from);
            let knock = format!("</dev/tcp/{}/9", network.address(to));
            command.extend(["timeout", "3", "bash", "-c", &knock].map(str::to_owned));
            let output = Command::new(&command[0]).args(&command[1..]).output().unwrap();
            output.status.code() == Some(1)
        };
        let refuses = |host: usize| {
            let address = SocketAddr::new(network.address(host).into(), 9);
            let error = TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap_err();
            error.kind() == ErrorKind::ConnectionRefused
        };
        assert!(refuses(0) && refuses(1));
        assert!(reaches(0, 1));
        network.cut(0, &[1]).unwrap();
        assert!(!reaches(0, 1));
        assert!(refuses(0), "we still reach it");
        network.mend(0).unwrap();
        assert!(reaches(0, 1));
    }
}
