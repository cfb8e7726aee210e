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
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse

import draw
from stage import ENTI, ROOT, SCRAPE, Stage, brokers, event, fetch, fleet, prometheus

OUT = ROOT / "target/dashboards"
# Grafana's $__rate_interval for the stage's scrapes with room for a late one, seconds.
RATE = 30
# Without a fault of that kind there is nothing to see: these may be empty.
MAY_BE_EMPTY = {"Redis memory", "Reloads refused", "Dead letters by code"}


def say(text):
    """One line for whoever waits."""
    print(f"dashboards: {text}", flush=True)


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
        for name, value in (("$__rate_interval", f"{RATE}s"), ('"$namespace"', '".*"'), ('"$ente"', '".+"'), ('"$account"', '".+"')):
            expression = expression.replace(name, value)
        return expression

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
            at = brokers(stage)
            ports, command = fleet(stage, at)
            address = prometheus(stage, ports, at)
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
