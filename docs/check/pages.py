"""The commands of the runbooks: those of the `sh` blocks, and those that a sentence names with their arguments."""

import re
from dataclasses import dataclass

from stage import ROOT

# A command within a sentence: one of these programs, and words.
PROGRAMS = "promemoria|rabbitmqctl|rabbitmq-diagnostics|rabbitmq-queues|redis-cli|promtool|kubectl|curl|openssl|date"
NAMED = re.compile(rf"`((?:{PROGRAMS})\s[^`]+)`")
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Command:
    """A command as it is written, where it stands first, and what the page says of it in a comment."""

    text: str
    where: str
    comment: str = ""


def pages():
    """The runbook, then the page of each alert."""
    return [ROOT / "docs/runbook.md", *sorted((ROOT / "docs/runbooks").glob("*.md"))]


def of_block(block):
    """Each command of a block, with its comment and the number of its first line."""
    joined, begun = "", 0
    for number, line in enumerate(block.splitlines()):
        begun = begun if joined else number
        joined += line.removesuffix("\\") if line.endswith("\\") else f"{line}\n"
        if line.endswith("\\") or (joined.startswith("for ") and line != "done"):
            continue
        text, _, comment = joined.partition(" #")
        if text.strip():
            yield re.sub(r" +", " ", text).strip(), comment.strip(), begun
        joined = ""


def of_page(path):
    """Each command of a page, in its order."""
    text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT)
    found = []
    for block in BLOCK.finditer(text):
        first = text[: block.start(1)].count("\n") + 1
        found += [(first + number, command, comment) for command, comment, number in of_block(block[1])]
    prose = BLOCK.sub(lambda block: "\n" * block[0].count("\n"), text)
    for one in NAMED.finditer(prose):
        found.append((prose[: one.start()].count("\n") + 1, " ".join(one[1].split()), ""))
    return [Command(command, f"{name}:{line}", comment) for line, command, comment in sorted(found)]


def commands():
    """Every distinct command, where it stands first."""
    distinct = {}
    for path in pages():
        for command in of_page(path):
            distinct.setdefault(command.text, command)
    return list(distinct.values())
