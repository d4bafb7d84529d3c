"""A real single-node Apache Kafka from `pip install` alone: no Docker, no Java, no Maven.

It runs in KRaft mode on loopback ports, as a child that does not outlive the process that started
it. For demonstrations, tests and a single machine: one node replicates nothing.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from shared.adapters.kafka_distribution import (
    KAFKA_VERSION,
    EmbeddedKafkaError,
    java_and_class_path,
)

__all__ = ["WATCHED", "EmbeddedKafka", "EmbeddedKafkaError", "free_port"]

HOST = "127.0.0.1"
CLUSTER_ID = "VGVudXJlRW1iZWRkZWRLZg"  # sixteen bytes in base64, as Kafka wants it
JVM_OPTIONS = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)

# Becomes the broker ("$@"), and leaves a watchdog at our end of a pipe: a line means that we ended
# the broker, end of file that we are gone, and then it goes too, with its directory "$0" if that
# was temporary. Linux's parent-death signal would fire when merely the thread that started it ends.
WATCHED = """
exec 3<&0 </dev/null
(read -r _ <&3 || { kill -9 $$; [ -z "$0" ] || { sleep 1; rm -rf -- "$0"; }; }) >/dev/null 2>&1 &
exec "$@" 3<&-
"""

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners={listeners},CONTROLLER://{host}:{controller_port}
advertised.listeners={listeners}
# Relative to the data directory: its spaces, commas and accents never meet Java's file format.
log.dirs=log
auto.create.topics.enable=false

# One node on two cores: no replicas, few internal partitions, few threads.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
num.network.threads=2
num.io.threads=4

# Consumers join at once, and may ask to be missed soon.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000

# Who waits for a compaction should not wait long.
log.cleaner.backoff.ms=500
log.cleaner.dedupe.buffer.size=16777216
"""


class EmbeddedKafka:
    """A broker of one's own, within a `with` block or between `start` and `close`.

    Parameters
    ----------
    data_dir
        Where the broker keeps its data, and comes back to on the same ports. Without one it is a
        temporary directory, which `close` removes.
    port
        The port for clients; by default the one that `data_dir` remembers, or a free one.
    progress
        Called with a line of text before what takes seconds: a download, a start.
    start_timeout
        Seconds after which a start has failed; the download of the jars is not counted.
    listeners
        Further listeners, such as those that ask for a password: name to port.
    properties
        More lines for ``server.properties``, such as what those listeners need.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        port: int | None = None,
        progress: Callable[[str], None] = lambda _: None,
        start_timeout: float = 60.0,
        listeners: Mapping[str, int] | None = None,
        properties: str = "",
    ) -> None:
        self._temporary = data_dir is None
        self.data_dir = Path(data_dir or tempfile.mkdtemp(prefix="tenure-kafka-")).absolute()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.port, self._controller_port = _remembered_ports(self.data_dir / "ports.json", port)
        self.log_path = self.data_dir / "kafka.log"
        self._progress = progress
        self._start_timeout = start_timeout
        self._listeners = {"PLAINTEXT": self.port} | dict(listeners or {})
        self._properties = properties
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect: `host:port`, the same after a restart."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        return self._running().pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the broker and return when it answers; a no-op when it runs.

        Raises
        ------
        EmbeddedKafkaError
            The extra is not installed, the download failed, or the broker did not come up. Nothing
            is left running.
        """
        if self._process is not None:
            return
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def stop(self, timeout: float = 20.0) -> None:
        """Shut the broker down in order, and kill it after `timeout` seconds. The data stays."""
        self._end(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """End the broker without a warning, as `kill -9` would. The data stays."""
        self._end(signal.SIGKILL, timeout=20.0)

    def restart(self) -> None:
        """Stop in order and start again, with the same ports and data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the broker: connections stay open, and nothing answers."""
        process = self._running()
        # A stop is reported once: one that is paused already must stop anew to report again.
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)  # until then its threads may still answer

    def resume(self) -> None:
        """Let a paused broker go on."""
        self._running().send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop the broker and remove its directory if that is temporary."""
        if not self._temporary:
            self.stop()
            return
        self.kill()  # nobody will read what an orderly stop would flush
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines that the broker wrote."""
        with suppress(FileNotFoundError):
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def _start(self) -> None:
        java, class_path = java_and_class_path(self._progress)
        self._progress(f"Starting Apache Kafka {KAFKA_VERSION} on {self.bootstrap_servers}")
        self._require_free_ports()
        command = [str(java), *JVM_OPTIONS, "-cp", class_path]
        self._write_properties()
        # Too short a life for the optimising compiler to pay off.
        self._format([*command, "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format"])
        self._spawn([*command, "kafka.Kafka", "server.properties"])
        self._await_ready()

    def _require_free_ports(self) -> None:
        for port in (self.port, self._controller_port):
            if not _is_free(port):
                raise EmbeddedKafkaError(
                    f"Port {port} is taken, and the data in {self.data_dir} belongs to it. Is"
                    " another Tenure running there? Stop it, or use another data directory."
                )

    def _write_properties(self) -> None:
        listeners = (f"{name}://{HOST}:{port}" for name, port in self._listeners.items())
        text = PROPERTIES.format(
            host=HOST, listeners=",".join(listeners), controller_port=self._controller_port
        )
        (self.data_dir / "server.properties").write_text(text + self._properties)

    def _format(self, command: list[str]) -> None:
        """Give an empty data directory its identity; a directory that has one keeps it."""
        if (self.data_dir / "log" / "meta.properties").exists():
            return
        with self.log_path.open("ab") as log:
            done = subprocess.run(
                [*command, "--cluster-id", CLUSTER_ID, "--config", "server.properties"],
                cwd=self.data_dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise self._failure(f"could not format {self.data_dir}")

    def _spawn(self, command: list[str]) -> None:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", WATCHED, str(self.data_dir) if self._temporary else "", *command],
                cwd=self.data_dir,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Control-C in a terminal is for us: we stop the clients first, then the broker.
                start_new_session=True,
            )

    def _await_ready(self) -> None:
        deadline = time.monotonic() + self._start_timeout
        while not self._answers():
            if self._running().poll() is not None:
                raise self._failure("ended while it started")
            if time.monotonic() > deadline:
                raise self._failure(f"did not answer within {self._start_timeout:.0f} s")
            time.sleep(0.05)

    def _answers(self) -> bool:
        """Ask for the cluster: an open port alone does not mean that requests are served."""
        if _is_free(self.port):
            return False
        try:
            admin = KafkaAdminClient(
                bootstrap_servers=self.bootstrap_servers,
                bootstrap_timeout_ms=5_000,
                request_timeout_ms=5_000,
                reconnect_backoff_max_ms=200,
            )
        except KafkaError:
            return False
        try:
            return bool(admin.describe_cluster()["brokers"])
        except KafkaError:
            return False
        finally:
            admin.close()

    def _end(self, how: signal.Signals, timeout: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # a paused process keeps other signals for later
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(BrokenPipeError):
            process.communicate(b"ended\n")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise EmbeddedKafkaError("The embedded Kafka is not running: call start() first.")
        return self._process

    def _failure(self, what: str) -> EmbeddedKafkaError:
        return EmbeddedKafkaError(
            f"The embedded Kafka {what}. The end of its log:\n{self.log_tail()}"
        )


def _remembered_ports(path: Path, port: int | None) -> tuple[int, int]:
    """Return the ports for clients and controller, those of the last time if there was one."""
    known = json.loads(path.read_text()) if path.exists() else {}
    client = port or known.get("client") or free_port()
    controller = known.get("controller") or free_port()
    path.write_text(json.dumps({"client": client, "controller": controller}))
    return client, controller


def free_port() -> int:
    """Choose a port below the range that systems hand out, so that a restart finds it free."""
    while not _is_free(port := 20_000 + secrets.randbelow(10_000)):
        pass
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
