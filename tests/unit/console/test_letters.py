"""Dead letters as the console follows them: states by notes, bytes when they are asked for."""

import pytest

from services.campaigner.console.questions import letters
from services.campaigner.console.questions.letters import Letters, letter, repaired
from services.dead_letters.letters import Letter, State, note
from services.dead_letters.service import UnknownLetterError
from tests.unit.console.logs import MemoryLogs

TOPIC = "dead-letter"


class OnePartition(MemoryLogs):
    def partitions(self, topic: str) -> list[object]:
        return super().partitions(topic)[:1]


def put(logs: MemoryLogs, value: bytes, **facts: str) -> None:
    logs.append(TOPIC, 0, value, headers=[(name, text.encode()) for name, text in facts.items()])


def test_letters_are_listed_with_what_became_of_them() -> None:
    logs = OnePartition()
    put(logs, b"first", reason="bad")
    put(logs, b"second", reason="worse")
    follower = Letters(logs)
    assert [(each.number, each.state) for each in follower.look()] == [
        (1, State.OPEN), (0, State.OPEN),
    ]  # fmt: skip
    logs.append(TOPIC, 0, b"", headers=note(0, State.SENDING))
    logs.append(TOPIC, 0, b"", headers=note(0, State.ACCEPTED))
    assert [(each.number, each.state) for each in follower.look()] == [
        (1, State.OPEN), (0, State.ACCEPTED),
    ]  # fmt: skip
    assert logs.read_records == 4


def test_only_the_newest_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "MOST", 3)
    logs = OnePartition()
    for number in range(5):
        put(logs, str(number).encode())
    follower = Letters(logs)
    assert [each.number for each in follower.look()] == [4, 3, 2]
    put(logs, b"5")
    assert [each.number for each in follower.look()] == [5, 4, 3]


def test_a_long_letter_is_whole_when_it_is_read() -> None:
    logs, whole = OnePartition(), b"x" * 5_000
    put(logs, whole, reason="long")
    (listed,) = Letters(logs).look()
    assert len(listed.value) < 500
    assert letter(logs, [listed], 0).value == whole
    for number in (1, -1):
        with pytest.raises(UnknownLetterError):
            letter(logs, [listed], number)


def test_bytes_that_are_no_text_are_sent_as_they_were_unless_they_are_repaired() -> None:
    whole = Letter(0, 0, {}, b"caf\xe9")
    assert repaired(whole, whole.text) is None
    assert repaired(whole, "café") == "café".encode()
