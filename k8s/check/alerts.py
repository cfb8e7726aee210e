"""Alerts: labels and annotations, a unit test and a runbook of their own each, and no runbook without an alert."""

import re

from generated import rule_files
from project import ROOT, load, report, tracked

RUNBOOKS = "docs/runbooks"
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]


def alerts():
    """All alerts of the rule files."""
    rules = [rule for path in rule_files() for group in load(path)["groups"] for rule in group["rules"]]
    return [rule for rule in rules if "alert" in rule]


def tested():
    """Names of alerts that a unit test sees firing, and of those that one sees quiet."""
    firing, quiet = set(), set()
    for path in tracked("deploy/prometheus/tests/*.yml"):
        for test in load(path)["tests"]:
            for case in test.get("alert_rule_test", []):
                (firing if case["exp_alerts"] else quiet).add(case["alertname"])
    return firing, quiet


def faults_of(rule, firing, quiet):
    """What is wrong with one alert."""
    name, notes = rule["alert"], rule["annotations"]
    wanted = {
        "severity is critical or warning": rule["labels"].get("severity") in {"critical", "warning"},
        "a summary without values": "{{" not in notes["summary"] and notes["summary"].endswith("."),
        "a description": bool(notes.get("description")),
        "a runbook_url that ends with its name": notes["runbook_url"].endswith(f"/{RUNBOOKS}/{name}.md"),
        "a unit test that sees it fire": name in firing,
        "a unit test that sees it quiet": name in quiet,
    }
    return [f"{name}: {what}" for what, holds in wanted.items() if not holds] + runbook_faults(name)


def runbook_faults(name):
    """What is wrong with the runbook of an alert."""
    file = ROOT / RUNBOOKS / f"{name}.md"
    if not file.is_file():
        return [f"{name}: no {RUNBOOKS}/{name}.md"]
    text = file.read_text(encoding="utf-8")
    found = re.findall(r"^## (.+)$", text, re.M)
    faults = [] if found == HEADINGS else [f"{name}: the runbook's headings are {found}"]
    if not text.startswith(f"# {name}\n"):
        faults.append(f"{name}: the runbook's title is not the alert's name")
    if "```sh" not in text.partition("## Diagnosis")[2]:
        faults.append(f"{name}: the runbook has no command")
    return faults


def main():
    firing, quiet = tested()
    faults = [fault for rule in alerts() for fault in faults_of(rule, firing, quiet)]
    names = {rule["alert"] for rule in alerts()}
    files = {path.stem for path in (ROOT / RUNBOOKS).glob("*.md")}
    faults += [f"{RUNBOOKS}/{name}.md: no such alert" for name in sorted(files - names)]
    index = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    faults += [f"docs/runbook.md: no link to {name}" for name in sorted(names) if f"runbooks/{name}.md" not in index]
    report(faults)


if __name__ == "__main__":
    main()
