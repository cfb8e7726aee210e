"""Where things are, and how the checks read and report them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
# Ours, and whatever others put beside them.
OVERLAYS = tuple(sorted(file.parent.name for file in ROOT.glob("k8s/overlays/*/kustomization.yaml")))
VENV = Path(sys.prefix) / "bin"
# Rendered once in each run; the checks share it.
RENDERED = ROOT / "target/k8s-check/rendered"


def load(path):
    """The one document of a YAML or JSON file of the project."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return json.loads(text) if str(path).endswith(".json") else yaml.safe_load(text)


def render(overlay):
    """Writes what `kubectl apply -k` of an overlay would send to RENDERED."""
    text = kustomized(ROOT / "k8s/overlays" / overlay)
    RENDERED.mkdir(parents=True, exist_ok=True)
    (RENDERED / f"{overlay}.yaml").write_text(text, encoding="utf-8")


def kustomized(folder):
    """What `kubectl apply -k` of a folder would send."""
    done = subprocess.run([VENV / "kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{folder}: {done.stderr.strip()}")
    return done.stdout


def rendered(overlay):
    """An overlay as the last `render` wrote it."""
    return parse((RENDERED / f"{overlay}.yaml").read_text(encoding="utf-8"))


def parse(text):
    """The documents of a YAML stream."""
    # The C loader: an overlay has some thousand lines of catalogue.
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


def name_of(document):
    """Kind and name, for messages."""
    return f"{document['kind']} {document['metadata']['name']}"


def tracked(*patterns):
    """Files that git knows, or would add, by these patterns."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    return sorted(line for line in listed if line and (ROOT / line).is_file())


def report(faults):
    """Ends the process: each fault on stderr and 1, or 0."""
    for fault in faults:
        print(f"  {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


def environment(name):
    """A variable of the environment, none if it is empty."""
    return os.environ.get(name) or None


if __name__ == "__main__":
    for each in OVERLAYS:
        render(each)
