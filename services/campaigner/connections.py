"""Clients of kafka-python that leave nothing behind when they cannot connect.

A constructor that cannot reach a broker raises, but leaves its I/O thread and its sockets to
nobody; during an outage each try would add one. So we keep hold of the network client within.
"""

from __future__ import annotations

from typing import Any, Final

from kafka import KafkaConsumer, KafkaProducer

#: Longest pause between two tries to reach a broker; kafka-python's own is half a minute.
_RECONNECT_MS: Final = 1_000
_BOOTSTRAP_MS: Final = 5_000


def open_consumer(**config: Any) -> KafkaConsumer:  # noqa: ANN401  # kafka-python has no types
    """Return a consumer; raises a ``KafkaError`` when no broker answers."""
    return _open(KafkaConsumer, config)


def open_producer(**config: Any) -> KafkaProducer:  # noqa: ANN401
    """Return a producer; raises a ``KafkaError`` when no broker answers."""
    return _open(KafkaProducer, config)


def _open(kind: Any, config: dict[str, Any]) -> Any:  # noqa: ANN401
    config.setdefault("reconnect_backoff_max_ms", _RECONNECT_MS)
    config.setdefault("bootstrap_timeout_ms", _BOOTSTRAP_MS)
    inner: list[Any] = []

    def network(**settings: Any) -> Any:  # noqa: ANN401
        inner.append(kind.DEFAULT_CONFIG["kafka_client"](**settings))
        return inner[-1]

    try:
        return kind(kafka_client=network, **config)
    except BaseException:
        for client in inner:
            client.close()
        raise
