"""How every client of ours comes into Kafka, and in words why one was not let in.

Both clients take the same keyword arguments, and both keep to themselves why nobody let them in:
all that they raise is that they could not connect. So `require_access` tries the door first.
"""

from __future__ import annotations

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    AuthenticationFailedError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from shared.domain.errors import TenureError
from shared.settings import Settings

_SERVERS: Final = "TENURE_KAFKA_BOOTSTRAP_SERVERS"
_PROTOCOL: Final = "TENURE_KAFKA_SECURITY_PROTOCOL"
#: What a broker may take to answer.
_TIMEOUT_MS: Final = 5_000
#: How long to wait for the end of a connection, which nothing tells when there was none.
_CLOSE_S: Final = 0.2


class KafkaAccessError(TenureError):
    """Kafka does not let us in, and will not before somebody does what the message says."""


class KafkaUnreachableError(KafkaAccessError):
    """No broker answers now; one may in a while."""


def connection(settings: Settings) -> dict[str, Any]:
    """Return how to connect, as the keyword arguments of aiokafka's and kafka-python's clients.

    Raises
    ------
    KafkaAccessError
        A file of certificates cannot be used.

    """
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_uses_sasl:
        password = settings.kafka_sasl_password
        arguments |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": password.get_secret_value() if password else None,
        }
    if settings.kafka_uses_tls:
        arguments["ssl_context"] = _tls(settings)
    return arguments


def _tls(settings: Settings) -> ssl.SSLContext:
    """Read the files anew for each client, so that renewed certificates are taken."""
    variable = "TENURE_KAFKA_SSL_CA_FILE"
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ssl_ca_file)
        if settings.kafka_ssl_cert_file:
            variable = "TENURE_KAFKA_SSL_CERT_FILE or TENURE_KAFKA_SSL_KEY_FILE"
            password = settings.kafka_ssl_key_password
            context.load_cert_chain(
                settings.kafka_ssl_cert_file,
                settings.kafka_ssl_key_file,
                # Without a function, OpenSSL would ask the terminal for the password of a key.
                password=password.get_secret_value if password else lambda: "",
            )
    except (OSError, ssl.SSLError) as error:  # also a file that is not there
        raise KafkaAccessError(
            f"{variable} cannot be used: {error}. Name files in PEM format that belong together."
        ) from error
    return context


def require_access(settings: Settings) -> None:
    """Return when a broker lets us in; blocks, and may be called wherever an event loop runs.

    Raises
    ------
    KafkaUnreachableError, KafkaAccessError
        With the reason and the remedy.

    """
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, try_access(settings)).result()


async def try_access(settings: Settings) -> None:
    """Do what `require_access` does, in an event loop."""
    refusal: KafkaAccessError | None = None
    for server in settings.kafka_bootstrap_servers.split(","):
        try:
            return await _knock(server.strip(), settings)
        except KafkaUnreachableError as error:
            refusal = refusal or error
        except KafkaAccessError as error:  # tells more than another broker that is away
            refusal = error
    if refusal is not None:
        raise refusal
    return None


async def _knock(server: str, settings: Settings) -> None:
    """Come in by one broker, and ask it something."""
    host, _, port = server.rpartition(":")
    arguments = connection(settings) | {"request_timeout_ms": _TIMEOUT_MS}
    del arguments["bootstrap_servers"]
    opened = AIOKafkaConnection(host.strip("[]"), int(port), **arguments)
    try:
        await opened.connect()
        await opened.send(MetadataRequest([]))
    except (OSError, KafkaError, TimeoutError) as error:
        raise _explained(error, server, settings) from error
    finally:
        await asyncio.wait({opened.close()}, timeout=_CLOSE_S)


def _explained(error: BaseException, server: str, settings: Settings) -> KafkaAccessError:
    if refusal := _refusal(error, settings):
        return KafkaAccessError(f"Kafka at {server} {refusal}")
    if isinstance(error, KafkaConnectionError | ConnectionResetError | ConnectionAbortedError):
        return _hung_up(server, settings)
    return KafkaUnreachableError(
        f"no Kafka answers at {server}. Start it, or name another in {_SERVERS}"
    )


def _refusal(error: BaseException, settings: Settings) -> str | None:
    """Return why waiting does not help, and what does."""
    match error:
        case AuthenticationFailedError() | SaslAuthenticationFailed():
            return (
                f"does not let {settings.kafka_sasl_username!r} in. Check "
                "TENURE_KAFKA_SASL_USERNAME, TENURE_KAFKA_SASL_PASSWORD and "
                f"TENURE_KAFKA_SASL_MECHANISM ({settings.kafka_sasl_mechanism})"
            )
        case UnsupportedSaslMechanismError():
            return (
                f"does not take {settings.kafka_sasl_mechanism}. "
                "Set TENURE_KAFKA_SASL_MECHANISM to what its listener has"
            )
        case ssl.SSLCertVerificationError():
            return (
                f"shows a certificate that cannot be trusted: {error.verify_message}. Name its "
                f"authority in TENURE_KAFKA_SSL_CA_FILE, and brokers in {_SERVERS} as their "
                "certificates do"
            )
        case ssl.SSLError():
            return f"does not talk TLS as we do ({error.reason}). Check {_PROTOCOL} and the port"
    return None


def _hung_up(server: str, settings: Settings) -> KafkaUnreachableError:
    """Brokers that are about to stop hang up, too: waiting may help."""
    certificate = " TENURE_KAFKA_SSL_CERT_FILE," if settings.kafka_uses_tls else ""
    return KafkaUnreachableError(
        f"Kafka at {server} hangs up on {settings.kafka_security_protocol}: its listener may want "
        f"another protocol or somebody else. Check {_PROTOCOL},{certificate} and the port"
    )
