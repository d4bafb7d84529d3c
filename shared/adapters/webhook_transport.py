"""HTTP to endpoints that others chose: only to public addresses, no redirects, no proxies.

The name is resolved here, each address that it has is looked at, and the connection goes to the
address that was looked at. A second look-up, to which a hostile name server could give another
answer (DNS rebinding), does not take place.
"""

from __future__ import annotations

import socket
import ssl
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import httpx

from shared.domain.errors import TenureError

_TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)


class ForbiddenAddressError(TenureError):
    """The endpoint's name leads to an address of this network."""


class CheckedTransport(httpx.BaseTransport):
    """Sends requests to the address that was checked, under the name that was asked for.

    Parameters
    ----------
    allow_private
        Whether loopback, private and link-local addresses will do.
    ca_file
        Certificates of an authority of one's own, PEM.

    """

    def __init__(self, *, allow_private: bool, ca_file: str | None = None) -> None:
        self._allow_private = allow_private
        self._inner = httpx.HTTPTransport(verify=_trusting(ca_file), trust_env=False, retries=0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises
        ------
        ForbiddenAddressError, httpx.TransportError
            It was not sent, or not answered.

        """
        host = request.url.host
        port = request.url.port or {"http": 80, "https": 443}[request.url.scheme]
        address = self._resolve(host, port)
        # `Host` was set from the URL before; TLS is for the name as well.
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _resolve(self, host: str, port: int) -> str:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpx.ConnectError(f"{host} is not known ({error})") from error
        addresses = [str(each[4][0]) for each in found]
        for address in addresses:
            if not self._allow_private and not is_public(address):
                raise ForbiddenAddressError(
                    f"{host} is {address}, which is not a public address. Set `allow_private: "
                    "true` for this webhook if that is meant."
                )
        return addresses[0]


def is_public(address: str) -> bool:
    """Tell whether an address is one of the public internet.

    >>> [is_public(each) for each in ("93.184.215.14", "127.0.0.1", "169.254.169.254", "10.0.0.1")]
    [True, False, False, False]
    >>> [is_public(each) for each in ("::1", "::ffff:127.0.0.1", "fe80::1%eth0", "2606:4700::1111")]
    [False, False, False, True]
    """
    found: IPv4Address | IPv6Address = ip_address(address)
    if isinstance(found, IPv6Address) and (inner := found.ipv4_mapped or found.sixtofour):
        found = inner  # an IPv4 address in another's clothes
    return found.is_global and not found.is_multicast


def _trusting(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that trusts the authorities of the world, and one's own."""
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def checked_client(*, allow_private: bool, ca_file: str | None = None) -> httpx.Client:
    """Return a client for one endpoint."""
    transport = CheckedTransport(allow_private=allow_private, ca_file=ca_file)
    return httpx.Client(
        transport=transport, timeout=_TIMEOUT, follow_redirects=False, trust_env=False
    )
