"""Logs: JSON lines from every source, and nothing personal in them."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from shared import logs


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_structlog_and_the_standard_library_write_the_same_shape(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("ingest")
    structlog.get_logger("tenure").info("published", events=3, event_ids=["a", "b"])
    logging.getLogger("uvicorn.error").warning("slow %s", "client")
    ours, theirs = lines(capsys)
    assert ours["event"] == "published"
    assert ours["event_ids"] == ["a", "b"]
    assert theirs["event"] == "slow client"
    for line in (ours, theirs):
        assert line["service"] == "ingest"
        assert line["timestamp"].endswith("Z")
    assert (ours["level"], theirs["level"]) == ("info", "warning")


def test_less_than_the_level_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("ingest", "WARNING")
    structlog.get_logger("tenure").info("quiet")
    logging.getLogger("some.library").info("quiet")
    assert lines(capsys) == []


def test_what_names_a_person_or_a_secret_is_struck_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("ingest")
    structlog.get_logger("tenure").info("x", subject="jane", authorization="Bearer k", body=b"{}")
    logging.getLogger("some.library").info("y", extra={"customer": "jane"})
    written = capsys.readouterr().err
    assert "jane" not in written
    assert "Bearer" not in written


def test_tracebacks_carry_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("ingest")
    secret = "jane" + str(2**70)
    try:
        int(secret[:1])
    except ValueError:
        structlog.get_logger("tenure").exception("failed")
        logging.getLogger("some.library").exception("failed, too")
    written = capsys.readouterr().err
    assert secret not in written
    assert written.count('"ValueError"') == 2


def test_at_debug_the_kafka_clients_still_do_not_print_what_they_send(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("ingest", "DEBUG")
    logging.getLogger("aiokafka.producer.producer").debug("Sending (key=%s)", "jane")
    structlog.get_logger("tenure").debug("seen")
    assert [line["event"] for line in lines(capsys)] == ["seen"]


def test_what_a_kafka_client_repeats_passes_seldom_and_nothing_else_is_lost() -> None:
    now = [0.0]
    seldom = logs.SeldomRepeated(("aiokafka",), 30.0, lambda: now[0])

    def passes(name: str, message: str, *arguments: object) -> bool:
        record = logging.LogRecord(name, logging.ERROR, "", 0, message, arguments, None)
        return bool(seldom.filter(record))

    assert passes("aiokafka.client", "Unable to connect to %s", "a")
    assert not passes("aiokafka.client", "Unable to connect to %s", "b")
    assert passes("aiokafka.client", "Unable to update metadata")
    assert passes("tenure", "same")
    assert passes("tenure", "same")
    now[0] = 30.0
    assert passes("aiokafka.client", "Unable to connect to %s", "c")
