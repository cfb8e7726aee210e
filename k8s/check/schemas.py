"""Kinds of the operators, against strict schemas: an unknown field is a fault.

With K8S_CRDS naming a folder of CustomResourceDefinitions (those of the cluster, for example) their schemas are
taken; else those of `k8s/check/schemas`, our own, which know just the kinds and fields that we use.
"""

from pathlib import Path

import jsonschema
import yaml

from project import OVERLAYS, ROOT, environment, name_of, parse, rendered, report, tracked

OWN = ROOT / "k8s/check/schemas"
# Groups that Kubernetes itself serves: kubernetes-validate knows their kinds.
BUILT_IN = {"", "apps", "autoscaling", "networking.k8s.io", "policy"}


def strict(schema):
    """The schema, with fields closed that it leaves open without meaning to."""
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) if isinstance(value, dict) else value for key, value in schema.items()}
    for key in ("allOf", "anyOf", "oneOf"):
        if key in made:
            made[key] = [each if key != "allOf" else strict(each) for each in made[key]]
    if "properties" in schema:
        made["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
        open_by_intent = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
        if not open_by_intent:
            made["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        made = {"type": ["integer", "string"]}
    return made


def of_definitions(folder):
    """Schemas by group/version and kind, from CustomResourceDefinitions."""
    found = {}
    for file in sorted(Path(folder).glob("*.yaml")):
        for crd in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            spec = crd["spec"]
            for version in spec["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                # metadata is the API server's own.
                schema["properties"]["metadata"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = strict(schema)
    return found


def own():
    """Our own schemas: each file has `apiVersion`, `kinds` and the schema of `spec`."""
    found = {}
    for file in sorted(OWN.glob("*.yaml")):
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
        for kind, spec in given["kinds"].items():
            top = {name: {} for name in ("apiVersion", "kind", "metadata")}
            schema = {"properties": {**top, "spec": spec}, "required": ["apiVersion", "kind", "metadata", "spec"]}
            found[given["apiVersion"], kind] = strict(schema)
    return found


def faults_of(document, schemas):
    """What is wrong with one resource of an operator."""
    kind = document["apiVersion"], document["kind"]
    schema = schemas.get(kind)
    if schema is None:
        return [f"{name_of(document)}: no schema for {kind[0]} {kind[1]}"]
    errors = jsonschema.Draft202012Validator(schema).iter_errors(document)
    return [f"{name_of(document)}: {error.json_path}: {error.message}" for error in errors]


def is_built_in(document):
    """Whether Kubernetes itself serves this kind."""
    group = document["apiVersion"].rpartition("/")[0]
    return group in BUILT_IN


def main():
    folder = environment("K8S_CRDS")
    schemas = own()
    if folder:
        given = of_definitions(folder)
        print(f"  {len(given)} schemas of {folder}, our own for the rest")
        schemas |= given
    faults = []
    for overlay in OVERLAYS:
        foreign = [document for document in rendered(overlay) if not is_built_in(document)]
        faults += [f"{overlay}: {fault}" for each in foreign for fault in faults_of(each, schemas)]
    for file in tracked("k8s/examples/*.yaml"):
        foreign = [each for each in parse((ROOT / file).read_text(encoding="utf-8")) if not is_built_in(each)]
        faults += [f"{file}: {fault}" for each in foreign for fault in faults_of(each, schemas)]
    report(faults)


if __name__ == "__main__":
    main()
