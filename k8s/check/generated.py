"""Manifests that have their source elsewhere: written with --write, compared with --check.

The alert rules stay plain Prometheus files, topology and users stay RabbitMQ's definitions: who has no operator uses
those. The operators' kinds are made from them. An overlay that has a file `enti-users.yaml` gets the two users of
each of its enti in it.
"""

import json
import sys

import yaml

from project import ROOT, load, report, tracked

RULES = "k8s/components/monitoring/rules.yaml"
TOPOLOGY = "k8s/components/rabbitmq-topology/topology.yaml"
DEFINITIONS = "deploy/rabbitmq/definitions.json"
# The definitions of an ente's two users, with ENTE in the place of its id.
INTEGRATOR = "deploy/rabbitmq/integrator.json"
HEAD = "# Written by `make k8s-write` from {source}.\n"
# The RabbitmqCluster that the operator looks after.
CLUSTER = {"name": "rabbitmq", "namespace": "rabbitmq"}


def rule_files():
    """The files of rules, the one source of alerts and recorded series."""
    return tracked("deploy/prometheus/rules/*.yml")


def prometheus_rule():
    """All rule files as one PrometheusRule."""
    groups = [group for path in rule_files() for group in load(path)["groups"]]
    return [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "promemoria"},
            "spec": {"groups": groups},
        }
    ]


def topology():
    """The definitions as resources of RabbitMQ's topology operator."""
    found = load(DEFINITIONS)
    made = [exchange(each) for each in found["exchanges"]] + [queue(each) for each in found["queues"]]
    made += [binding(each) for each in found["bindings"]]
    made += [policy(each) for each in found.get("policies", [])]
    return made + access(found)


def access(found):
    """Users and what they may do."""
    made = [user(each) for each in found.get("users", [])]
    made += [permission(each) for each in found.get("permissions", [])]
    return made + [topic_permission(each) for each in found.get("topic_permissions", [])]


def enti_users():
    """By file, the users of the enti of each overlay that makes them so."""
    text = (ROOT / INTEGRATOR).read_text(encoding="utf-8")
    made = {}
    for file in tracked("k8s/overlays/*/enti-users.yaml"):
        enti = sorted(path.stem for path in (ROOT / file).parent.glob("enti/*.toml"))
        made[file] = [each for ente in enti for each in access(json.loads(text.replace("ENTE", ente)))]
    return made


def allowed(name):
    """A name, made of what Kubernetes allows."""
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")


def resource(kind, name, spec):
    """A resource."""
    return {
        "apiVersion": "rabbitmq.com/v1beta1",
        "kind": kind,
        "metadata": {"name": allowed(name)},
        "spec": {**spec, "rabbitmqClusterReference": CLUSTER},
    }


def exchange(given):
    """An exchange."""
    spec = {key: given[key] for key in ("name", "vhost", "type", "durable", "arguments")}
    return resource("Exchange", given["name"], {**spec, "autoDelete": given["auto_delete"]})


def queue(given):
    """A queue; its type is a field of its own, and removing the resource never removes the messages."""
    arguments = dict(given["arguments"])
    spec = {
        "name": given["name"],
        "vhost": given["vhost"],
        "type": arguments.pop("x-queue-type"),
        "durable": given["durable"],
        "autoDelete": given["auto_delete"],
        "arguments": arguments,
        "deletionPolicy": "retain",
    }
    return resource("Queue", given["name"], spec)


def binding(given):
    """A binding."""
    spec = {key: given[key] for key in ("source", "vhost", "destination", "arguments")}
    spec |= {"destinationType": given["destination_type"], "routingKey": given["routing_key"]}
    return resource("Binding", f"{given['source']}-{given['destination']}", spec)


def policy(given):
    """A policy."""
    spec = {key: given[key] for key in ("name", "vhost", "pattern", "definition", "priority")}
    return resource("Policy", given["name"], {**spec, "applyTo": given["apply-to"]})


def user(given):
    """A user; name and password are in a Secret beside the User, in the fleet's namespace, never here."""
    tags = given.get("tags") or []
    tags = [tag for tag in (tags.split(",") if isinstance(tags, str) else tags) if tag]
    secret = {"name": f"rabbitmq-user-{allowed(given['name'])}"}
    return resource("User", given["name"], {"tags": tags, "importCredentialsSecret": secret})


def permission(given):
    """What a user may do."""
    may = {key: given[key] for key in ("configure", "write", "read")}
    return resource("Permission", given["user"], {**whose(given), "permissions": may})


def topic_permission(given):
    """Which routing keys a user may use on an exchange."""
    may = {key: given[key] for key in ("exchange", "write", "read")}
    return resource("TopicPermission", f"{given['user']}-{given['exchange']}", {**whose(given), "permissions": may})


def whose(given):
    """User and vhost of a permission."""
    return {"vhost": given["vhost"], "user": given["user"]}


def text(source, documents):
    """Documents as a file."""
    dumped = yaml.safe_dump_all(documents, sort_keys=False, width=110, allow_unicode=True)
    return HEAD.format(source=source) + dumped


def main():
    files = {
        RULES: text("deploy/prometheus/rules", prometheus_rule()),
        TOPOLOGY: text(DEFINITIONS, topology()),
        **{file: text(INTEGRATOR, made) for file, made in enti_users().items()},
    }
    faults = []
    for path, wanted in files.items():
        file = ROOT / path
        if sys.argv[1:] == ["--write"]:
            file.write_text(wanted, encoding="utf-8")
        elif not file.is_file() or file.read_text(encoding="utf-8") != wanted:
            faults.append(f"{path} is old: run `make k8s-write`")
    report(faults)


if __name__ == "__main__":
    main()
