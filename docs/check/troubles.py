"""What the runbooks talk about, brought about in a fleet for trial: a case, timers, refused events, doubts, letters.

Metrics that a runbook asks for as an increase need a counter that was there before: each trouble comes twice, with some
scrapes in between.
"""

import base64
import json
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from stage import SCRAPE, Brokers, event, fetch, wait_for

# The case of the runbooks, and citizens of ours.
ENTE, CASE = "borgochiaro", "2026/0451"
DOUBTED, OTHER = "VRDLGI70B02H501G", "SPNDNL80R13C555T"
# An integrator's own queue, and the fleet's where events wait that reached none.
QUEUE, UNROUTED = f"ente.{ENTE}.gestionale", "promemoria.unrouted"
# Events of a load: `rate(…[10m]) > 1` holds from 600 on.
LOAD = 1000
# Scrapes that a rule of ours and `increase` need.
SCRAPES = 3


@dataclass
class World:
    """Where the parts are: brokers, ports of the services and of the sandbox, Prometheus, the command line."""

    at: Brokers
    ports: dict
    prometheus: str
    command: list

    @property
    def enti(self):
        """The folder of the enti that the fleet reads."""
        return Path(self.command[-1]).parent / "enti"

    def run(self, *words):
        """What the command line prints as JSON; any end is good."""
        done = subprocess.run([*self.command, "--json", *words], capture_output=True, text=True, check=False)
        return json.loads(done.stdout)

    def broker(self, path, body=None, method=None):
        """An answer of RabbitMQ's management."""
        data = None if body is None else json.dumps(body).encode()
        word = base64.b64encode(b"guest:guest").decode()
        headers = {"content-type": "application/json", "authorization": f"Basic {word}"}
        url = f"http://127.0.0.1:{self.at.management}/api/{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def metric(self, service, name):
        """The sum of a metric of one service."""
        text = fetch(f"http://127.0.0.1:{self.ports[service]}/metrics")
        lines = [line for line in text.splitlines() if line.startswith((name + "{", name + " "))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def query(self, expression):
        """What Prometheus answers to an instant query."""
        asked = urllib.parse.urlencode({"query": expression})
        return json.loads(fetch(f"{self.prometheus}/api/v1/query?{asked}"))["data"]["result"]


def publish(world, events):
    """Good events, as an integrator publishes them."""
    given = "\n".join(json.dumps(one) for one in events)
    subprocess.run([*world.command, "publish", "-"], input=given, check=True, text=True, capture_output=True)


def slip(world, body, kind="domanda.protocollata"):
    """An event that the command line would not publish."""
    message = {
        "properties": {"content_type": "application/cloudevents+json", "message_id": f"slip-{time.time_ns()}"},
        "routing_key": f"{ENTE}.{kind}",
        "payload": body,
        "payload_encoding": "string",
    }
    world.broker("exchanges/%2F/promemoria.events/publish", message)


def told(name, ente, **more):
    """An application for a home, which sends a message at once."""
    one = event(1, ente)
    one["data"] |= more
    return {**one, "id": f"runbooks-{name}", "subject": f"R-{name}"}


def taken_in_charge(name, ente):
    """The same of a residence permit, which is another service."""
    data = {"codice_fiscale": OTHER, "tipo_pratica": "rilascio", "numero_pratica": name, "oggetto_pratica": "rilascio"}
    one = told(name, ente) | {"type": "pratica.presa-in-carico", "servizio": "permesso-soggiorno"}
    return {**one, "data": data}


def ordinary(world):
    """A case with armed timers, messages of both enti, an integrator's queue."""
    world.broker(f"queues/%2F/{QUEUE}", {"durable": True}, "PUT")
    world.broker(f"bindings/%2F/e/promemoria.outcomes/q/{QUEUE}", {"routing_key": f"{ENTE}.#"}, "POST")
    case = {**event(3, ENTE), "subject": CASE}
    publish(world, [case, *(event(number, "roccamarina") for number in range(4, 14))])


def refused(world, turn):
    """Events that are no JSON, lack a field, and lack a variable that the ente should give."""
    slip(world, "{")
    slip(world, json.dumps(told(f"schema-{turn}", ENTE, numero_protocollo=None)))
    file = world.enti / f"{ENTE}.toml"
    whole = file.read_text(encoding="utf-8")
    put(file, "".join(line for line in whole.splitlines(True) if not line.startswith("ufficio")))
    tries = iter(range(1000))

    def known():
        """Whether the scheduler reads the ente without its variable: each try is another event."""
        one = taken_in_charge(f"variable-{turn}-{next(tries)}", ENTE)
        slip(world, json.dumps(one), one["type"])
        time.sleep(1)
        return any(letter["code"] == "variable" for letter in letters(world)[before:])

    before = len(letters(world))
    wait_for("an event that lacks a variable", known)
    put(file, whole)


def put(file, text):
    """A file of an ente, whole at once: nobody reads half of it."""
    beside = file.parent.parent / f"{file.name}.new"
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)


def broken_file(world):
    """An ente's file with a fault, which no service takes; then as it was."""
    file = world.enti / "roccamarina.toml"
    whole, name = file.read_text(encoding="utf-8"), "promemoria_config_reload_errors_total"
    services = ("scheduler", "renderer", "dispatcher")
    before = {service: world.metric(service, name) for service in services}
    put(file, "id = 1\n")
    wait_for("a refused reload", lambda: all(world.metric(one, name) > before[one] for one in services))
    put(file, whole)


def ill(world, turn):
    """IO ends connections, asks for patience, refuses a key."""
    faults = [
        {"kind": "cut_after", "calls": 2, "operation": "submit", "fiscal_code": DOUBTED},
        {"kind": "rate_limited", "calls": 1, "retry_after": 1, "account": ENTE},
        {"kind": "unauthorized", "calls": 1, "operation": "submit", "account": "roccamarina"},
    ]
    fetch(f"http://127.0.0.1:{world.ports['sandbox']}/sandbox/faults", faults)
    publish(world, [told(f"doubt-{turn}-{number}", ENTE, codice_fiscale=DOUBTED) for number in range(2)])
    # A refused key pauses its service: each turn has another one.
    key = told(f"key-{turn}", "roccamarina") if turn else taken_in_charge(f"key-{turn}", "roccamarina")
    publish(world, [key])
    wait_for("messages in doubt", lambda: len(doubts(world)) >= 2 * (turn + 1))


def load(world):
    """Many events at once that send nothing yet."""
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    kinds = [{**event(3, "roccamarina"), "id": f"load-{number}", "subject": f"C-{number}"} for number in range(LOAD)]
    publish(world, [{**one, "time": now} for one in kinds])


def doubts(world):
    """Messages in doubt."""
    return world.run("in-doubt", "list")["in_doubt"]


def letters(world):
    """What was given up."""
    return world.run("dead", "list")["messages"]


def all_of_it(world):
    """Every trouble, twice, and time for Prometheus to see it."""
    for turn in range(2):
        refused(world, turn)
        broken_file(world)
        ill(world, turn)
        if turn == 0:
            ordinary(world)
            time.sleep(SCRAPES * SCRAPE)
            load(world)
    wait_for("the load", lambda: not world.broker("queues/%2F/promemoria.events")["messages"])
    time.sleep(SCRAPES * SCRAPE)


def unbind(world):
    """The binding of the events' queue goes, and an event comes: it waits where unrouted ones do."""
    world.broker("bindings/%2F/e/promemoria.events/q/promemoria.events/%23", method="DELETE")
    slip(world, json.dumps(told("unrouted", ENTE)))
    wait_for("an event without a queue", lambda: waiting(world) == 1)


def waiting(world):
    """How many events wait unrouted. Management's counts are late, the messages are not."""
    taken = {"count": 10, "ackmode": "ack_requeue_true", "encoding": "auto"}
    return len(world.broker(f"queues/%2F/{UNROUTED}/get", taken))
