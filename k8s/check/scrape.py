"""What the three services really export, read from them: they answer /metrics before any broker is there.

Each family that docs/metrics.md gives a service must be declared by it or not yet have a value, nothing else may be
there, and promtool must find no fault in names and units.
"""

import re
import subprocess
import sys
import tempfile
import time
import urllib.request

from project import ROOT, environment, report

SERVICES = ("scheduler", "renderer", "dispatcher")
# Families without a value before the first call or where no setting names a file.
LATER = {"promemoria_rate_limit_remaining", "promemoria_certificate_end_timestamp_seconds"}
# Ports on which nothing listens: a broker and a Redis that are not there.
NOWHERE = {
    "PROMEMORIA__AMQP__URL": "amqp://127.0.0.1:9/%2f",
    "PROMEMORIA__REDIS__URL": "redis://127.0.0.1:9/0",
    "PROMEMORIA__PRIVACY__RECIPIENT_HASH_KEY": "a key for trial only",
}
# Time for a debug binary to read the catalogue and listen, seconds.
DEADLINE = 60


def scrape(service, folder):
    """The text of /metrics of a service that is started for it and ended after."""
    binaries = ROOT / (environment("CARGO_TARGET_DIR") or "target") / "debug"
    variables = {**NOWHERE, f"PROMEMORIA__{service.upper()}__BIND": "127.0.0.1:0", "PROMEMORIA__LOG__FORMAT": "text"}
    command = [binaries / service, "--config", ROOT / "deploy/config/fleet.toml"]
    with open(f"{folder}/{service}.log", "w+", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=variables)
        try:
            return read(process, log)
        finally:
            process.terminate()
            process.wait(timeout=DEADLINE)


def read(process, log):
    """Waits for the address in the log, then reads the page."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until and process.poll() is None:
        log.seek(0)
        if address := re.search(r"address=(127\.0\.0\.1:\d+)", log.read()):
            with urllib.request.urlopen(f"http://{address[1]}/metrics", timeout=DEADLINE) as page:
                return page.read().decode()
        time.sleep(0.05)
    log.seek(0)
    sys.exit(f"the service does not listen:\n{log.read()}")


def documented():
    """Families by service, from the manual."""
    found, name = {service: set() for service in SERVICES}, None
    for line in (ROOT / "docs/metrics.md").read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"## `(\w+)`", line):
            name = heading[1]
        elif line.startswith("- Fed by "):
            for service in line.removeprefix("- Fed by ").split(", "):
                found[service].add(name)
    return found


def faults_of(service, text, wanted):
    """What is wrong with a service's page."""
    there = set(re.findall(r"^# TYPE (\w+) ", text, re.M))
    faults = [f"{service}: does not export {name}" for name in sorted(wanted - there - LATER)]
    faults += [f"{service}: exports {name}, which docs/metrics.md does not say" for name in sorted(there - wanted)]
    lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    faults += [f"{service}: promtool: {line}" for line in (lint.stdout + lint.stderr).splitlines()]
    if lint.returncode and not faults:
        faults.append(f"{service}: promtool refuses the page")
    return faults


def main():
    wanted = documented()
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        for service in SERVICES:
            faults += faults_of(service, scrape(service, folder), wanted[service])
    report(faults)


if __name__ == "__main__":
    main()
