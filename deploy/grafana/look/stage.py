"""What runs for a look at a whole fleet: brokers in containers, the demo on them, Prometheus with our rules.

For deploy/grafana/look/look.py and docs/check/runbooks.py. Everything is on loopback and ends with the `Stage`.
Needs Docker with the images of tests/images/build.sh debian12, and what deploy/setup.sh dashboards installs.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
# Between two scrapes, seconds.
SCRAPE = 5
# How long anything may take to start, seconds.
DEADLINE = 180
ENTI = ("borgochiaro", "roccamarina")
# As the image starts it, and with a configuration file of its own, which `CONFIG REWRITE` needs.
REDIS = """touch redis.conf
exec redis-server redis.conf --bind 0.0.0.0 --protected-mode no --save '' --appendonly yes --appendfsync everysec \\
    --maxmemory-policy noeviction"""


def free_port():
    """A port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def fetch(url, body=None):
    """The answer to a GET, or to a POST of `body`."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def wait_for(what, holds):
    """Waits until `holds()` is true of something that says nothing when it is."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if found := holds():
                return found
        time.sleep(0.2)
    sys.exit(f"{what}: not within {DEADLINE} s")


class Stage:
    """What runs for a look, and ends with it."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.ends = contextlib.ExitStack()

    def container(self, image, ports, options=(), arguments=()):
        """Starts a container; returns its name and the loopback ports on which its own are published."""
        published = [part for port in ports for part in ("--publish", f"127.0.0.1::{port}")]
        command = ["docker", "run", "--detach", "--rm", *published, *options, image, *arguments]
        name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        self.ends.callback(subprocess.run, ["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)
        found = [subprocess.run(["docker", "port", name, str(port)], check=True, capture_output=True, text=True) for port in ports]
        return name, [int(each.stdout.split(":")[-1]) for each in found]

    def process(self, name, command, **variables):
        """Starts a process that is ended by SIGTERM; returns the file of what it prints."""
        log = self.folder / f"{name}.log"
        with log.open("w", encoding="utf-8") as file:
            one = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, **variables}, cwd=ROOT)
        self.ends.callback(one.wait, DEADLINE)
        self.ends.callback(one.send_signal, signal.SIGINT if name == "demo" else signal.SIGTERM)
        return log


@dataclass
class Brokers:
    """The loopback ports of both brokers, and RabbitMQ's container."""

    container: str
    amqp: int
    metrics: int
    management: int
    redis: int


def brokers(stage, plugins=(), options=()):
    """RabbitMQ with its metrics and these plugins, and Redis; `options` are of RabbitMQ's container."""
    enabled = stage.folder / "enabled_plugins"
    enabled.write_text(f"[{','.join(('rabbitmq_prometheus', *plugins))}].\n", encoding="utf-8")
    enabled.chmod(0o644)
    stage.folder.chmod(0o755)
    volume = ("--volume", f"{enabled}:/etc/rabbitmq/enabled_plugins:ro")
    container, (amqp, metrics, management) = stage.container(
        "promemoria/rabbitmq:debian12", (5672, 15692, 15672), (*volume, *options)
    )
    _, (redis,) = stage.container("promemoria/redis:debian12", (6379,), ("--entrypoint", "sh"), ("-c", REDIS))
    wait_for("RabbitMQ's metrics", lambda: "rabbitmq_build_info" in fetch(f"http://127.0.0.1:{metrics}/metrics"))
    return Brokers(container, amqp, metrics, management, redis)


def fleet(stage, at):
    """The demo on these brokers; returns the ports of its parts, and its command line."""
    log = stage.process(
        "demo",
        [TARGET / "debug/demo"],
        PROMEMORIA_TEST_AMQP_URL=f"amqp://guest:guest@127.0.0.1:{at.amqp}/%2f",
        PROMEMORIA_TEST_REDIS_URL=f"redis://127.0.0.1:{at.redis}/0",
    )
    wait_for("the demo", lambda: "stays up" in log.read_text(encoding="utf-8"))
    text = log.read_text(encoding="utf-8")
    ports = {name: int(port) for name, port in re.findall(r"metrics of (\w+) +http://127.0.0.1:(\d+)/", text)}
    ports["sandbox"] = int(re.search(r"inbox +http://127.0.0.1:(\d+)/", text)[1])
    return ports, re.search(r"command line +(\S+ --config \S+) --help", text)[1].split()


def sign_up(at, user, word):
    """Switches a user of deploy/redis/users.acl on, with the rights that stand there."""
    lines = (ROOT / "deploy/redis/users.acl").read_text(encoding="utf-8").splitlines()
    rules = next(line.split()[3:] for line in lines if line.startswith(f"user {user} off "))
    command = ["redis-cli", "-p", str(at.redis), "ACL", "SETUSER", user, "reset", "on", f">{word}", *rules]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    if done.stdout.strip() != "OK":
        sys.exit(f"Redis' user {user}: {done.stdout}{done.stderr}")


def scraped(ports, metrics, exporter):
    """What Prometheus scrapes: the services, RabbitMQ as a whole and by queue, Redis."""
    return [
        {
            "job_name": "promemoria",
            "static_configs": [
                {"targets": [f"127.0.0.1:{ports[service]}"], "labels": {"service": service}}
                for service in ("scheduler", "renderer", "dispatcher")
            ],
        },
        {"job_name": "rabbitmq", "static_configs": [{"targets": [f"127.0.0.1:{metrics}"]}]},
        {
            "job_name": "rabbitmq-queues",
            "metrics_path": "/metrics/detailed",
            "params": {"family": ["queue_coarse_metrics", "queue_consumer_count"]},
            "static_configs": [{"targets": [f"127.0.0.1:{metrics}"]}],
        },
        {"job_name": "redis", "static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}]},
    ]


def prometheus(stage, ports, at):
    """Debian's Prometheus with our rules and a scrape configuration like ours; returns its address."""
    exporter, own = free_port(), free_port()
    sign_up(at, "promemoria-monitor", "word-of-monitor")
    stage.process(
        "exporter",
        ["prometheus-redis-exporter", "-redis.addr", f"redis://127.0.0.1:{at.redis}", "-web.listen-address", f"127.0.0.1:{exporter}"],
        REDIS_USER="promemoria-monitor",
        REDIS_PASSWORD="word-of-monitor",
        REDIS_EXPORTER_CONFIG_COMMAND="-",
    )
    jobs = scraped(ports, at.metrics, exporter)
    every = {"scrape_interval": f"{SCRAPE}s", "evaluation_interval": f"{SCRAPE}s"}
    rules = [str(path) for path in sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))]
    # JSON is YAML too.
    settings = stage.folder / "prometheus.yml"
    settings.write_text(json.dumps({"global": every, "rule_files": rules, "scrape_configs": jobs}), encoding="utf-8")
    stage.process(
        "prometheus",
        [
            "prometheus",
            f"--config.file={settings}",
            f"--storage.tsdb.path={stage.folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{own}",
        ],
    )
    address = f"http://127.0.0.1:{own}"
    wait_for("Prometheus", lambda: fetch(f"{address}/-/ready"))
    return address


def event(number, ente):
    """An application registered, or a permit that expires later: a message at once, or timers."""
    now = datetime.now(timezone.utc)
    kind = {
        "type": "domanda.protocollata",
        "servizio": "alloggi-sociali",
        "data": {
            "codice_fiscale": "RSSMRA85T10A562S",
            "bando": "B27",
            "numero_protocollo": f"2026/{number}",
            "url_domanda": "https://domande.example.it/1",
        },
    }
    if number % 3 == 0:
        kind = {
            "type": "permesso.registrato",
            "servizio": "permesso-soggiorno",
            "data": {
                "codice_fiscale": "BNCLRA80A41F205G",
                "tipo_permesso": "O",
                "data_scadenza": str(now.date().replace(year=now.year + 1, day=1)),
                "nota": "a field that nobody knows",
            },
        }
    return {
        "specversion": "1.0",
        "id": f"look-{number}",
        "source": "https://gestionale.example.it",
        "subject": f"L-{number}",
        "time": now.isoformat(timespec="milliseconds"),
        "ente": ente,
        **kind,
    }
