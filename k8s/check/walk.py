"""The steps of docs/kubernetes.md that can be walked without a cluster: the commands that make the Secrets by hand make
those of the example, with the same keys, and the patches for an overlay fit the production overlay.
"""

import base64
import os
import re
import subprocess
import tempfile
from pathlib import Path

import yaml

import manifests
from given import MANUAL, given
from project import ROOT, VENV, kustomized, parse, report

# kubectl as the commands see it: it makes nothing, and says what it would make.
STUB = """#!/bin/sh
case "$*" in
*"create secret"*) "{kubectl}" "$@" --dry-run=client -o yaml >>"$MADE" && echo --- >>"$MADE" ;;
apply*) cat >/dev/null ;;
esac
"""


def block(language, needle):
    """The one block of the manual in this language that holds some text."""
    text = (ROOT / MANUAL).read_text(encoding="utf-8")
    found = [each for each in re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S) if needle in each]
    if len(found) != 1:
        raise SystemExit(f"  {MANUAL}: {len(found)} blocks with {needle}")
    return found[0]


def made_by_hand(commands):
    """The Secrets that commands make, by name, their contents by key."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stub = folder / "bin/kubectl"
        stub.parent.mkdir()
        stub.write_text(STUB.format(kubectl=VENV / "kubectl"), encoding="utf-8")
        stub.chmod(0o755)
        for key in ("borgochiaro-permesso-soggiorno", "borgochiaro-alloggi-sociali"):
            (folder / key).write_text("a key", encoding="utf-8")
        variables = {**os.environ, "PATH": f"{stub.parent}:{os.environ['PATH']}", "MADE": str(folder / "made.yaml")}
        command = ["bash", "-euo", "pipefail", "-c", commands]
        done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"  {MANUAL}: the Secrets by hand: {done.stderr.strip()}")
        made = parse((folder / "made.yaml").read_text(encoding="utf-8"))
    return {each["metadata"]["name"]: decoded(each["data"]) for each in made}


def decoded(data):
    """The contents of a Secret by key."""
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def unmade(commands):
    """How the Secrets by hand differ from those of the example."""
    made, wanted, faults = made_by_hand(commands), given(), []
    faults += [f"by hand nobody makes {name}" for name in sorted(wanted.keys() - made.keys())]
    faults += [f"the example has no {name}" for name in sorted(made.keys() - wanted.keys())]
    for name in sorted(made.keys() & wanted.keys()):
        keys = set(made[name])
        if wanted[name] is not None and keys != set(wanted[name]):
            faults.append(f"{name}: by hand {sorted(keys)}, in the example {sorted(wanted[name])}")
        ends = [key for key, value in made[name].items() if key == "password" and value != value.strip()]
        faults += [f"{name}: {key} ends with a line end, which RabbitMQ takes for a part of it" for key in ends]
    return faults


def patched(text):
    """The production overlay with patches on top."""
    # Beside the overlays: kustomize takes no absolute path.
    with tempfile.TemporaryDirectory(dir=ROOT / "target/k8s-check") as folder:
        way = os.path.relpath(ROOT / "k8s/overlays/production", folder)
        kustomization = {"resources": [way], **yaml.safe_load(text)}
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
        return parse(kustomized(folder))


def unfit_patches(text):
    """What the checks have against patches on top of the production overlay, and targets that are not there."""
    documents = patched(text)
    # kustomize says nothing of these.
    missing = [patch["target"] for patch in yaml.safe_load(text)["patches"] if not any_is(patch["target"], documents)]
    return [f"no {target}" for target in missing] + manifests.faults_of(documents)


def any_is(target, documents):
    """Whether a patch is for one of the documents."""
    words = [(each["kind"], each["metadata"]["name"]) for each in documents]
    return any(re.fullmatch(target["kind"], kind) and re.fullmatch(target["name"], name) for kind, name in words)


if __name__ == "__main__":
    faults = unmade(block("sh", "umask 077\nmkdir"))
    for needle in ("name: rabbitmq-counts", "persistentVolumeClaim"):
        faults += unfit_patches(block("yaml", needle))
    report([f"{MANUAL}: {fault}" for fault in faults])
