"""The Secrets that whoever runs the fleet gives: the example with External Secrets and the manual name each that
something asks for, with its keys.
"""

import re

from objects import made_of, of_kind, pod_of, pods, sources
from project import ROOT, name_of, parse

EXAMPLE = "k8s/overlays/production/external-secrets.yaml"
MANUAL = "docs/kubernetes.md"
# What RabbitMQ's topology operator reads of a user's Secret, in the namespace of the User.
CREDENTIALS = ("username", "password")
# Keys that only some need; the manual says who.
SOMETIMES = {"promemoria-keda": ("tls", "ca.crt")}
SOMETIMES |= {f"promemoria-{name}": ("ca.crt",) for name in ("scheduler", "renderer", "dispatcher", "operator")}


def given(documents=()):
    """Keys of each Secret of the example, and of an overlay's own; none where the keys are the enti's to choose."""
    found = {}
    for each in parse((ROOT / EXAMPLE).read_text(encoding="utf-8")) + of_kind(documents, "ExternalSecret"):
        keys = [item["secretKey"] for item in each["spec"].get("data", [])]
        found[each["spec"]["target"]["name"]] = keys or None
    return found


def wanted(documents):
    """Who asks for which Secret, and for which keys of it."""
    for deployment, _ in pods(documents):
        for kind, name, _ in sources(pod_of(deployment)):
            if kind == "Secret":
                yield deployment, name, []
    for user in of_kind(documents, "User"):
        yield user, user["spec"].get("importCredentialsSecret", {}).get("name"), CREDENTIALS
    for each in of_kind(documents, "TriggerAuthentication"):
        for target in each["spec"]["secretTargetRef"]:
            yield each, target["name"], [target["key"]]


def ungiven(documents):
    """Secrets and keys that are asked for, and neither made nor in the example; names that the manual lacks."""
    faults, made, there = [], made_of(documents), given(documents)
    manual = (ROOT / MANUAL).read_text(encoding="utf-8")
    for owner, name, keys in wanted(documents):
        if ("Secret", name) in made:
            continue
        if name not in there:
            faults.append(f"{name_of(owner)}: nobody gives the Secret {name}")
            continue
        known = [*(there[name] or keys), *SOMETIMES.get(name, ())]
        missing = [key for key in keys if key not in known]
        faults += [f"{name_of(owner)}: the Secret {name} has no {key}" for key in missing]
        if not in_manual(documents, manual, name):
            faults.append(f"{name_of(owner)}: {MANUAL} does not name the Secret {name}")
    return faults


def in_manual(documents, manual, name):
    """Whether the manual names a Secret: as it is, or with <ente> in the place of an ente's id."""
    files = [key for each in of_kind(documents, "ConfigMap") if is_enti(each) for key in each["data"]]
    names = {name} | {re.sub(rf"\b{re.escape(file.removesuffix('.toml'))}\b", "<ente>", name) for file in files}
    return any(f"`{each}`" in manual for each in names)


def is_enti(document):
    """Whether it is the ConfigMap of the enti."""
    return document["metadata"]["name"] == "promemoria-enti"
