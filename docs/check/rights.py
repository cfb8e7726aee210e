"""The command line as the user promemoria-operator: how it signs in, and what it was refused."""

import json
import re
import subprocess

OPERATOR = "promemoria-operator"
# `promemoria doctor` asks by declaring whether what is there has the right arguments; refused, it says that it could not compare.
ASKED = re.compile(r"operation (exchange|queue)\.declare caused a channel exception access_refused")


def word(role):
    """The password of a user of the fleet."""
    return f"word-of-{role}"


def as_operator(at):
    """The settings by which the command line is the operator's user, as variables."""
    user = f"{OPERATOR}:{word('operator')}"
    return (
        f"PROMEMORIA__AMQP__URL=amqp://{user}@127.0.0.1:{at.amqp}/%2f",
        "PROMEMORIA__AMQP__DECLARE=false",
        f"PROMEMORIA__REDIS__URL=redis://{user}@127.0.0.1:{at.redis}/0",
    )


def refusals(at):
    """What the brokers say of the operator's user: that it never came, or what it was refused."""
    asked = subprocess.run(["docker", "logs", at.container], capture_output=True, text=True, check=True)
    log = re.sub(r"\x1b\[[\d;]*m", "", asked.stdout + asked.stderr).splitlines()  # without its colours
    if not any(f"user '{OPERATOR}' authenticated" in line for line in log):
        yield f"RabbitMQ never saw {OPERATOR}"
    refused = [line for line in log if f"refused for user '{OPERATOR}'" in line]
    yield from (f"RabbitMQ: {line}" for line in refused if not ASKED.search(line))
    acl = subprocess.run(["redis-cli", "--json", "-p", str(at.redis), "ACL", "LOG"], capture_output=True, text=True, check=True)
    for one in json.loads(acl.stdout):
        if one["username"] == OPERATOR:
            yield f"Redis: {one['reason']} {one['object']}"
