"""deploy/compose.yaml: every file it mounts is there, every image has a whole version, the fleet is confined as the pods
are, and Prometheus and Grafana get the jobs, rules and dashboards of production.
"""

import re

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
# Of RabbitMQ, releases that refuse the services' passive declarations (rabbitmq-server pull requests 16085, 16272).
REFUSED = ("4.2.6", "4.3.0")
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


def image_faults(services):
    """Images whose version may change by itself, or is known not to do."""
    for name, service in services.items():
        tag = service["image"].rstrip("}").rpartition(":")[2]
        if not (version := re.match(r"v?(\d+\.\d+\.\d+)\b", tag)):
            yield f"{name}: the tag {tag} has no whole version"
        elif name == "rabbitmq" and version[1] in REFUSED:
            yield f"{name}: {version[1]} refuses passive declarations"


def jobs(path):
    """Scrape jobs of a configuration by name."""
    return {job["job_name"]: job for job in load(path)["scrape_configs"]}


def targets(job):
    """Hosts and ports that a job scrapes."""
    for group in job.get("static_configs", ()):
        yield from (target.partition(":")[0] for target in group["targets"])
    for group in job.get("dns_sd_configs", ()):
        yield from group["names"]


def scrape_faults(services, wanted, there):
    """Jobs of production that Compose lacks or asks otherwise, and targets that are no service."""
    for name, job in wanted.items():
        if name not in there:
            yield f"deploy/compose/prometheus.yml has no job {name}"
            continue
        differs = [key for key in ("metrics_path", "params") if there[name].get(key) != job.get(key)]
        yield from (f"deploy/compose/prometheus.yml: {key} of {name} is another" for key in differs)
    hosts = {host for job in there.values() for host in targets(job)}
    yield from (f"deploy/compose/prometheus.yml scrapes {host}, which is no service" for host in sorted(hosts - set(services)))


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
    found += image_faults(services)
    found += scrape_faults(services, jobs("deploy/prometheus/prometheus.yml"), jobs("deploy/compose/prometheus.yml"))
    rules = load("deploy/compose/prometheus.yml").get("rule_files")
    if rules != ["rules/*.yml"]:
        found.append(f"deploy/compose/prometheus.yml reads the rules {rules}")
    (provider,) = load("deploy/compose/grafana/dashboards.yml")["providers"]
    if provider["options"]["path"] != MOUNTED["grafana"]["./grafana"]:
        found.append("the dashboards' provider reads another folder than is mounted")
    return found


if __name__ == "__main__":
    report(faults(load(FILE)))
