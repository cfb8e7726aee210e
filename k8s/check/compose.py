"""deploy/compose.yaml: every file it mounts is there, the fleet is confined as the pods are, and Prometheus and Grafana
get the rules and dashboards of production.
"""

from project import ROOT, load, report

FILE = "deploy/compose.yaml"
SERVICES = ("scheduler", "renderer", "dispatcher")
CONFINED = {
    "user": "65532:65532",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "mem_limit": "256m",
}
# What must be mounted where, by service.
MOUNTED = {
    "prometheus": {"./compose/prometheus.yml": "/etc/prometheus/prometheus.yml", "./prometheus/rules": "/etc/prometheus/rules"},
    "grafana": {
        "./compose/grafana/datasources.yml": "/etc/grafana/provisioning/datasources/promemoria.yml",
        "./compose/grafana/dashboards.yml": "/etc/grafana/provisioning/dashboards/promemoria.yml",
        "./grafana": "/etc/promemoria/dashboards",
    },
}


def mounts(service):
    """Source and target of each bind mount."""
    words = [volume.split(":") for volume in service.get("volumes", ())]
    return {word[0]: word[1] for word in words if word[0].startswith(".")}


def faults(compose):
    services, found = compose["services"], []
    for name, service in services.items():
        missing = (source for source in mounts(service) if not (ROOT / "deploy" / source).exists())
        found += [f"{name} mounts {source}, which is not there" for source in missing]
    for name in SERVICES:
        differs = (key for key, value in CONFINED.items() if services[name].get(key) != value)
        found += [f"{name}: {key} is not {CONFINED[key]}" for key in differs]
    for name, wanted in MOUNTED.items():
        lacks = (source for source, target in wanted.items() if mounts(services[name]).get(source) != target)
        found += [f"{name} does not mount {source} at {wanted[source]}" for source in lacks]
    rules = load("deploy/compose/prometheus.yml").get("rule_files")
    if rules != ["rules/*.yml"]:
        found.append(f"deploy/compose/prometheus.yml reads the rules {rules}")
    (provider,) = load("deploy/compose/grafana/dashboards.yml")["providers"]
    if provider["options"]["path"] != MOUNTED["grafana"]["./grafana"]:
        found.append("the dashboards' provider reads another folder than is mounted")
    return found


if __name__ == "__main__":
    report(faults(load(FILE)))
