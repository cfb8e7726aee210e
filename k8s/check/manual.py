"""The pods that the manual runs `promemoria` in: each must be able to do what an operator asks of it."""

import re

from objects import of_kind, pod_of, pods, sources, takes
from project import ROOT, tracked

PAGES = ("docs/*.md", "docs/runbooks/*.md")
# `kubectl … exec … -- promemoria …`, on one line after continuations are joined.
RUN = re.compile(r"kubectl\b[^\n`]*?\bexec\s+([^\n`]*?)\s--\s+promemoria\b")
# The name of the operator's Secret; one that kustomize made has a hash.
SECRET = re.compile(r"promemoria-operator(-[a-z0-9]{10})?")
# RabbitMQ, Redis and IO, by the ports that they listen on.
PORTS = {5671: "RabbitMQ", 6379: "Redis", 443: "IO"}
EVERYWHERE = "0.0.0.0/0"


def places():
    """The pods that pages name, with a page that does."""
    found = {}
    for page in tracked(*PAGES):
        text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
        for words in RUN.findall(text):
            place = next((word for word in words.split() if "/" in word), words)
            found.setdefault(place, page)
    return found


def unfit(documents, named=None):
    """What the pods lack in which the manual runs commands."""
    faults = []
    for place, page in (places() if named is None else named).items():
        faults += [f"{page}: {place}: {fault}" for fault in faults_of(documents, place.removeprefix("deploy/"))]
    return faults


def faults_of(documents, name):
    """What one of them lacks."""
    found = [(each, labels) for each, labels in pods(documents) if each["metadata"]["name"] == name]
    if not found:
        return ["is not there"]
    ((deployment, labels),) = found
    spec = pod_of(deployment)
    given = [secret for kind, secret, _ in sources(spec) if kind == "Secret"]
    names = [variable["name"] for each in spec["containers"] for variable in each.get("env", [])]
    wanted = {
        "has not the operator's Secret": any(SECRET.fullmatch(secret) for secret in given),
        "does not know its settings: PROMEMORIA_CONFIG": "PROMEMORIA_CONFIG" in names,
        "has nowhere to write": any("emptyDir" in each or "persistentVolumeClaim" in each for each in spec["volumes"]),
    }
    faults = [what for what, holds in wanted.items() if not holds]
    return faults + [f"has no way to {to}" for port, to in PORTS.items() if not reaches(documents, labels, port)]


def reaches(documents, labels, port):
    """Whether the policies that take a pod let it out to a port; IO is everywhere."""
    policies = [each["spec"] for each in of_kind(documents, "NetworkPolicy")]
    out = [spec for spec in policies if "Egress" in spec["policyTypes"] and takes(spec["podSelector"], labels)]
    rules = [rule for spec in out for rule in spec.get("egress", [])]
    if port == 443:
        rules = [rule for rule in rules if any(to.get("ipBlock", {}).get("cidr") == EVERYWHERE for to in rule["to"])]
    return not out or any(port in (each["port"] for each in rule["ports"]) for rule in rules)
