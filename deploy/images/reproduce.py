#!/usr/bin/env python3
"""Makes an image of a build depend on its content only.

    docker save IMAGE | reproduce.py TAG EPOCH | docker load

Docker writes the time of the build into the files' headers and into the image's configuration, so that two builds
of one source differ. Here every file is owned by root and as old as EPOCH (seconds since 1970), each layer is
sorted by name, the configuration says EPOCH, and what only tells how the image was made is left out. The image
then has the same ID wherever the same bytes were built.

Needs Python 3.9 and nothing else. With BuildKit, SOURCE_DATE_EPOCH and `rewrite-timestamp=true` do the same.
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile
from datetime import datetime, timezone

# What of the configuration is the image itself; the rest names the machine and the containers of the build.
KEPT = ("architecture", "os", "variant")
KEPT_CONFIG = ("Cmd", "Entrypoint", "Env", "ExposedPorts", "Labels", "StopSignal", "User", "WorkingDir")


def member(name, data, epoch):
    """A regular file of the archive: header and content."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(data), epoch, 0o644
    return info, io.BytesIO(data)


def layer(data, epoch):
    """The layer with its entries sorted, owned by root and as old as `epoch`."""
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as new:
        for entry in sorted(old.getmembers(), key=lambda entry: entry.name):
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = epoch
            entry.pax_headers = {key: value for key, value in entry.pax_headers.items() if not key.endswith("time")}
            new.addfile(entry, old.extractfile(entry) if entry.isreg() else None)
    return out.getvalue()


def configuration(old, layers, created):
    """The image's configuration without the story of its build."""
    new = {key: old[key] for key in KEPT if key in old}
    new["config"] = {key: old["config"][key] for key in KEPT_CONFIG if old["config"].get(key)}
    new["created"] = created
    new["history"] = [{"created": created, "created_by": "deploy/Dockerfile"} for _ in layers]
    digests = ["sha256:" + hashlib.sha256(data).hexdigest() for data in layers]
    new["rootfs"] = {"type": "layers", "diff_ids": digests}
    return json.dumps(new, sort_keys=True, separators=(",", ":")).encode()


def rewrite(source, target, tag, epoch):
    """Reads what `docker save` wrote of one image and writes it anew. Gives the image's ID."""
    created = datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    with tarfile.open(fileobj=io.BytesIO(source)) as archive:
        read = lambda name: archive.extractfile(name).read()
        (manifest,) = json.loads(read("manifest.json"))
        layers = [layer(read(name), epoch) for name in manifest["Layers"]]
        config = configuration(json.loads(read(manifest["Config"])), layers, created)
    digest = hashlib.sha256(config).hexdigest()
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    entry = {"Config": f"{digest}.json", "RepoTags": [tag], "Layers": names}
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for name, data in zip(names, layers):
            archive.addfile(*member(name, data, epoch))
        archive.addfile(*member(f"{digest}.json", config, epoch))
        archive.addfile(*member("manifest.json", json.dumps([entry]).encode(), epoch))
    return "sha256:" + digest


def main():
    if len(sys.argv) != 3 or not sys.argv[2].isdigit():
        sys.exit("usage: docker save IMAGE | reproduce.py TAG EPOCH | docker load")
    print(rewrite(sys.stdin.buffer.read(), sys.stdout.buffer, sys.argv[1], int(sys.argv[2])), file=sys.stderr)


if __name__ == "__main__":
    main()
