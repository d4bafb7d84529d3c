"""Letters and their notes; what is sent, and what is never sent without anybody noticing."""

import pytest

from services.dead_letters.letters import (
    LETTER,
    NOTE,
    Entry,
    Letter,
    State,
    note,
    of_customers,
    read,
)
from services.dead_letters.service import UnknownLetterError, chosen, resend
from services.replay.client import RefusedError, ReplayError
from shared.adapters.event_files import Bad, Good

SOURCE = "customer-events"


def letter(number: int = 3, value: bytes = b'{"id":1}', **facts: str) -> Letter:
    return Letter(number, 0, {"topic": SOURCE} | facts, value)


class World:
    """Notes that become durable in order, and an ingest that answers as told."""

    def __init__(self, answer: Exception | None = None) -> None:
        self.done: list[object] = []
        self._answer = answer

    async def note(self, letter: Letter, state: State) -> None:
        self.done.append((letter.number, state))

    async def post(self, events: list[Good]) -> None:
        self.done.append([each.value for each in events])
        if self._answer:
            raise self._answer

    def left_behind(self, *letters: Letter) -> dict[int, Letter]:
        """Return what the next reader of the topic finds."""
        entries = [Entry(each.number, 0, each.facts, each.value) for each in letters]
        for place, one in enumerate(self.done, start=100):
            if isinstance(one, tuple):
                headers = {name: text.decode() for name, text in note(*one)}
                entries.append(Entry(place, 0, headers, b""))
        return read(entries)


async def test_a_letter_is_noted_before_and_after() -> None:
    world = World()
    outcome = await resend([letter()], world, world, source=SOURCE)
    assert world.done == [(3, State.SENDING), [b'{"id":1}'], (3, State.ACCEPTED)]
    assert (outcome.accepted, outcome.refused, outcome.left) == ([3], {}, {})
    assert world.left_behind(letter())[3].state is State.ACCEPTED


async def test_what_was_accepted_is_not_sent_twice_unknowingly() -> None:
    first, second = World(), World()
    await resend([letter()], first, first, source=SOURCE)
    found = first.left_behind(letter())
    outcome = await resend(found.values(), second, second, source=SOURCE)
    assert second.done == []
    assert "accepted before; --again" in outcome.left[3]
    outcome = await resend(found.values(), second, second, source=SOURCE, again=True)
    assert outcome.accepted == [3]


async def test_what_was_cut_off_is_not_sent_again_unknowingly() -> None:
    first, second = World(ReplayError("the network is gone")), World()
    with pytest.raises(ReplayError):
        await resend([letter()], first, first, source=SOURCE)
    found = first.left_behind(letter())
    assert found[3].state is State.SENDING
    outcome = await resend(found.values(), second, second, source=SOURCE)
    assert second.done == []
    assert "nobody noted what became of it; --again" in outcome.left[3]


async def test_what_is_still_bad_stays_and_the_others_go_on() -> None:
    problem = Bad(line=3, field="data.amount", reason="bad", remedy="Mend it", raw="")
    world = World(RefusedError([problem]))
    outcome = await resend([letter(3), letter(4)], world, world, source=SOURCE)
    assert outcome.refused == {3: [problem], 4: [problem]}
    assert {each.state for each in world.left_behind(letter(3), letter(4)).values()} == {
        State.REFUSED
    }
    again = World()
    found = world.left_behind(letter(3)).values()
    assert (await resend(found, again, again, source=SOURCE)).accepted == [3]


@pytest.mark.parametrize(
    ("value", "sent"),
    [(b"not json", b"not json"), (b" [1,2] ", b"1,2"), (b"[", b"["), (b"[]]", b"]")],
)
async def test_the_bytes_are_sent_as_they_are_an_array_as_its_events(
    value: bytes, sent: bytes
) -> None:
    world = World()
    await resend([letter(value=value)], world, world, source=SOURCE)
    assert [sent] in world.done


async def test_a_repaired_event_takes_the_place_of_the_letters() -> None:
    world = World()
    torn = letter(truncated="from 9 bytes")
    for useless in (torn, letter(value=b"  ")):
        outcome = await resend([useless], world, world, source=SOURCE)
        assert "--with FILE" in outcome.left[3]
    assert world.done == []
    await resend([torn], world, world, source=SOURCE, repaired=b"whole")
    assert [b"whole"] in world.done


async def test_what_is_not_from_producers_is_not_sent() -> None:
    world = World()
    outcome = await resend([letter(topic="customer-scores")], world, world, source=SOURCE)
    assert world.done == []
    assert "from customer-scores" in outcome.left[3]


def test_a_note_outlives_its_letter() -> None:
    assert read([Entry(7, 0, {NOTE: "accepted", LETTER: "3"}, b"")]) == {}


def test_numbers_that_are_not_there_are_named() -> None:
    letters = {3: letter(3), 4: letter(4)}
    assert [each.number for each in chosen(letters, [4, 3, 4])] == [4, 3]
    with pytest.raises(UnknownLetterError, match="no dead letter 5, 6"):
        chosen(letters, [3, 5, 6])


def test_bytes_that_are_no_text_are_shown() -> None:
    assert letter(value=b"a\xff").text == "a\\xff"
    assert letter(partition="1", offset="7", index="2").origin == "customer-events/1@7[2]"
    assert letter(partition="1", offset="7", index="").origin == "customer-events/1@7"


@pytest.mark.parametrize(
    "value",
    [
        b'{"subject":"b\xc3\xa9la","data":1}',
        b'{"subject": "b\\u00e9la"',
        b'[{"x":2},{"data":{},"subject" : "b\xc3\xa9la"}] and more',
        b'{"kind":"score","customer":"b\xc3\xa9la"}',
    ],
)
def test_letters_about_a_customer_are_found_whatever_else_is_in_them(value: bytes) -> None:
    about, other = letter(1, value), letter(2, value.replace(b"la", b"lala"))
    assert of_customers([about, other], ["b\u00e9la", "nobody"]) == [about]


def test_an_id_that_is_a_number_is_found_where_it_is_the_subject_alone() -> None:
    about = letter(1, b'{"subject": 42, "id": "1"}')
    others = [letter(2, b'{"subject": 421}'), letter(3, b'{"subject": "a", "id": "42"}')]
    assert of_customers([about, *others], ["42"]) == [about]


def test_a_letter_that_was_taken_out_is_gone_and_the_others_stay() -> None:
    entries = [
        Entry(1, 0, {}, b"a", "t/0/1"),
        Entry(2, 0, {}, b"b", "t/0/2"),
        Entry(3, 0, {}, None, "t/0/1"),
        Entry(4, 0, {NOTE: "accepted", LETTER: "1"}, b"", "note/1"),
        Entry(5, 0, {}, None, "unknown"),
    ]
    assert {number: each.value for number, each in read(entries).items()} == {2: b"b"}
