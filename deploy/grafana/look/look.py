#!/usr/bin/env python3
"""`make dashboards`: the dashboards of deploy/grafana over a real fleet, as pictures.

Starts RabbitMQ and Redis in containers, the demo's fleet on them, Debian's Prometheus with our rules and its exporter for
Redis; publishes events of both enti, good and bad, for some minutes, while IO's stand-in fails now and then; asks
Prometheus for every expression of every panel, and leaves in target/dashboards a page and a picture of each dashboard.

An expression that Prometheus refuses, or a panel without data that should have some, ends it with exit code 1.

    deploy/grafana/look/look.py [--minutes 5]

Needs Docker with the images of tests/images/build.sh debian12, and what deploy/setup.sh dashboards installs.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

import draw

ROOT = Path(__file__).resolve().parents[3]
OUT = ROOT / "target/dashboards"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
# Between two scrapes, and Grafana's $__rate_interval for it with room for a late one, seconds.
SCRAPE, RATE = 5, 30
# How long anything may take to start, seconds.
DEADLINE = 180
# Without a fault of that kind there is nothing to see: these may be empty.
MAY_BE_EMPTY = {"Redis memory", "Reloads refused", "Dead letters by code"}
ENTI = ("borgochiaro", "roccamarina")


def say(text):
    """One line for whoever waits."""
    print(f"dashboards: {text}", flush=True)


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
    sys.exit(f"dashboards: {what}: not within {DEADLINE} s")


class Stage:
    """What runs for the pictures, and ends with them."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.ends = contextlib.ExitStack()

    def container(self, image, ports, *options):
        """Starts a container; returns the loopback ports on which its own are published."""
        published = [part for port in ports for part in ("--publish", f"127.0.0.1::{port}")]
        command = ["docker", "run", "--detach", "--rm", *published, *options, image]
        name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        self.ends.callback(subprocess.run, ["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)
        found = [subprocess.run(["docker", "port", name, str(port)], check=True, capture_output=True, text=True) for port in ports]
        return [int(each.stdout.split(":")[-1]) for each in found]

    def process(self, name, command, **variables):
        """Starts a process that is ended by SIGTERM; returns the file of what it prints."""
        log = self.folder / f"{name}.log"
        with log.open("w", encoding="utf-8") as file:
            one = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, **variables}, cwd=ROOT)
        self.ends.callback(one.wait, DEADLINE)
        self.ends.callback(one.send_signal, signal.SIGINT if name == "demo" else signal.SIGTERM)
        return log


def brokers(stage):
    """RabbitMQ with its metrics, and Redis; returns their ports and that of the metrics."""
    plugins = stage.folder / "enabled_plugins"
    plugins.write_text("[rabbitmq_prometheus].\n", encoding="utf-8")
    plugins.chmod(0o644)
    stage.folder.chmod(0o755)
    amqp, metrics = stage.container(
        "promemoria/rabbitmq:debian12", (5672, 15692), "--volume", f"{plugins}:/etc/rabbitmq/enabled_plugins:ro"
    )
    (redis,) = stage.container("promemoria/redis:debian12", (6379,))
    wait_for("RabbitMQ's metrics", lambda: "rabbitmq_build_info" in fetch(f"http://127.0.0.1:{metrics}/metrics"))
    return amqp, redis, metrics


def fleet(stage, amqp, redis):
    """The demo; returns what it says where to look."""
    log = stage.process(
        "demo",
        [TARGET / "debug/demo"],
        PROMEMORIA_TEST_AMQP_URL=f"amqp://guest:guest@127.0.0.1:{amqp}/%2f",
        PROMEMORIA_TEST_REDIS_URL=f"redis://127.0.0.1:{redis}/0",
    )
    wait_for("the demo", lambda: "stays up" in log.read_text(encoding="utf-8"))
    text = log.read_text(encoding="utf-8")
    ports = {name: int(port) for name, port in re.findall(r"metrics of (\w+) +http://127.0.0.1:(\d+)/", text)}
    ports["sandbox"] = int(re.search(r"inbox +http://127.0.0.1:(\d+)/", text)[1])
    return ports, re.search(r"command line +(\S+ --config \S+) --help", text)[1].split()


def prometheus(stage, ports, metrics, redis):
    """Debian's Prometheus with our rules and a scrape configuration like ours; returns its address."""
    exporter, own = free_port(), free_port()
    stage.process(
        "exporter",
        ["prometheus-redis-exporter", "-redis.addr", f"redis://127.0.0.1:{redis}", "-web.listen-address", f"127.0.0.1:{exporter}"],
    )
    jobs = [
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


def traffic(ports, command, minutes):
    """Publishes for so long; IO fails and refuses for their rate a few calls in each minute."""
    until, number = time.monotonic() + minutes * 60, 0
    sandbox = f"http://127.0.0.1:{ports['sandbox']}/sandbox/faults"
    while time.monotonic() < until:
        events = []
        for ente in ENTI:
            for _ in range(4 if number % 40 < 20 else 1):
                number += 1
                events.append(json.dumps(event(number, ente)))
        subprocess.run([*command, "publish", "-"], input="\n".join(events), check=True, text=True, capture_output=True)
        if number % 15 == 0:
            fetch(sandbox, [{"kind": "server_error", "calls": 3}, {"kind": "rate_limited", "calls": 1, "retry_after": 1}])
        time.sleep(1)
    return number


class Asked:
    """What Prometheus answers to the expressions of a dashboard."""

    def __init__(self, address, span):
        self.address, self.span = address, span

    def series(self, panel):
        """Each series of a panel over the whole time: its name and its points."""
        found = []
        for target in panel["targets"]:
            query = {"query": self.filled(target["expr"]), "start": self.span[0], "end": self.span[1], "step": SCRAPE}
            for one in self.ask("query_range", query):
                legend = target.get("legendFormat") or "{{__name__}}"
                name = re.sub(r"{{(\w+)}}", lambda match, one=one: one["metric"].get(match[1], ""), legend)
                found.append((name, [(float(at), float(value)) for at, value in one["values"]]))
        return found

    def by_ente(self, panel):
        """The last value of each column of a table, by ente."""
        columns = []
        for target in panel["targets"]:
            answer = self.ask("query", {"query": self.filled(target["expr"]), "time": self.span[1]})
            columns.append((target["refId"], {one["metric"].get("ente", ""): float(one["value"][1]) for one in answer}))
        return columns

    @staticmethod
    def filled(expression):
        """The expression with Grafana's variables as they are when a board is opened."""
        return expression.replace("$__rate_interval", f"{RATE}s").replace('"$ente"', '".+"').replace('"$account"', '".+"')

    def ask(self, path, query):
        """The result of a query; a query that is refused ends it all."""
        try:
            answer = json.loads(fetch(f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"))
        except urllib.error.HTTPError as refused:
            sys.exit(f"dashboards: {query['query']}: {refused.read().decode()}")
        return answer["data"]["result"]


def picture(board, asked):
    """The page of a dashboard, and the panels without data."""
    drawn, empty = {}, []
    for panel in board["panels"]:
        if panel["type"] == "row":
            continue
        if panel["type"] == "table":
            inside = draw.table(panel, asked.by_ente(panel))
        elif panel["type"] == "stat":
            inside = draw.stat(panel, asked.series(panel))
        else:
            inside = draw.time_series(panel, asked.series(panel), asked.span, draw.size_of(panel))
        drawn[panel["id"]] = inside
        if inside == draw.nothing() and panel["title"] not in MAY_BE_EMPTY:
            empty.append(f"{board['title']}: {panel['title']}: no data")
    return draw.page(board, drawn), empty


def screenshot(page, rows):
    """The page as a picture beside it; `rows` is how high its grid is."""
    height = 110 + rows * (draw.ROW + 4)
    command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size=1440,{height}"]
    command += [f"--screenshot={page.with_suffix('.png')}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True)


def main():
    parser = argparse.ArgumentParser(description="the dashboards over a real fleet, as pictures in target/dashboards")
    parser.add_argument("--minutes", type=float, default=5)
    minutes = parser.parse_args().minutes
    OUT.mkdir(parents=True, exist_ok=True)
    empty, pages = [], []
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(folder)
        with stage.ends:
            say("starting brokers and fleet")
            amqp, redis, metrics = brokers(stage)
            ports, command = fleet(stage, amqp, redis)
            address = prometheus(stage, ports, metrics, redis)
            begun = time.time()
            say(f"publishing for {minutes:g} minutes")
            say(f"{traffic(ports, command, minutes)} events published")
            # The first scrapes have no rates yet.
            asked = Asked(address, (begun + 2 * SCRAPE, time.time()))
            for path in sorted((ROOT / "deploy/grafana").glob("*.json")):
                board = json.loads(path.read_text(encoding="utf-8"))
                text, faults = picture(board, asked)
                page = OUT / f"{path.stem}.html"
                page.write_text(text, encoding="utf-8")
                pages.append((page, max(at["y"] + at["h"] for at in (panel["gridPos"] for panel in board["panels"]))))
                empty += faults
    for path, rows in pages:
        screenshot(path, rows)
        say(f"target/dashboards/{path.stem}.png")
    if empty:
        sys.exit("\n".join(empty))


if __name__ == "__main__":
    main()
