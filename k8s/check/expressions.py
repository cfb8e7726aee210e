"""Every expression of rules and dashboards: parsed, and its metrics and labels held against what is exported.

What the fleet exports is docs/metrics.md, which a Rust test keeps equal to the table that the services register;
what others export is `foreign_metrics.yaml`.
"""

import re

import promql_parser
import yaml

from generated import rule_files
from project import ROOT, load, report, tracked

# Added by the scrape: deploy/prometheus/prometheus.yml and components/monitoring do so.
SCRAPED = {"job", "instance", "service", "namespace", "pod"}
# What Grafana puts in the place of its variables, for the parser.
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}


def fleet_metrics():
    """Names and labels of the fleet's metrics, from the manual."""
    found, name = {}, None
    for line in (ROOT / "docs/metrics.md").read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"## `(\w+)`", line):
            name = heading[1]
            found[name] = set()
        elif line.startswith("- Histogram"):
            for suffix in ("_bucket", "_sum", "_count"):
                found[name + suffix] = found[name]
            found[name + "_bucket"] = BucketLabels(found[name])
        elif name and (label := re.match(r"- `(\w+)`:", line)):
            found[name].add(label[1])
    return found


class BucketLabels:
    """The labels of a histogram's buckets: its own, which are read later, and `le`."""

    def __init__(self, own):
        self.own = own

    def __contains__(self, label):
        return label == "le" or label in self.own


def recorded():
    """Recorded series and the labels that their names promise; all of them keep `namespace`, which the scrape adds."""
    rules = [rule for path in rule_files() for group in load(path)["groups"] for rule in group["rules"]]
    names = [rule["record"] for rule in rules if "record" in rule]
    return {name: {level} if (level := name.split(":")[0]) != "fleet" else set() for name in names}


def known():
    """Every metric that an expression may use, with its labels."""
    foreign = yaml.safe_load((ROOT / "k8s/check/foreign_metrics.yaml").read_text(encoding="utf-8"))
    return fleet_metrics() | recorded() | {name: set(labels) for name, labels in foreign.items()}


def selectors(node):
    """Selectors of series below a node of the parsed expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    elif isinstance(node, promql_parser.MatrixSelector):
        yield node.vector_selector
    for name in ("expr", "lhs", "rhs", "param"):
        below = getattr(node, name, None)
        if isinstance(below, promql_parser.Expr):
            yield from selectors(below)
    for below in getattr(node, "args", None) or []:
        yield from selectors(below)


def faults_of(expression, metrics):
    """What is wrong with one expression."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    try:
        parsed = promql_parser.parse(expression)
    except ValueError as error:
        return [f"does not parse: {error}"]
    faults, available = [], set(SCRAPED)
    for selector in selectors(parsed):
        name = selector.name
        if name not in metrics:
            faults.append(f"nobody exports {name}")
            continue
        labels = metrics[name]
        wrong = [m.name for m in selector.matchers.matchers if m.name not in labels and m.name not in SCRAPED]
        faults += [f"{name} has no label {label}" for label in wrong if label != "__name__"]
        available |= {label for label in KNOWN_LABELS if label in labels}
    available |= set(re.findall(r',\s*"(\w+)",\s*"[^"]*",\s*"\w*",\s*"[^"]*"\s*\)', expression))  # by label_replace
    grouped = re.findall(r"\b(?:by|on|group_left)\s*\(([^)]*)\)", expression)
    used = {label.strip() for group in grouped for label in group.split(",") if label.strip()}
    return faults + [f"groups by {label}, which none of its metrics has" for label in sorted(used - available)]


def mixing(expression):
    """Where an expression of a rule would mix the fleets of several namespaces."""
    bare = re.findall(r"\b(?:sum|max|min|avg|count|topk|quantile)\s*\(", expression)
    lists = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression)
    without = [one for one in lists if "namespace" not in [label.strip() for label in one.split(",")]]
    faults = [f"{one.rstrip('( ')} without `by` mixes namespaces" for one in bare]
    faults += [f"({one}) mixes namespaces" for one in without]
    return faults + ["absent() knows no namespace" for _ in re.findall(r"\babsent\s*\(", expression)]


# Where a rule means all namespaces, and why.
ACROSS = {"(queue)": "PromemoriaConsumerStalled: a broker whose namespace is that of no fleet"}


def mixed():
    """Faults of rules that mix namespaces."""
    for path in rule_files():
        for rule in (rule for group in load(path)["groups"] for rule in group["rules"]):
            name = rule.get("alert") or rule["record"]
            for fault in mixing(rule["expr"]):
                if not any(fault.startswith(list_) and why.startswith(name) for list_, why in ACROSS.items()):
                    yield f"{path}: {name}: {fault}"


KNOWN_LABELS = {label for labels in known().values() if isinstance(labels, set) for label in labels} | {"le"}


def expressions():
    """Every expression, and where it stands."""
    for path in rule_files():
        for group in load(path)["groups"]:
            for rule in group["rules"]:
                yield f"{path}: {rule.get('alert') or rule['record']}", rule["expr"]
    for path in tracked("deploy/grafana/*.json"):
        for panel in load(path)["panels"]:
            for target in panel.get("targets", []):
                yield f"{path}: {panel['title']}", target["expr"]
    for path in tracked("docs/runbooks/*.md"):
        text = (ROOT / path).read_text(encoding="utf-8")
        for number, query in enumerate(re.findall(r"promtool query instant \$PROMETHEUS '([^']+)'", text), 1):
            yield f"{path}: query {number}", query
    for path in tracked("k8s/components/keda/*.yaml"):
        for trigger in load(path).get("spec", {}).get("triggers", []):
            if trigger["type"] == "prometheus":
                yield f"{path}: {trigger['name']}", trigger["metadata"]["query"]


def main():
    metrics = known()
    faults = [f"{where}: {fault}" for where, text in expressions() for fault in faults_of(text, metrics)]
    report(faults + list(mixed()))


if __name__ == "__main__":
    main()
