"""The settings that each pod of the fleet is given, read by the program: `promemoria lint` with the pod's own files and
variables, laid out in a folder as the pod has them. A misspelt key, a variable that nobody knows, a file that no
volume brings are found here and not by a pod that ends with 78.

    python k8s/check/settings.py [RENDERED.yaml…]

Without files: the overlays, as they were last rendered. A Secret that is given from outside has made-up contents, under
the names that External Secrets (given.py) and the enti ask for.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import given
from objects import made_of, of_kind, pod_of, pods
from project import OVERLAYS, RENDERED, ROOT, environment, name_of, parse, report

FLEET = {"scheduler", "renderer", "dispatcher", "operator"}
# Made up, each good in its place.
CONTENTS = {
    "amqp-url": "amqps://user:secret@rabbitmq.example.it:5671/%2f",
    "redis-url": "rediss://user:secret@redis.example.it:6379/0",
}
OTHER = "0123456789abcdef0123456789abcdef"
# The Secret whose keys are named by the enti alone, and where it is seen.
IO_KEYS = "promemoria-io-keys"
KEYS = ("chiave_file", "chiave_secondaria_file")


def faults_of(documents):
    """What the program has against the settings of each pod."""
    faults = []
    for deployment, labels in pods(documents):
        if labels.get("app.kubernetes.io/component") in FLEET:
            with tempfile.TemporaryDirectory() as folder:
                said = lint(documents, pod_of(deployment), Path(folder))
                faults += [f"{name_of(deployment)}: {line.replace(folder, '')}" for line in said]
    return faults


def lint(documents, spec, folder):
    """What `promemoria lint` says of one pod."""
    (container,) = spec["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    for name, path in mounts.items():
        for file, text in files_of(documents, volumes[name], path):
            there = folder / path.lstrip("/") / file
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_text(within(text, mounts.values(), folder), encoding="utf-8")
    given_names = {each["name"]: within(each["value"], mounts.values(), folder) for each in container.get("env", [])}
    settings = given_names.get("PROMEMORIA_CONFIG") or within(container["args"][1], mounts.values(), folder)
    program = ROOT / (environment("CARGO_TARGET_DIR") or "target") / "debug/promemoria"
    command = [program, "--config", settings, "lint"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=given_names)
    return (done.stdout + done.stderr).strip().splitlines() if done.returncode else []


def within(text, mounts, folder):
    """A text with the paths below the mounts led into the folder."""
    below = "|".join(re.escape(path) for path in mounts)
    return re.sub(rf"(?<![\w/.])({below})(?=[/\"]|$)", rf"{folder}\1", text)


def files_of(documents, volume, path):
    """Name and text of each file that a volume brings."""
    made = made_of(documents)
    for source in [volume] + volume.get("projected", {}).get("sources", []):
        if "configMap" in source:
            data = made["ConfigMap", source["configMap"]["name"]]["data"]
            items = source["configMap"].get("items") or [{"key": key, "path": key} for key in data]
            yield from ((item["path"], data[item["key"]]) for item in items)
        if "secret" in source:
            name = source["secret"].get("secretName") or source["secret"]["name"]
            keys = made.get(("Secret", name), {}).get("data") or given.given(documents).get(name) or []
            keys = [*keys, *given.SOMETIMES.get(name, ())]
            if name == IO_KEYS:
                keys = keys_of_enti(documents, path)
            yield from ((key, CONTENTS.get(key, OTHER)) for key in keys)


def keys_of_enti(documents, path):
    """The names below a path that the enti ask for."""
    maps = [each["data"] for each in of_kind(documents, "ConfigMap") if given.is_enti(each)]
    enti = [tomllib.loads(text) for each in maps for text in each.values()]
    choices = [service for ente in enti for service in ente.get("servizi", {}).values()]
    files = [Path(each[key]) for each in choices for key in KEYS if key in each]
    return {file.name for file in files if file.parent == Path(path)}


if __name__ == "__main__":
    named = [Path(path) for path in sys.argv[1:]] or [RENDERED / f"{overlay}.yaml" for overlay in OVERLAYS]
    every = {path: parse(path.read_text(encoding="utf-8")) for path in named}
    report([f"{path.stem}: {fault}" for path, documents in every.items() for fault in faults_of(documents)])
