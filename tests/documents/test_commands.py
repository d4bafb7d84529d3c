"""Every command that the documents show or name is run here, or by the test that is named."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib

import pytest

from tests.deploy.compose import ComposeFile
from tests.documents.elsewhere import ELSEWHERE, INSTEAD, PLACEHOLDERS
from tests.documents.newcomer import Newcomer
from tests.documents.pages import (
    OTHER,
    PAGES,
    ROOT,
    SESSION,
    SHELL,
    Block,
    blocks,
    leaves,
    spans,
    subcommand,
)

FENCES = [each for each in blocks() if each.language in {SHELL, SESSION}]
SHOWN = [step.plain for block in FENCES for step in block.steps]
NAMED = {command: page for command, page in spans().items() if command not in SHOWN}
RUN = [block for block in FENCES if {step.plain for step in block.steps} - set(ELSEWHERE)]
#: Commands that end with something else than 0 here, as documented: what is wrong stays wrong.
CODES = {"tenure dead-letter replay NUMBER...": 1, "tenure dead-letter replay": 1}
#: What must not stay as it is for those that come after.
UNDONE = {each: "tenure topics --mend" for each in NAMED if each.startswith("kafka-configs.sh ")}
#: What needs no shell.
IN_PROCESS = re.compile(r"tenure [^<>|$;&]+")


@pytest.fixture(autouse=True)
def no_keys_yet(request: pytest.FixtureRequest) -> None:
    """Names in a file of keys are given once."""
    if "lived_in" in request.fixturenames:
        folder = request.getfixturevalue("lived_in").folder
        (folder / "keys.yaml").unlink(missing_ok=True)


@pytest.mark.parametrize("block", RUN, ids=lambda each: f"{each.page}:{each.line}")
@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_what_is_shown_works(lived_in: Newcomer, block: Block) -> None:
    """Blocks are run as a whole, since one line may set what the next one needs."""
    steps = [step for step in block.steps if step.plain not in ELSEWHERE]
    if block.language == SHELL:
        lived_in.does("\n".join(filled(step.command, lived_in) for step in steps))
        return
    for step in steps:
        printed = lived_in.does(filled(step.command, lived_in))
        assert matches(step.shown, printed), printed


@pytest.mark.parametrize("command", [each for each in NAMED if each not in ELSEWHERE])
@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_what_is_named_works(lived_in: Newcomer, command: str) -> None:
    wanted = filled(INSTEAD.get(command, command), lived_in)
    if IN_PROCESS.fullmatch(wanted):
        lived_in.calls(wanted, CODES.get(command, 0))
    else:
        lived_in.does(wanted, CODES.get(command, 0))
    if command in UNDONE:
        lived_in.does(UNDONE[command])


def filled(command: str, newcomer: Newcomer) -> str:
    """Put what a reader would put in place of the names in capitals."""
    known = next(names for begin, names in PLACEHOLDERS if command.startswith(begin))
    for name, value in (PLACEHOLDERS[-1][1] | known | newcomer.names).items():
        command = re.sub(rf"(?<![\w-]){re.escape(name)}(?!\w)", value, command)
    return command


def matches(shown: str, printed: str) -> bool:
    """Tell whether lines are as shown; ``...`` stands for anything."""
    pattern = re.escape(shown.strip()).replace(r"\.\.\.", ".*")
    return re.search(pattern, printed, re.DOTALL) is not None


# ---- without running any: that the lists above are whole and true


def test_each_fence_says_what_it_is() -> None:
    unknown = [each for each in blocks() if each.language not in {SHELL, SESSION, *OTHER}]
    assert not unknown


def test_each_command_of_tenure_is_run() -> None:
    calls = [each for each in (*SHOWN, *NAMED) if "tenure " in each]
    reached = {subcommand(words_of(each))[0] for each in calls}
    assert leaves() - reached == set()


def words_of(command: str) -> list[str]:
    return shlex.split(command[command.index("tenure ") + len("tenure ") :])


def test_what_is_left_out_is_in_the_documents() -> None:
    assert set(ELSEWHERE) - {*SHOWN, *NAMED} == set()
    assert set(INSTEAD) - {*SHOWN, *NAMED} == set()
    assert not set(INSTEAD) & set(ELSEWHERE)


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_is_run_elsewhere_is_run_there(command: str) -> None:
    file, _, name = ELSEWHERE[command].partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    if name:
        functions = ast.walk(ast.parse(text))
        assert name in {getattr(each, "name", None) for each in functions}
    else:
        assert re.search(words_there(command), text)


def words_there(command: str) -> str:
    """Return what a script has of a command: not its arguments, nor where its program is."""
    plain = command.replace(".venv/bin/", "").split(" ARGS")[0]
    return {"make ci": "ci:"}.get(plain, plain.split(" -")[0])


def test_extras_that_are_named_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for page in PAGES:
        for extra in re.findall(r"tenure\[(\w+)\]", page.read_text(encoding="utf-8")):
            assert extra in project["optional-dependencies"]


def test_targets_that_are_named_are_made() -> None:
    targets = set(re.findall(r"^([a-z.]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {each.split()[1] for each in (*SHOWN, *NAMED) if each.startswith("make ")}
    assert named <= targets


def test_kubernetes_is_given_the_secrets_that_it_asks_for() -> None:
    made = re.findall(r"create secret generic (\S+)", " ".join(SHOWN))
    text = "".join(path.read_text() for path in (ROOT / "deploy/kubernetes").rglob("*.yaml"))
    asked = re.findall(r"(?:secretKeyRef: {name|secretName|secretRef: {name): ([\w-]+)", text)
    assert set(made) == set(asked)


def test_what_compose_is_asked_for_is_in_its_file() -> None:
    asked = [each.split()[2:] for each in (*SHOWN, *NAMED) if each.startswith("docker compose ")]
    services = ComposeFile.read().services
    known = {service.name for service in services} | {"SERVICE"}
    profiles = {name for service in services for name in service.own.get("profiles", ())}
    for words in asked:
        if words[0] == "--profile":
            assert words[1] in profiles
        elif words[0] in {"ps", "stop"}:
            assert set(words[1:]) <= known
        elif words[0] == "run":
            assert words[2] in known
