"""What can be said of a `kubectl` command without a cluster: our manifests make what it names, and kubectl reads it."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile

from stage import ROOT, free_port


def manifests():
    """The text of every manifest of k8s/base and of the components."""
    files = sorted([*(ROOT / "k8s/base").glob("*.yaml"), *(ROOT / "k8s/components").glob("*/*.yaml")])
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def made(text):
    """What there is, by what names it: namespaces, Deployments, containers, labels of pods, paths."""
    return {
        "namespace": set(re.findall(r"^namespace: (\S+)", text, re.M)),
        "Deployment": set(re.findall(r"^kind: Deployment\nmetadata:\n  name: (\S+)", text, re.M)) - {"any"},
        "container": set(re.findall(r"^ {8}- name: (\S+)\n {10}image:", text, re.M)),
        "label": set(re.findall(r"^ {8}(app\.kubernetes\.io/\S+: \S+)$", text, re.M)),
        "settings": set(re.findall(r"--config, ([^\]]+)\]", text)),
    }


def named(command):
    """What a command names, as pairs of kind and name."""
    words = shlex.split(command.split(" | ")[0])
    options = {"-n": "namespace", "-c": "container", "-l": "label", "--config": "settings"}
    for word, following in zip(words, [*words[1:], ""]):
        if word in options:
            yield options[word], following.replace("=", ": ", 1) if word == "-l" else following
        if word.startswith("deploy/"):
            yield "Deployment", word.removeprefix("deploy/")


def faults(command):
    """What a command names and nobody makes; also a command that names no namespace."""
    there, found = made(manifests()), list(named(command))
    wrong = [f"k8s has no {kind} {name}" for kind, name in found if name not in there[kind]]
    wrong += [] if any(kind == "namespace" for kind, _ in found) else ["no namespace: -n is missing"]
    return wrong + misread(command)


def misread(command):
    """What kubectl has against a command before it looks for its cluster; also that there is none to ask."""
    tool = shutil.which("kubectl", path=f"{ROOT / 'target/k8s-check/venv/bin'}:{os.environ['PATH']}")
    if not tool:
        return ["no kubectl reads it: k8s/check/tools.sh brings one"]
    nobody = {"cluster": {"server": f"http://127.0.0.1:{free_port()}"}, "name": "nobody"}
    context = {"context": {"cluster": "nobody"}, "name": "nobody"}
    config = {"kind": "Config", "clusters": [nobody], "contexts": [context], "current-context": "nobody"}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(config, file)
        file.flush()
        words = [tool, *shlex.split(command.split(" | ")[0])[1:]]
        environment = {**os.environ, "KUBECONFIG": file.name}
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, env=environment)
    return [] if "was refused" in done.stderr else [done.stderr.strip()]
