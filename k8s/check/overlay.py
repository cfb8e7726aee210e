"""An overlay's own folder: keys of IO are in Secrets, and every file in it is used."""

import tomllib

from given import is_enti
from objects import of_kind
from project import ROOT, load

KEYS = ("chiave", "chiave_secondaria")


def inline_keys(documents):
    """Enti that carry keys of IO themselves, where it is not the sandbox that takes them."""
    if any(each["metadata"]["name"] == "sandbox" for each in of_kind(documents, "Deployment")):
        return []
    maps = [each["data"] for each in of_kind(documents, "ConfigMap") if is_enti(each)]
    faults = []
    for file, text in (item for each in maps for item in each.items()):
        for name, service in tomllib.loads(text).get("servizi", {}).items():
            faults += [f"{file}: servizi.{name}.{key}: belongs into a Secret" for key in KEYS if key in service]
    return faults


def unused_files(folder):
    """Files of an overlay's folder that its kustomization does not name."""
    folder = ROOT / folder  # as it is, if it is absolute
    named = {folder / path for path in paths(load(folder / "kustomization.yaml"))}
    there = {path for path in folder.rglob("*") if path.is_file() and path.name != "kustomization.yaml"}
    return [f"{path.relative_to(folder)}: nothing uses it" for path in sorted(there - named)]


def paths(kustomization):
    """Every path that a kustomization names."""
    yield from kustomization.get("resources", [])
    yield from (patch["path"] for patch in kustomization.get("patches", []) if "path" in patch)
    for kind in ("configMapGenerator", "secretGenerator"):
        for each in kustomization.get(kind, []):
            yield from (file.rpartition("=")[2] for file in each.get("files", []) + each.get("envs", []))
