#!/usr/bin/env python3
"""`make runbooks`: every command of docs/runbook.md and docs/runbooks, tried where what they talk about has happened.

Starts RabbitMQ and Redis in containers, the demo's fleet on them, Debian's Prometheus with our rules; brings about
refused events, messages in doubt, a faulty ente file, refused keys, calls over the rate (troubles.py); then runs each
distinct command once, as it is written, in a shell that knows its names: those that read first, those that change last.
`promemoria` is there the user promemoria-operator of deploy/rabbitmq and deploy/redis, with no more than its rights; a
command that is refused one fails the trial, whatever it says. All that they say is kept in target/runbooks.txt.

A command is good if it ends with 0 and says something. Some say by 1 that they found something (docs/cli.md). What
needs a cluster or leaves this machine is not tried; of kubectl, what it names is held against k8s, and kubectl
itself reads it. One line a command; exit code 1 if one failed.

    docs/check/runbooks.py

Needs Docker with the images of tests/images/build.sh debian12, and what deploy/setup.sh test dashboards runbooks installs.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "deploy/grafana/look"))

import kubectl
import pages
import troubles
from rights import OPERATOR, as_operator, refusals, word
from stage import Stage, brokers, fleet, free_port, prometheus, sign_up, wait_for

PLUGINS = ("rabbitmq_management", "rabbitmq_shovel")
# How long a command may take, and one that only Ctrl-C ends is given, seconds.
PATIENCE, LOOK = 300, 8
# What changes something, in the order in which it is tried: a stream whose record went is declared again by an import,
# which empties passwords; the shovel needs its binding.
CHANGING = (
    r"journal export", r"rebuild(?! --dry-run)", r"in-doubt resend", r"in-doubt drop", r"dead requeue", r"dead drop",
    r"CONFIG SET", r"CONFIG REWRITE", r"BGREWRITEAOF", r"purge_queue", r"internal_delete", r"import_definitions",
    r"change_password", r"set_parameter",
)
# Ends with 1 where it finds something, and here there is something to find.
FINDING = re.compile(r"^promemoria (doctor|audit|rebuild --dry-run|dead list|in-doubt list)\b")
# Ends with 0, and the reason is on its output.
REFUSED = re.compile(r"^(?:\(error\) )?(?:ERR|NOPERM|NOAUTH|WRONGPASS|OOM|MISCONF|WRONGTYPE|LOADING) ", re.M)
# Commands that may say nothing, and why.
QUIET = {
    "promemoria_certificate_end_timestamp_seconds": "no TLS in the fleet for trial",
    "await_startup": "it only waits",
}
# Where all that the commands said is kept.
SAID = ROOT / "target/runbooks.txt"
PLACEHOLDER = re.compile(r"\b(HOST|WHICH|CHIAVE|ID|NAME|FILE)\b")
ROLES = ("scheduler", "renderer", "dispatcher", "operator")
SERVICES = {"9101": "scheduler", "9102": "renderer", "9103": "dispatcher"}


class Shell:
    """Where the commands run: a folder, and programs that lead to the world's parts."""

    def __init__(self, world, folder):
        self.world, self.folder = world, Path(folder) / "shell"
        programs = self.folder / "bin"
        programs.mkdir(parents=True)
        within = f"docker exec --interactive --workdir / {world.at.container}"
        leads = {name: f"{within} {name}" for name in ("rabbitmqctl", "rabbitmq-diagnostics", "rabbitmq-queues")}
        leads["promemoria"] = shlex.join(["env", *as_operator(world.at), *world.command])
        for name, lead in leads.items():
            (programs / name).write_text(f'#!/bin/sh\nexec {lead} "$@"\n', encoding="utf-8")
            (programs / name).chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PROMETHEUS": world.prometheus}

    def run(self, text, looks=False):
        """How a command ended, and all that it said; one that `looks` gets a Ctrl-C after a while."""
        # Whoever is ended by Ctrl-C must have said by then what it had to say.
        command = [*(["stdbuf", "-oL"] if looks else []), "bash", "-o", "pipefail", "-c", text]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        one = subprocess.Popen(command, cwd=self.folder, env=self.environment, start_new_session=True, **pipes)
        try:
            said, _ = one.communicate(timeout=LOOK if looks else PATIENCE)
            return one.returncode, said
        except subprocess.TimeoutExpired:
            os.killpg(one.pid, signal.SIGINT if looks else signal.SIGKILL)
            said, _ = one.communicate(timeout=PATIENCE)
            return (0, said) if looks else (-1, f"{said}\nnot ended within {PATIENCE} s")

    def broker_certificate(self, stage):
        """A certificate in a file, and a server on loopback that shows it; returns the file and the port."""
        certificate, key, port = self.folder / "cert.pem", self.folder / "key.pem", free_port()
        made = f"openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -keyout {key} -out {certificate}"
        subprocess.run(made.split(), check=True, capture_output=True)
        server = f"openssl s_server -quiet -accept 127.0.0.1:{port} -cert {certificate} -key {key}"
        stage.process("s_server", server.split())
        return certificate, port


def fills(world, certificate, port):
    """What stands for each placeholder: a pattern, and what is there when the command runs."""
    doubt = lambda _: troubles.doubts(world)[0]["chiave"]
    letter = lambda _: troubles.letters(world)[0]["key"]
    return [
        (r"HOST:(910[123])", lambda match: f"127.0.0.1:{world.ports[SERVICES[match[1]]]}"),
        (r"HOST:6379", lambda _: f"127.0.0.1:{world.at.redis}"),
        (r"HOST:5671", lambda _: f"127.0.0.1:{port}"),
        (r"/run/secrets/amqp-cert\.pem", lambda _: str(certificate)),
        (r"\bCHIAVE…", doubt),
        (r"\b(WHICH|ID)\b", letter),
        (r"\bNAME\b", lambda _: troubles.QUEUE),
        (r"\bFILE\b", lambda _: "journal-2027-03-01.jsonl"),
    ]


def filled(text, fills):
    """A command with what is there in the place of its placeholders."""
    for pattern, value in fills:
        text = re.sub(pattern, value, text)
    return text


def untried(text):
    """Why a command cannot be tried here; nothing if it can."""
    if text.startswith("kubectl "):
        return "needs a cluster; k8s makes what it names"
    if outside := re.search(r"https?://(?!HOST\b)([^/\s]+)", text):
        return f"{outside[1]} is out of this machine"
    return None


def place(command):
    """Its place among the commands: those that only read first, in the order of the pages."""
    return next((number for number, one in enumerate(CHANGING, 1) if re.search(one, command.text)), 0)


def fault(command, code, said):
    """What is wrong with how a command ended; nothing if it is good."""
    if code != 0 and not (code == 1 and FINDING.match(command.text)):
        return f"ended with {code}"
    if refused := REFUSED.search(said):
        return f"refused: {refused[0].strip()}"
    if not said.strip() and not quiet(command):
        return "says nothing"
    return None


def quiet(command):
    """Why a command may say nothing; nothing if it should say something."""
    return next((why for name, why in QUIET.items() if name in command.text), None)


class Trial:
    """The commands, one after the other, and how many came to what end."""

    def __init__(self, world, shell, fills):
        self.world, self.shell, self.fills = world, shell, fills
        self.count = {"ok": 0, "FAIL": 0, "not tried": 0}
        SAID.parent.mkdir(exist_ok=True)
        SAID.write_text("", encoding="utf-8")

    def say(self, end, command, more=""):
        """One line a command."""
        self.count[end] += 1
        print(f"{end:<9}  {command.where:<47}  {' '.join(command.text.split())}{more}", flush=True)

    def take(self, command):
        """Tries one command, or says why not."""
        if reason := untried(command.text):
            wrong = kubectl.faults(command.text) if command.text.startswith("kubectl ") else []
            self.say("FAIL" if wrong else "not tried", command, f": {'; '.join(wrong) or reason}")
            return
        try:
            self.run(command)
        except (LookupError, OSError, SystemExit) as error:
            self.say("FAIL", command, f": {error!r}")

    def run(self, command):
        """Runs one command as it stands, with what is there in the place of its placeholders."""
        before, after = around(command.text)
        before(self)
        text = filled(command.text, self.fills)
        if left := PLACEHOLDER.search(text):
            raise LookupError(f"nothing stands for {left[0]}")
        code, said = self.shell.run(text, looks="Ctrl-C" in command.comment)
        with SAID.open("a", encoding="utf-8") as file:
            file.write(f"$ {command.text}\n{said}\n")
        if wrong := fault(command, code, said) or after(self):
            self.say("FAIL", command, f": {wrong}\n{said.strip()}")
            return
        found = " (found something)" if code else ""
        self.say("ok", command, found if said.strip() else f" (says nothing: {quiet(command)})")

    def end(self):
        """Whether the users of the fleet can still sign in after all of it; the counts."""
        signs = [f"rabbitmqctl authenticate_user promemoria-{role} {word(role)}" for role in ROLES]
        if wrong := [role for role, sign in zip(ROLES, signs) if self.shell.run(sign)[0]]:
            self.count["FAIL"] += 1
            print(f"FAIL       after all of them: {', '.join(wrong)} cannot sign in at RabbitMQ any more")
        for wrong in refusals(self.world.at):
            self.count["FAIL"] += 1
            print(f"FAIL       the command line as {OPERATOR}: {wrong}")
        print("runbooks: " + ", ".join(f"{number} {end}" for end, number in self.count.items()))
        return self.count["FAIL"]


def around(text):
    """What comes about before a command is tried, and what is wrong after it; mostly nothing."""
    nothing = lambda _: None
    for part, before, after in (
        ("import_definitions", unbind, unbound),
        ("set_parameter shovel", nothing, unshovelled),
    ):
        if part in text:
            return before, after
    return nothing, nothing


def unbind(trial):
    """The broken topology that an import mends."""
    troubles.unbind(trial.world)


def unbound(trial):
    """Whether events still reach no queue."""
    found = trial.world.broker("bindings/%2F/e/promemoria.events/q/promemoria.events")
    return None if found else "the binding is not back"


def install(shell):
    """The fleet's users as docs/permissions.md makes them, with passwords in files."""
    folder = shell.folder / "secrets"
    folder.mkdir()
    steps = ["rabbitmqctl import_definitions deploy/rabbitmq/definitions.json"]
    for role in ROLES:
        (folder / f"promemoria-{role}").write_text(word(role), encoding="utf-8")
        steps.append(f"rabbitmqctl change_password promemoria-{role} < secrets/promemoria-{role}")
    code, said = shell.run(" && ".join(steps))
    if code:
        sys.exit(f"the users cannot be made: {said}")
    sign_up(shell.world.at, OPERATOR, word("operator"))


def unshovelled(trial):
    """Whether events still wait unrouted."""
    try:
        wait_for("the shovel", lambda: troubles.waiting(trial.world) == 0)
    except SystemExit as late:
        return str(late)
    return None


def main():
    # In the background of a shell it is ignored, and would be in every command that Ctrl-C is to end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(folder)
        with stage.ends:
            print("runbooks: starting brokers and fleet", flush=True)
            at = brokers(stage, PLUGINS, ("--volume", f"{ROOT}/deploy/rabbitmq:/deploy/rabbitmq:ro"))
            ports, command = fleet(stage, at)
            world = troubles.World(at, ports, prometheus(stage, ports, at), command)
            print("runbooks: bringing about what they talk about", flush=True)
            troubles.all_of_it(world)
            shell = Shell(world, folder)
            install(shell)
            trial = Trial(world, shell, fills(world, *shell.broker_certificate(stage)))
            for each in sorted(pages.commands(), key=place):
                trial.take(each)
            failed = trial.end()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
