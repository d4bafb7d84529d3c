"""The commands that the documents show or name: what a reader may type, and what comes of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from services.cli import app

ROOT: Final = Path(__file__).parents[2]
#: All but the past, which nobody is asked to type.
PAGES: Final = [
    page
    for page in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
    if page.name != "CHANGELOG.md"
]
#: Of fences: those of a shell, with and without prompts and output, and what no shell takes.
SHELL, SESSION = "sh", "console"
OTHER: Final = {"yaml", "json", "mermaid", "text"}
#: With the spaces of a fence in a list.
_FENCE: Final = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SPAN: Final = re.compile(r"`([^`]+)`")
#: Programs that a span in running text may call.
_PROGRAM: Final = re.compile(
    r"(?:tenure|make|curl|docker|kubectl|pip|openssl|pg_dump|pg_restore|kafka-[a-z-]+\.sh|\.venv/bin/\S+)"
)


@dataclass(frozen=True)
class Block:
    """A fence: where it is, its language and what is in it."""

    page: str
    heading: str
    line: int
    language: str
    text: str

    @property
    def steps(self) -> list[Step]:
        """Return its commands; of a session with what it shows of each."""
        if self.language == SESSION:
            return list(_session(self.text))
        return [Step(command) for command in _commands(self.text)]


@dataclass(frozen=True)
class Step:
    """A command as it is written, and the output that is shown, if any."""

    command: str
    shown: str = ""

    @property
    def plain(self) -> str:
        """Return it on one line, without comments."""
        uncommented = re.sub(r"(^|\s+)#\s.*$", "", self.command, flags=re.MULTILINE)
        return " ".join(uncommented.replace("\\\n", " ").split())


def blocks() -> list[Block]:
    """Return all fences of all pages."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for fence in _FENCE.finditer(text):
            before = text[: fence.start()]
            heading = re.findall(r"^#+ (.*)$", _FENCE.sub("", before), re.MULTILINE)[-1]
            body = re.sub(rf"^{fence[1]}", "", fence[3], flags=re.MULTILINE)
            found.append(Block(named(page), heading, before.count("\n") + 1, fence[2], body))
    return found


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def fences(page: str, heading: str, language: str) -> list[Block]:
    """Return the fences under one heading of one page."""
    wanted = (page, heading, language)
    return [each for each in blocks() if (each.page, each.heading, each.language) == wanted]


def spans() -> dict[str, str]:
    """Return each command that running text names, and the first page that does."""
    found: dict[str, str] = {}
    for page in PAGES:
        prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
        for span in _SPAN.findall(prose):
            for command in _alternatives(" ".join(span.split())):
                if _is_command(command):
                    found.setdefault(command, named(page))
    return found


def subcommand(words: list[str]) -> tuple[str, Any, list[str]]:
    """Return which of `tenure`'s commands is called, itself, and what it is given."""
    command: Any = typer.main.get_command(app)
    path, rest = ["tenure"], list(words)
    while rest and rest[0].startswith("--"):
        del rest[: 2 if rest[0] == "--settings" else 1]
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest[0]]
        path.append(rest.pop(0))
    return " ".join(path), command, rest


def leaves(command: Any = None, path: str = "tenure") -> set[str]:  # noqa: ANN401 - Typer's Click
    """Return every command of `tenure` that does something itself."""
    inner = getattr(command or typer.main.get_command(app), "commands", None)
    if inner is None:
        return {path}
    return set().union(*(leaves(each, f"{path} {name}") for name, each in inner.items()))


def _commands(text: str) -> Iterator[str]:
    """Split a script where a command ends: not within quotes, nor behind a backslash."""
    pending = ""
    for line in text.splitlines():
        pending += line + "\n"
        if line.endswith("\\") or not _is_whole(pending):
            continue
        if shlex.split(pending, comments=True):
            yield pending.strip("\n")
        pending = ""
    assert not pending, f"a quote is not closed: {text}"


def _is_whole(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True


def _session(text: str) -> Iterator[Step]:
    """Yield each command behind a prompt; what follows its line is what it prints."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield Step(command, shown.strip("\n"))


def _alternatives(span: str) -> Iterator[str]:
    """Yield what ``suppression add|remove`` stands for."""
    for word in span.split():
        if re.fullmatch(r"[a-z]+(\|[a-z]+)+", word):
            for each in word.split("|"):
                yield span.replace(word, each)
            return
    yield span


def _is_command(span: str) -> bool:
    """Tell a command that may be run from the mere mention of one."""
    program, *words = span.split()
    if not words or not _PROGRAM.fullmatch(program):
        return False
    if not program.endswith("tenure"):
        return True
    _, command, rest = subcommand(words)
    if hasattr(command, "commands"):  # a group, or `tenure --help`
        return bool(rest) or words[0].startswith("--")
    return bool(rest) or not any(each.required for each in command.params)
