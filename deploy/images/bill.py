#!/usr/bin/env python3
"""Writes an image's bill of materials, CycloneDX 1.5 in JSON, to stdout.

    bill.py PACKAGE NAME VERSION IMAGE.tar > NAME.cdx.json

What is in the program: the crates that Cargo.lock pins and that `cargo tree` finds in the build of PACKAGE, with the
features that this build has. What lies beside it: the Debian packages that the image's own package database lists.
Procedural macros count as in the program: their output is. Build scripts and test crates do not.

Needs Python 3.11, cargo, and the crates of the lock file already fetched (or the network).
"""

import io
import json
import subprocess
import sys
import tarfile
import tomllib
import uuid
from email.parser import Parser
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]
TARGET = "x86_64-unknown-linux-gnu"
STATUS = "var/lib/dpkg/status.d/"


def cargo(*words):
    return subprocess.run(["cargo", *words], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def crates_in(package):
    """(name, version) of each crate in the build of `package`."""
    lines = cargo("tree", "--locked", "--package", package, "--edges", "normal", "--target", TARGET,
                  "--prefix", "none", "--format", "{p}").splitlines()
    words = (line.split() for line in lines if line)
    return {(word[0], word[1].removeprefix("v")) for word in words}


def checksums():
    """SHA-256 of each crate of the lock file that comes from a registry."""
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    return {(package["name"], package["version"]): package.get("checksum") for package in packages}


def crate_component(package, checksum):
    name, version = package["name"], package["version"]
    purl = f"pkg:cargo/{quote(name)}@{quote(version)}"
    component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if package.get("description"):
        component["description"] = package["description"].strip()
    if package.get("license"):
        # Old crates write "A/B" for "A OR B".
        words = [word.strip() for word in package["license"].split("/")]
        component["licenses"] = [{"expression": " OR ".join(words)}]
    elif package.get("license_file"):
        component["licenses"] = [{"license": {"name": f"see {package['license_file']}"}}]
    if checksum:
        component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package.get("repository"):
        component["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return component


def crates(package):
    """The components of the crates and who needs whom."""
    wanted, sums = crates_in(package), checksums()
    metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET))
    key = {found["id"]: (found["name"], found["version"]) for found in metadata["packages"]}
    components = {}
    for found in metadata["packages"]:
        if key[found["id"]] in wanted:
            components[found["id"]] = crate_component(found, sums.get(key[found["id"]]))
    needs = []
    for node in metadata["resolve"]["nodes"]:
        if node["id"] not in components:
            continue
        normal = {dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])}
        refs = sorted(components[each]["bom-ref"] for each in normal if each in components)
        needs.append({"ref": components[node["id"]]["bom-ref"], "dependsOn": refs})
    return list(components.values()), needs


def debian_packages(image):
    """The components of the Debian packages that the image names."""
    found = {}
    with tarfile.open(image) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=io.BytesIO(archive.extractfile(name).read())) as layer:
                for entry in layer:
                    if entry.isreg() and entry.name.removeprefix("./").startswith(STATUS):
                        fields = Parser().parsestr(layer.extractfile(entry).read().decode())
                        found[fields["Package"]] = fields
    return [debian_component(fields) for fields in found.values()]


# Debian's copyright files have no licence expression; these are what the files say of the part that is copied.
DEBIAN_LICENCES = {
    "libc6": "LGPL-2.1-or-later",
    "libgcc-s1": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "ca-certificates": "MPL-2.0",
}


def debian_component(fields):
    name, version = fields["Package"], fields["Version"]
    purl = f"pkg:deb/debian/{name}@{quote(version)}?arch={fields['Architecture']}"
    component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if name in DEBIAN_LICENCES:
        component["licenses"] = [{"expression": DEBIAN_LICENCES[name]}]
    return component


def bill(package, name, version, image):
    libraries, needs = crates(package)
    components = sorted(libraries + debian_packages(image), key=lambda component: component["bom-ref"])
    purl = f"pkg:oci/{name}@{quote(version)}"
    subject = {"type": "container", "bom-ref": purl, "name": name, "version": version, "purl": purl,
               "licenses": [{"expression": "EUPL-1.2"}]}
    depended = {ref for need in needs for ref in need["dependsOn"]}
    tops = [component["bom-ref"] for component in components if component["bom-ref"] not in depended]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": subject},
        "components": components,
        "dependencies": sorted([{"ref": purl, "dependsOn": tops}, *needs], key=lambda need: need["ref"]),
    }
    # Of the content, not of the hour: the same image has the same bill.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    document["serialNumber"] = f"urn:uuid:{serial}"
    return document


def unsaid(document):
    """What a component lacks of name, version, purl and licence."""
    wanted = ("name", "version", "purl", "licenses")
    return [f"{component['name']}: no {field}" for component in document["components"]
            for field in wanted if not component.get(field)]


def main():
    if len(sys.argv) != 5:
        sys.exit("usage: bill.py PACKAGE NAME VERSION IMAGE.tar")
    document = bill(*sys.argv[1:4], sys.argv[4])
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
    print()
    if faults := unsaid(document):
        sys.exit("bill: " + "; ".join(faults))


if __name__ == "__main__":
    main()
