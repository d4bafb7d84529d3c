"""The operator API as its callers see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx

from shared.domain.errors import TenureError

_TIMEOUT_S = 30.0


class OperatorError(TenureError):
    """The operator API cannot be reached, or refuses."""


class OperatorClient:
    """Asks a campaigner.

    Parameters
    ----------
    url
        Its address, e.g. ``http://127.0.0.1:8003``.
    key
        API key with the permission ``read``; none is needed on loopback.
    transport
        Instead of the network.

    """

    def __init__(
        self, url: str, key: str | None = None, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._url = url
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # No proxies from the environment: operators ask what runs beside them.
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=_TIMEOUT_S, transport=transport, trust_env=False
        )

    def profile(self, customer: str) -> dict[str, Any]:
        """Return a customer's live profile."""
        return self._get(f"/v1/customers/{quote(customer, safe='')}")

    def investment(self, customer: str, **asked: float | None) -> dict[str, Any]:
        """Return what may be invested in a customer; what is None was not asked."""
        path = f"/v1/customers/{quote(customer, safe='')}/investment"
        return self._get(path, **{name: each for name, each in asked.items() if each is not None})

    def products(self, customer: str, limit: int) -> dict[str, Any]:
        """Return what a customer holds, and is likely to take up next."""
        return self._get(f"/v1/customers/{quote(customer, safe='')}/products", limit=limit)

    def customer_decisions(self, customer: str, limit: int) -> list[dict[str, Any]]:
        """Return what was decided about a customer, the newest first."""
        path = f"/v1/customers/{quote(customer, safe='')}/decisions"
        found: list[dict[str, Any]] = self._get(path, limit=limit)["decisions"]
        return found

    def decision(self, decision: str) -> dict[str, Any]:
        """Return one decision."""
        return self._get(f"/v1/decisions/{quote(decision, safe='')}")

    def campaigns(self) -> dict[str, Any]:
        """Return the campaigns in force, with their decisions by outcome."""
        return self._get("/v1/campaigns")

    def report(self, campaign: str | None) -> dict[str, Any]:
        """Return what a campaign achieved, or what all of them did together."""
        if campaign is None:
            return self._get("/v1/report")
        return self._get(f"/v1/campaigns/{quote(campaign, safe='')}/report")

    def read(self, what: str, **query: str | int | None) -> dict[str, Any]:
        """Return a page of a list."""
        return self._get(f"/v1/{what}", **{k: v for k, v in query.items() if v is not None})

    def change(self, what: str, **body: object) -> dict[str, Any]:
        """Change something; the answer says how much."""
        return self._ask(lambda: self._http.post(f"/v1/{quote(what)}", json=body))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _get(self, path: str, **query: str | float) -> dict[str, Any]:
        return self._ask(lambda: self._http.get(path, params=query))

    def _ask(self, send: Callable[[], httpx.Response]) -> dict[str, Any]:
        try:
            answer = send()
        except httpx.HTTPError as error:
            raise OperatorError(
                f"No campaigner answers at {self._url} ({type(error).__name__}). Start it, or "
                "name another with --url."
            ) from None
        if not answer.is_success:
            raise OperatorError(_refusal(answer))
        body: dict[str, Any] = answer.json()
        return body


def _refusal(answer: httpx.Response) -> str:
    if answer.headers.get("content-type") == "application/problem+json":
        return str(answer.json()["detail"])
    return f"{answer.url} answered {answer.status_code}: is it a campaigner?"
