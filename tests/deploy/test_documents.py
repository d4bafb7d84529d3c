"""The guides: that what they name exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from services.cli import app
from shared.settings import Settings
from shared.topics import TOPICS
from tests.deploy.compose import ComposeFile, variables
from tests.deploy.rules_files import unknown_names
from tests.deploy.test_compose import OTHERS
from tests.deploy.tools import DOCS, ROOT

GUIDES = [DOCS / "operations.md", *sorted((DOCS / "runbooks").glob("*.md"))]
EACH = pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)


def slug(heading: str) -> str:
    return re.sub(r"[^\w-]", "", heading.strip().lower().replace(" ", "-"))


@EACH
def test_links_lead_somewhere(guide: Path) -> None:
    for target in re.findall(r"\]\(([^)#]*#?[^)]*)\)", guide.read_text()):
        if "://" in target:  # nothing here asks the network
            continue
        path, _, anchor = target.partition("#")
        file = (guide.parent / path).resolve() if path else guide
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert anchor in map(slug, headings), target


@EACH
def test_files_that_are_named_exist(guide: Path) -> None:
    for name in re.findall(r"`(deploy/[\w./-]+)`", guide.read_text()):
        assert (ROOT / name).exists(), name


@EACH
def test_variables_are_settings(guide: Path) -> None:
    known = {f"TENURE_{name}".upper() for name in Settings.model_fields}
    mentioned = set(re.findall(r"TENURE_[A-Z_]*[A-Z]", guide.read_text()))
    assert mentioned <= known | OTHERS | set(variables())


@EACH
def test_commands_are_commands(guide: Path) -> None:
    for words in commands(guide.read_text()):
        command = typer.main.get_command(app)
        for word in words:
            if not (groups := getattr(command, "commands", None)):
                break
            assert word in groups, f"tenure {' '.join(words)}"
            command = groups[word]
        options = {option for each in command.params for option in each.opts}
        assert {word for word in words if word.startswith("--")} <= options


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words behind `tenure` wherever it is called."""
    for line in re.findall(r"(?:`|^ *)tenure ([a-z-][^`\n]*)", text, re.MULTILINE):
        yield line.replace("\n", " ").split()


@EACH
def test_queries_ask_for_what_exists(guide: Path) -> None:
    for query in re.findall(r"`([^`]*tenure_[^`]*)`", guide.read_text()):
        if "*" not in query:
            assert unknown_names(query) == set(), query


def test_the_table_of_variables_has_them_all_with_their_defaults() -> None:
    text = (DOCS / "operations.md").read_text()
    table = text[text.index("Variables, in the environment") : text.index("**Before anybody")]
    for name, default in variables().items():
        assert f"`{name}`" in table
        assert f"`{default}`" in table or name == "TENURE_API_KEY"


def test_ports_are_those_that_are_published() -> None:
    text = (DOCS / "operations.md").read_text()
    for service in ComposeFile.read().services:
        for port in service.ports:
            assert re.search(rf"{service.name} {port.port}\b", text, re.IGNORECASE)


def test_the_table_of_retention_is_what_topics_say() -> None:
    text = (DOCS / "operations.md").read_text()
    table = text[text.index("## Retention") : text.index("A scorer that is down for longer")]
    for topic in TOPICS:
        (row,) = [line for line in table.splitlines() if f"`{topic.name}`" in line]
        if topic.config["cleanup.policy"] == "compact":
            assert "newest of each key" in row
        else:
            days = int(topic.config["retention.ms"]) // 86_400_000
            assert f"| {days} days |" in row
